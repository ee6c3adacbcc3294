/* math.h - eight floats at a time: exp, activation functions, 16-bit floats. */
#ifndef KERNELS_AVX2_MATH_H
#define KERNELS_AVX2_MATH_H

#include "kernels/kernels.h"

#include <immintrin.h>

/* All ones in the first n lanes, n <= 8. */
static inline __m256i lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* x 2^n for whole n in -152..128.  One factor 2^n may not exist, two of half of it do. */
static inline __m256 v_scale(__m256 x, __m256 n)
{
    const __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1);
    const __m256i rest = _mm256_sub_epi32(i, half), bias = _mm256_set1_epi32(127);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}

/* e^x to 1.2e-7 of itself, infinity above 88.73, 0 below -104; NaN stays NaN.  Range reduction by
 * ln 2 in two parts and the polynomial of Cephes' expf. */
static inline __m256 v_exp(__m256 x)
{
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x); /* in this order NaN passes */
    x = _mm256_max_ps(_mm256_set1_ps(-105.0f), x);
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 0);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
    return v_scale(_mm256_add_ps(p, _mm256_set1_ps(1.0f)), n);
}

static inline __m256 v_relu(__m256 x)
{
    return _mm256_max_ps(_mm256_setzero_ps(), x);
}

static inline __m256 v_quickgelu(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    return _mm256_div_ps(x, _mm256_add_ps(one, v_exp(_mm256_mul_ps(x, _mm256_set1_ps(-1.702f)))));
}

/* The upper tail of the normal distribution, Q(u) = exp(-u^2 / 2) t P(t) with t = 1 / (1 + 0.27 u),
 * u = |x| <= 14, and *e = exp(-u^2 / 2).  P is a minimax fit over u in 0..14 to 2.4e-8 of Q, so that
 * the result keeps its relative accuracy where it is small. */
static inline __m256 v_tail(__m256 u, __m256 *e)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(u, _mm256_set1_ps(0.27f), one));
    __m256 p = _mm256_set1_ps(0.028915278613567352f);
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.12625528872013092f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.1692914366722107f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.06862100213766098f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.10739944130182266f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.07224029302597046f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.1017591655254364f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.10755050927400589f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.10772018134593964f));
    *e = v_exp(_mm256_mul_ps(_mm256_mul_ps(u, u), _mm256_set1_ps(-0.5f)));
    return _mm256_mul_ps(*e, _mm256_mul_ps(p, t));
}

/* |x|, at most 14: Q(14) < 1e-44 */
static inline __m256 v_tail_at(__m256 x)
{
    return _mm256_min_ps(_mm256_set1_ps(14.0f), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x));
}

/* x Phi(x) */
static inline __m256 v_gelu(__m256 x)
{
    const __m256 u = v_tail_at(x);
    __m256 e;
    return _mm256_fnmadd_ps(u, v_tail(u, &e), v_relu(x)); /* x > 0: x - x Q(x); else x Q(-x) */
}

static inline __m256 v_activation(__m256 x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return v_relu(x);
    case KN_ACT_QUICKGELU:
        return v_quickgelu(x);
    case KN_ACT_GELU:
        return v_gelu(x);
    default:
        return x;
    }
}

static inline __m256 v_from_bf16(__m128i h)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* To nearest even; NaN stays NaN. */
static inline __m128i v_to_bf16(__m256 x)
{
    const __m256i u = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i r = _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
}

#endif
