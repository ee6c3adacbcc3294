/* attention.h - what attend.c asks of a level whose panels are pairs of bf16: this one and amx.
 *
 * Pairs lie along the k axis: two columns of a key, which are neighbours as they come, and the same
 * column of two values, which are not. */
#ifndef KERNELS_AVX512BF16_ATTENTION_H
#define KERNELS_AVX512BF16_ATTENTION_H

#include "kernels/avx512/vec.h"
#include "kernels/lanes/attention.h"

enum { PAIR_VL = 2 * VL };

/* Elements i .. i+n-1 as bits, zeros behind. */
INLINE __m512i load_bits(const void *p, size_t i, size_t n)
{
    const __mmask32 m = n < PAIR_VL ? ((__mmask32)1 << n) - 1 : ~(__mmask32)0;
    return _mm512_maskz_loadu_epi16(m, (const uint16_t *)p + i);
}

/* 16 keys by 32 columns: pairs go where lanes lay. */
INLINE void pack_corner_pairs(const kn_attention *a, size_t at, size_t keys, size_t n, void *to)
{
    vf x[VL];
    KN_UNROLL
    for (size_t i = 0; i < VL; i++)
        x[i] = i < keys ? _mm512_castsi512_ps(load_bits(a->k, at + i * a->ldkv, n)) : v_set(0);
    v_transpose(x);
    KN_UNROLL
    for (size_t i = 0; i < VL; i++)
        _mm512_store_ps((char *)to + i * 64, x[i]);
}

static inline void pack_keys_pairs(const kn_attention *a, uint32_t h, void *panels)
{
    const size_t width = kn_panel_k(a->dim, KN_BF16), first = (size_t)h * a->dim;
    uint16_t *panel = panels;
    for (size_t j = 0; j < a->kv_rows; j += KN_PANEL, panel += width * KN_PANEL)
        for (size_t d = 0; d < a->dim; d += PAIR_VL)
            pack_corner_pairs(a, j * a->ldkv + first + d, a->kv_rows - j, a->dim - d,
                              panel + d * KN_PANEL);
}

/* Columns d .. d+15 of values j and j+1, side by side; zeros where there are none. */
INLINE __m512i value_pairs(const kn_attention *a, size_t j, size_t column, size_t n)
{
    const __mmask16 m = n < VL ? lanes(n) : 0xffff;
    const uint16_t *v = (const uint16_t *)a->v + j * a->ldkv + column;
    const __m256i none = _mm256_setzero_si256();
    const __m256i x = j < a->kv_rows ? _mm256_maskz_loadu_epi16(m, v) : none;
    const __m256i y = j + 1 < a->kv_rows ? _mm256_maskz_loadu_epi16(m, v + a->ldkv) : none;
    return _mm512_or_si512(_mm512_cvtepu16_epi32(x),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(y), 16));
}

static inline void pack_values_pairs(const kn_attention *a, uint32_t h, void *panels)
{
    const size_t rows = kn_panel_k(a->kv_rows, KN_BF16);
    for (size_t j = 0; j < rows; j += 2)
        for (size_t d = 0; d < a->dim; d += KN_PANEL)
            _mm512_store_si512((uint16_t *)panels + d * rows + j * KN_PANEL,
                               value_pairs(a, j, (size_t)h * a->dim + d, a->dim - d));
}

static inline float weigh_bf16(const float *scores, size_t columns, size_t stride,
                               const float *bias, size_t n, size_t padded, void *out)
{
    if (bias)
        return weigh_as(scores, columns, stride, bias, n, padded, out, KN_BF16);
    return weigh_as(scores, columns, stride, NULL, n, padded, out, KN_BF16);
}

/* All pairs, with the core of bf16 products. */
static inline kn_attend attend_pairs(const kn_core *core)
{
    return (kn_attend){
        .core = core,
        .type = KN_BF16,
        .pack_query = core->pack,
        .pack_keys = pack_keys_pairs,
        .pack_values = pack_values_pairs,
        .weigh = weigh_bf16,
        .store = store_bf16,
    };
}

#endif
