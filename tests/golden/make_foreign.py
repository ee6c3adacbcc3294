"""Index files of faiss and hnswlib, and what these libraries answer from them: make_foreign.py DIR

For each NAME: DIR/NAME.faiss or NAME.hnswlib and DIR/NAME.want (u32 queries, u32 k, i64 ids, f32
distances), by nprobe as the file has it; queries.f32 are the queries, base.f32 the vectors.
Made with faiss 1.15.1 and hnswlib 0.8.0.
"""
import sys
import numpy as np
import faiss
import hnswlib

out = sys.argv[1]
faiss.omp_set_num_threads(1)
N, D, Q, K = 400, 16, 15, 5
rng = np.random.default_rng(7)
centre = rng.normal(size=(20, D))
X = (centre[np.arange(N) % 20] + .4 * rng.normal(size=(N, D))).astype(np.float32)
Y = (X[:Q] + .2 * rng.normal(size=(Q, D))).astype(np.float32)
X.tofile(f"{out}/base.f32")
Y.tofile(f"{out}/queries.f32")
ids = np.arange(N) * 7 + 10**12


def want(name, distances, labels):
    with open(f"{out}/{name}.want", "wb") as f:
        np.array(labels.shape, np.uint32).tofile(f)
        labels.astype(np.int64).tofile(f)
        distances.astype(np.float32).tofile(f)


def save(name, index, nprobe=0, k_factor=0, with_ids=False):
    if not index.is_trained:
        index.train(X)
    if with_ids:
        index.add_with_ids(X, ids)
    else:
        index.add(X)
    if nprobe:
        faiss.extract_index_ivf(index).nprobe = nprobe
    faiss.write_index(index, f"{out}/{name}.faiss")
    if k_factor:
        index.k_factor = k_factor
    want(name, *index.search(Y, K))


L2, IP = faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT
make = lambda text, metric=L2: faiss.index_factory(D, text, metric)
save("flat_l2", make("Flat"))
save("flat_ip", make("Flat", IP))
save("flat_ids", make("IDMap2,Flat"), with_ids=True)
save("hnsw", make("HNSW8,Flat"))
save("ivf_flat_l2", make("IVF10,Flat"), 3)
save("ivf_flat_ip_ids", make("IVF10,Flat", IP), 3, with_ids=True)
save("ivf_pq_l2", make("IVF10,PQ4np"), 4)
save("ivf_pq_ip", make("IVF10,PQ4np", IP), 4)
save("ivf_pq4_l2", make("IVF10,PQ8x4np"), 4)
save("opq_ivf_pq", make("OPQ4,IVF10,PQ4np"), 4)
save("ivf_fs_l2", make("IVF10,PQ8x4fs"), 4)
save("ivf_fsr_l2", make("IVF10,PQ8x4fsr"), 4)
save("ivf_fs_ip", make("IVF10,PQ8x4fs", IP), 4)
save("ivf_fs_refine", make("IVF10,PQ8x4fs,RFlat"), 4, 40)
save("ivf_pqr", make("IVF10,PQ4+4"), 4)
save("ivf_sq8", make("IVF10,SQ8"), 3)
save("sq8", make("SQ8"))
save("sq4", make("SQ4"))
save("sq6", make("SQ6"))
save("sqfp16", make("SQfp16"))
save("pq_fs", make("PQ8x4fs"))
save("pca", make("PCA8,Flat"))

h = hnswlib.Index("l2", D)
h.init_index(N + 50, M=6, ef_construction=60, random_seed=3)
h.add_items(X, ids)
h.set_ef(400)
for i in range(0, N, 9):
    h.mark_deleted(ids[i])
h.save_index(f"{out}/l2.hnswlib")
labels, distances = h.knn_query(Y, K)
want("l2", distances, labels)
