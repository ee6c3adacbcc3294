/* math.h - four floats at a time: exp, activation functions, 16-bit floats. */
#ifndef KERNELS_NEON_MATH_H
#define KERNELS_NEON_MATH_H

#include "kernels/kernels.h"

#include <arm_neon.h>

/* The second where either is NaN. */
static inline float32x4_t v_max(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* x 2^n for whole n in -152..128.  One factor 2^n may not exist, two of half of it do. */
static inline float32x4_t v_scale(float32x4_t x, float32x4_t n)
{
    const int32x4_t i = vcvtq_s32_f32(n), half = vshrq_n_s32(i, 1), bias = vdupq_n_s32(127);
    const int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(i, half), bias), 23);
    return vmulq_f32(vmulq_f32(x, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));
}

/* e^x to 1.2e-7 of itself, infinity above 88.73, 0 below -104; NaN stays NaN.  Range reduction by
 * ln 2 in two parts and the polynomial of Cephes' expf. */
static inline float32x4_t v_exp(float32x4_t x)
{
    x = vminq_f32(vdupq_n_f32(89.0f), x); /* these let NaN pass */
    x = vmaxq_f32(vdupq_n_f32(-105.0f), x);
    const float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(1.44269504f)));
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693359375f));
    r = vfmsq_f32(r, n, vdupq_n_f32(-2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
    p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
    p = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), p, r);
    p = vfmaq_f32(r, p, vmulq_f32(r, r));
    return v_scale(vaddq_f32(p, vdupq_n_f32(1.0f)), n);
}

static inline float32x4_t v_relu(float32x4_t x)
{
    return vmaxq_f32(vdupq_n_f32(0), x);
}

static inline float32x4_t v_quickgelu(float32x4_t x)
{
    const float32x4_t e = v_exp(vmulq_f32(x, vdupq_n_f32(-1.702f)));
    return vdivq_f32(x, vaddq_f32(vdupq_n_f32(1.0f), e));
}

/* The upper tail of the normal distribution, Q(u) = exp(-u^2 / 2) t P(t) with t = 1 / (1 + 0.27 u),
 * u = |x| <= 14, and *e = exp(-u^2 / 2).  P is a minimax fit over u in 0..14 to 2.4e-8 of Q, so that
 * the result keeps its relative accuracy where it is small. */
static inline float32x4_t v_tail(float32x4_t u, float32x4_t *e)
{
    const float32x4_t one = vdupq_n_f32(1.0f);
    const float32x4_t t = vdivq_f32(one, vfmaq_f32(one, u, vdupq_n_f32(0.27f)));
    float32x4_t p = vdupq_n_f32(0.028915278613567352f);
    p = vfmaq_f32(vdupq_n_f32(-0.12625528872013092f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.1692914366722107f), p, t);
    p = vfmaq_f32(vdupq_n_f32(-0.06862100213766098f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.10739944130182266f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.07224029302597046f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.1017591655254364f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.10755050927400589f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.10772018134593964f), p, t);
    *e = v_exp(vmulq_f32(vmulq_f32(u, u), vdupq_n_f32(-0.5f)));
    return vmulq_f32(*e, vmulq_f32(p, t));
}

/* |x|, at most 14: Q(14) < 1e-44 */
static inline float32x4_t v_tail_at(float32x4_t x)
{
    return vminq_f32(vdupq_n_f32(14.0f), vabsq_f32(x));
}

/* x Phi(x) */
static inline float32x4_t v_gelu(float32x4_t x)
{
    const float32x4_t u = v_tail_at(x);
    float32x4_t e;
    return vfmsq_f32(v_relu(x), u, v_tail(u, &e)); /* x > 0: x - x Q(x) */
}

static inline float32x4_t v_activation(float32x4_t x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return v_relu(x);
    case KN_ACT_QUICKGELU:
        return v_quickgelu(x);
    case KN_ACT_GELU:
        return v_gelu(x);
    default:
        return x;
    }
}

static inline float32x4_t v_from_bf16(uint16x4_t h)
{
    return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

/* To nearest even; NaN stays NaN. */
static inline uint16x4_t v_to_bf16(float32x4_t x)
{
    const uint32x4_t u = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), up, quiet), 16);
}

#endif
