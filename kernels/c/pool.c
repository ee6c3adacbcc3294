/* pool.c - pooling of pictures whose channels lie together. */
#include "kernels/c/math.h"
#include "kernels/c/panel.h"
#include "kernels/levels.h"

static void store_as(void *p, kn_type type, size_t i, float x)
{
    if (type == KN_BF16)
        ((uint16_t *)p)[i] = to_bf16(x);
    else
        ((float *)p)[i] = x;
}

static void maxpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    uint32_t s, uint32_t p, void *out)
{
    const uint32_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
    for (uint32_t i = 0; i < oh * ow * c; i++) {
        const uint32_t ch = i % c, ox = i / c % ow, oy = i / c / ow;
        float most = -INFINITY;
        for (uint32_t y = oy * s; y < oy * s + k; y++)
            for (uint32_t x = ox * s; x < ox * s + k; x++) {
                if (y < p || y - p >= h || x < p || x - p >= w)
                    continue;
                const float v = load_as(in, type, ((size_t)(y - p) * w + (x - p)) * c + ch);
                most = v > most ? v : most;
            }
        store_as(out, type, i, most);
    }
}

/* The place in the input of the window's greatest pixel, the first of several. */
static size_t greatest(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c,
                       const uint32_t y0[2], uint32_t k, uint32_t p, uint32_t ch)
{
    size_t best = 0;
    float most = -INFINITY;
    int any = 0;
    for (uint32_t y = y0[0]; y < y0[0] + k; y++)
        for (uint32_t x = y0[1]; x < y0[1] + k; x++) {
            if (y < p || y - p >= h || x < p || x - p >= w)
                continue;
            const size_t at = ((size_t)(y - p) * w + (x - p)) * c + ch;
            const float v = load_as(in, type, at);
            if (!any || v > most) {
                most = v;
                best = at;
            }
            any = 1;
        }
    return best;
}

static void maxpool_grad(const void *in, const void *dy, kn_type type, uint32_t h, uint32_t w,
                         uint32_t c, uint32_t k, uint32_t s, uint32_t p, void *dx)
{
    const uint32_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
    for (uint32_t i = 0; i < oh * ow * c; i++) {
        const uint32_t corner[2] = { i / c / ow * s, i / c % ow * s };
        const size_t at = greatest(in, type, h, w, c, corner, k, p, i % c);
        store_as(dx, type, at, load_as(dx, type, at) + load_as(dy, type, i));
    }
}

static void avgpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    void *out)
{
    const uint32_t oh = h / k, ow = w / k;
    for (uint32_t i = 0; i < oh * ow * c; i++) {
        const uint32_t ch = i % c, ox = i / c % ow, oy = i / c / ow;
        float sum = 0;
        for (uint32_t y = oy * k; y < oy * k + k; y++)
            for (uint32_t x = ox * k; x < ox * k + k; x++)
                sum += load_as(in, type, ((size_t)y * w + x) * c + ch);
        store_as(out, type, i, sum / (float)(k * k));
    }
}

static void meanpool(const void *in, kn_type type, size_t n, uint32_t c, float *out)
{
    for (uint32_t ch = 0; ch < c; ch++) {
        float sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += load_as(in, type, i * c + ch);
        out[ch] = sum / (float)n;
    }
}

void kn_pool_c(kn_kernels *k)
{
    k->maxpool = maxpool;
    k->maxpool_grad = maxpool_grad;
    k->avgpool = avgpool;
    k->meanpool = meanpool;
}
