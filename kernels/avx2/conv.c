/* conv.c - convolution: the matrix product's tiles, rows gathered while packing. */
#include "kernels/avx2/core.h"
#include "kernels/levels.h"

static void conv(const kn_conv *c, size_t m0, size_t m1)
{
    kn_product_conv(kn_core_avx2(&c->g), c, m0, m1);
}

void kn_conv_avx2(kn_kernels *k)
{
    k->conv = conv;
}
