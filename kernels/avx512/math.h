/* math.h - sixteen floats at a time: exp, activation functions, 16-bit floats. */
#ifndef KERNELS_AVX512_MATH_H
#define KERNELS_AVX512_MATH_H

#include "kernels/kernels.h"

#include <immintrin.h>

/* The first n lanes, n <= 16. */
static inline __mmask16 lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

/* e^x to 1.2e-7 of itself, infinity above 88.73, 0 below -104; NaN stays NaN.  Range reduction by
 * ln 2 in two parts and the polynomial of Cephes' expf. */
static inline __m512 v_exp(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x); /* in this order NaN passes */
    x = _mm512_max_ps(_mm512_set1_ps(-105.0f), x);
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
    return _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), n);
}

static inline __m512 v_relu(__m512 x)
{
    return _mm512_max_ps(_mm512_setzero_ps(), x);
}

static inline __m512 v_quickgelu(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(x, _mm512_add_ps(one, v_exp(_mm512_mul_ps(x, _mm512_set1_ps(-1.702f)))));
}

/* The upper tail of the normal distribution, Q(u) = exp(-u^2 / 2) t P(t) with t = 1 / (1 + 0.27 u),
 * u = |x| <= 14, and *e = exp(-u^2 / 2).  P is a minimax fit over u in 0..14 to 2.4e-8 of Q, so that
 * the result keeps its relative accuracy where it is small. */
static inline __m512 v_tail(__m512 u, __m512 *e)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(u, _mm512_set1_ps(0.27f), one));
    __m512 p = _mm512_set1_ps(0.028915278613567352f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.12625528872013092f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.1692914366722107f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.06862100213766098f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.10739944130182266f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.07224029302597046f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.1017591655254364f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.10755050927400589f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.10772018134593964f));
    *e = v_exp(_mm512_mul_ps(_mm512_mul_ps(u, u), _mm512_set1_ps(-0.5f)));
    return _mm512_mul_ps(*e, _mm512_mul_ps(p, t));
}

/* |x|, at most 14: Q(14) < 1e-44 */
static inline __m512 v_tail_at(__m512 x)
{
    return _mm512_min_ps(_mm512_set1_ps(14.0f), _mm512_abs_ps(x));
}

/* x Phi(x) */
static inline __m512 v_gelu(__m512 x)
{
    const __m512 u = v_tail_at(x);
    __m512 e;
    return _mm512_fnmadd_ps(u, v_tail(u, &e), v_relu(x)); /* x > 0: x - x Q(x); else x Q(-x) */
}

static inline __m512 v_activation(__m512 x, kn_act act)
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

static inline __m512 v_from_bf16(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* To nearest even; NaN stays NaN, subnormals stay (VCVTNEPS2BF16 would flush them). */
static inline __m256i v_to_bf16(__m512 x)
{
    const __m512i u = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
}

#endif
