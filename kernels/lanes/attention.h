/* attention.h - what attend.c asks of a level, for panels of f32.  Levels take what they need. */
#ifndef KERNELS_LANES_ATTENTION_H
#define KERNELS_LANES_ATTENTION_H

#include "kernels/attend.h"
#include "kernels/lanes/lanes.h"

#include <math.h>

/* VL keys from j on, n columns from d on, as n rows of VL lanes of a panel. */
INLINE void pack_corner(const kn_attention *a, kn_type type, size_t at, size_t keys, size_t n,
                        float *to)
{
    vf x[VL];
    KN_UNROLL
    for (size_t i = 0; i < VL; i++)
        x[i] = i < keys ? load_as(a->k, type, at + i * a->ldkv, n) : v_set(0);
    v_transpose(x);
    KN_UNROLL
    for (size_t i = 0; i < VL; i++)
        if (i < n)
            v_store(to + i * KN_PANEL, x[i]);
}

INLINE void pack_keys_as(const kn_attention *a, uint32_t h, float *panels, kn_type type)
{
    const size_t padded = ((size_t)a->kv_rows + KN_PANEL - 1) / KN_PANEL * KN_PANEL;
    for (size_t j = 0; j < padded; j += VL) {
        float *panel = panels + j / KN_PANEL * KN_PANEL * a->dim + j % KN_PANEL;
        const size_t keys = a->kv_rows > j ? a->kv_rows - j : 0;
        for (size_t d = 0; d < a->dim; d += VL)
            pack_corner(a, type, j * a->ldkv + (size_t)h * a->dim + d, keys, a->dim - d,
                        panel + d * KN_PANEL);
    }
}

static inline void pack_keys_f32(const kn_attention *a, uint32_t h, void *panels)
{
    pack_keys_as(a, h, panels, KN_F32);
}

static inline void pack_keys_bf16(const kn_attention *a, uint32_t h, void *panels)
{
    pack_keys_as(a, h, panels, KN_BF16);
}

INLINE void pack_values_as(const kn_attention *a, uint32_t h, float *panels, kn_type type)
{
    const size_t panel = (size_t)a->kv_rows * KN_PANEL;
    for (size_t j = 0; j < a->kv_rows; j++)
        for (size_t d = 0; d < (a->dim + KN_PANEL - 1) / KN_PANEL * KN_PANEL; d += VL)
            v_store(panels + d / KN_PANEL * panel + j * KN_PANEL + d % KN_PANEL,
                    d < a->dim
                        ? load_as(a->v, type, j * a->ldkv + (size_t)h * a->dim + d, a->dim - d)
                        : v_set(0));
}

static inline void pack_values_f32(const kn_attention *a, uint32_t h, void *panels)
{
    pack_values_as(a, h, panels, KN_F32);
}

static inline void pack_values_bf16(const kn_attention *a, uint32_t h, void *panels)
{
    pack_values_as(a, h, panels, KN_BF16);
}

/* Scores j .. j+VL-1; lanes from the n-th on are -infinity, so that they weigh nothing. */
INLINE vf biased(const float *score, const float *bias, size_t j, size_t n)
{
    vf s = v_load(score);
    if (bias)
        s = v_add(s, load_as(bias, KN_F32, j, n - j));
    return n - j < VL ? v_first(n - j, s, v_set(-INFINITY)) : s;
}

INLINE vf greatest(const float *scores, size_t columns, size_t stride, const float *bias, size_t n)
{
    vf most = v_set(-INFINITY);
    for (size_t c = 0; c < n; c += columns, scores += stride)
        for (size_t j = c; j < n && j < c + columns; j += VL)
            most = v_max(biased(scores + (j - c), bias, j, n), most);
    return v_set(v_greatest(most));
}

INLINE float weigh_as(const float *scores, size_t columns, size_t stride, const float *bias,
                      size_t n, size_t padded, void *out, kn_type type)
{
    const vf most = greatest(scores, columns, stride, bias, n);
    vf sum = v_set(0);
    for (size_t c = 0; c < n; c += columns, scores += stride)
        for (size_t j = c; j < n && j < c + columns; j += VL) {
            vf e = v_weight(v_sub(biased(scores + (j - c), bias, j, n), most));
            if (n - j < VL)
                e = v_first(n - j, e, v_set(0));
            sum = v_add(sum, e);
            store_as(out, type, j, VL, e);
        }
    for (size_t j = (n + VL - 1) / VL * VL; j < padded; j += VL)
        store_as(out, type, j, VL, v_set(0));
    return v_sum(sum);
}

static inline float weigh_f32(const float *scores, size_t columns, size_t stride, const float *bias,
                              size_t n, size_t padded, void *out)
{
    if (bias)
        return weigh_as(scores, columns, stride, bias, n, padded, out, KN_F32);
    return weigh_as(scores, columns, stride, NULL, n, padded, out, KN_F32);
}

INLINE void store_scaled(const float *sum, float total, size_t n, void *out, size_t at,
                         kn_type type)
{
    const vf scale = v_set(1 / total);
    for (size_t d = 0; d < n; d += VL)
        store_as(out, type, at + d, n - d, v_mul(v_load(sum + d), scale));
}

static inline void store_f32(const float *sum, float total, size_t n, void *out, size_t at)
{
    store_scaled(sum, total, n, out, at, KN_F32);
}

static inline void store_bf16(const float *sum, float total, size_t n, void *out, size_t at)
{
    store_scaled(sum, total, n, out, at, KN_BF16);
}

/* Panels of f32 with the f32 core; rows of bf16 are widened as they are packed, queries by
 * widen_query (the pack of the level's bf16 core). */
static inline kn_attend attend_f32(kn_type type, const kn_core *core,
                                   void (*widen_query)(const void *, size_t, void *, size_t))
{
    const int narrow = type == KN_BF16;
    return (kn_attend){
        .core = core,
        .type = KN_F32,
        .pack_query = narrow ? widen_query : core->pack,
        .pack_keys = narrow ? pack_keys_bf16 : pack_keys_f32,
        .pack_values = narrow ? pack_values_bf16 : pack_values_f32,
        .weigh = weigh_f32,
        .store = narrow ? store_bf16 : store_f32,
    };
}

#endif
