/* pq.c - a k-means for each piece; codes of 4 bits in blocks. */
#include "index/pq.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "index/kmeans.h"

#include <math.h>
#include <string.h>

enum { ITERATIONS = 20, SAMPLE = 128 }; /* rounds; rows a centroid */

typedef struct job {
    const kn_pq *pq;
    const float *rows;
    size_t n;
    uint64_t seed;
    float *centroids;
    uint8_t *codes;
} job;

/* Every step-th row is enough for all pieces; k-means takes its own part of them. */
static size_t step_of(const job *j)
{
    const size_t most = 2 * SAMPLE * j->pq->space.k;
    return j->n > most ? j->n / most : 1;
}

static ken_status train_pieces(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    const size_t dsub = j->pq->space.dsub, k = j->pq->space.k, step = step_of(j);
    const size_t n = (j->n + step - 1) / step;
    float *part = kn_alloc_aligned(n ? n * dsub : 1, sizeof *part);
    float *found = kn_alloc_aligned(k * dsub, sizeof *found);
    ken_status st = part && found ? KEN_OK : KEN_E_NOMEM;
    (void)worker;
    for (size_t s = begin; !st && s < end; s++) {
        const kn_kmeans km = { .k = k,
                               .dim = dsub,
                               .iterations = ITERATIONS,
                               .sample = SAMPLE,
                               .seed = j->seed + s };
        for (size_t i = 0; i < n; i++)
            memcpy(part + i * dsub, j->rows + i * step * j->pq->dim + s * dsub,
                   dsub * sizeof *part);
        st = kn_kmeans_train(&km, part, n, found);
        for (size_t c = 0; c < k; c++)
            for (size_t t = 0; t < dsub; t++)
                j->centroids[(s * dsub + t) * k + c] = found[c * dsub + t];
    }
    kn_free(part);
    kn_free(found);
    return st;
}

ken_status kn_pq_train(const kn_pq *pq, const float *rows, size_t n, uint64_t seed,
                       uint32_t threads, float *centroids)
{
    job j = { pq, rows, n, seed, centroids, NULL };
    return kn_parallel(pq->space.m, 1, threads ? threads : 1, train_pieces, &j);
}

static ken_status encode_rows(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    const kn_kernels *kern = kn_kernels_get();
    (void)worker;
    for (size_t i = begin; i < end; i++)
        kern->pq_nearest(&j->pq->space, j->rows + i * j->pq->dim, j->codes + i * j->pq->space.m);
    return KEN_OK;
}

ken_status kn_pq_encode(const kn_pq *pq, const float *rows, size_t n, uint32_t threads,
                        uint8_t *codes)
{
    job j = { pq, rows, n, 0, NULL, codes };
    return kn_parallel(n, 1, threads ? threads : 1, encode_rows, &j);
}

void kn_pq_decode(const kn_pq *pq, const uint8_t *code, float *out)
{
    const kn_pq_space *p = &pq->space;
    for (size_t s = 0; s < p->m; s++)
        for (size_t t = 0; t < p->dsub; t++)
            out[s * p->dsub + t] = p->centroids[(s * p->dsub + t) * p->k + code[s] % p->k];
}

void kn_pq_from_rows(const kn_pq *pq, const float *rows, float *centroids)
{
    const kn_pq_space *p = &pq->space;
    for (size_t s = 0; s < p->m; s++)
        for (size_t c = 0; c < p->k; c++)
            for (size_t t = 0; t < p->dsub; t++)
                centroids[(s * p->dsub + t) * p->k + c] = rows[(s * p->k + c) * p->dsub + t];
}

void kn_pq_to_rows(const kn_pq *pq, float *rows)
{
    const kn_pq_space *p = &pq->space;
    for (size_t s = 0; s < p->m; s++)
        for (size_t c = 0; c < p->k; c++)
            for (size_t t = 0; t < p->dsub; t++)
                rows[(s * p->k + c) * p->dsub + t] = p->centroids[(s * p->dsub + t) * p->k + c];
}

/* ---- 4-bit codes ---------------------------------------------------------------- */

/* Where piece s of vector v (0 .. 31) of a block is: its byte; the high half for v >= 16. */
static size_t byte_of(size_t s, size_t v)
{
    return 16 * s + (v % 8) * 2 + v / 8 % 2;
}

void kn_pq4_pack(const uint8_t *codes, size_t n, size_t m, uint8_t *blocks)
{
    const size_t bytes = kn_pq4_block_bytes(m);
    memset(blocks, 0, kn_pq4_blocks(n) * bytes);
    for (size_t i = 0; i < n; i++) {
        uint8_t *block = blocks + i / KN_PQ4_BLOCK * bytes;
        const size_t v = i % KN_PQ4_BLOCK;
        for (size_t s = 0; s < m; s++)
            block[byte_of(s, v)] |= (uint8_t)((codes[i * m + s] & 15) << (v < 16 ? 0 : 4));
    }
}

void kn_pq4_unpack(const uint8_t *blocks, size_t m, size_t i, uint8_t *code)
{
    const uint8_t *block = blocks + i / KN_PQ4_BLOCK * kn_pq4_block_bytes(m);
    const size_t v = i % KN_PQ4_BLOCK;
    for (size_t s = 0; s < m; s++)
        code[s] = block[byte_of(s, v)] >> (v < 16 ? 0 : 4) & 15;
}

kn_pq4_lut kn_pq4_quantise(const float *table, size_t m, uint8_t *lut)
{
    kn_pq4_lut q = { 0, 0 };
    float widest = 0, all = 0;
    for (size_t s = 0; s < m; s++) {
        float low = table[16 * s], high = low;
        for (size_t c = 1; c < 16; c++) {
            low = table[16 * s + c] < low ? table[16 * s + c] : low;
            high = table[16 * s + c] > high ? table[16 * s + c] : high;
        }
        q.base += low;
        widest = high - low > widest ? high - low : widest;
        all += high - low;
    }
    /* 255 steps a piece, and half a step of rounding in each of m sums that must stay below 65536 */
    const float room = 65535.0f - (float)m;
    q.step = widest / 255 > all / room ? widest / 255 : all / room;
    const float up = q.step > 0 && isfinite(q.step) ? 1 / q.step : 0;
    for (size_t s = 0; s < m; s++) {
        float low = table[16 * s];
        for (size_t c = 1; c < 16; c++)
            low = table[16 * s + c] < low ? table[16 * s + c] : low;
        for (size_t c = 0; c < 16; c++) {
            const float x = (table[16 * s + c] - low) * up + 0.5f;
            lut[16 * s + c] = (uint8_t)(x < 255 ? x : 255);
        }
    }
    if (m % 2)
        memset(lut + 16 * m, 0, 16);
    return q;
}
