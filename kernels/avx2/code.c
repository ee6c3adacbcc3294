/*
 * code.c - bits counted through a table of sixteen (Mula, Kurz and Lemire, "Faster population counts
 * using AVX2 instructions", 2018), whose entries carry the weight of the plane; bytes multiplied in
 * pairs, which stay below 2^15 because one factor has seven bits.
 */
#include "kernels/levels.h"
#include "kernels/product.h" /* KN_UNROLL */

#include <immintrin.h>
#include <string.h>

#define INLINE __attribute__((always_inline)) static inline

enum { PLANES = 4, VB = 32, CHUNKS = 32, GROUP = 64 };

/* ---- bits ---- */

/* The planes' nibbles, chunk by chunk. */
typedef struct query {
    __m256i low[CHUNKS][PLANES], high[CHUNKS][PLANES], counts[PLANES];
    const uint8_t *planes;
    size_t bytes;
} query;

INLINE __m256i nibbles(__m256i x)
{
    return _mm256_and_si256(x, _mm256_set1_epi8(15));
}

static void split(query *q, const uint8_t *planes, size_t bytes)
{
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    q->planes = planes;
    q->bytes = bytes;
    for (int k = 0; k < PLANES; k++) {
        q->counts[k] = _mm256_slli_epi16(counts, k); /* 32 at most: no bit leaves its byte */
        for (size_t c = 0; c < bytes / VB; c++) {
            const __m256i p =
                _mm256_loadu_si256((const __m256i *)(planes + (size_t)k * bytes + c * VB));
            q->low[c][k] = nibbles(p);
            q->high[c][k] = nibbles(_mm256_srli_epi16(p, 4));
        }
    }
}

/* Weighted differences of each byte of a chunk: 120 at most. */
INLINE __m256i chunk(const query *q, const uint8_t *code, size_t c)
{
    const __m256i x = _mm256_loadu_si256((const __m256i *)(code + c * VB));
    const __m256i low = nibbles(x), high = nibbles(_mm256_srli_epi16(x, 4));
    __m256i sum = _mm256_setzero_si256();
    KN_UNROLL
    for (int k = 0; k < PLANES; k++) {
        sum = _mm256_add_epi8(
            sum, _mm256_shuffle_epi8(q->counts[k], _mm256_xor_si256(low, q->low[c][k])));
        sum = _mm256_add_epi8(
            sum, _mm256_shuffle_epi8(q->counts[k], _mm256_xor_si256(high, q->high[c][k])));
    }
    return sum;
}

INLINE uint32_t sum_words(__m256i x)
{
    const __m128i h = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return (uint32_t)(_mm_cvtsi128_si64(h) + _mm_extract_epi64(h, 1));
}

INLINE uint32_t differing(const query *q, const uint8_t *code)
{
    const __m256i zero = _mm256_setzero_si256();
    const size_t chunks = q->bytes / VB;
    __m256i sum = zero;
    size_t c = 0;
    for (; c + 2 <= chunks; c += 2) /* two fit a byte */
        sum = _mm256_add_epi64(
            sum, _mm256_sad_epu8(_mm256_add_epi8(chunk(q, code, c), chunk(q, code, c + 1)), zero));
    if (c < chunks)
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(chunk(q, code, c), zero));
    uint32_t rest = 0;
    for (size_t i = chunks * VB; i < q->bytes; i += 8) {
        uint64_t x, p;
        memcpy(&x, code + i, 8);
        for (int k = 0; k < PLANES; k++) {
            memcpy(&p, q->planes + (size_t)k * q->bytes + i, 8);
            rest += (uint32_t)_mm_popcnt_u64(x ^ p) << k;
        }
    }
    return sum_words(sum) + rest;
}

static void code_differ(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                        const uint32_t *slots, size_t m, uint32_t *out)
{
    query q;
    split(&q, planes, bytes);
    for (size_t i = 0; i < m; i++)
        out[i] = differing(&q, codes + (slots ? slots[i] : i) * bytes);
}

/* f16(factor) * (base - difference), eight at a time; the arrays have room for all eight. */
static void scale(const uint16_t *factors, const uint32_t *differ, size_t m, float base, float *out)
{
    for (size_t i = 0; i < m; i += 8) {
        const __m256 f = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(factors + i)));
        const __m256 d = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(differ + i)));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(f, _mm256_sub_ps(_mm256_set1_ps(base), d)));
    }
}

static void code_estimate(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                          const uint32_t *slots, const uint16_t *factors, size_t m, float base,
                          float *out)
{
    query q;
    uint32_t differ[GROUP];
    uint16_t some[GROUP] = { 0 };
    float scaled[GROUP];
    split(&q, planes, bytes);
    for (size_t i = 0; i < m; i += GROUP) {
        const size_t n = m - i < GROUP ? m - i : GROUP;
        for (size_t j = 0; j < n; j++)
            differ[j] = differing(&q, codes + slots[i + j] * bytes);
        for (size_t j = n; j % 8; j++)
            differ[j] = 0;
        memcpy(some, factors + i, n * sizeof *some);
        scale(some, differ, n, base, scaled);
        memcpy(out + i, scaled, n * sizeof *out);
    }
}

/* ---- bytes ---- */

INLINE __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE __m256i step(__m256i sum, __m256i a, __m256i b)
{
    return _mm256_add_epi32(sum,
                            _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
}

INLINE int32_t sum_lanes(__m256i x)
{
    __m128i h = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

static void dots_u7i8(const uint8_t *a, const int8_t *rows, size_t ld, const uint32_t *slots,
                      size_t m, size_t n, int32_t *out)
{
    for (size_t i = 0; i < m; i++) {
        const int8_t *row = rows + (slots ? slots[i] : i) * ld;
        __m256i even = _mm256_setzero_si256(), odd = even;
        size_t k = 0;
        for (; k + 2 * VB <= n; k += 2 * VB) {
            even = step(even, load(a + k), load(row + k));
            odd = step(odd, load(a + k + VB), load(row + k + VB));
        }
        if (k < n)
            even = step(even, load(a + k), load(row + k));
        out[i] = sum_lanes(_mm256_add_epi32(even, odd));
    }
}

/* q x m rows at once, their sums in registers. */
INLINE void tile(const uint8_t *a, size_t lda, const int8_t *b, size_t ldb, size_t n, int32_t *out,
                 size_t ldo, const size_t q, const size_t m)
{
    __m256i sum[2][4];
    KN_UNROLL
    for (size_t s = 0; s < 8; s++)
        sum[s / 4][s % 4] = _mm256_setzero_si256();
    for (size_t k = 0; k < n; k += VB) {
        const __m256i x = load(a + k), y = q > 1 ? load(a + lda + k) : x;
        KN_UNROLL
        for (size_t j = 0; j < m; j++) {
            const __m256i z = load(b + j * ldb + k);
            sum[0][j] = step(sum[0][j], x, z);
            if (q > 1)
                sum[1][j] = step(sum[1][j], y, z);
        }
    }
    KN_UNROLL
    for (size_t i = 0; i < q; i++)
        KN_UNROLL
        for (size_t j = 0; j < m; j++)
            out[i * ldo + j] = sum_lanes(sum[i][j]);
}

static void products_u7i8(const uint8_t *a, size_t lda, size_t q, const int8_t *b, size_t ldb,
                          size_t m, size_t n, int32_t *out, size_t ldo)
{
    for (size_t i = 0; i < q; i += 2) {
        const uint8_t *x = a + i * lda;
        int32_t *to = out + i * ldo;
        size_t j = 0;
        for (; j + 4 <= m; j += 4)
            if (i + 1 < q)
                tile(x, lda, b + j * ldb, ldb, n, to + j, ldo, 2, 4);
            else
                tile(x, lda, b + j * ldb, ldb, n, to + j, ldo, 1, 4);
        for (; j < m; j++)
            if (i + 1 < q)
                tile(x, lda, b + j * ldb, ldb, n, to + j, ldo, 2, 1);
            else
                tile(x, lda, b + j * ldb, ldb, n, to + j, ldo, 1, 1);
    }
}

void kn_code_avx2(kn_kernels *k)
{
    k->code_differ = code_differ;
    k->code_estimate = code_estimate;
    k->dots_u7i8 = dots_u7i8;
    k->products_u7i8 = products_u7i8;
}
