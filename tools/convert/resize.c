/*
 * resize.c - tables of positions as small pictures.
 *
 * torch.nn.functional.interpolate, mode bicubic (ATen UpSample.h, UpSampleKernel.cpp): without
 * antialias four taps of Keys' kernel with a = -0.75, edges repeated; with it, a = -0.5, the
 * support scaled when the table shrinks, and the taps that fall outside left out.
 */
#include "tools/convert/plan.h"

#include "base/alloc.h"

#include <math.h>

static double keys(double x, double a)
{
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* weights (to, from) of one axis */
static void axis(uint32_t from, uint32_t to, cv_resize how, double *weights)
{
    const double scale =
        how == CV_BICUBIC_CORNERS && to > 1 ? (double)(from - 1) / (to - 1) : (double)from / to;
    for (uint32_t i = 0; i < to; i++) {
        double *row = weights + (size_t)i * from, sum = 0;
        for (uint32_t j = 0; j < from; j++)
            row[j] = 0;
        if (how == CV_BICUBIC_ANTIALIAS) {
            const double stretch = scale > 1 ? scale : 1, center = (i + 0.5) * scale;
            for (uint32_t j = 0; j < from; j++)
                sum += row[j] = keys((j + 0.5 - center) / stretch, -0.5);
            for (uint32_t j = 0; j < from; j++)
                row[j] /= sum;
            continue;
        }
        const double at = how == CV_BICUBIC_CORNERS ? i * scale : (i + 0.5) * scale - 0.5;
        const double base = floor(at);
        for (int t = -1; t <= 2; t++) {
            const double j = fmin(fmax(base + t, 0), from - 1.0);
            row[(uint32_t)j] += keys(at - base - t, -0.75);
        }
    }
}

ken_status cv_resize_grid(const float *in, const uint32_t from[2], float *out, const uint32_t to[2],
                          size_t c, cv_resize how)
{
    double *y = kn_alloc((size_t)from[0] * to[0], sizeof *y),
           *x = kn_alloc((size_t)from[1] * to[1], sizeof *x);
    double *sum = kn_alloc(c, sizeof *sum);
    const ken_status st = y && x && sum ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        axis(from[0], to[0], how, y);
        axis(from[1], to[1], how, x);
    }
    for (size_t i = 0; !st && i < (size_t)to[0] * to[1]; i++) {
        const double *wy = y + i / to[1] * from[0], *wx = x + i % to[1] * from[1];
        for (size_t k = 0; k < c; k++)
            sum[k] = 0;
        for (size_t j = 0; j < (size_t)from[0] * from[1]; j++) {
            const double w = wy[j / from[1]] * wx[j % from[1]];
            for (size_t k = 0; w != 0 && k < c; k++)
                sum[k] += w * in[j * c + k];
        }
        for (size_t k = 0; k < c; k++)
            out[i * c + k] = (float)sum[k];
    }
    kn_free(y);
    kn_free(x);
    kn_free(sum);
    return st;
}
