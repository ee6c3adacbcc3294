/* batch.h - batch normalisation of maps (rows, c): lanes are channels. */
#ifndef KERNELS_LANES_BATCH_H
#define KERNELS_LANES_BATCH_H

#include "kernels/lanes/lanes.h"

/* fn once for each type, so that the type is a constant where it is inlined */
#define FOR_TYPE(type, fn, ...) ((type) == KN_BF16 ? fn(KN_BF16, __VA_ARGS__) : fn(KN_F32, __VA_ARGS__))

enum { WIDE = 4 }; /* vectors of channels at a time */

/* What passes the relu, whose output is y. */
INLINE vf passed(kn_type type, const void *dy, const void *y, size_t i, size_t n)
{
    const vf g = load_as(dy, type, i, n);
    return y ? v_where_positive(load_as(y, type, i, n), g) : g;
}

INLINE void moments_of(kn_type type, const void *x, size_t rows, size_t c, size_t ch,
                       const size_t vectors, const float *shift, float *sum, float *square)
{
    vf s[WIDE], q[WIDE], by[WIDE];
    KN_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        s[v] = q[v] = v_set(0);
        by[v] = load_as(shift, KN_F32, ch + v * VL, c - ch - v * VL);
    }
    for (size_t r = 0; r < rows; r++)
        KN_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const vf d = v_sub(load_as(x, type, r * c + ch + v * VL, c - ch - v * VL), by[v]);
            s[v] = v_add(s[v], d);
            q[v] = v_fma(d, d, q[v]);
        }
    KN_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        store_as(sum, KN_F32, ch + v * VL, c - ch - v * VL, s[v]);
        store_as(square, KN_F32, ch + v * VL, c - ch - v * VL, q[v]);
    }
}

INLINE void moments_as(kn_type type, const void *x, size_t rows, size_t c, const float *shift,
                       float *sum, float *square)
{
    size_t ch = 0;
    for (; ch + WIDE * VL <= c; ch += WIDE * VL)
        moments_of(type, x, rows, c, ch, WIDE, shift, sum, square);
    for (; ch < c; ch += VL)
        moments_of(type, x, rows, c, ch, 1, shift, sum, square);
}

static void moments(const void *x, kn_type type, size_t rows, size_t c, const float *shift,
                    float *sum, float *square)
{
    FOR_TYPE(type, moments_as, x, rows, c, shift, sum, square);
}

INLINE void affine_as(kn_type type, const void *x, size_t rows, size_t c, const float *scale,
                      const float *shift, const void *residual, int relu, void *y)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t ch = 0; ch < c; ch += VL) {
            const size_t i = r * c + ch, n = c - ch;
            vf v = v_fma(load_as(x, type, i, n), load_as(scale, KN_F32, ch, n),
                         load_as(shift, KN_F32, ch, n));
            if (residual)
                v = v_add(v, load_as(residual, type, i, n));
            store_as(y, type, i, n, relu ? v_max(v_set(0), v) : v);
        }
}

static void affine(const void *x, kn_type type, size_t rows, size_t c, const float *scale,
                   const float *shift, const void *residual, int relu, void *y)
{
    if (residual)
        FOR_TYPE(type, affine_as, x, rows, c, scale, shift, residual, relu, y);
    else
        FOR_TYPE(type, affine_as, x, rows, c, scale, shift, NULL, relu, y);
}

INLINE void sums_of(kn_type type, const void *dy, const void *y, const void *x, size_t rows, size_t c,
                    size_t ch, const size_t vectors, const float *mean, float *sum, float *product)
{
    vf s[WIDE], q[WIDE], by[WIDE];
    KN_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        s[v] = q[v] = v_set(0);
        by[v] = load_as(mean, KN_F32, ch + v * VL, c - ch - v * VL);
    }
    for (size_t r = 0; r < rows; r++)
        KN_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const size_t i = r * c + ch + v * VL, n = c - ch - v * VL;
            const vf g = passed(type, dy, y, i, n);
            s[v] = v_add(s[v], g);
            q[v] = v_fma(g, v_sub(load_as(x, type, i, n), by[v]), q[v]);
        }
    KN_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        store_as(sum, KN_F32, ch + v * VL, c - ch - v * VL, s[v]);
        store_as(product, KN_F32, ch + v * VL, c - ch - v * VL, q[v]);
    }
}

INLINE void sums_as(kn_type type, const void *dy, const void *y, const void *x, size_t rows, size_t c,
                    const float *mean, float *sum, float *product)
{
    size_t ch = 0;
    for (; ch + WIDE * VL <= c; ch += WIDE * VL)
        sums_of(type, dy, y, x, rows, c, ch, WIDE, mean, sum, product);
    for (; ch < c; ch += VL)
        sums_of(type, dy, y, x, rows, c, ch, 1, mean, sum, product);
}

static void affine_sums(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *mean, float *sum, float *product)
{
    if (y)
        FOR_TYPE(type, sums_as, dy, y, x, rows, c, mean, sum, product);
    else
        FOR_TYPE(type, sums_as, dy, NULL, x, rows, c, mean, sum, product);
}

INLINE void grad_as(kn_type type, const void *dy, const void *y, const void *x, size_t rows, size_t c,
                    const float *a, const float *b, const float *d, void *dx, void *dres, int add)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t ch = 0; ch < c; ch += VL) {
            const size_t i = r * c + ch, n = c - ch;
            const vf g = passed(type, dy, y, i, n);
            const vf rest = v_fma(load_as(b, KN_F32, ch, n), load_as(x, type, i, n),
                                  load_as(d, KN_F32, ch, n));
            if (dres)
                store_as(dres, type, i, n, add ? v_add(load_as(dres, type, i, n), g) : g);
            store_as(dx, type, i, n, v_fma(load_as(a, KN_F32, ch, n), g, rest));
        }
}

static void affine_grad(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *a, const float *b, const float *d, void *dx,
                        void *dres, int add)
{
    if (y)
        FOR_TYPE(type, grad_as, dy, y, x, rows, c, a, b, d, dx, dres, add);
    else
        FOR_TYPE(type, grad_as, dy, NULL, x, rows, c, a, b, d, dx, dres, add);
}

INLINE void rows_as(kn_type type, const float *const *rows, size_t count, size_t c, void *out, int add)
{
    for (size_t j = 0; j < c; j += VL) {
        vf sum = add ? load_as(out, type, j, c - j) : v_set(0);
        for (size_t i = 0; i < count; i++)
            sum = v_add(sum, load_as(rows[i], KN_F32, j, c - j));
        store_as(out, type, j, c - j, sum);
    }
}

static void sum_rows(const float *const *rows, size_t count, size_t c, kn_type type, void *out, int add)
{
    FOR_TYPE(type, rows_as, rows, count, c, out, add);
}

/* What this file gives a level's table. */
static void put_batch(kn_kernels *k)
{
    k->sum_rows = sum_rows;
    k->moments = moments;
    k->affine = affine;
    k->affine_sums = affine_sums;
    k->affine_grad = affine_grad;
}

#endif
