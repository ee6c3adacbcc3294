/* code.c - bits counted and bytes multiplied by the instructions made for it, 64 bytes at a time. */
#include "kernels/levels.h"
#include "kernels/product.h" /* KN_UNROLL */

#include <immintrin.h>

#define INLINE __attribute__((always_inline)) static inline

enum { PLANES = 4, VB = 64 };

INLINE __m512i load(const void *p, size_t left)
{
    return _mm512_maskz_loadu_epi8(left < VB ? (1ull << left) - 1 : ~0ull, p);
}

INLINE uint32_t differing(const uint8_t *planes, const uint8_t *code, size_t bytes)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < bytes; i += VB) {
        const __m512i x = load(code + i, bytes - i);
        KN_UNROLL
        for (unsigned k = 0; k < PLANES; k++) {
            const __m512i p = load(planes + k * bytes + i, bytes - i);
            sum = _mm512_add_epi64(
                sum, _mm512_slli_epi64(_mm512_popcnt_epi64(_mm512_xor_si512(x, p)), k));
        }
    }
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}

static void code_differ(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                        const uint32_t *slots, size_t m, uint32_t *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = differing(planes, codes + (slots ? slots[i] : i) * bytes, bytes);
}

static void code_estimate(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                          const uint32_t *slots, const uint16_t *factors, size_t m, float base,
                          float *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = _cvtsh_ss(factors[i])
                 * (base - (float)differing(planes, codes + slots[i] * bytes, bytes));
}

static void dots_u7i8(const uint8_t *a, const int8_t *rows, size_t ld, const uint32_t *slots,
                      size_t m, size_t n, int32_t *out)
{
    for (size_t i = 0; i < m; i++) {
        const int8_t *row = rows + (slots ? slots[i] : i) * ld;
        __m512i sum = _mm512_setzero_si512();
        for (size_t k = 0; k < n; k += VB)
            sum = _mm512_dpbusd_epi32(sum, load(a + k, n - k), load(row + k, n - k));
        out[i] = _mm512_reduce_add_epi32(sum);
    }
}

INLINE void tile(const uint8_t *a, size_t lda, const int8_t *b, size_t ldb, size_t n, int32_t *out,
                 size_t ldo, const size_t q, const size_t m)
{
    __m512i sum[4][4];
    KN_UNROLL
    for (size_t s = 0; s < 16; s++)
        sum[s / 4][s % 4] = _mm512_setzero_si512();
    for (size_t k = 0; k < n; k += VB) {
        __m512i x[4];
        KN_UNROLL
        for (size_t i = 0; i < q; i++)
            x[i] = load(a + i * lda + k, n - k);
        KN_UNROLL
        for (size_t j = 0; j < m; j++) {
            const __m512i z = load(b + j * ldb + k, n - k);
            KN_UNROLL
            for (size_t i = 0; i < q; i++)
                sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], x[i], z);
        }
    }
    KN_UNROLL
    for (size_t i = 0; i < q; i++)
        KN_UNROLL
        for (size_t j = 0; j < m; j++)
            out[i * ldo + j] = _mm512_reduce_add_epi32(sum[i][j]);
}

static void products_u7i8(const uint8_t *a, size_t lda, size_t q, const int8_t *b, size_t ldb,
                          size_t m, size_t n, int32_t *out, size_t ldo)
{
    size_t i = 0;
    for (; i + 4 <= q; i += 4) {
        size_t j = 0;
        for (; j + 4 <= m; j += 4)
            tile(a + i * lda, lda, b + j * ldb, ldb, n, out + i * ldo + j, ldo, 4, 4);
        for (; j < m; j++)
            tile(a + i * lda, lda, b + j * ldb, ldb, n, out + i * ldo + j, ldo, 4, 1);
    }
    for (; i < q; i++)
        for (size_t j = 0; j < m; j++)
            tile(a + i * lda, lda, b + j * ldb, ldb, n, out + i * ldo + j, ldo, 1, 1);
}

void kn_code_avx512icl(kn_kernels *k)
{
    k->code_differ = code_differ;
    k->code_estimate = code_estimate;
    k->dots_u7i8 = dots_u7i8;
    k->products_u7i8 = products_u7i8;
}
