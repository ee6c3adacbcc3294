/* act.c - activation functions in place. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

static void activate(float *x, size_t n, kn_act act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = activation(x[i], act);
}

void kn_act_c(kn_kernels *k)
{
    k->activate = activate;
}
