/* attention.c - the level's part of attend.c: all panels are f32. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/attention.h"
#include "kernels/avx2/core.h"
#include "kernels/levels.h"

static void attention(const kn_attention *a)
{
    const kn_gemm f32 = { .math = KN_MATH_F32, .w_type = KN_F32 }, bf16 = { .math = KN_MATH_BF16 };
    const int narrow = a->type == KN_BF16;
    const kn_attend l = {
        .core = kn_core_avx2(&f32),
        .type = KN_F32,
        .pack_query = kn_core_avx2(narrow ? &bf16 : &f32)->pack,
        .pack_keys = narrow ? pack_keys_bf16 : pack_keys_f32,
        .pack_values = narrow ? pack_values_bf16 : pack_values_f32,
        .weigh = weigh_f32,
        .store = narrow ? store_bf16 : store_f32,
    };
    kn_attend_heads(&l, a);
}

void kn_attention_avx2(kn_kernels *k)
{
    k->attention = attention;
}
