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

/* d/dx x s(u) = s + u s (1 - s), u = 1.702 x, where s and 1 - s are 1 / (1 + e) and e / (1 + e) */
INLINE vf slope_quickgelu(vf x)
{
    const vf u = v_mul(x, v_set(1.702f)), zero = v_set(0);
    const vf size = v_max(u, v_sub(zero, u)), e = v_exp(v_sub(zero, size));
    const vf s = v_div(v_set(1), v_add(v_set(1), e)), t = v_mul(e, s);
    const vf first = v_add(t, v_where_positive(x, v_sub(s, t)));
    return v_fma(u, v_mul(s, t), first);
}

/* d/dx x Phi(x) = Phi(x) + x phi(x), Phi(x) = 1 - Q(x) or Q(-x) */
INLINE vf slope_gelu(vf x)
{
    vf e;
    const vf q = v_tail(v_tail_at(x), &e);
    const vf first = v_add(q, v_where_positive(x, v_sub(v_set(1), v_add(q, q))));
    return v_fma(v_mul(x, e), v_set(0.39894228f), first);
}

INLINE void grad_as(const float *x, float *dy, size_t n, kn_act act)
{
    for (size_t i = 0; i < n; i += VL) {
        const vf at = load_as(x, KN_F32, i, n - i), d = load_as(dy, KN_F32, i, n - i);
        const vf by = act == KN_ACT_GELU ? slope_gelu(at) : slope_quickgelu(at);
        store_as(dy, KN_F32, i, n - i, act == KN_ACT_RELU ? v_where_positive(at, d) : v_mul(d, by));
    }
}

static void activate_grad(const float *x, float *dy, size_t n, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        grad_as(x, dy, n, KN_ACT_RELU);
        break;
    case KN_ACT_QUICKGELU:
        grad_as(x, dy, n, KN_ACT_QUICKGELU);
        break;
    case KN_ACT_GELU:
        grad_as(x, dy, n, KN_ACT_GELU);
        break;
    default:
        break;
    }
}

/* What this file gives a level's table. */
static void put_act(kn_kernels *k)
{
    k->activate = activate;
    k->activate_grad = activate_grad;
}

#endif
