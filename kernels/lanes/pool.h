/* pool.h - pooling of pictures whose channels lie together: lanes are channels. */
#ifndef KERNELS_LANES_POOL_H
#define KERNELS_LANES_POOL_H

#include "kernels/lanes/lanes.h"

#include <math.h>

/* Pixels y0 .. y1-1 by x0 .. x1-1 of a picture (any, w, c). */
typedef struct window {
    const void *in;
    kn_type type;
    size_t w, c, y0, y1, x0, x1;
} window;

/* Sum or greatest of channels ch .. ch+n-1 over the window, V vectors of them. */
INLINE void reduce(const window *o, size_t ch, size_t n, kn_type type, int sum,
                   const size_t vectors, vf *total)
{
    KN_UNROLL
    for (size_t v = 0; v < vectors; v++)
        total[v] = v_set(sum ? 0 : -INFINITY);
    for (size_t y = o->y0; y < o->y1; y++)
        for (size_t x = o->x0; x < o->x1; x++) {
            const size_t at = (y * o->w + x) * o->c + ch;
            KN_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const vf e = load_as(o->in, type, at + v * VL, n - v * VL);
                total[v] = sum ? v_add(total[v], e) : v_max(e, total[v]);
            }
        }
}

/* All channels of one window to out[at ...]; the sum is divided by `by`. */
INLINE void pool_as(const window *o, kn_type type, int sum, float by, void *out, kn_type out_type,
                    size_t at)
{
    vf total[4];
    size_t ch = 0;
    for (; ch + 4 * VL <= o->c; ch += 4 * VL) {
        reduce(o, ch, 4 * VL, type, sum, 4, total);
        KN_UNROLL
        for (size_t v = 0; v < 4; v++)
            store_as(out, out_type, at + ch + v * VL, VL,
                     sum ? v_div(total[v], v_set(by)) : total[v]);
    }
    for (; ch < o->c; ch += VL) {
        reduce(o, ch, o->c - ch, type, sum, 1, total);
        store_as(out, out_type, at + ch, o->c - ch, sum ? v_div(total[0], v_set(by)) : total[0]);
    }
}

static void pool_max(const window *o, void *out, size_t at)
{
    if (o->type == KN_BF16)
        pool_as(o, KN_BF16, 0, 1, out, KN_BF16, at);
    else
        pool_as(o, KN_F32, 0, 1, out, KN_F32, at);
}

static void pool_mean(const window *o, float by, void *out, kn_type out_type, size_t at)
{
    if (o->type == KN_F32)
        pool_as(o, KN_F32, 1, by, out, KN_F32, at);
    else if (out_type == KN_F32)
        pool_as(o, KN_BF16, 1, by, out, KN_F32, at);
    else
        pool_as(o, KN_BF16, 1, by, out, KN_BF16, at);
}

/* The part of a window of k pixels from `from` - p that lies in 0 .. n-1. */
static void clip(size_t from, size_t k, size_t p, size_t n, size_t *begin, size_t *end)
{
    *begin = from > p ? from - p : 0;
    *end = from + k < p ? 0 : from + k - p;
    *end = *end > n ? n : *end;
}

static void maxpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    uint32_t s, uint32_t p, void *out)
{
    const size_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
    window o = { .in = in, .type = type, .w = w, .c = c };
    for (size_t oy = 0; oy < oh; oy++) {
        clip(oy * s, k, p, h, &o.y0, &o.y1);
        for (size_t ox = 0; ox < ow; ox++) {
            clip(ox * s, k, p, w, &o.x0, &o.x1);
            pool_max(&o, out, (oy * ow + ox) * c);
        }
    }
}

/* One window: dy goes to the first pixel that equals the window's greatest; what is left after it
 * is nothing. */
INLINE void pool_back(const window *o, kn_type type, const void *dy, void *dx, size_t at)
{
    for (size_t ch = 0; ch < o->c; ch += VL) {
        const size_t n = o->c - ch;
        vf most, left = load_as(dy, type, at + ch, n);
        reduce(o, ch, n, type, 0, 1, &most);
        for (size_t y = o->y0; y < o->y1; y++)
            for (size_t x = o->x0; x < o->x1; x++) {
                const size_t i = (y * o->w + x) * o->c + ch;
                const vf here = v_where_equal(load_as(o->in, type, i, n), most, left);
                store_as(dx, type, i, n, v_add(load_as(dx, type, i, n), here));
                left = v_sub(left, here);
            }
    }
}

static void maxpool_grad(const void *in, const void *dy, kn_type type, uint32_t h, uint32_t w,
                         uint32_t c, uint32_t k, uint32_t s, uint32_t p, void *dx)
{
    const size_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
    window o = { .in = in, .type = type, .w = w, .c = c };
    for (size_t oy = 0; oy < oh; oy++) {
        clip(oy * s, k, p, h, &o.y0, &o.y1);
        for (size_t ox = 0; ox < ow; ox++) {
            clip(ox * s, k, p, w, &o.x0, &o.x1);
            if (type == KN_BF16)
                pool_back(&o, KN_BF16, dy, dx, (oy * ow + ox) * c);
            else
                pool_back(&o, KN_F32, dy, dx, (oy * ow + ox) * c);
        }
    }
}

static void avgpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    void *out)
{
    const size_t oh = h / k, ow = w / k;
    for (size_t oy = 0; oy < oh; oy++)
        for (size_t ox = 0; ox < ow; ox++) {
            const window o = { in, type, w, c, oy * k, oy * k + k, ox * k, ox * k + k };
            pool_mean(&o, (float)(k * k), out, type, (oy * ow + ox) * c);
        }
}

static void meanpool(const void *in, kn_type type, size_t n, uint32_t c, float *out)
{
    const window o = { in, type, n, c, 0, 1, 0, n };
    pool_mean(&o, (float)n, out, KN_F32, 0);
}

/* What this file gives a level's table. */
static void put_pool(kn_kernels *k)
{
    k->maxpool = maxpool;
    k->maxpool_grad = maxpool_grad;
    k->avgpool = avgpool;
    k->meanpool = meanpool;
}

#endif
