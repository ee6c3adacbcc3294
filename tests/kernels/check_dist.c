/* check_dist.c - kernels/<level>/dist.c
 *
 * A float sum in any order is within n eps sum|terms| of the true one, so the truth is computed in
 * double and the bound is exact, not tuned. */
#include "checkkern.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 300 };

typedef enum kind { F32, F16, I8, L2 } kind;

static void pair(ck *t, kind k, size_t n)
{
    float *a = ck_guarded(t, n * 4), *b = ck_guarded(t, n * 4);
    uint16_t *h = ck_guarded(t, n * 2);
    int8_t *c = ck_guarded(t, n);
    double want = 0, mag = 0;
    float got = 0;
    ck_fill(a, n);
    ck_fill(b, n);
    ck_fill_bytes(c, n);
    for (size_t i = 0; i < n; i++) {
        h[i] = ck_to_f16((double)b[i]);
        const double y = k == F16 ? (double)ck_from_f16(h[i]) : k == I8 ? c[i] : (double)b[i];
        const double d = (double)(a[i] - b[i]), term = k == L2 ? d * d : (double)a[i] * y;
        want += term;
        mag += fabs(term);
    }
    switch (k) {
    case F32:
        got = t->now.dot_f32(a, b, n);
        break;
    case F16:
        got = t->now.dot_f16(a, h, n);
        break;
    case I8:
        got = t->now.dot_i8(a, c, n);
        break;
    case L2:
        got = t->now.l2sq_f32(a, b, n);
    }
    ck_near(t, (double)got, want, ((double)n + 2) * FLT_EPSILON * mag, "n=%zu", n);
    ck_release(t);
}

static void pairs(ck *t, kind k)
{
    for (size_t n = 0; n <= MAX; n++)
        pair(t, k, n);
}

/* q queries with m rows: near the truth, and each the bits of one query with all rows. */
static void table(ck *t, int half, size_t q, size_t m, size_t n)
{
    float *a = ck_guarded(t, q * n * 4), *rows = ck_guarded(t, m * n * 4),
          *out = ck_guarded(t, (q * (m + 3) - 3) * 4), *one = ck_guarded(t, m * 4);
    uint16_t *h = ck_guarded(t, m * n * 2);
    ck_fill(a, q * n);
    ck_fill(rows, m * n);
    for (size_t i = 0; i < m * n; i++) {
        h[i] = ck_to_f16((double)rows[i]);
        rows[i] = half ? ck_from_f16(h[i]) : rows[i];
    }
    if (half)
        t->now.dots_batch_f16(a, q, h, m, n, out, m + 3);
    else
        t->now.dots_batch_f32(a, q, rows, m, n, out, m + 3);
    for (size_t i = 0; i < q; i++) {
        if (half)
            t->now.dots_f16(a + i * n, h, m, n, one);
        else
            t->now.dots_f32(a + i * n, rows, m, n, one);
        ck_equal(t, out + i * (m + 3), one, m * 4, "query %zu of %zu alone, m=%zu n=%zu", i, q, m,
                 n);
        for (size_t j = 0; j < m; j++) {
            double want = 0, mag = 0;
            for (size_t k = 0; k < n; k++) {
                want += (double)a[i * n + k] * (double)rows[j * n + k];
                mag += fabs((double)a[i * n + k] * (double)rows[j * n + k]);
            }
            const float alone = half ? t->now.dot_f16(a + i * n, h + j * n, n)
                                     : t->now.dot_f32(a + i * n, rows + j * n, n);
            ck_equal(t, one + j, &alone, 4, "row %zu of %zu alone, n=%zu", j, m, n);
            ck_near(t, (double)one[j], want, ((double)n + 2) * FLT_EPSILON * mag,
                    "m=%zu n=%zu j=%zu", m, n, j);
        }
    }
    ck_release(t);
}

static void tables(ck *t, int half)
{
    for (size_t i = 1; i < 60; i++)
        table(t, half, 1 + i % 10, 1 + i % 17, i < 40 ? i : i * 13);
}

static void check_hamming(ck *t)
{
    for (size_t n = 0; n <= MAX; n++) {
        uint8_t *a = ck_guarded(t, n), *b = ck_guarded(t, n);
        unsigned want = 0;
        ck_fill_bytes(a, n);
        ck_fill_bytes(b, n);
        for (size_t i = 0; i < 8 * n; i++)
            want += (unsigned)((a[i / 8] ^ b[i / 8]) >> i % 8 & 1);
        ck_near(t, t->now.hamming(a, b, n), want, 0, "n=%zu", n);
        ck_release(t);
    }
}

static void bench_pairs(ck *t)
{
    float *a = ck_guarded(t, 768 * 4), *b = ck_guarded(t, 768 * 4);
    volatile float sink = 0;
    ck_fill(a, 768);
    ck_fill(b, 768);
    if (!strcmp(t->kernel, "dot_f32"))
        CK_BENCH(t, "n=768", sink += t->ref.dot_f32(a, b, 768), sink += t->now.dot_f32(a, b, 768));
    if (!strcmp(t->kernel, "l2sq_f32"))
        CK_BENCH(t, "n=768", sink += t->ref.l2sq_f32(a, b, 768),
                 sink += t->now.l2sq_f32(a, b, 768));
    if (!strcmp(t->kernel, "dot_f16"))
        CK_BENCH(t, "n=768", sink += t->ref.dot_f16(a, (uint16_t *)b, 768),
                 sink += t->now.dot_f16(a, (uint16_t *)b, 768));
    if (!strcmp(t->kernel, "dot_i8"))
        CK_BENCH(t, "n=768", sink += t->ref.dot_i8(a, (int8_t *)b, 768),
                 sink += t->now.dot_i8(a, (int8_t *)b, 768));
    if (!strcmp(t->kernel, "hamming"))
        CK_BENCH(t, "96 bytes", t->ref.hamming((uint8_t *)a, (uint8_t *)b, 96),
                 t->now.hamming((uint8_t *)a, (uint8_t *)b, 96));
    ck_release(t);
}

/* What reading alone takes: eight sums of whole words. */
static double read_time(const void *p, size_t bytes)
{
    static volatile uint64_t sink;
    const uint64_t *w = p;
    uint64_t s[8] = { 0 };
    const double begin = ck_now();
    for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
        for (size_t j = 0; j < 8; j++)
            s[j] += w[i + j];
    for (size_t j = 0; j < 8; j++)
        sink += s[j];
    return ck_now() - begin;
}

/* One query with 40 MB of rows: memory is the limit, so the bytes are read plainly in turns with it.
 * Many queries with fewer rows: multiply-adds are the limit. */
static void bench_table(ck *t, int half)
{
    const size_t n = 512, m = half ? 40000 : 20000, q = 32, few = 2048;
    const size_t bytes = m * n * (half ? 2 : 4);
    float *a = ck_guarded(t, q * n * 4), *out = ck_guarded(t, q * m * 4);
    void *rows = ck_guarded(t, bytes);
    double one = 1e30, plain = 1e30, many = 1e30, peak = 0;
    ck_fill(a, q * n);
    memset(rows, 0x11, bytes);
    for (int turn = 0; turn < 40; turn++) {
        const double begin = ck_now();
        if (half)
            t->now.dots_f16(a, rows, m, n, out);
        else
            t->now.dots_f32(a, rows, m, n, out);
        one = fmin(one, ck_now() - begin);
        plain = fmin(plain, read_time(rows, bytes));
        const double middle = ck_now();
        if (half)
            t->now.dots_batch_f16(a, q, rows, few, n, out, few);
        else
            t->now.dots_batch_f32(a, q, rows, few, n, out, few);
        many = fmin(many, ck_now() - middle);
        const double late = ck_now(), done = t->now.peak(KN_MATH_F32, 20000);
        peak = fmax(peak, done / (ck_now() - late));
    }
    const double work = 2.0 * (double)(q * few * n);
    printf("%-16s %-10s 1 query, 40 MB of rows of 512: %.1f GB/s, read plainly %.1f GB/s\n",
           t->kernel, t->level, (double)bytes / one * 1e-9, (double)bytes / plain * 1e-9);
    printf("%-16s %-10s 32 queries, 2048 rows of 512: %.1f GFLOP/s, %.2f of peak\n", t->kernel,
           t->level, work / many * 1e-9, work / many / peak);
    ck_release(t);
}

static void check_pairs(ck *t, kind k)
{
    pairs(t, k);
    bench_pairs(t);
}

static void check_tables(ck *t, int half)
{
    tables(t, half);
    if (t->bench)
        bench_table(t, half);
}

void check_dist(ck *t)
{
    if (CK_BEGIN(t, dot_f32))
        check_pairs(t, F32);
    if (CK_BEGIN(t, dot_f16))
        check_pairs(t, F16);
    if (CK_BEGIN(t, dot_i8))
        check_pairs(t, I8);
    if (CK_BEGIN(t, l2sq_f32))
        check_pairs(t, L2);
    if (CK_BEGIN(t, dots_batch_f32))
        check_tables(t, 0);
    if (CK_BEGIN(t, dots_batch_f16))
        check_tables(t, 1);
    if (CK_BEGIN(t, hamming)) {
        check_hamming(t);
        bench_pairs(t);
    }
}
