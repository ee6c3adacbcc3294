/* finish.h - from sums to results: bias, residual, activation, conversion, store. */
#ifndef KERNELS_AVX512_FINISH_H
#define KERNELS_AVX512_FINISH_H

#include "kernels/avx512/math.h"

/* A mask that the compiler knows to be full costs nothing; a masked store is slow. */
#define FULL ((__mmask16)0xffff)

static inline __m512 load_lanes(const void *p, kn_type type, size_t i, __mmask16 m)
{
    if (type == KN_BF16)
        return v_from_bf16(_mm256_maskz_loadu_epi16(m, (const uint16_t *)p + i));
    return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

static inline void store_lanes(void *p, kn_type type, size_t i, __mmask16 m, __m512 x)
{
    if (type == KN_BF16)
        _mm256_mask_storeu_epi16((uint16_t *)p + i, m, v_to_bf16(x));
    else
        _mm512_mask_storeu_ps((float *)p + i, m, x);
}

/* Rows of 16 columns or fewer. */
__attribute__((always_inline)) static inline void finish_lanes(const kn_gemm *g, size_t row,
                                                               size_t rows, size_t column,
                                                               __mmask16 m, const float *sum,
                                                               size_t stride, kn_act act)
{
    const __m512 bias = g->bias ? _mm512_maskz_loadu_ps(m, g->bias + column) : _mm512_setzero_ps();
    size_t at = row * g->ldc + column, from = row * g->ldr + column;
    for (size_t r = 0; r < rows; r++, at += g->ldc, from += g->ldr) {
        __m512 x = _mm512_add_ps(_mm512_load_ps(sum + r * stride), bias);
        if (g->residual)
            x = _mm512_add_ps(x, load_lanes(g->residual, g->residual_type, from, m));
        store_lanes(g->c, g->c_type, at, m, v_activation(x, act));
    }
}

/* Inlined once for each activation. */
__attribute__((always_inline)) static inline void finish_as(const kn_gemm *g, size_t row,
                                                            size_t rows, size_t column,
                                                            size_t columns, const float *sum,
                                                            size_t stride, kn_act act)
{
    size_t j = 0;
    for (; j + 16 <= columns; j += 16)
        finish_lanes(g, row, rows, column + j, FULL, sum + j, stride, act);
    if (j < columns)
        finish_lanes(g, row, rows, column + j, lanes(columns - j), sum + j, stride, act);
}

static void finish(const kn_gemm *g, size_t row, size_t rows, size_t column, size_t columns,
                   const float *sum, size_t stride)
{
    switch (g->act) {
    case KN_ACT_RELU:
        finish_as(g, row, rows, column, columns, sum, stride, KN_ACT_RELU);
        break;
    case KN_ACT_QUICKGELU:
        finish_as(g, row, rows, column, columns, sum, stride, KN_ACT_QUICKGELU);
        break;
    case KN_ACT_GELU:
        finish_as(g, row, rows, column, columns, sum, stride, KN_ACT_GELU);
        break;
    default:
        finish_as(g, row, rows, column, columns, sum, stride, KN_ACT_NONE);
    }
}

#endif
