/* peak.c - multiply-adds that touch no memory: 12 chains hide the latency of any machine so far. */
#include "kernels/avx512/core.h"
#include "kernels/levels.h"

#include <immintrin.h>

enum { CHAINS = 12 };

double kn_peak_f32_avx512(size_t rounds)
{
    __m512 x[CHAINS];
    const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    KN_UNROLL
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
        KN_UNROLL
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_fmadd_ps(x[i], factor, term);
    }
    KN_UNROLL
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm512_add_ps(x[0], x[i]);
    volatile float keep = _mm512_cvtss_f32(x[0]);
    (void)keep;
    return 2.0 * 16 * CHAINS * (double)rounds;
}

/* Every math is f32 multiply-adds at this level. */
static double peak(kn_math math, size_t rounds)
{
    (void)math;
    return kn_peak_f32_avx512(rounds);
}

void kn_peak_avx512(kn_kernels *k)
{
    k->peak = peak;
}
