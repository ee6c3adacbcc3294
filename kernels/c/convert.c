/* convert.c - between f32 and its 16-bit forms. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

static void f32_to_bf16(const float *in, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = to_bf16(in[i]);
}

static void bf16_to_f32(const uint16_t *in, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = from_bf16(in[i]);
}

static void f32_to_f16(const float *in, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = to_f16(in[i]);
}

static void f16_to_f32(const uint16_t *in, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = from_f16(in[i]);
}

void kn_convert_c(kn_kernels *k)
{
    k->f32_to_bf16 = f32_to_bf16;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f16_to_f32 = f16_to_f32;
}
