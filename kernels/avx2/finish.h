/* finish.h - from sums to results: bias, residual, activation, conversion, store. */
#ifndef KERNELS_AVX2_FINISH_H
#define KERNELS_AVX2_FINISH_H

#include "kernels/avx2/math.h"

#include <string.h>

/* n numbers, n <= 8, zeros behind them. */
static inline __m256 load_lanes(const void *p, kn_type type, size_t i, size_t n)
{
    if (type == KN_F32)
        return n == 8 ? _mm256_loadu_ps((const float *)p + i)
                      : _mm256_maskload_ps((const float *)p + i, lanes(n));
    uint16_t part[8] = { 0 };
    if (n == 8)
        return v_from_bf16(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)p + i)));
    memcpy(part, (const uint16_t *)p + i, n * sizeof *part);
    return v_from_bf16(_mm_loadu_si128((const __m128i *)(const void *)part));
}

static inline void store_lanes(void *p, kn_type type, size_t i, size_t n, __m256 x)
{
    if (type == KN_F32 && n == 8)
        _mm256_storeu_ps((float *)p + i, x);
    else if (type == KN_F32)
        _mm256_maskstore_ps((float *)p + i, lanes(n), x);
    else if (n == 8)
        _mm_storeu_si128((__m128i *)(void *)((uint16_t *)p + i), v_to_bf16(x));
    else {
        uint16_t part[8];
        _mm_storeu_si128((__m128i *)(void *)part, v_to_bf16(x));
        memcpy((uint16_t *)p + i, part, n * sizeof *part);
    }
}

/* Rows of n columns, n <= 8. */
__attribute__((always_inline)) static inline void
finish_lanes(const kn_gemm *g, size_t row, size_t rows, size_t column, size_t n, const float *sum,
             size_t stride, kn_act act)
{
    const __m256 bias = g->bias ? load_lanes(g->bias, KN_F32, column, n) : _mm256_setzero_ps();
    size_t at = row * g->ldc + column, from = row * g->ldr + column;
    for (size_t r = 0; r < rows; r++, at += g->ldc, from += g->ldr) {
        __m256 x = _mm256_add_ps(_mm256_load_ps(sum + r * stride), bias);
        if (g->residual)
            x = _mm256_add_ps(x, load_lanes(g->residual, g->residual_type, from, n));
        store_lanes(g->c, g->c_type, at, n, v_activation(x, act));
    }
}

/* Inlined once for each activation, and once for whole vectors. */
__attribute__((always_inline)) static inline void
finish_as(const kn_gemm *g, size_t row, size_t rows, size_t column, size_t columns,
          const float *sum, size_t stride, kn_act act)
{
    size_t j = 0;
    for (; j + 8 <= columns; j += 8)
        finish_lanes(g, row, rows, column + j, 8, sum + j, stride, act);
    if (j < columns)
        finish_lanes(g, row, rows, column + j, columns - j, sum + j, stride, act);
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
