/*
 * dist.c - how near two vectors are, sixteen floats at a time.
 *
 * dot_f32 and its like keep four chains, to hide the latency of one.  The dots_ family keeps one
 * chain a row and hides the latency behind other rows: so one query and a batch of them give the
 * same bits, and a batch needs one register a pair.
 */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

#include <string.h>

static inline __mmask16 rest(size_t n, size_t i)
{
    return n - i < 16 ? lanes(n - i) : 0xffff;
}

static inline __m512 f32_at(const void *p, size_t i, __mmask16 m)
{
    return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

static inline __m512 f16_at(const void *p, size_t i, __mmask16 m)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, (const uint16_t *)p + i));
}

static inline __m512 i8_at(const void *p, size_t i, __mmask16 m)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(m, (const int8_t *)p + i)));
}

/* One distance, four chains.  STEP adds one product of x and y to s. */
#define CHAINS(STEP, LOAD)                                                                         \
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;                                    \
    size_t i = 0;                                                                                  \
    for (; i + 64 <= n; i += 64) {                                                                 \
        s0 = STEP(f32_at(a, i, 0xffff), LOAD(b, i, 0xffff), s0);                                   \
        s1 = STEP(f32_at(a, i + 16, 0xffff), LOAD(b, i + 16, 0xffff), s1);                         \
        s2 = STEP(f32_at(a, i + 32, 0xffff), LOAD(b, i + 32, 0xffff), s2);                         \
        s3 = STEP(f32_at(a, i + 48, 0xffff), LOAD(b, i + 48, 0xffff), s3);                         \
    }                                                                                              \
    for (; i < n; i += 16)                                                                         \
        s0 = STEP(f32_at(a, i, rest(n, i)), LOAD(b, i, rest(n, i)), s0);                           \
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));

static inline __m512 away(__m512 x, __m512 y, __m512 s)
{
    const __m512 d = _mm512_sub_ps(x, y);
    return _mm512_fmadd_ps(d, d, s);
}

static float dot_f32(const float *a, const float *b, size_t n)
{
    CHAINS(_mm512_fmadd_ps, f32_at)
}

static float l2sq_f32(const float *a, const float *b, size_t n)
{
    CHAINS(away, f32_at)
}

static float dot_f16(const float *a, const uint16_t *b, size_t n)
{
    CHAINS(_mm512_fmadd_ps, f16_at)
}

static float dot_i8(const float *a, const int8_t *b, size_t n)
{
    CHAINS(_mm512_fmadd_ps, i8_at)
}

/* ---- one query or four, with six rows: one chain a pair ---- */

#define ROWS6(M, q) M(q, 0) M(q, 1) M(q, 2) M(q, 3) M(q, 4) M(q, 5)
#define ROWS1(M, q) M(q, 0)
#define QUERIES4(M, ROWS) ROWS(M, 0) ROWS(M, 1) ROWS(M, 2) ROWS(M, 3)
#define QUERIES1(M, ROWS) ROWS(M, 0)

#define ZERO(q, r) __m512 s##q##r = _mm512_setzero_ps();
#define ADD(q, r) s##q##r = _mm512_fmadd_ps(x##q, y##r, s##q##r);
#define PUT(q, r) out[(q) * ldo + (r)] = _mm512_reduce_add_ps(s##q##r);
#define GET_Y(q, r) const __m512 y##r = LOAD(b, (r) * n + i, m);
#define GET_X4                                                                                     \
    const __m512 x0 = f32_at(a, i, m), x1 = f32_at(a, n + i, m), x2 = f32_at(a, 2 * n + i, m),     \
                 x3 = f32_at(a, 3 * n + i, m);
#define GET_X1 const __m512 x0 = f32_at(a, i, m);

#define TILE(name, QUERIES, GET_X, ROWS, TYPE)                                                     \
    static void name(const float *a, const TYPE *b, size_t n, float *out, size_t ldo)              \
    {                                                                                              \
        (void)ldo;                                                                                 \
        QUERIES(ZERO, ROWS)                                                                        \
        size_t i = 0;                                                                              \
        for (; i + 16 <= n; i += 16) {                                                             \
            const __mmask16 m = 0xffff;                                                            \
            GET_X                                                                                  \
            ROWS(GET_Y, 0)                                                                         \
            QUERIES(ADD, ROWS)                                                                     \
        }                                                                                          \
        if (i < n) {                                                                               \
            const __mmask16 m = lanes(n - i);                                                      \
            GET_X                                                                                  \
            ROWS(GET_Y, 0)                                                                         \
            QUERIES(ADD, ROWS)                                                                     \
        }                                                                                          \
        QUERIES(PUT, ROWS)                                                                         \
    }

#define LOAD f32_at
TILE(f32_4x6, QUERIES4, GET_X4, ROWS6, float)
TILE(f32_4x1, QUERIES4, GET_X4, ROWS1, float)
TILE(f32_1x6, QUERIES1, GET_X1, ROWS6, float)
TILE(f32_1x1, QUERIES1, GET_X1, ROWS1, float)
#undef LOAD
#define LOAD f16_at
TILE(f16_4x6, QUERIES4, GET_X4, ROWS6, uint16_t)
TILE(f16_4x1, QUERIES4, GET_X4, ROWS1, uint16_t)
TILE(f16_1x6, QUERIES1, GET_X1, ROWS6, uint16_t)
TILE(f16_1x1, QUERIES1, GET_X1, ROWS1, uint16_t)

/* Six rows stay in the nearest cache while all queries pass them. */
#define BATCH(name, TYPE, prefix)                                                                  \
    static void name(const float *queries, size_t q, const TYPE *rows, size_t m, size_t n,         \
                     float *out, size_t ldo)                                                       \
    {                                                                                              \
        size_t r = 0;                                                                              \
        for (; r + 6 <= m; r += 6) {                                                               \
            size_t i = 0;                                                                          \
            for (; i + 4 <= q; i += 4)                                                             \
                prefix##_4x6(queries + i * n, rows + r * n, n, out + i * ldo + r, ldo);            \
            for (; i < q; i++)                                                                     \
                prefix##_1x6(queries + i * n, rows + r * n, n, out + i * ldo + r, ldo);            \
        }                                                                                          \
        for (; r < m; r++) {                                                                       \
            size_t i = 0;                                                                          \
            for (; i + 4 <= q; i += 4)                                                             \
                prefix##_4x1(queries + i * n, rows + r * n, n, out + i * ldo + r, ldo);            \
            for (; i < q; i++)                                                                     \
                prefix##_1x1(queries + i * n, rows + r * n, n, out + i * ldo + r, ldo);            \
        }                                                                                          \
    }
BATCH(dots_batch_f32, float, f32)
BATCH(dots_batch_f16, uint16_t, f16)

static void dots_f32(const float *a, const float *rows, size_t m, size_t n, float *out)
{
    dots_batch_f32(a, 1, rows, m, n, out, m);
}

static void dots_f16(const float *a, const uint16_t *rows, size_t m, size_t n, float *out)
{
    dots_batch_f16(a, 1, rows, m, n, out, m);
}

static uint32_t hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t bits = 0, x, y;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        bits += (uint64_t)__builtin_popcountll(x ^ y);
    }
    for (; i < n; i++)
        bits += (uint64_t)__builtin_popcount((unsigned)(a[i] ^ b[i]));
    return (uint32_t)bits;
}

void kn_dist_avx512(kn_kernels *k)
{
    k->dot_f32 = dot_f32;
    k->l2sq_f32 = l2sq_f32;
    k->dot_f16 = dot_f16;
    k->dot_i8 = dot_i8;
    k->dots_f32 = dots_f32;
    k->dots_f16 = dots_f16;
    k->dots_batch_f32 = dots_batch_f32;
    k->dots_batch_f16 = dots_batch_f16;
    k->hamming = hamming;
}
