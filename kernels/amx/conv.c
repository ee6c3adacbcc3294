/* conv.c - convolution: the matrix product's tiles, rows gathered while packing. */
#include "kernels/amx/core.h"
#include "kernels/amx/tile.h"
#include "kernels/avx512bf16/core.h"
#include "kernels/levels.h"

static void conv(const kn_conv *c, size_t m0, size_t m1)
{
    const kn_core *core = kn_core_amx(&c->g);
    if (!core) {
        kn_product_conv(kn_core_avx512bf16(&c->g), c, m0, m1);
        return;
    }
    tile_begin();
    kn_product_conv(core, c, m0, m1);
    tile_release();
}

void kn_conv_amx(kn_kernels *k)
{
    k->conv = conv;
}
