/* attention.c - the level's part of attend.c: all panels are f32. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/attention.h"
#include "kernels/avx2/core.h"
#include "kernels/levels.h"

static void attention(const kn_attention *a)
{
    const kn_gemm f32 = { .math = KN_MATH_F32, .w_type = KN_F32 }, bf16 = { .math = KN_MATH_BF16 };
    const kn_attend l = attend_f32(a->type, kn_core_avx2(&f32), kn_core_avx2(&bf16)->pack);
    kn_attend_heads(&l, a);
}

void kn_attention_avx2(kn_kernels *k)
{
    k->attention = attention;
}
