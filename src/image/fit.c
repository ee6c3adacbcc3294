/*
 * fit.c - what a model's preprocessing asks for: torchvision's and Hugging Face's rounding of sizes
 * and margins.  fitter.c does the work, row by row as a JPEG is decoded.
 */
#include "image/fit.h"

#include "base/error.h"
#include "base/parallel.h"
#include "image/decode.h"

#include <math.h>
#include <string.h>

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
    *out = (kn_window){ .width = width,
                        .height = height,
                        .to_w = p->resize[1],
                        .to_h = p->resize[0],
                        .w = p->crop[1],
                        .h = p->crop[0],
                        .filter = p->filter };
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

/* ---- whole pictures ---- */

static ken_status fit_window(const ken_image *img, const kn_window *w, uint8_t *out)
{
    kn_fitter *f;
    ken_status st = kn_fitter_new(&f, w, 1, out);
    if (st)
        return st;
    kn_fitter_rows(f, img->pixels, img->stride, 0, img->height);
    kn_fitter_end(f);
    kn_fitter_free(f);
    return KEN_OK;
}

ken_status kn_image_fit(const ken_image *img, const kn_prep *p, uint8_t *out)
{
    kn_window w;
    kn_window_of(&w, p, img->width, img->height);
    return fit_window(img, &w, out);
}

typedef struct fitting {
    const ken_image *const *imgs;
    const kn_prep *prep;
    size_t bytes; /* of a fitted picture */
    uint8_t *out;
} fitting;

static ken_status fit_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const fitting *f = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++)
        st = kn_image_fit(f->imgs[i], f->prep, f->out + i * f->bytes);
    return st;
}

ken_status kn_images_fit(const ken_image *const *imgs, size_t n, const kn_prep *p, uint32_t threads,
                         uint8_t *out)
{
    fitting f = { imgs, p, (size_t)p->crop[0] * p->crop[1] * 3, out };
    return kn_parallel(n, 1, threads, fit_piece, &f);
}

ken_status kn_image_resize(ken_image **out, const ken_image *img, uint32_t width, uint32_t height,
                           kn_filter filter)
{
    ken_image *to;
    ken_status st = kn_image_new(&to, width, height);
    if (st)
        return st;
    const kn_window w = { .width = img->width,
                          .height = img->height,
                          .to_w = width,
                          .to_h = height,
                          .w = width,
                          .h = height,
                          .filter = filter };
    st = fit_window(img, &w, to->pixels);
    if (st)
        ken_image_free(to);
    else
        *out = to;
    return st;
}

ken_status ken_image_resize(ken_image **out, const ken_image *img, uint32_t width, uint32_t height,
                            const char *filter)
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
    uint32_t width, height; /* upright */
} stream;

static ken_status stream_begin(uint32_t width, uint32_t height, int orientation, kn_want *want,
                               void *cookie)
{
    stream *t = cookie;
    kn_window w;
    const int turn = t->s->opts.no_orient ? 1 : orientation, swapped = turn >= 5;
    t->width = swapped ? height : width;
    t->height = swapped ? width : height;
    kn_window_of(&w, t->prep, t->width, t->height);
    ken_status st = kn_fitter_new(&t->f, &w, turn, t->out);
    if (!st)
        want->part = kn_fitter_part(t->f);
    return st;
}

static ken_status stream_rows(const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n,
                              void *cookie)
{
    kn_fitter_rows(((stream *)cookie)->f, rgb, stride, first, n);
    return KEN_OK;
}

static ken_status stream_fit(stream *t)
{
    ken_status st = kn_stream_jpeg(t->s, stream_begin, stream_rows, t);
    if (!st)
        kn_fitter_end(t->f);
    kn_fitter_free(t->f);
    return st ? kn_fail_in(st, "jpeg") : KEN_OK;
}

ken_status kn_image_decode_fit(const void *bytes, size_t len, const ken_decode_options *opts,
                               const kn_prep *p, uint8_t *out, uint32_t *width, uint32_t *height)
{
    const char *kind = kn_image_kind(bytes, len);
    if (kind && !strcmp(kind, "jpeg")) {
        kn_source s = { .bytes = bytes, .len = len };
        stream t = { .prep = p, .s = &s, .out = out };
        ken_status st = kn_decode_options(&s.opts, opts);
        if (!st)
            st = stream_fit(&t);
        if (!st) {
            *width = t.width;
            *height = t.height;
        }
        return st;
    }
    ken_image *img;
    ken_status st = ken_image_decode(&img, bytes, len, opts);
    if (st)
        return st;
    st = kn_image_fit(img, p, out);
    if (!st) {
        *width = img->width;
        *height = img->height;
    }
    ken_image_free(img);
    return st;
}
