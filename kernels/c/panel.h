/* panel.h - what gemm.c and conv.c share: reading panels, and what happens to a sum. */
#ifndef KERNELS_C_PANEL_H
#define KERNELS_C_PANEL_H

#include "kernels/c/math.h"

/* Panel p of a matrix whose k axis has k elements. */
static inline const void *panel_at(const void *w, kn_type type, size_t p, size_t k)
{
    const size_t size = type == KN_F32 ? sizeof(float) : 2;
    return (const char *)w + p * kn_panel_k(k, type) * KN_PANEL * size;
}

/* The 16 weights of row k of a panel. */
static inline void panel_row(const void *panel, kn_type type, size_t k, float w[KN_PANEL])
{
    for (size_t j = 0; j < KN_PANEL; j++)
        switch (type) {
        case KN_BF16:
            w[j] = from_bf16(((const uint16_t *)panel)[(k / 2 * KN_PANEL + j) * 2 + k % 2]);
            break;
        case KN_F16:
            w[j] = from_f16(((const uint16_t *)panel)[k * KN_PANEL + j]);
            break;
        default:
            w[j] = ((const float *)panel)[k * KN_PANEL + j];
        }
}

/* sum += a times row k of panel p, for 16 columns. */
static inline void panel_multiply(const kn_gemm *g, size_t p, size_t k, float a,
                                  float sum[KN_PANEL])
{
    float w[KN_PANEL], w_lo[KN_PANEL] = { 0 };
    panel_row(panel_at(g->w, g->w_type, p, g->k), g->w_type, k, w);
    if (g->math != KN_MATH_BF16X3) {
        for (size_t j = 0; j < KN_PANEL; j++)
            sum[j] += a * w[j];
        return;
    }
    const float hi = from_bf16(to_bf16(a)), lo = from_bf16(to_bf16(a - hi));
    if (g->w_lo)
        panel_row(panel_at(g->w_lo, KN_BF16, p, g->k), KN_BF16, k, w_lo);
    for (size_t j = 0; j < KN_PANEL; j++) {
        sum[j] += hi * w[j];
        sum[j] += hi * w_lo[j];
        sum[j] += lo * w[j];
    }
}

static inline float load_as(const void *p, kn_type type, size_t i)
{
    return type == KN_BF16 ? from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

/* Element (row, column) of c from its sum of products. */
static inline void finish(const kn_gemm *g, size_t row, size_t column, float sum)
{
    if (g->bias)
        sum += g->bias[column];
    if (g->residual)
        sum += load_as(g->residual, g->residual_type, row * g->ldr + column);
    sum = activation(sum, g->act);
    if (g->c_type == KN_BF16)
        ((uint16_t *)g->c)[row * g->ldc + column] = to_bf16(sum);
    else
        ((float *)g->c)[row * g->ldc + column] = sum;
}

#endif
