/* rows.h - rows of a as packed blocks of 32 bf16, for pairs of multiply-adds. */
#ifndef KERNELS_AVX512BF16_ROWS_H
#define KERNELS_AVX512BF16_ROWS_H

#include "kernels/kernels.h"

#include <immintrin.h>

enum { BLOCK = 32 };

/* The lanes of a block that n more elements fill. */
static inline __mmask32 block_lanes(size_t n)
{
    return n < BLOCK ? ((__mmask32)1 << n) - 1 : ~(__mmask32)0;
}

/* bf16 as it comes. */
static inline void pack_bf16(const void *from, size_t n, void *to, size_t stride)
{
    const uint16_t *in = from;
    for (size_t i = 0; i < n; i += BLOCK, to = (char *)to + stride) {
        const __m512i x = in ? _mm512_maskz_loadu_epi16(block_lanes(n - i), in + i)
                             : _mm512_setzero_si512();
        _mm512_store_si512(to, x);
    }
}

/* f32 as 32 hi parts and 32 lo parts behind them. */
static inline void pack_split(const void *from, size_t n, void *to, size_t stride)
{
    const float *in = from;
    for (size_t i = 0; i < n; i += BLOCK, to = (char *)to + stride) {
        __m512 x = _mm512_setzero_ps(), y = x;
        if (in) {
            const __mmask32 m = block_lanes(n - i);
            x = _mm512_maskz_loadu_ps((__mmask16)m, in + i);
            y = _mm512_maskz_loadu_ps((__mmask16)(m >> 16), in + i + 16);
        }
        const __m512i hi = (__m512i)_mm512_cvtne2ps_pbh(y, x);
        const __m512i hi_x = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(hi));
        const __m512i hi_y = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(hi, 1));
        x = _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_slli_epi32(hi_x, 16)));
        y = _mm512_sub_ps(y, _mm512_castsi512_ps(_mm512_slli_epi32(hi_y, 16)));
        _mm512_store_si512(to, hi);
        _mm512_store_si512((char *)to + 64, (__m512i)_mm512_cvtne2ps_pbh(y, x));
    }
}

#endif
