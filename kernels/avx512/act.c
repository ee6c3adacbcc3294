/* act.c - activation functions in place. */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

static void activate(float *x, size_t n, kn_act act)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = n - i < 16 ? lanes(n - i) : 0xffff;
        _mm512_mask_storeu_ps(x + i, m, v_activation(_mm512_maskz_loadu_ps(m, x + i), act));
    }
}

void kn_act_avx512(kn_kernels *k)
{
    k->activate = activate;
}
