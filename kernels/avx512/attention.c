/* attention.c - the level's part of attend.c: all panels are f32. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/attention.h"
#include "kernels/avx512/core.h"
#include "kernels/levels.h"

void kn_attention_f32_avx512(const kn_attention *a)
{
    const kn_gemm f32 = { .math = KN_MATH_F32, .w_type = KN_F32 };
    const kn_core *core = kn_core_avx512(&f32);
    const kn_attend l = {
        .core = core,
        .type = KN_F32,
        .pack_query = core->pack,
        .pack_keys = pack_keys_f32,
        .pack_values = pack_values_f32,
        .weigh = weigh_f32,
        .store = store_f32,
    };
    kn_attend_heads(&l, a);
}

/* bf16 rows, widened as they are packed. */
static void attention_bf16(const kn_attention *a)
{
    const kn_gemm f32 = { .math = KN_MATH_F32, .w_type = KN_F32 }, bf16 = { .math = KN_MATH_BF16 };
    const kn_attend l = {
        .core = kn_core_avx512(&f32),
        .type = KN_F32,
        .pack_query = kn_core_avx512(&bf16)->pack,
        .pack_keys = pack_keys_bf16,
        .pack_values = pack_values_bf16,
        .weigh = weigh_f32,
        .store = store_bf16,
    };
    kn_attend_heads(&l, a);
}

static void attention(const kn_attention *a)
{
    if (a->type == KN_BF16)
        attention_bf16(a);
    else
        kn_attention_f32_avx512(a);
}

void kn_attention_avx512(kn_kernels *k)
{
    k->attention = attention;
}
