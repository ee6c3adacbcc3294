/*
 * pq.h - product quantisers (Jegou, Douze, Schmid: "Product quantization for nearest neighbor search",
 * 2011): a vector is cut into m pieces, and each is named by the nearest of 16 or 256 centroids.
 *
 * Training and encoding give the same bits for any number of threads and at any CPU level.
 */
#ifndef INDEX_PQ_H
#define INDEX_PQ_H

#include "ken.h"
#include "kernels/kernels.h"

typedef struct kn_pq {
    kn_pq_space space; /* m, k (16 or 256), dsub; centroids (m, dsub, k) */
    size_t dim;        /* m * dsub */
} kn_pq;

/* centroids (m, dsub, k), the caller's, from rows (n, dim). */
KEN_CALL ken_status kn_pq_train(const kn_pq *pq, const float *rows, size_t n, uint64_t seed,
                                uint32_t threads, float *centroids);
/* codes (n, m): a byte for each piece, of 4 bits too. */
KEN_CALL ken_status kn_pq_encode(const kn_pq *pq, const float *rows, size_t n, uint32_t threads,
                                 uint8_t *codes);
void kn_pq_decode(const kn_pq *pq, const uint8_t *code, float *out);

/* faiss keeps a piece's centroids one behind the other, (m, k, dsub); both ways. */
void kn_pq_from_rows(const kn_pq *pq, const float *rows, float *centroids);
void kn_pq_to_rows(const kn_pq *pq, float *rows);

/* ---- 4-bit codes ---- */

static inline size_t kn_pq4_blocks(size_t n)
{
    return (n + KN_PQ4_BLOCK - 1) / KN_PQ4_BLOCK;
}
/* Blocks of codes (n, m); what is behind the last vector is 0. */
void kn_pq4_pack(const uint8_t *codes, size_t n, size_t m, uint8_t *blocks);
/* Vector i's code (m) out of them. */
void kn_pq4_unpack(const uint8_t *blocks, size_t m, size_t i, uint8_t *code);

/* A table (m, 16) in 8 bits, all pieces with one step: a sum of the table is base + step * (sum of
 * lut), within m * step / 2.  lut (m rounded up to even, 16); its greatest sum is at most 65535. */
typedef struct kn_pq4_lut {
    float base, step;
} kn_pq4_lut;
kn_pq4_lut kn_pq4_quantise(const float *table, size_t m, uint8_t *lut);

#endif
