/* attention.c - the level's part of attend.c: bf16 in tiles, f32 as at level avx512. */
#include "kernels/avx512bf16/attention.h"
#include "kernels/amx/core.h"
#include "kernels/amx/tile.h"
#include "kernels/avx512/core.h"
#include "kernels/levels.h"

static void attention(const kn_attention *a)
{
    const kn_gemm bf16 = { .math = KN_MATH_BF16 };
    if (a->type != KN_BF16) {
        kn_attend_avx512(a);
        return;
    }
    const kn_attend l = attend_pairs(kn_core_amx(&bf16));
    tile_begin();
    kn_attend_heads(&l, a);
    tile_release();
}

void kn_attention_amx(kn_kernels *k)
{
    k->attention = attention;
}
