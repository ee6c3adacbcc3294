/* vec.h - the vector of this level, for the sources in kernels/lanes/ (see lanes/lanes.h). */
#ifndef KERNELS_AVX512_VEC_H
#define KERNELS_AVX512_VEC_H

#ifndef __AVX512F__
#error "kernels/avx512 must be built with its own flags; see KERNEL_FLAGS in the Makefile"
#endif

#include "kernels/avx512/math.h"
#include "kernels/product.h" /* KN_UNROLL */

typedef __m512 vf;
enum { VL = 16, V_REGISTERS = 32 };

static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

/* A masked load or store does not touch the lanes that are off. */
static inline vf v_load_some(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(lanes(n), p);
}

static inline void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

static inline void v_store_some(float *p, size_t n, vf x)
{
    _mm512_mask_storeu_ps(p, lanes(n), x);
}

static inline vf v_load_bf16(const uint16_t *p)
{
    return v_from_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf v_load_bf16_some(const uint16_t *p, size_t n)
{
    return v_from_bf16(_mm256_maskz_loadu_epi16(lanes(n), p));
}

static inline void v_store_bf16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, v_to_bf16(x));
}

static inline void v_store_bf16_some(uint16_t *p, size_t n, vf x)
{
    _mm256_mask_storeu_epi16(p, lanes(n), v_to_bf16(x));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf v_load_f16_some(const uint16_t *p, size_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes(n), p));
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void v_store_f16_some(uint16_t *p, size_t n, vf x)
{
    _mm256_mask_storeu_epi16(p, lanes(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf v_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline vf v_load_i8_some(const int8_t *p, size_t n)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes(n), p)));
}

static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf v_where_positive(vf x, vf y)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), y);
}

static inline vf v_where_equal(vf x, vf y, vf z)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ), z);
}

static inline void v_pairs(const uint16_t *even, const uint16_t *odd, void *to, void *next)
{
    static const uint16_t low[32] = { 0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                      8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47 };
    const __m512i first = _mm512_loadu_si512(low), half = _mm512_set1_epi16(16);
    const __m512i x = _mm512_loadu_si512(even), y = _mm512_loadu_si512(odd);
    _mm512_store_si512(to, _mm512_permutex2var_epi16(x, first, y));
    _mm512_store_si512(next, _mm512_permutex2var_epi16(x, _mm512_add_epi16(first, half), y));
}

/* e^x where that is a normal number, else 0: subnormal factors would cost a multiplication dear. */
static inline vf v_weight(vf x)
{
    const vf least = _mm512_set1_ps(-87.0f);
    const __mmask16 m = _mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ); /* and NaN */
    return _mm512_maskz_mov_ps(m, v_exp(_mm512_max_ps(least, x)));
}

static inline vf v_first(size_t n, vf x, vf other)
{
    return _mm512_mask_blend_ps(lanes(n), other, x);
}

/* Compilers would rather load x again for each use than keep it. */
static inline vf v_keep(vf x)
{
    __asm__("" : "+v"(x));
    return x;
}

/* The four 128-bit lanes. */
static inline __m128 fold(vf x)
{
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

static inline float v_sum(vf x)
{
    x = _mm512_add_ps(x, _mm512_permute_ps(x, 0x4e));
    return _mm_cvtss_f32(fold(_mm512_add_ps(x, _mm512_permute_ps(x, 0xb1))));
}

static inline void v_sum4(const vf x[4], float out[4])
{
    const vf a = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    const vf b = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    _mm_storeu_ps(
        out, fold(_mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee))));
}

static inline float v_greatest(vf x)
{
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

/* Four rows of 4x4 blocks, in each 128-bit lane apart. */
static inline void transpose_lanes(vf *x)
{
    const vf a = _mm512_unpacklo_ps(x[0], x[1]), b = _mm512_unpackhi_ps(x[0], x[1]);
    const vf c = _mm512_unpacklo_ps(x[2], x[3]), d = _mm512_unpackhi_ps(x[2], x[3]);
    x[0] = _mm512_shuffle_ps(a, c, 0x44);
    x[1] = _mm512_shuffle_ps(a, c, 0xee);
    x[2] = _mm512_shuffle_ps(b, d, 0x44);
    x[3] = _mm512_shuffle_ps(b, d, 0xee);
}

static inline void v_transpose(vf x[VL])
{
    KN_UNROLL
    for (int i = 0; i < 16; i += 4)
        transpose_lanes(x + i);
    KN_UNROLL
    for (int i = 0; i < 4; i++) { /* a 4x4 transposition of 128-bit lanes */
        const vf a = _mm512_shuffle_f32x4(x[i], x[i + 4], 0x88);
        const vf b = _mm512_shuffle_f32x4(x[i], x[i + 4], 0xdd);
        const vf c = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0x88);
        const vf d = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0xdd);
        x[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        x[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        x[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        x[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

#endif
