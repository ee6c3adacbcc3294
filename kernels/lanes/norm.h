/* norm.h - normalisations of one row, a vector at a time.
 *
 * Sums run in 4 VL partial sums and are folded in halves, so that each float passes few additions:
 * n / (4 VL) + log2(4 VL). */
#ifndef KERNELS_LANES_NORM_H
#define KERNELS_LANES_NORM_H

#include "kernels/lanes/lanes.h"

#include <math.h>

/* x - minus, squared or not; lanes from the n-th on are zero. */
INLINE vf term(const float *x, size_t n, vf minus, int squared)
{
    vf d = n >= VL ? v_load(x) : v_load_some(x, n);
    if (!squared)
        return d;
    d = v_sub(d, minus);
    if (n < VL)
        d = v_first(n, d, v_set(0));
    return v_mul(d, d);
}

INLINE float sum_of(const float *x, size_t n, float minus, int squared)
{
    const vf m = v_set(minus);
    vf s0 = v_set(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        s0 = v_add(s0, term(x + i, VL, m, squared));
        s1 = v_add(s1, term(x + i + VL, VL, m, squared));
        s2 = v_add(s2, term(x + i + 2 * VL, VL, m, squared));
        s3 = v_add(s3, term(x + i + 3 * VL, VL, m, squared));
    }
    for (; i < n; i += VL)
        s0 = v_add(s0, term(x + i, n - i, m, squared));
    return v_sum(v_add(v_add(s0, s1), v_add(s2, s3)));
}

INLINE vf scaled(const float *x, size_t n, vf mean, vf scale, const float *gamma, const float *beta)
{
    vf y = v_mul(v_sub(load_as(x, KN_F32, 0, n), mean), scale);
    const vf g = gamma ? load_as(gamma, KN_F32, 0, n) : v_set(1);
    return v_fma(y, g, beta ? load_as(beta, KN_F32, 0, n) : v_set(0));
}

INLINE void layernorm_as(const float *x, size_t n, const float *gamma, const float *beta, float eps,
                         void *out, kn_type out_type)
{
    const float mean = sum_of(x, n, 0, 0) / (float)n;
    const vf scale = v_set(1 / sqrtf(sum_of(x, n, mean, 1) / (float)n + eps));
    for (size_t i = 0; i < n; i += VL)
        store_as(out, out_type, i, n - i,
                 scaled(x + i, n - i, v_set(mean), scale, gamma ? gamma + i : NULL,
                        beta ? beta + i : NULL));
}

static void layernorm(const float *x, size_t n, const float *gamma, const float *beta, float eps,
                      void *out, kn_type out_type)
{
    if (out_type == KN_BF16)
        layernorm_as(x, n, gamma, beta, eps, out, KN_BF16);
    else
        layernorm_as(x, n, gamma, beta, eps, out, KN_F32);
}

/* Lanes behind the end hold -infinity, whose exponential is 0. */
static void softmax(float *x, size_t n)
{
    const vf lowest = v_set(-INFINITY);
    vf most = lowest, sum = v_set(0);
    for (size_t i = 0; i < n; i += VL)
        most = v_max(
            n - i >= VL ? v_load(x + i) : v_first(n - i, v_load_some(x + i, n - i), lowest), most);
    most = v_set(v_greatest(most));
    for (size_t i = 0; i < n; i += VL) {
        vf e = v_weight(v_sub(load_as(x, KN_F32, i, n - i), most));
        if (n - i < VL)
            e = v_first(n - i, e, v_set(0));
        sum = v_add(sum, e);
        store_as(x, KN_F32, i, n - i, e);
    }
    sum = v_set(v_sum(sum));
    for (size_t i = 0; i < n; i += VL)
        store_as(x, KN_F32, i, n - i, v_div(load_as(x, KN_F32, i, n - i), sum));
}

static float l2_normalize(float *x, size_t n)
{
    const float norm = sqrtf(sum_of(x, n, 0, 1));
    for (size_t i = 0; i < n && norm > 0; i += VL)
        store_as(x, KN_F32, i, n - i, v_div(load_as(x, KN_F32, i, n - i), v_set(norm)));
    return norm;
}

/* The vector of g = gamma dy. */
INLINE vf pulled(const void *dy, kn_type type, const float *gamma, size_t i, size_t n)
{
    const vf d = load_as(dy, type, i, n);
    return gamma ? v_mul(d, load_as(gamma, KN_F32, i, n)) : d;
}

INLINE void layernorm_grad_as(const void *dy, kn_type type, const float *x, size_t n,
                              const float *gamma, float eps, float *dx, float *dgamma, float *dbeta)
{
    const float mean = sum_of(x, n, 0, 0) / (float)n;
    const float r = 1 / sqrtf(sum_of(x, n, mean, 1) / (float)n + eps);
    const vf m = v_set(mean), scale = v_set(r);
    vf sum = v_set(0), product = v_set(0);
    for (size_t i = 0; i < n; i += VL) {
        const vf d = load_as(dy, type, i, n - i), g = pulled(dy, type, gamma, i, n - i);
        const vf hat = v_mul(v_sub(load_as(x, KN_F32, i, n - i), m), scale);
        sum = v_add(sum, g);
        product = v_fma(g, hat, product);
        store_as(dgamma, KN_F32, i, n - i, v_fma(d, hat, load_as(dgamma, KN_F32, i, n - i)));
        store_as(dbeta, KN_F32, i, n - i, v_add(d, load_as(dbeta, KN_F32, i, n - i)));
    }
    sum = v_set(v_sum(sum) / (float)n);
    product = v_set(v_sum(product) / (float)n);
    for (size_t i = 0; i < n; i += VL) {
        const vf hat = v_mul(v_sub(load_as(x, KN_F32, i, n - i), m), scale);
        const vf d = v_sub(v_sub(pulled(dy, type, gamma, i, n - i), sum), v_mul(hat, product));
        store_as(dx, KN_F32, i, n - i, v_fma(scale, d, load_as(dx, KN_F32, i, n - i)));
    }
}

static void layernorm_grad(const void *dy, kn_type dy_type, const float *x, size_t n,
                           const float *gamma, float eps, float *dx, float *dgamma, float *dbeta)
{
    if (dy_type == KN_BF16)
        layernorm_grad_as(dy, KN_BF16, x, n, gamma, eps, dx, dgamma, dbeta);
    else
        layernorm_grad_as(dy, KN_F32, x, n, gamma, eps, dx, dgamma, dbeta);
}

static void softmax_grad(const float *p, float *dp, size_t n)
{
    vf dot = v_set(0);
    for (size_t i = 0; i < n; i += VL)
        dot = v_fma(load_as(p, KN_F32, i, n - i), load_as(dp, KN_F32, i, n - i), dot);
    dot = v_set(v_sum(dot));
    for (size_t i = 0; i < n; i += VL)
        store_as(dp, KN_F32, i, n - i,
                 v_mul(load_as(p, KN_F32, i, n - i), v_sub(load_as(dp, KN_F32, i, n - i), dot)));
}

/* What this file gives a level's table. */
static void put_norm(kn_kernels *k)
{
    k->layernorm = layernorm;
    k->softmax = softmax;
    k->layernorm_grad = layernorm_grad;
    k->softmax_grad = softmax_grad;
    k->l2_normalize = l2_normalize;
}

#endif
