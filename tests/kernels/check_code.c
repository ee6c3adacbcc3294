/* check_code.c - kernels/<level>/code.c: whole numbers, so that every level must be exact. */
#include "checkkern.h"

enum { LEAST = 8, MOST = 1024 };

static uint32_t weighted(const uint8_t *planes, const uint8_t *code, size_t bytes)
{
    uint32_t want = 0;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < 8 * bytes; i++)
            if ((planes[k * bytes + i / 8] ^ code[i / 8]) >> i % 8 & 1)
                want += 1u << k;
    return want;
}

/* m codes among 3 m, picked at random; `extreme`: all bits differ, so that sums are the greatest. */
static void bits(ck *t, size_t bytes, size_t m, int extreme, int estimate)
{
    uint8_t *planes = ck_guarded(t, 4 * bytes), *codes = ck_guarded(t, 3 * m * bytes);
    uint32_t *slots = ck_guarded(t, m * 4), *out = ck_guarded(t, m * 4);
    uint16_t *factors = ck_guarded(t, m * 2);
    float *scaled = ck_guarded(t, m * 4);
    ck_fill_bytes(planes, 4 * bytes);
    ck_fill_bytes(codes, 3 * m * bytes);
    for (size_t i = 0; extreme && i < 4 * bytes; i++)
        planes[i] = 0xff;
    for (size_t i = 0; extreme && i < 3 * m * bytes; i++)
        codes[i] = 0;
    for (size_t i = 0; i < m; i++) {
        slots[i] = ck_rand() % (uint32_t)(3 * m);
        factors[i] = ck_to_f16((double)(ck_rand() % 1000) / 300 - 1);
    }
    if (m)
        slots[m - 1] = (uint32_t)(3 * m - 1);
    if (estimate) {
        const float base = 7.5f * 8 * (float)bytes;
        t->now.code_estimate(planes, codes, bytes, slots, factors, m, base, scaled);
        for (size_t i = 0; i < m; i++) {
            const float d = (float)weighted(planes, codes + slots[i] * bytes, bytes);
            const float want = ck_from_f16(factors[i]) * (base - d);
            ck_equal(t, &scaled[i], &want, 4, "bytes=%zu i=%zu of %zu", bytes, i, m);
        }
        ck_release(t);
        return;
    }
    for (int all = 0; all < 2; all++) {
        t->now.code_differ(planes, codes, bytes, all ? NULL : slots, m, out);
        for (size_t i = 0; i < m; i++)
            ck_near(t, out[i], weighted(planes, codes + (all ? i : slots[i]) * bytes, bytes), 0,
                    "bytes=%zu i=%zu of %zu", bytes, i, m);
    }
    ck_release(t);
}

static void all_bits(ck *t, int estimate)
{
    for (size_t bytes = LEAST; bytes <= MOST; bytes += bytes < 200 ? 8 : 104)
        bits(t, bytes, bytes % 37, bytes % 3 == 0, estimate);
    bits(t, 64, 131, 0, estimate);
    bits(t, MOST, 5, 1, estimate);
}

static void fill_u7(uint8_t *a, size_t n, int extreme)
{
    ck_fill_bytes(a, n);
    for (size_t i = 0; i < n; i++)
        a[i] = extreme ? 127 : a[i] & 127;
}

static void fill_i8(int8_t *b, size_t n, int extreme)
{
    ck_fill_bytes(b, n);
    for (size_t i = 0; i < n; i++)
        b[i] = extreme ? -127 : b[i] == -128 ? 0 : b[i];
}

static double dot(const uint8_t *a, const int8_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void dots(ck *t, size_t n, size_t m, int extreme)
{
    const size_t ld = n + 16;
    uint8_t *a = ck_guarded(t, n);
    int8_t *rows = ck_guarded(t, (2 * m - 1) * ld + n);
    uint32_t *slots = ck_guarded(t, m * 4);
    int32_t *out = ck_guarded(t, m * 4);
    fill_u7(a, n, extreme);
    fill_i8(rows, (2 * m - 1) * ld + n, extreme);
    for (size_t i = 0; i < m; i++)
        slots[i] = (uint32_t)(2 * m - 1 - i);
    for (int all = 0; all < 2; all++) {
        t->now.dots_u7i8(a, rows, ld, all ? NULL : slots, m, n, out);
        for (size_t i = 0; i < m; i++)
            ck_near(t, out[i], dot(a, rows + (all ? i : slots[i]) * ld, n), 0, "n=%zu i=%zu", n, i);
    }
    ck_release(t);
}

static void products(ck *t, size_t q, size_t m, size_t n, int extreme)
{
    const size_t lda = n + 32, ldb = n + 64, ldo = m + 3;
    uint8_t *a = ck_guarded(t, (q - 1) * lda + n);
    int8_t *b = ck_guarded(t, (m - 1) * ldb + n);
    int32_t *out = ck_guarded(t, ((q - 1) * ldo + m) * 4);
    fill_u7(a, (q - 1) * lda + n, extreme);
    fill_i8(b, (m - 1) * ldb + n, extreme);
    t->now.products_u7i8(a, lda, q, b, ldb, m, n, out, ldo);
    for (size_t i = 0; i < q; i++)
        for (size_t j = 0; j < m; j++)
            ck_near(t, out[i * ldo + j], dot(a + i * lda, b + j * ldb, n), 0, "%zu x %zu, n=%zu", i,
                    j, n);
    ck_release(t);
}

static void bench_bits(ck *t)
{
    uint8_t *planes = ck_guarded(t, 256), *codes = ck_guarded(t, 64 * 64);
    uint32_t out[64];
    ck_fill_bytes(planes, 256);
    ck_fill_bytes(codes, 64 * 64);
    CK_BENCH(t, "64 of 512 bits", t->ref.code_differ(planes, codes, 64, NULL, 64, out),
             t->now.code_differ(planes, codes, 64, NULL, 64, out));
    ck_release(t);
}

static void bench_products(ck *t)
{
    enum { Q = 32, M = 64, N = 512 };
    uint8_t *a = ck_guarded(t, Q * N);
    int8_t *b = ck_guarded(t, M * N);
    int32_t *out = ck_guarded(t, Q * M * 4);
    fill_u7(a, Q * N, 0);
    fill_i8(b, M * N, 0);
    CK_BENCH(t, "32 x 64, n=512", t->ref.products_u7i8(a, N, Q, b, N, M, N, out, M),
             t->now.products_u7i8(a, N, Q, b, N, M, N, out, M));
    ck_release(t);
}

void check_code(ck *t)
{
    if (CK_BEGIN(t, code_differ)) {
        all_bits(t, 0);
        bench_bits(t);
    }
    if (CK_BEGIN(t, code_estimate))
        all_bits(t, 1);
    if (CK_BEGIN(t, dots_u7i8))
        for (size_t n = 32; n <= 1024; n += 32)
            dots(t, n, 1 + n / 32 % 11, n % 96 == 0);
    if (CK_BEGIN(t, products_u7i8)) {
        for (size_t i = 1; i < 14; i++)
            products(t, i, 1 + i * 5 % 13, 32 * (1 + i % 5), i % 4 == 0);
        products(t, 3, 5, 8192, 1);
        bench_products(t);
    }
}
