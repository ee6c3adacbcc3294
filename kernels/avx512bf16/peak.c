/* peak.c - pairs of bf16 multiply-adds that touch no memory; f32 is level avx512's. */
#include "kernels/avx512/core.h"
#include "kernels/levels.h"

#include <immintrin.h>

enum { CHAINS = 12 };

/* bf16x3 is counted in the products that it is made of, a third of bf16's rate. */
static double peak(kn_math math, size_t rounds)
{
    __m512 x[CHAINS];
    const __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80);
    if (math == KN_MATH_F32)
        return kn_peak_f32_avx512(rounds);
    KN_UNROLL
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
        KN_UNROLL
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbf16_ps(x[i], one, one);
    }
    KN_UNROLL
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm512_add_ps(x[0], x[i]);
    volatile float keep = _mm512_cvtss_f32(x[0]);
    (void)keep;
    return 4.0 * 16 * CHAINS * (double)rounds / (math == KN_MATH_BF16X3 ? 3 : 1);
}

void kn_peak_avx512bf16(kn_kernels *k)
{
    k->peak = peak;
}
