/* act.h - activation functions in place, a vector at a time. */
#ifndef KERNELS_LANES_ACT_H
#define KERNELS_LANES_ACT_H

#include "kernels/lanes/lanes.h"

INLINE void activate_as(float *x, size_t n, kn_act act)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store(x + i, v_activation(v_load(x + i), act));
    if (i < n)
        v_store_some(x + i, n - i, v_activation(v_load_some(x + i, n - i), act));
}

static void activate(float *x, size_t n, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        activate_as(x, n, KN_ACT_RELU);
        break;
    case KN_ACT_QUICKGELU:
        activate_as(x, n, KN_ACT_QUICKGELU);
        break;
    case KN_ACT_GELU:
        activate_as(x, n, KN_ACT_GELU);
        break;
    default:
        break;
    }
}

/* What this file gives a level's table. */
static void put_act(kn_kernels *k)
{
    k->activate = activate;
}

#endif
