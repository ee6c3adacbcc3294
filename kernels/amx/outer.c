/* outer.c - the gradient of weights, bf16 on tiles; f32 is level avx512bf16's. */
#include "kernels/avx512/vec.h"

#include "kernels/amx/core.h"
#include "kernels/amx/tile.h"
#include "kernels/avx512bf16/core.h"
#include "kernels/levels.h"

static const kn_core *core_of(const kn_gemm *g)
{
    const kn_core *core = kn_core_amx(g);
    return core ? core : kn_core_avx512bf16(g);
}

#define OUTER_CORE core_of
#include "kernels/lanes/outer.h"

static void wgrad(const kn_wgrad *w, size_t p0, size_t p1)
{
    if (w->c.g.math != KN_MATH_BF16) {
        outer_wgrad(w, p0, p1);
        return;
    }
    tile_begin();
    outer_wgrad(w, p0, p1);
    tile_release();
}

void kn_outer_amx(kn_kernels *k)
{
    k->turn = turn;
    k->wgrad = wgrad;
}
