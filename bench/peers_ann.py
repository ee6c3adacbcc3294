"""Graph indexes of ken and of its peers, in turns: peers_ann.py [LIBKEN.so [DIR [PEER…]]]

DIR (default build/ann-data) holds base.fbin and query.fbin; if they are missing, bench/ann_data is made
and writes 100,000 x 512 there (ANN_ROWS: another number).  LIBKEN.so is ./libken.so by default.
Exact answers are computed once, into gt.npy.  Building uses two threads, searching one; cosine, k = 10, a query a call from Python for all of
them, best of five turns in which each index is asked in its turn.  Peers: hnswlib, faiss (HNSW32).
Lines of JSON: {"index","build_s","build_cpu_s"}, {"index","ef","recall","qps"}, and at the end for each
peer {"recall","ken_qps","peer","peer_qps","ratio"}, at the recalls .95 and .99, between the measured
points straight lines in log(1 - recall) and log(qps).
"""
import ctypes
import json
import math
import os
import subprocess
import sys
import time

import numpy as np

args = sys.argv[1:]
lib_path, folder = (args + ["./libken.so", "build/ann-data"][len(args):])[:2]
peers = args[2:] or ["hnswlib"]
TURNS, K, EFS = 5, 10, (20, 40, 60, 80, 120, 160, 240, 320, 480)


def read(path):
    n, d = np.fromfile(path, np.uint32, 2)
    return np.fromfile(path, np.float32, offset=8).reshape(n, d)


def make_data():
    build = subprocess.run(["make", "-s", "print-B"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["make", "-s", f"{build}/bench/ann_data"], check=True)
    os.makedirs(folder, exist_ok=True)
    subprocess.run([f"{build}/bench/ann_data", "512", os.environ.get("ANN_ROWS", "100000"), "2", "0.5", "64",
                    folder], check=True)


if not os.path.exists(f"{folder}/query.fbin"):
    make_data()
X, Q = read(f"{folder}/base.fbin"), read(f"{folder}/query.fbin")
D = X.shape[1]


def say(**what):
    print(json.dumps(what), flush=True)


class Options(ctypes.Structure):  # ken_index_options
    _fields_ = [("size", ctypes.c_uint32), ("dim", ctypes.c_uint32), ("kind", ctypes.c_char_p),
                ("metric", ctypes.c_char_p), ("threads", ctypes.c_uint32), ("seed", ctypes.c_uint64),
                ("ef_construction", ctypes.c_uint32), ("progress", ctypes.c_void_p), ("cookie", ctypes.c_void_p)]


class Find(ctypes.Structure):  # ken_find_options
    _fields_ = [("size", ctypes.c_uint32), ("ef", ctypes.c_uint32), ("nprobe", ctypes.c_uint32),
                ("rerank", ctypes.c_uint32), ("only", ctypes.c_void_p), ("n_only", ctypes.c_size_t),
                ("threads", ctypes.c_uint32), ("target_recall", ctypes.c_double), ("exact", ctypes.c_int)]


HIT = np.dtype([("id", np.uint64), ("score", np.float32), ("raw", np.float32)])


class Ken:
    lib = ctypes.CDLL(lib_path)
    lib.ken_last_error.restype = ctypes.c_char_p
    lib.ken_index_build.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_size_t]
    lib.ken_index_find.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_size_t] * 2 + [ctypes.c_void_p] * 3

    def __init__(self, kind):
        self.h = ctypes.c_void_p()
        o = Options(ctypes.sizeof(Options), D, kind.encode(), b"cosine", 2, 0, 0, None, None)
        self.done(self.lib.ken_index_build(ctypes.byref(self.h), ctypes.byref(o), None, X.ctypes.data, len(X)))
        self.find = Find(ctypes.sizeof(Find))
        self.find.threads = 1
        self.hits, self.n = np.zeros(len(Q) * K, HIT), ctypes.c_size_t()

    def done(self, status):
        if status:
            raise RuntimeError(self.lib.ken_last_error().decode())

    def set(self, ef):
        self.find.ef = ef

    def search(self, queries):
        to, at, step, size = self.hits.ctypes.data, queries.ctypes.data, 4 * D, K * HIT.itemsize
        bad = 0
        for i in range(len(queries)):
            bad |= self.lib.ken_index_find(self.h, at + i * step, 1, K, ctypes.byref(self.find), to + i * size,
                                           ctypes.byref(self.n))
        self.done(bad)
        return self.hits["id"][:len(queries) * K].reshape(-1, K)


class Hnswlib:
    def __init__(self):
        import hnswlib
        self.ix = hnswlib.Index("cosine", D)
        self.ix.init_index(len(X), M=16, ef_construction=200, random_seed=1)
        self.ix.add_items(X, num_threads=2)
        self.ix.set_num_threads(1)

    def set(self, ef):
        self.ix.set_ef(ef)

    def search(self, queries):
        return np.concatenate([self.ix.knn_query(q, k=K)[0] for q in queries])


class Faiss:
    def __init__(self):
        import faiss
        faiss.omp_set_num_threads(2)
        self.ix = faiss.IndexHNSWFlat(D, 32, faiss.METRIC_INNER_PRODUCT)
        self.ix.hnsw.efConstruction = 200
        self.ix.add(X)
        faiss.omp_set_num_threads(1)

    def set(self, ef):
        self.ix.hnsw.efSearch = ef

    def search(self, queries):
        return np.concatenate([self.ix.search(q[None], K)[1] for q in queries])


def truth():
    path = f"{folder}/gt.npy"
    if not os.path.exists(path):
        flat = Ken("Flat")
        np.save(path, flat.search(Q).astype(np.int64))
    return np.load(path)


GT = truth()
makers = {"ken": lambda: Ken("HNSW16"), "hnswlib": Hnswlib, "faiss": Faiss}
built, curve = {}, {}
for name in ["ken"] + peers:
    wall, cpu = time.time(), time.process_time()
    built[name] = makers[name]()
    say(index=name, build_s=round(time.time() - wall, 2), build_cpu_s=round(time.process_time() - cpu, 2))
for ef in EFS:
    best = {}
    for _ in range(TURNS):
        for name, ix in built.items():
            ix.set(ef)
            start = time.perf_counter()
            ids = ix.search(Q)
            took = time.perf_counter() - start
            if took < best.get(name, (1e9,))[0]:
                hit = np.mean([len(set(a) & set(b)) for a, b in zip(ids.astype(np.int64), GT)]) / K
                best[name] = took, float(hit)
    for name, (took, hit) in best.items():
        say(index=name, ef=ef, recall=round(hit, 4), qps=round(len(Q) / took))
        curve.setdefault(name, []).append((hit, len(Q) / took))


def qps_at(points, recall):
    for (r0, q0), (r1, q1) in zip(points, points[1:]):
        if r0 <= recall <= r1:
            x0, x1, x = (math.log(1 - min(r, .99999)) for r in (r0, r1, recall))
            t = (x - x0) / (x1 - x0) if x1 != x0 else 0
            return math.exp(math.log(q0) + t * (math.log(q1) - math.log(q0)))
    return points[0][1] if points and points[0][0] > recall else None


for peer in peers:
    for recall in (.95, .99):
        a, b = qps_at(curve["ken"], recall), qps_at(curve[peer], recall)
        if a and b:
            say(recall=recall, ken_qps=round(a), peer=peer, peer_qps=round(b), ratio=round(a / b, 2))
