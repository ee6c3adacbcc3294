/* pq.c - codes of product quantisers: tables, nearest centroids, sums by code. */
#include "kernels/levels.h"

#include <string.h>

/* The k distances of one piece. */
static void piece_l2(const float *c, size_t k, size_t dsub, const float *x, float *out)
{
    memset(out, 0, k * sizeof *out);
    for (size_t t = 0; t < dsub; t++)
        for (size_t j = 0; j < k; j++) {
            const float d = x[t] - c[t * k + j];
            out[j] += d * d;
        }
}

static void pq_l2(const kn_pq_space *s, const float *x, float *out)
{
    for (size_t i = 0; i < s->m; i++)
        piece_l2(s->centroids + i * s->dsub * s->k, s->k, s->dsub, x + i * s->dsub,
                 out + i * s->k);
}

static void pq_dot(const kn_pq_space *s, const float *x, float *out)
{
    memset(out, 0, s->m * s->k * sizeof *out);
    for (size_t i = 0; i < s->m; i++)
        for (size_t t = 0; t < s->dsub; t++)
            for (size_t j = 0; j < s->k; j++)
                out[i * s->k + j] +=
                    x[i * s->dsub + t] * s->centroids[(i * s->dsub + t) * s->k + j];
}

static void pq_nearest(const kn_pq_space *s, const float *x, uint8_t *out)
{
    float d[256];
    for (size_t i = 0; i < s->m; i++) {
        size_t best = 0;
        piece_l2(s->centroids + i * s->dsub * s->k, s->k, s->dsub, x + i * s->dsub, d);
        for (size_t j = 1; j < s->k; j++)
            best = d[j] < d[best] ? j : best;
        out[i] = (uint8_t)best;
    }
}

/* Four codes at a time: a sum is a chain of additions, and four chains wait for each other less. */
static void pq8_sums(const float *table, const uint8_t *codes, size_t n, size_t m, float *out)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const uint8_t *c = codes + i * m;
        float a = 0, b = 0, d = 0, e = 0;
        for (size_t s = 0; s < m; s++) {
            const float *t = table + 256 * s;
            a += t[c[s]];
            b += t[c[m + s]];
            d += t[c[2 * m + s]];
            e += t[c[3 * m + s]];
        }
        out[i] = a;
        out[i + 1] = b;
        out[i + 2] = d;
        out[i + 3] = e;
    }
    for (; i < n; i++) {
        out[i] = 0;
        for (size_t s = 0; s < m; s++)
            out[i] += table[256 * s + codes[i * m + s]];
    }
}

static void pq4_scan(const uint8_t *codes, size_t blocks, size_t m2, const uint8_t *lut,
                     uint16_t limit, uint16_t *sums, uint32_t *hits)
{
    for (size_t b = 0; b < blocks; b++, codes += 16 * m2, sums += 32) {
        uint32_t total[32] = { 0 };
        for (size_t s = 0; s < m2; s++)
            for (size_t j = 0; j < 16; j++) {
                const uint8_t c = codes[16 * s + j];
                const size_t v = j / 2 + 8 * (j % 2);
                total[v] += lut[16 * s + (c & 15)];
                total[v + 16] += lut[16 * s + (c >> 4)];
            }
        hits[b] = 0;
        for (size_t v = 0; v < 32; v++) {
            sums[v] = (uint16_t)(total[v] < 65535 ? total[v] : 65535);
            hits[b] |= (uint32_t)(sums[v] <= limit) << v;
        }
    }
}

void kn_pq_c(kn_kernels *k)
{
    k->pq_l2 = pq_l2;
    k->pq_dot = pq_dot;
    k->pq_nearest = pq_nearest;
    k->pq8_sums = pq8_sums;
    k->pq4_scan = pq4_scan;
}
