/*
 * resample.c - Pillow's resampling, weights and passes.
 *
 * Source of the rules: python-pillow/Pillow, src/libImaging/Resample.c (facts only).  Weights are
 * computed in double, normalised, and rounded to 22 bits behind the point; the horizontal pass
 * comes first (but see vertical_first in fitter.c) and rounds to 8 bits; a pass that changes nothing is
 * left out.
 */
#include "image/resample.h"

#include "base/alloc.h"
#include "base/error.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { PRECISION = 22 };

static const char *const names[] = {
    "box", "bilinear", "hamming", "bicubic", "lanczos", "nearest"
};

ken_status kn_filter_named(kn_filter *out, const char *name)
{
    for (int i = 0; i <= KN_NEAREST; i++)
        if (!strcmp(name, names[i])) {
            *out = (kn_filter)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID,
                   "no filter '%s': box, bilinear, hamming, bicubic, lanczos, nearest", name);
}

const char *kn_filter_name(kn_filter f)
{
    return names[f];
}

/* ---- weights ---- */

static double sinc(double x)
{
    return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI);
}

static double weight(kn_filter f, double x)
{
    const double a = -0.5; /* Keys' cubic */
    const double t = fabs(x);
    switch (f) {
    case KN_BOX:
        return x > -0.5 && x <= 0.5 ? 1 : 0;
    case KN_BILINEAR:
        return t < 1 ? 1 - t : 0;
    case KN_HAMMING:
        /* the constants are single precision in Pillow */
        return t == 0 ? 1 : t >= 1 ? 0 : sinc(t) * ((double)0.54f + (double)0.46f * cos(t * M_PI));
    case KN_BICUBIC:
        return t < 1   ? ((a + 2) * t - (a + 3)) * t * t + 1
               : t < 2 ? (((t - 5) * t + 8) * t - 4) * a
                       : 0;
    default:
        return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    }
}

static double support_of(kn_filter f)
{
    static const double support[] = { 0.5, 1, 1, 2, 3, 0 };
    return support[f];
}

/* Weights of output pixel `at` into w; returns the first input pixel. */
static uint32_t weigh(double *w, uint32_t *count, uint32_t in, uint32_t at, double scale,
                      kn_filter f)
{
    const double wide = scale < 1 ? 1 : scale, support = support_of(f) * wide,
                 center = (at + 0.5) * scale;
    const double inverse = 1 / wide;
    double sum = 0;
    int low = (int)(center - support + 0.5), high = (int)(center + support + 0.5);
    low = low < 0 ? 0 : low;
    high = high > (int)in ? (int)in : high;
    *count = (uint32_t)(high - low);
    for (int i = 0; i < high - low; i++) {
        w[i] = weight(f, (i + low - center + 0.5) * inverse);
        sum += w[i];
    }
    for (int i = 0; i < high - low && sum != 0; i++)
        w[i] /= sum;
    return (uint32_t)low;
}

static int32_t fixed(double w)
{
    return (int32_t)(w < 0 ? -0.5 + w * (1 << PRECISION) : 0.5 + w * (1 << PRECISION));
}

/* Where output pixel `at` of NEAREST looks: Pillow adds the step again and again, in double. */
static void look_near(kn_axis *a, uint32_t in, uint32_t out, uint32_t from)
{
    const double step = (double)in / out;
    double x = 0.5 * step;
    for (uint32_t i = 0; i < from; i++)
        x += step;
    for (uint32_t i = 0; i < a->n; i++, x += step) {
        a->first[i] = x < in ? (uint32_t)x : in - 1;
        a->count[i] = 1;
        a->coeff[i] = 1 << PRECISION;
    }
}

static void look_wide(kn_axis *a, double *w, uint32_t in, uint32_t out, uint32_t from,
                      kn_filter filter)
{
    for (uint32_t i = 0; i < a->n; i++) {
        a->first[i] = weigh(w, &a->count[i], in, from + i, (double)in / out, filter);
        for (uint32_t k = 0; k < a->count[i]; k++)
            a->coeff[(size_t)i * a->taps + k] = fixed(w[k]);
    }
}

ken_status kn_axis_make(kn_axis *a, uint32_t in, uint32_t out, uint32_t from, uint32_t n,
                        kn_filter filter)
{
    const double scale = (double)in / out, wide = scale < 1 ? 1 : scale;
    *a = (kn_axis){ .n = n, .lowest = in };
    a->taps = (uint32_t)ceil(support_of(filter) * wide) * 2 + 1;
    a->first = kn_alloc(n, sizeof *a->first);
    a->count = kn_alloc(n, sizeof *a->count);
    a->coeff = kn_zalloc((size_t)n * a->taps, sizeof *a->coeff);
    double *w = kn_alloc(a->taps, sizeof *w);
    if (!a->first || !a->count || !a->coeff || !w) {
        kn_free(w);
        kn_axis_release(a);
        return KEN_E_NOMEM;
    }
    if (filter == KN_NEAREST)
        look_near(a, in, out, from);
    else
        look_wide(a, w, in, out, from, filter);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t end = a->first[i] + a->count[i];
        a->lowest = a->first[i] < a->lowest ? a->first[i] : a->lowest;
        a->end = end > a->end ? end : a->end;
    }
    kn_free(w);
    return KEN_OK;
}

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t t = *a;
    *a = *b;
    *b = t;
}

void kn_axis_mirror(kn_axis *a, uint32_t in)
{
    int32_t *c = a->coeff;
    for (uint32_t i = 0, j = a->n - 1; i < j; i++, j--) {
        swap(&a->first[i], &a->first[j]);
        swap(&a->count[i], &a->count[j]);
    }
    for (size_t i = 0, j = (size_t)a->n * a->taps - 1; i < j; i++, j--) {
        const int32_t t = c[i];
        c[i] = c[j];
        c[j] = t;
    }
    for (uint32_t i = 0; i < a->n; i++, c += a->taps) { /* the unused ones now stand in front */
        memmove(c, c + a->taps - a->count[i], a->count[i] * sizeof *c);
        a->first[i] = in - a->first[i] - a->count[i];
    }
    const uint32_t lowest = in - a->end;
    a->end = in - a->lowest;
    a->lowest = lowest;
}

void kn_axis_release(kn_axis *a)
{
    kn_free(a->first);
    kn_free(a->count);
    kn_free(a->coeff);
    *a = (kn_axis){ 0 };
}

void kn_axis_rebase(kn_axis *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        a->first[i] -= a->lowest;
}
