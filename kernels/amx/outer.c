/* outer.c - the gradient of weights, bf16 on tiles; f32 is level avx512bf16's. */
#include "kernels/avx512/vec.h"

#include "kernels/amx/core.h"
#include "kernels/amx/tile.h"
#include "kernels/avx512bf16/core.h"
#include "kernels/lanes/outer.h"
#include "kernels/levels.h"

static kn_outer outer(kn_math math)
{
    const kn_gemm g = { .math = math, .w_type = math == KN_MATH_BF16 ? KN_BF16 : KN_F32 };
    const kn_core *core = kn_core_amx(&g);
    return outer_with(core ? core : kn_core_avx512bf16(&g), math);
}

static void turn(kn_math math, const void *dy, size_t ldy, size_t m, size_t n, size_t c0, size_t c1,
                 void *turned)
{
    const kn_outer o = outer(math);
    kn_outer_turn(&o, math, dy, ldy, m, n, c0, c1, turned);
}

static void wgrad(const kn_wgrad *w, size_t p0, size_t p1)
{
    const kn_outer o = outer(w->c.g.math);
    if (w->c.g.math != KN_MATH_BF16) {
        kn_outer_wgrad(&o, w, p0, p1);
        return;
    }
    tile_begin();
    kn_outer_wgrad(&o, w, p0, p1);
    tile_release();
}

void kn_outer_amx(kn_kernels *k)
{
    k->turn = turn;
    k->wgrad = wgrad;
}
