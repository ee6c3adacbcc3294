/* batch.c - batch normalisation of maps, one channel at a time. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"

static void store(void *p, kn_type type, size_t i, float x)
{
    if (type == KN_BF16)
        ((uint16_t *)p)[i] = to_bf16(x);
    else
        ((float *)p)[i] = x;
}

static void moments(const void *x, kn_type type, size_t rows, size_t c, const float *shift,
                    float *sum, float *square)
{
    for (size_t j = 0; j < c; j++)
        sum[j] = square[j] = 0;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < c; j++) {
            const float d = load_as(x, type, i * c + j) - shift[j];
            sum[j] += d;
            square[j] += d * d;
        }
}

static void affine(const void *x, kn_type type, size_t rows, size_t c, const float *scale,
                   const float *shift, const void *residual, int relu, void *y)
{
    for (size_t i = 0; i < rows * c; i++) {
        float v = load_as(x, type, i) * scale[i % c] + shift[i % c];
        if (residual)
            v += load_as(residual, type, i);
        store(y, type, i, relu && v < 0 ? 0 : v);
    }
}

/* What passes the relu, whose output is y. */
static float passed(const void *dy, const void *y, kn_type type, size_t i)
{
    return y && !(load_as(y, type, i) > 0) ? 0 : load_as(dy, type, i);
}

static void affine_sums(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *mean, float *sum, float *product)
{
    for (size_t j = 0; j < c; j++)
        sum[j] = product[j] = 0;
    for (size_t i = 0; i < rows * c; i++) {
        const float g = passed(dy, y, type, i);
        sum[i % c] += g;
        product[i % c] += g * (load_as(x, type, i) - mean[i % c]);
    }
}

static void affine_grad(const void *dy, const void *y, const void *x, kn_type type, size_t rows,
                        size_t c, const float *a, const float *b, const float *d, void *dx,
                        void *dres, int add)
{
    for (size_t i = 0; i < rows * c; i++) {
        const float g = passed(dy, y, type, i);
        if (dres)
            store(dres, type, i, add ? load_as(dres, type, i) + g : g);
        store(dx, type, i, a[i % c] * g + (b[i % c] * load_as(x, type, i) + d[i % c]));
    }
}

static void sum_rows(const float *const *rows, size_t count, size_t c, kn_type type, void *out, int add)
{
    for (size_t j = 0; j < c; j++) {
        float sum = add ? load_as(out, type, j) : 0;
        for (size_t i = 0; i < count; i++)
            sum += rows[i][j];
        store(out, type, j, sum);
    }
}

void kn_batch_c(kn_kernels *k)
{
    k->sum_rows = sum_rows;
    k->moments = moments;
    k->affine = affine;
    k->affine_sums = affine_sums;
    k->affine_grad = affine_grad;
}
