/* vec.h - the vector of this level, for the sources in kernels/lanes/ (see lanes/lanes.h). */
#ifndef KERNELS_AVX2_VEC_H
#define KERNELS_AVX2_VEC_H

#ifndef __AVX2__
#error "kernels/avx2 must be built with its own flags; see KERNEL_FLAGS in the Makefile"
#endif

#include "kernels/avx2/math.h"
#include "kernels/product.h" /* KN_UNROLL */

#include <string.h>

typedef __m256 vf;
enum { VL = 8, V_REGISTERS = 16 };

static inline vf v_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

/* A masked load or store does not touch the lanes that are off. */
static inline vf v_load_some(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, lanes(n));
}

static inline void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

static inline void v_store_some(float *p, size_t n, vf x)
{
    _mm256_maskstore_ps(p, lanes(n), x);
}

/* There are no masked moves of 16 bits: the few at the end go through memory. */
static inline __m128i load_halves(const uint16_t *p, size_t n)
{
    uint16_t some[8] = { 0 };
    memcpy(some, p, n * sizeof *p);
    return _mm_loadu_si128((const __m128i *)some);
}

static inline void store_halves(uint16_t *p, size_t n, __m128i x)
{
    uint16_t some[8];
    _mm_storeu_si128((__m128i *)some, x);
    memcpy(p, some, n * sizeof *p);
}

static inline vf v_load_bf16(const uint16_t *p)
{
    return v_from_bf16(_mm_loadu_si128((const __m128i *)p));
}

static inline vf v_load_bf16_some(const uint16_t *p, size_t n)
{
    return v_from_bf16(load_halves(p, n));
}

static inline void v_store_bf16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, v_to_bf16(x));
}

static inline void v_store_bf16_some(uint16_t *p, size_t n, vf x)
{
    store_halves(p, n, v_to_bf16(x));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vf v_load_f16_some(const uint16_t *p, size_t n)
{
    return _mm256_cvtph_ps(load_halves(p, n));
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void v_store_f16_some(uint16_t *p, size_t n, vf x)
{
    store_halves(p, n, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf v_load_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline vf v_load_i8_some(const int8_t *p, size_t n)
{
    int8_t some[8] = { 0 };
    memcpy(some, p, n);
    return v_load_i8(some);
}

static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf v_where_positive(vf x, vf y)
{
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), y);
}

static inline vf v_where_equal(vf x, vf y, vf z)
{
    return _mm256_and_ps(_mm256_cmp_ps(x, y, _CMP_EQ_OQ), z);
}

static inline void v_pairs(const uint16_t *even, const uint16_t *odd, void *to, void *next)
{
    KN_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(even + 8 * i));
        const __m128i y = _mm_loadu_si128((const __m128i *)(odd + 8 * i));
        __m128i *at = (__m128i *)(i < 2 ? to : next) + 2 * (i % 2);
        _mm_store_si128(at, _mm_unpacklo_epi16(x, y));
        _mm_store_si128(at + 1, _mm_unpackhi_epi16(x, y));
    }
}

/* e^x where that is a normal number, else 0: subnormal factors would cost a multiplication dear. */
static inline vf v_weight(vf x)
{
    const vf least = _mm256_set1_ps(-87.0f), m = _mm256_cmp_ps(x, least, _CMP_NLT_UQ); /* and NaN */
    return _mm256_and_ps(m, v_exp(_mm256_max_ps(least, x)));
}

static inline vf v_first(size_t n, vf x, vf other)
{
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(lanes(n)));
}

/* Compilers would rather load x again for each use than keep it. */
static inline vf v_keep(vf x)
{
    __asm__("" : "+x"(x));
    return x;
}

/* The two 128-bit lanes. */
static inline __m128 fold(vf x)
{
    return _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
}

static inline float v_sum(vf x)
{
    x = _mm256_add_ps(x, _mm256_permute_ps(x, 0x4e));
    return _mm_cvtss_f32(fold(_mm256_add_ps(x, _mm256_permute_ps(x, 0xb1))));
}

static inline void v_sum4(const vf x[4], float out[4])
{
    const vf a = _mm256_add_ps(_mm256_unpacklo_ps(x[0], x[1]), _mm256_unpackhi_ps(x[0], x[1]));
    const vf b = _mm256_add_ps(_mm256_unpacklo_ps(x[2], x[3]), _mm256_unpackhi_ps(x[2], x[3]));
    _mm_storeu_ps(
        out, fold(_mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee))));
}

static inline float v_greatest(vf x)
{
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

/* Four rows of 4x4 blocks, in each 128-bit lane apart. */
static inline void transpose_lanes(vf *x)
{
    const vf a = _mm256_unpacklo_ps(x[0], x[1]), b = _mm256_unpackhi_ps(x[0], x[1]);
    const vf c = _mm256_unpacklo_ps(x[2], x[3]), d = _mm256_unpackhi_ps(x[2], x[3]);
    x[0] = _mm256_shuffle_ps(a, c, 0x44);
    x[1] = _mm256_shuffle_ps(a, c, 0xee);
    x[2] = _mm256_shuffle_ps(b, d, 0x44);
    x[3] = _mm256_shuffle_ps(b, d, 0xee);
}

static inline void v_transpose(vf x[VL])
{
    transpose_lanes(x);
    transpose_lanes(x + 4);
    KN_UNROLL
    for (int i = 0; i < 4; i++) {
        const vf a = x[i], b = x[i + 4];
        x[i] = _mm256_permute2f128_ps(a, b, 0x20);
        x[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
    }
}

#endif
