/* math.h - one number at a time: 16-bit floats and activation functions. */
#ifndef KERNELS_C_MATH_H
#define KERNELS_C_MATH_H

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

static inline uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float from_bf16(uint16_t h)
{
    return bits_float((uint32_t)h << 16);
}

/* Half a unit, less one if the upper half is even, carries into the upper half just when
 * rounding to nearest even does. */
static inline uint16_t to_bf16(float x)
{
    const uint32_t u = float_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* NaN, kept quiet */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) /* infinity and NaN */
        return bits_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    /* 112 is the distance of the two exponents' biases; the product is exact */
    return bits_float(float_bits(bits_float(rest << 13) * 0x1p112f) | sign);
}

/* Adding 2^(e+13) to |x| of binade e rounds to nearest even at f16's last place; below 2^-14
 * that place is 2^-24 whatever e is. */
static inline uint16_t to_f16(float x)
{
    const uint16_t sign = (uint16_t)(float_bits(x) >> 16 & 0x8000);
    const float a = fabsf(x);
    if (a != a)
        return sign | 0x7e00;
    if (a >= 65520) /* half way to 2^16, which would be the next value */
        return sign | 0x7c00;
    const float low = a < 0x1p-14f ? 0x1p-14f : a;
    const float magic = bits_float((float_bits(low) & 0x7f800000) + (13u << 23));
    const float rounded = (a + magic) - magic;
    return (uint16_t)(sign | float_bits(rounded * 0x1p-112f) >> 13);
}

static inline float activation(float x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return x < 0 ? 0 : x;
    case KN_ACT_QUICKGELU:
        return x / (1 + expf(-1.702f * x));
    case KN_ACT_GELU:
        return 0.5f * x * erfcf(-0.70710678f * x); /* 1 + erf(z) = erfc(-z), which keeps small ones */
    default:
        return x;
    }
}

#endif
