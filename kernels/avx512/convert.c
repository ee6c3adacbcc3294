/* convert.c - between f32 and its 16-bit forms, sixteen floats at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/convert.h"
#include "kernels/levels.h"

void kn_convert_avx512(kn_kernels *k)
{
    k->f32_to_bf16 = f32_to_bf16;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f16_to_f32 = f16_to_f32;
}
