/* peak.c - tile products that touch no memory; f32 is level avx512's. */
#include "kernels/amx/tile.h"
#include "kernels/avx512/core.h"
#include "kernels/levels.h"

/* bf16x3 is counted in the products that it is made of, a third of bf16's rate. */
static double peak(kn_math math, size_t rounds)
{
    if (math == KN_MATH_F32)
        return kn_peak_f32_avx512(rounds);
    tile_begin();
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    tile_zero(4);
    tile_zero(6);
    for (size_t r = 0; r < rounds; r++) {
        tile_multiply(0, 4, 6);
        tile_multiply(1, 4, 6);
        tile_multiply(2, 4, 6);
        tile_multiply(3, 4, 6);
    }
    tile_release();
    return 2.0 * 4 * 16 * 16 * 32 * (double)rounds / (math == KN_MATH_BF16X3 ? 3 : 1);
}

void kn_peak_amx(kn_kernels *k)
{
    k->peak = peak;
}
