/* attention.c - the level's part of attend.c: bf16 in pairs, f32 as at level avx512. */
#include "kernels/avx512bf16/attention.h"
#include "kernels/avx512/core.h"
#include "kernels/avx512bf16/core.h"
#include "kernels/levels.h"

static void attention(const kn_attention *a)
{
    const kn_gemm bf16 = { .math = KN_MATH_BF16 };
    if (a->type != KN_BF16) {
        kn_attend_avx512(a);
        return;
    }
    const kn_attend l = attend_pairs(kn_core_avx512bf16(&bf16));
    kn_attend_heads(&l, a);
}

void kn_attention_avx512bf16(kn_kernels *k)
{
    k->attention = attention;
}
