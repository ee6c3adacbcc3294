/* convert.h - between f32 and its 16-bit forms, a vector at a time. */
#ifndef KERNELS_LANES_CONVERT_H
#define KERNELS_LANES_CONVERT_H

#include "kernels/lanes/lanes.h"

static void f32_to_bf16(const float *in, uint16_t *out, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store_bf16(out + i, v_load(in + i));
    if (i < n)
        v_store_bf16_some(out + i, n - i, v_load_some(in + i, n - i));
}

static void bf16_to_f32(const uint16_t *in, float *out, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store(out + i, v_load_bf16(in + i));
    if (i < n)
        v_store_some(out + i, n - i, v_load_bf16_some(in + i, n - i));
}

static void f32_to_f16(const float *in, uint16_t *out, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store_f16(out + i, v_load(in + i));
    if (i < n)
        v_store_f16_some(out + i, n - i, v_load_some(in + i, n - i));
}

static void f16_to_f32(const uint16_t *in, float *out, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        v_store(out + i, v_load_f16(in + i));
    if (i < n)
        v_store_some(out + i, n - i, v_load_f16_some(in + i, n - i));
}

/* What this file gives a level's table. */
static void put_convert(kn_kernels *k)
{
    k->f32_to_bf16 = f32_to_bf16;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f16_to_f32 = f16_to_f32;
}

#endif
