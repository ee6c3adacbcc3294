/* check_pq.c - kernels/<level>/pq.c
 *
 * Tables are held against sums in double within the rounding of that many steps, and against level
 * c to the bit; scans of 4-bit codes against a plain count over codes unpacked by another rule. */
#include "checkkern.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void table(ck *t, int l2, size_t m, size_t k, size_t dsub)
{
    float *x = ck_guarded(t, m * dsub * 4), *c = ck_guarded(t, m * dsub * k * 4);
    float *out = ck_guarded(t, m * k * 4), *ref = ck_guarded(t, m * k * 4);
    const kn_pq_space s = { m, k, dsub, c };
    ck_fill(x, m * dsub);
    ck_fill(c, m * dsub * k);
    (l2 ? t->now.pq_l2 : t->now.pq_dot)(&s, x, out);
    (l2 ? t->ref.pq_l2 : t->ref.pq_dot)(&s, x, ref);
    ck_equal(t, out, ref, m * k * 4, "m=%zu k=%zu dsub=%zu", m, k, dsub);
    for (size_t i = 0; i < m * k; i++) {
        double want = 0, mag = 0;
        for (size_t e = 0; e < dsub; e++) {
            const double a = (double)x[i / k * dsub + e];
            const double b = (double)c[(i / k * dsub + e) * k + i % k];
            const double term = l2 ? (a - b) * (a - b) : a * b;
            want += term;
            mag += fabs(term);
        }
        ck_near(t, (double)out[i], want, ((double)dsub + 4) * FLT_EPSILON * mag,
                "m=%zu k=%zu dsub=%zu i=%zu", m, k, dsub, i);
    }
    ck_release(t);
}

/* Whole numbers, so that the truth is exact and ties are many. */
static void nearest(ck *t, size_t m, size_t k, size_t dsub)
{
    float *x = ck_guarded(t, m * dsub * 4), *c = ck_guarded(t, m * dsub * k * 4);
    uint8_t *out = ck_guarded(t, m);
    const kn_pq_space s = { m, k, dsub, c };
    for (size_t i = 0; i < m * dsub; i++)
        x[i] = (float)(ck_rand() % 16);
    for (size_t i = 0; i < m * dsub * k; i++)
        c[i] = (float)(ck_rand() % 16);
    t->now.pq_nearest(&s, x, out);
    for (size_t i = 0; i < m; i++) {
        size_t want = 0;
        double least = INFINITY;
        for (size_t j = 0; j < k; j++) {
            double d = 0;
            for (size_t e = 0; e < dsub; e++)
                d += pow((double)x[i * dsub + e] - (double)c[(i * dsub + e) * k + j], 2);
            if (d < least) {
                least = d;
                want = j;
            }
        }
        ck_near(t, out[i], (double)want, 0, "m=%zu k=%zu dsub=%zu i=%zu", m, k, dsub, i);
    }
    ck_release(t);
}

static void each_shape(ck *t, void (*check)(ck *, int, size_t, size_t, size_t), int l2)
{
    for (size_t k = 16; k <= 256; k += k < 64 ? 16 : 64)
        for (size_t dsub = 1; dsub < 20; dsub += 1 + dsub / 4)
            check(t, l2, 1 + dsub % 5, k, dsub);
}

static void nearest_shape(ck *t, int l2, size_t m, size_t k, size_t dsub)
{
    (void)l2;
    nearest(t, m, k, dsub);
}

static void sums8(ck *t, size_t n, size_t m)
{
    float *lut = ck_guarded(t, m * 256 * 4), *out = ck_guarded(t, n * 4);
    uint8_t *codes = ck_guarded(t, n * m);
    ck_fill(lut, m * 256);
    ck_fill_bytes(codes, n * m);
    t->now.pq8_sums(lut, codes, n, m, out);
    for (size_t i = 0; i < n; i++) {
        float want = 0;
        for (size_t s = 0; s < m; s++)
            want += lut[256 * s + codes[i * m + s]];
        ck_equal(t, out + i, &want, 4, "n=%zu m=%zu i=%zu", n, m, i);
    }
    ck_release(t);
}

/* faiss's own description of a block: vectors in the order 0 8 1 9 2 10 … 7 15. */
static unsigned code_at(const uint8_t *block, size_t piece, size_t v)
{
    static const uint8_t order[16] = { 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15 };
    for (size_t j = 0; j < 16; j++) {
        const unsigned byte = block[32 * (piece / 2) + 16 * (piece % 2) + j];
        if (order[j] == v)
            return byte & 15;
        if (order[j] + 16u == v)
            return byte >> 4;
    }
    return 99;
}

/* fill 255: the greatest sums there are. */
static void scan4(ck *t, size_t blocks, size_t m2, int greatest)
{
    uint8_t *codes = ck_guarded(t, blocks * kn_pq4_block_bytes(m2)), *lut = ck_guarded(t, m2 * 16);
    uint16_t *sums = ck_guarded(t, blocks * 64);
    uint32_t *hits = ck_guarded(t, blocks * 4);
    const uint16_t limit = (uint16_t)(greatest ? 65534 : m2 * 128);
    ck_fill_bytes(codes, blocks * kn_pq4_block_bytes(m2));
    ck_fill_bytes(lut, m2 * 16);
    if (greatest)
        memset(lut, 255, m2 * 16);
    t->now.pq4_scan(codes, blocks, m2, lut, limit, sums, hits);
    for (size_t i = 0; i < blocks * 32; i++) {
        unsigned want = 0;
        for (size_t s = 0; s < m2; s++)
            want += lut[16 * s + code_at(codes + i / 32 * 16 * m2, s, i % 32)];
        want = want < 65535 ? want : 65535;
        ck_near(t, sums[i], want, 0, "blocks=%zu m=%zu i=%zu", blocks, m2, i);
        ck_near(t, hits[i / 32] >> i % 32 & 1, want <= limit, 0, "hit blocks=%zu m=%zu i=%zu",
                blocks, m2, i);
    }
    ck_release(t);
}

static void bench_scan(ck *t)
{
    const size_t m = 128, blocks = 100;
    uint8_t *codes = ck_guarded(t, blocks * 16 * m), *lut = ck_guarded(t, m * 16);
    uint16_t *sums = ck_guarded(t, blocks * 64);
    uint32_t *hits = ck_guarded(t, blocks * 4);
    ck_fill_bytes(codes, blocks * 16 * m);
    ck_fill_bytes(lut, m * 16);
    CK_BENCH(t, "3200 of 128", t->ref.pq4_scan(codes, blocks, m, lut, 9000, sums, hits),
             t->now.pq4_scan(codes, blocks, m, lut, 9000, sums, hits));
    ck_release(t);
}

static void bench_space(ck *t)
{
    float *x = ck_guarded(t, 512 * 4), *c = ck_guarded(t, 512 * 256 * 4);
    float *out = ck_guarded(t, 128 * 256 * 4);
    uint8_t *code = ck_guarded(t, 128);
    const kn_pq_space four = { 128, 16, 4, c }, eight = { 64, 256, 8, c };
    ck_fill(x, 512);
    ck_fill(c, 512 * 256);
    if (!strcmp(t->kernel, "pq_l2"))
        CK_BENCH(t, "64 x 256 x 8", t->ref.pq_l2(&eight, x, out), t->now.pq_l2(&eight, x, out));
    if (!strcmp(t->kernel, "pq_nearest")) {
        CK_BENCH(t, "128 x 16 x 4", t->ref.pq_nearest(&four, x, code),
                 t->now.pq_nearest(&four, x, code));
        CK_BENCH(t, "64 x 256 x 8", t->ref.pq_nearest(&eight, x, code),
                 t->now.pq_nearest(&eight, x, code));
    }
    ck_release(t);
}

void check_pq(ck *t)
{
    if (CK_BEGIN(t, pq_l2)) {
        each_shape(t, table, 1);
        bench_space(t);
    }
    if (CK_BEGIN(t, pq_dot))
        each_shape(t, table, 0);
    if (CK_BEGIN(t, pq_nearest)) {
        each_shape(t, nearest_shape, 0);
        bench_space(t);
    }
    if (CK_BEGIN(t, pq8_sums))
        for (size_t n = 0; n < 12; n++)
            for (size_t m = 0; m < 70; m += 1 + m / 8)
                sums8(t, n, m);
    if (CK_BEGIN(t, pq4_scan)) {
        for (size_t blocks = 0; blocks < 4; blocks++)
            for (size_t m2 = 0; m2 < 700; m2 += 2 + m2 / 16 * 2) {
                scan4(t, blocks, m2, 0);
                scan4(t, blocks, m2, 1);
            }
        bench_scan(t);
    }
}
