/* peak.c - multiply-adds that touch no memory: 12 chains hide their latency. */
#include "kernels/levels.h"
#include "kernels/product.h"

#include <immintrin.h>

enum { CHAINS = 12 };

/* Every math is f32 multiply-adds at this level. */
static double peak(kn_math math, size_t rounds)
{
    __m256 x[CHAINS];
    const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    (void)math;
    KN_UNROLL
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm256_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
        KN_UNROLL
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm256_fmadd_ps(x[i], factor, term);
    }
    KN_UNROLL
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm256_add_ps(x[0], x[i]);
    volatile float keep = _mm256_cvtss_f32(x[0]);
    (void)keep;
    return 2.0 * 8 * CHAINS * (double)rounds;
}

void kn_peak_avx2(kn_kernels *k)
{
    k->peak = peak;
}
