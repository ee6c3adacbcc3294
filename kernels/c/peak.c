/* peak.c - multiply-adds that touch no memory. */
#include "kernels/levels.h"

enum { LANES = 16 };

static double peak(kn_math math, size_t rounds)
{
    float x[LANES];
    (void)math; /* every math is f32 multiplies and adds at this level */
    for (int j = 0; j < LANES; j++)
        x[j] = 1.0f / (float)(j + 1);
    for (size_t r = 0; r < rounds; r++)
        for (int j = 0; j < LANES; j++)
            x[j] = x[j] * 0.999f + 0.001f;
    volatile float keep = x[rounds % LANES];
    (void)keep;
    return 2.0 * LANES * (double)rounds;
}

void kn_peak_c(kn_kernels *k)
{
    k->peak = peak;
}
