/* vec.h - the vector of this level, for the sources in kernels/lanes/ (see lanes/lanes.h). */
#ifndef KERNELS_NEON_VEC_H
#define KERNELS_NEON_VEC_H

#include "kernels/neon/math.h"
#include "kernels/product.h" /* KN_UNROLL */

#include <string.h>

typedef float32x4_t vf;
enum { VL = 4, V_REGISTERS = 32 };

static inline vf v_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}

/* There are no masked moves: the few at the end go through memory. */
static inline vf v_load_some(const float *p, size_t n)
{
    float some[4] = { 0 };
    memcpy(some, p, n * sizeof *p);
    return vld1q_f32(some);
}

static inline void v_store(float *p, vf x)
{
    vst1q_f32(p, x);
}

static inline void v_store_some(float *p, size_t n, vf x)
{
    float some[4];
    vst1q_f32(some, x);
    memcpy(p, some, n * sizeof *p);
}

static inline uint16x4_t load_halves(const uint16_t *p, size_t n)
{
    uint16_t some[4] = { 0 };
    memcpy(some, p, n * sizeof *p);
    return vld1_u16(some);
}

static inline void store_halves(uint16_t *p, size_t n, uint16x4_t x)
{
    uint16_t some[4];
    vst1_u16(some, x);
    memcpy(p, some, n * sizeof *p);
}

static inline vf v_load_bf16(const uint16_t *p)
{
    return v_from_bf16(vld1_u16(p));
}

static inline vf v_load_bf16_some(const uint16_t *p, size_t n)
{
    return v_from_bf16(load_halves(p, n));
}

static inline void v_store_bf16(uint16_t *p, vf x)
{
    vst1_u16(p, v_to_bf16(x));
}

static inline void v_store_bf16_some(uint16_t *p, size_t n, vf x)
{
    store_halves(p, n, v_to_bf16(x));
}

static inline vf v_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf v_load_f16_some(const uint16_t *p, size_t n)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p, n)));
}

static inline void v_store_f16(uint16_t *p, vf x)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline void v_store_f16_some(uint16_t *p, size_t n, vf x)
{
    store_halves(p, n, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline vf v_load_i8_some(const int8_t *p, size_t n)
{
    int8_t some[8] = { 0 };
    memcpy(some, p, n);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(some)))));
}

static inline vf v_load_i8(const int8_t *p)
{
    return v_load_i8_some(p, 4);
}

static inline vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf v_where_positive(vf x, vf y)
{
    const uint32x4_t m = vcgtq_f32(x, vdupq_n_f32(0));
    return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(y)));
}

static inline vf v_where_equal(vf x, vf y, vf z)
{
    return vreinterpretq_f32_u32(vandq_u32(vceqq_f32(x, y), vreinterpretq_u32_f32(z)));
}

/* e^x where that is a normal number, else 0: subnormal factors would cost a multiplication dear. */
static inline vf v_weight(vf x)
{
    const vf least = vdupq_n_f32(-87.0f);
    return vbslq_f32(vcltq_f32(x, least), vdupq_n_f32(0), v_exp(vmaxq_f32(least, x)));
}

static inline vf v_first(size_t n, vf x, vf other)
{
    static const uint32_t lane[4] = { 0, 1, 2, 3 };
    return vbslq_f32(vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)n)), x, other);
}

/* Compilers would rather load x again for each use than keep it. */
static inline vf v_keep(vf x)
{
    __asm__("" : "+w"(x));
    return x;
}

static inline void v_sum4(const vf x[4], float out[4])
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(x[0], x[1]), vpaddq_f32(x[2], x[3])));
}

static inline float v_sum(vf x)
{
    x = vpaddq_f32(x, x);
    return vgetq_lane_f32(vpaddq_f32(x, x), 0);
}

static inline float v_greatest(vf x)
{
    x = v_max(x, vextq_f32(x, x, 2));
    return vgetq_lane_f32(v_max(x, vextq_f32(x, x, 1)), 0);
}

static inline vf low_halves(vf a, vf b)
{
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
}

static inline vf high_halves(vf a, vf b)
{
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
}

static inline void v_transpose(vf x[VL])
{
    const vf a = vtrn1q_f32(x[0], x[1]), b = vtrn2q_f32(x[0], x[1]);
    const vf c = vtrn1q_f32(x[2], x[3]), d = vtrn2q_f32(x[2], x[3]);
    x[0] = low_halves(a, c);
    x[1] = low_halves(b, d);
    x[2] = high_halves(a, c);
    x[3] = high_halves(b, d);
}

#endif
