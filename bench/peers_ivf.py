"""IVF indexes of ken and of faiss, of the same string, in turns: peers_ivf.py IVF_LINE DIR [KIND…]

DIR holds base.fbin and query.fbin; exact answers are computed once, into gt.npy.  Building uses two
threads, searching one; inner product of unit vectors, k = 10, best of five turns.  "one": a query a call;
"all": all of them in one call.  Lines of JSON.
"""
import json
import os
import subprocess
import sys
import time

import faiss
import numpy as np

line, folder = sys.argv[1:3]
kinds = sys.argv[3:] or ["IVF1024,PQ128x4fs,RFlat"]
TURNS, K = 5, 10
SETTINGS = [(n, r) for n in (16, 32, 64, 128, 192, 256) for r in (40, 100, 200)]


def read(path):
    n, d = np.fromfile(path, np.uint32, 2)
    return np.fromfile(path, np.float32, offset=8).reshape(n, d)


X, Q = read(f"{folder}/base.fbin"), read(f"{folder}/query.fbin")
D = X.shape[1]
if not os.path.exists(f"{folder}/gt.npy"):
    flat = faiss.IndexFlatIP(D)
    flat.add(X)
    np.save(f"{folder}/gt.npy", flat.search(Q, K)[1])
GT = np.load(f"{folder}/gt.npy")


def say(**what):
    print(json.dumps(what), flush=True)


def recall(ids):
    return float(np.mean([len(set(a) & set(b)) for a, b in zip(ids, GT)]) / K)


class Ken:
    def __init__(self, kind):
        self.out = f"{folder}/ken.ids"
        self.p = subprocess.Popen([line, f"{folder}/base.fbin", f"{folder}/query.fbin", kind, "cosine", "2"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = json.loads(self.p.stdout.readline())["train_add_s"]

    def search(self, nprobe, rerank, batch):
        self.p.stdin.write(f"{K} {nprobe} {rerank} {int(batch)} {self.out}\n")
        self.p.stdin.flush()
        seconds = json.loads(self.p.stdout.readline())["seconds"]
        return seconds, np.fromfile(self.out, np.int64).reshape(-1, K)

    def end(self):
        self.p.stdin.close()
        self.p.wait()


class Faiss:
    def __init__(self, kind):
        faiss.omp_set_num_threads(2)
        t = time.time()
        self.ix = faiss.index_factory(D, kind, faiss.METRIC_INNER_PRODUCT)
        self.ix.train(X[::2])
        self.ix.add(X)
        self.built = time.time() - t
        faiss.omp_set_num_threads(1)
        self.refine = kind.endswith("RFlat")
        self.ivf = faiss.extract_index_ivf(faiss.downcast_index(self.ix.base_index) if self.refine else self.ix)

    def search(self, nprobe, rerank, batch):
        self.ivf.nprobe = nprobe
        if self.refine:
            self.ix.k_factor = rerank / K
        t = time.time()
        if batch:
            ids = self.ix.search(Q, K)[1]
        else:
            ids = np.stack([self.ix.search(Q[i:i + 1], K)[1][0] for i in range(len(Q))])
        return time.time() - t, ids

    def end(self):
        pass


def front(points, least):
    """Queries a second of the fastest setting whose recall is at least that."""
    return max((p for p in points if p[0] >= least), key=lambda p: p[1], default=None)


for kind in kinds:
    engines = {}
    for turn in range(2):  # builds take turns too
        for name, make in (("ken", Ken), ("faiss", Faiss)):
            if name in engines:
                engines[name].end()
            last = engines[name] = make(kind)
            say(kind=kind, engine=name, train_add_s=round(last.built, 2))
    settings = SETTINGS if kind.endswith("RFlat") else [(n, 0) for n in (4, 8, 16, 32, 64, 128)]
    for batch in (False, True):
        points = {name: [] for name in engines}
        for nprobe, rerank in settings:
            best = {name: 1e9 for name in engines}
            found = {}
            for turn in range(TURNS):
                for name, e in engines.items():
                    seconds, found[name] = e.search(nprobe, rerank, batch)
                    best[name] = min(best[name], seconds)
            for name in engines:
                point = (recall(found[name]), len(Q) / best[name], nprobe, rerank)
                points[name].append(point)
                say(kind=kind, engine=name, calls="all" if batch else "one", nprobe=nprobe, rerank=rerank,
                    recall=round(point[0], 4), qps=round(point[1]))
        for least in (.5, .7, .8, .9, .95, .98, .99):
            a, b = (front(points[n], least) for n in ("ken", "faiss"))
            if a and b:
                say(kind=kind, calls="all" if batch else "one", recall_at_least=least, ken_qps=round(a[1]),
                    faiss_qps=round(b[1]), times=round(a[1] / b[1], 2), ken=a[2:], faiss=b[2:])
    for e in engines.values():
        e.end()
