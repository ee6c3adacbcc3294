/* conv.c - convolution as a matrix product, the definition. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"

/* Input pixel that kernel position (y, x) meets at output pixel (b, oy, ox): its index, or -1
 * where it lies in the padding. */
static ptrdiff_t pixel(const kn_conv *c, size_t m, uint32_t y, uint32_t x)
{
    const size_t image = m / ((size_t)c->oh * c->ow), at = m % ((size_t)c->oh * c->ow);
    const int64_t iy = (int64_t)(at / c->ow * c->stride) - c->pad + (int64_t)y * c->dilation;
    const int64_t ix = (int64_t)(at % c->ow * c->stride) - c->pad + (int64_t)x * c->dilation;
    if (iy < 0 || iy >= c->h || ix < 0 || ix >= c->w)
        return -1;
    return (ptrdiff_t)((image * c->h + (size_t)iy) * c->w + (size_t)ix);
}

static void add_pixel(const kn_conv *c, size_t p, size_t at, size_t k, float sum[KN_PANEL])
{
    const kn_type type = c->g.math == KN_MATH_BF16 ? KN_BF16 : KN_F32;
    for (size_t ch = 0; ch < c->cin; ch++)
        panel_multiply(&c->g, p, k + ch, load_as(c->g.a, type, at * c->g.lda + ch), sum);
}

static void conv(const kn_conv *c, size_t m0, size_t m1)
{
    for (size_t m = m0; m < m1; m++)
        for (size_t n = 0; n < c->g.n; n += KN_PANEL) {
            float sum[KN_PANEL] = { 0 };
            size_t k = 0;
            for (uint32_t y = 0; y < c->kh; y++)
                for (uint32_t x = 0; x < c->kw; x++, k += c->cin) {
                    const ptrdiff_t at = pixel(c, m, y, x);
                    if (at >= 0)
                        add_pixel(c, n / KN_PANEL, (size_t)at, k, sum);
                }
            for (size_t j = 0; j < KN_PANEL && n + j < c->g.n; j++)
                finish(&c->g, m, n + j, sum[j]);
        }
}

void kn_conv_c(kn_kernels *k)
{
    k->conv = conv;
}
