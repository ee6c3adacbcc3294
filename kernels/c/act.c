/* act.c - activation functions in place. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

static void activate(float *x, size_t n, kn_act act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = activation(x[i], act);
}

/* d/dx x s(u) = s + u s (1 - s), u = 1.702 x.  Neither s nor 1 - s is a difference. */
static float slope_quickgelu(float x)
{
    const float u = 1.702f * x, e = expf(-fabsf(u)), s = 1 / (1 + e), t = e * s;
    return (x > 0 ? s : t) + u * (s * t);
}

/* d/dx x Phi(x) = Phi(x) + x phi(x) */
static float slope_gelu(float x)
{
    return 0.5f * erfcf(-0.70710678f * x) + x * 0.39894228f * expf(-0.5f * x * x);
}

static float slope(float x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return x > 0 ? 1 : 0;
    case KN_ACT_QUICKGELU:
        return slope_quickgelu(x);
    case KN_ACT_GELU:
        return slope_gelu(x);
    default:
        return 1;
    }
}

static void activate_grad(const float *x, float *dy, size_t n, kn_act act)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= slope(x[i], act);
}

void kn_act_c(kn_kernels *k)
{
    k->activate = activate;
    k->activate_grad = activate_grad;
}
