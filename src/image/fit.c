/*
 * fit.c - resize and crop, computing only what the crop needs.
 *
 * Rows go through the horizontal pass as they come from the decoder, into a buffer as wide as the
 * crop; the vertical pass follows at the end.  Every byte is that of resizing the whole picture and
 * cropping it.  The whole picture is kept only where the passes change places, and for NEAREST.
 */
#include "image/fit.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/decode.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

struct kn_fitter {
    kn_window win;
    uint8_t *out;
    uint32_t x0, y0, w, h;   /* the part of the resized picture that is wanted */
    uint8_t *to;             /* where it goes in out */
    kn_axis across, down;
    int pass_h, pass_v, whole; /* which passes there are; whole: keep the picture */
    uint32_t lowest, end;    /* rows of the picture that are needed */
    uint8_t *rows;           /* (end - lowest, row_bytes): after the horizontal pass, or as they came */
    size_t row_bytes;
    uint8_t *low;            /* between the passes when they have changed places */
};

/* ---- which window ---- */

static uint32_t at_least_one(uint32_t x)
{
    return x ? x : 1;
}

/* Python's round(): halves to even. */
static int32_t half_margin(int64_t size, int64_t crop, int hf)
{
    const int64_t d = size - crop;
    if (d < 0) /* padded first: (crop - size) / 2 on this side */
        return -(int32_t)((-d) / 2);
    if (hf)
        return (int32_t)(d / 2);
    return (int32_t)nearbyint((double)d / 2.0);
}

void kn_window_of(kn_window *out, const kn_prep *p, uint32_t width, uint32_t height)
{
    *out = (kn_window){ .width = width, .height = height, .to_w = p->resize[1], .to_h = p->resize[0], .w = p->crop[1],
                        .h = p->crop[0], .filter = p->filter };
    memcpy(out->fill, p->fill, sizeof out->fill);
    const uint64_t s = p->resize[0];
    if (p->fit == KN_FIT_SHORT && width <= height) { /* int(s * long / short), truncated */
        out->to_w = (uint32_t)s;
        out->to_h = at_least_one((uint32_t)((double)(s * height) / (double)width));
    } else if (p->fit == KN_FIT_SHORT) {
        out->to_h = (uint32_t)s;
        out->to_w = at_least_one((uint32_t)((double)(s * width) / (double)height));
    } else if (p->fit == KN_FIT_LONGEST) {
        const double scale = (double)s / (width > height ? width : height);
        out->to_w = at_least_one((uint32_t)nearbyint(width * scale));
        out->to_h = at_least_one((uint32_t)nearbyint(height * scale));
    }
    out->left = half_margin(out->to_w, out->w, p->hf_crop);
    out->top = half_margin(out->to_h, out->h, p->hf_crop);
}

/* ---- the plan ---- */

static void place(kn_fitter *f)
{
    const kn_window *w = &f->win;
    const int32_t pad_x = w->left < 0 ? -w->left : 0, pad_y = w->top < 0 ? -w->top : 0;
    f->x0 = w->left > 0 ? (uint32_t)w->left : 0;
    f->y0 = w->top > 0 ? (uint32_t)w->top : 0;
    f->w = w->to_w - f->x0 < w->w - (uint32_t)pad_x ? w->to_w - f->x0 : w->w - (uint32_t)pad_x;
    f->h = w->to_h - f->y0 < w->h - (uint32_t)pad_y ? w->to_h - f->y0 : w->h - (uint32_t)pad_y;
    f->to = f->out + 3 * ((size_t)pad_y * w->w + (size_t)pad_x);
    if (f->w < w->w || f->h < w->h)
        for (size_t i = 0; i < (size_t)w->w * w->h; i++)
            memcpy(f->out + 3 * i, w->fill, 3);
}

/* Pillow 13's rule, found by trying: 1,981 random shapes agree.  Older releases change the order only
 * where the height is over a hundred times the width. */
static int vertical_first(const kn_window *w)
{
    return w->to_h < w->height &&
           (int64_t)w->height - w->to_h > 2 * ((int64_t)w->width - (int64_t)w->to_w);
}

static ken_status plan(kn_fitter *f)
{
    const kn_window *w = &f->win;
    ken_status st = KEN_OK;
    f->pass_h = w->to_w != w->width;
    f->pass_v = w->to_h != w->height;
    f->whole = w->filter == KN_NEAREST ? f->pass_h || f->pass_v : f->pass_h && vertical_first(w);
    f->lowest = f->whole ? 0 : f->y0;
    f->end = f->whole ? w->height : f->y0 + f->h;
    f->row_bytes = 3 * (size_t)(f->whole ? w->width : f->w);
    if (w->filter != KN_NEAREST && f->pass_h)
        st = kn_axis_make(&f->across, w->width, w->to_w, f->x0, f->w, w->filter);
    if (!st && w->filter != KN_NEAREST && f->pass_v)
        st = kn_axis_make(&f->down, w->height, w->to_h, f->y0, f->h, w->filter);
    if (st)
        return st;
    if (!f->whole && f->pass_v) {
        f->lowest = f->down.lowest;
        f->end = f->down.end;
        kn_axis_rebase(&f->down);
    }
    const int turned = f->whole && w->filter != KN_NEAREST;
    f->rows = kn_alloc_aligned(f->end - f->lowest, f->row_bytes);
    f->low = turned ? kn_alloc_aligned(f->h, f->row_bytes) : NULL;
    return f->rows && (f->low || !turned) ? KEN_OK : KEN_E_NOMEM;
}

ken_status kn_fitter_new(kn_fitter **out, const kn_window *w, uint8_t *pixels)
{
    kn_fitter *f = kn_zalloc(1, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    f->win = *w;
    f->out = pixels;
    place(f);
    ken_status st = plan(f);
    if (st) {
        kn_fitter_free(f);
        return st;
    }
    *out = f;
    return KEN_OK;
}

void kn_fitter_free(kn_fitter *f)
{
    if (!f)
        return;
    kn_axis_release(&f->across);
    kn_axis_release(&f->down);
    kn_free(f->rows);
    kn_free(f->low);
    kn_free(f);
}

const kn_window *kn_fitter_window(const kn_fitter *f)
{
    return &f->win;
}

/* ---- passes ---- */

static void horizontal(const kn_axis *a, const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, uint32_t n)
{
    const kn_resample r = { .in = in, .in_stride = in_stride, .out = out, .out_stride = out_stride, .width = a->n,
                            .height = n, .channels = 3, .first = a->first, .count = a->count, .coeff = a->coeff,
                            .taps = a->taps };
    kn_kernels_get()->resample_h(&r);
}

static void vertical(const kn_axis *a, const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride, uint32_t w)
{
    const kn_resample r = { .in = in, .in_stride = in_stride, .out = out, .out_stride = out_stride, .width = w,
                            .height = a->n, .channels = 3, .first = a->first, .count = a->count, .coeff = a->coeff,
                            .taps = a->taps };
    kn_kernels_get()->resample_v(&r);
}

ken_status kn_fitter_rows(kn_fitter *f, const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n)
{
    const uint32_t from = first > f->lowest ? first : f->lowest, to = first + n < f->end ? first + n : f->end;
    if (from >= to)
        return KEN_OK;
    const uint8_t *in = rgb + (size_t)(from - first) * stride;
    uint8_t *keep = f->rows + (size_t)(from - f->lowest) * f->row_bytes;
    if (f->pass_h && !f->whole) {
        horizontal(&f->across, in, stride, keep, f->row_bytes, to - from);
        return KEN_OK;
    }
    if (!f->whole)
        in += 3 * (size_t)f->x0;
    for (uint32_t y = from; y < to; y++, in += stride, keep += f->row_bytes)
        memcpy(keep, in, f->row_bytes);
    return KEN_OK;
}

/* Where output pixel `at` looks: Pillow adds the step again and again, in double. */
static double nearest_start(uint32_t at, double step)
{
    double x = 0.5 * step;
    for (uint32_t i = 0; i < at; i++)
        x += step;
    return x;
}

static void nearest(const kn_fitter *f)
{
    const kn_window *w = &f->win;
    const double sx = (double)w->width / w->to_w, sy = (double)w->height / w->to_h;
    double v = nearest_start(f->y0, sy);
    for (uint32_t y = 0; y < f->h; y++, v += sy) {
        const uint8_t *row = f->rows + (uint32_t)v * f->row_bytes;
        double u = nearest_start(f->x0, sx);
        for (uint32_t x = 0; x < f->w; x++, u += sx)
            memcpy(f->to + 3 * ((size_t)y * w->w + x), row + 3 * (size_t)(uint32_t)u, 3);
    }
}

/* The vertical pass first, over all columns, then the horizontal one. */
static void turned(const kn_fitter *f)
{
    vertical(&f->down, f->rows, f->row_bytes, f->low, f->row_bytes, f->win.width);
    horizontal(&f->across, f->low, f->row_bytes, f->to, 3 * (size_t)f->win.w, f->h);
}

void kn_fitter_end(kn_fitter *f)
{
    const size_t stride = 3 * (size_t)f->win.w;
    if (f->whole && f->win.filter == KN_NEAREST)
        nearest(f);
    else if (f->whole)
        turned(f);
    else if (f->pass_v)
        vertical(&f->down, f->rows, f->row_bytes, f->to, stride, f->w);
    else
        for (uint32_t y = 0; y < f->h; y++)
            memcpy(f->to + y * stride, f->rows + y * f->row_bytes, f->row_bytes);
}

/* ---- whole pictures ---- */

static ken_status fit_window(const ken_image *img, const kn_window *w, uint8_t *out)
{
    kn_fitter *f;
    ken_status st = kn_fitter_new(&f, w, out);
    if (st)
        return st;
    st = kn_fitter_rows(f, img->pixels, img->stride, 0, img->height);
    kn_fitter_end(f);
    kn_fitter_free(f);
    return st;
}

ken_status kn_image_fit(const ken_image *img, const kn_prep *p, uint8_t *out)
{
    kn_window w;
    kn_window_of(&w, p, img->width, img->height);
    return fit_window(img, &w, out);
}

ken_status kn_image_resize(ken_image **out, const ken_image *img, uint32_t width, uint32_t height, kn_filter filter)
{
    ken_image *to;
    ken_status st = kn_image_new(&to, width, height);
    if (st)
        return st;
    const kn_window w = { .width = img->width, .height = img->height, .to_w = width, .to_h = height, .w = width,
                          .h = height, .filter = filter };
    st = fit_window(img, &w, to->pixels);
    if (st)
        ken_image_free(to);
    else
        *out = to;
    return st;
}

ken_status ken_image_resize(ken_image **out, const ken_image *img, uint32_t width, uint32_t height, const char *filter)
{
    kn_filter f;
    ken_status st = kn_filter_named(&f, filter);
    return st ? st : kn_image_resize(out, img, width, height, f);
}

void kn_prep_table(const kn_prep *p, float table[3][256])
{
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 256; i++) {
            const float x = (float)i / 255.0f;
            table[k][i] = (x - p->mean[k]) / p->std[k];
        }
}

/* ---- straight from a file ---- */

typedef struct stream {
    const kn_prep *prep;
    const kn_source *s;
    uint8_t *out;
    kn_fitter *f;
    int turned; /* the picture does not stand upright: it must be whole */
} stream;

static ken_status stream_begin(uint32_t width, uint32_t height, int orientation, void *cookie)
{
    stream *t = cookie;
    kn_window w;
    t->turned = orientation > 1 && !t->s->opts.no_orient;
    if (t->turned)
        return KEN_E_CANCELED;
    kn_window_of(&w, t->prep, width, height);
    return kn_fitter_new(&t->f, &w, t->out);
}

static ken_status stream_rows(const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n, void *cookie)
{
    return kn_fitter_rows(((stream *)cookie)->f, rgb, stride, first, n);
}

ken_status kn_image_decode_fit(const void *bytes, size_t len, const ken_decode_options *opts, const kn_prep *p,
                               uint8_t *out, uint32_t *width, uint32_t *height)
{
    ken_image *img;
    const char *kind = kn_image_kind(bytes, len);
    if (kind && !strcmp(kind, "jpeg")) {
        kn_source s = { .bytes = bytes, .len = len };
        stream t = { .prep = p, .s = &s, .out = out };
        ken_status st = kn_decode_options(&s.opts, opts);
        if (!st)
            st = kn_stream_jpeg(&s, stream_begin, stream_rows, &t);
        if (!st && t.f) {
            *width = kn_fitter_window(t.f)->width;
            *height = kn_fitter_window(t.f)->height;
            kn_fitter_end(t.f);
        }
        kn_fitter_free(t.f);
        if (!t.turned)
            return st ? kn_fail_in(st, "jpeg") : KEN_OK;
    }
    ken_status st = ken_image_decode(&img, bytes, len, opts);
    if (st)
        return st;
    *width = img->width;
    *height = img->height;
    st = kn_image_fit(img, p, out);
    ken_image_free(img);
    return st;
}
