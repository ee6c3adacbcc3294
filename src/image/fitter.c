/*
 * fitter.c - resize, crop and turn upright while rows come in, computing only what the crop needs.
 *
 * Every byte is that of turning the whole picture upright, resizing and cropping it.  What Pillow
 * does across the upright picture is done along whichever stored axis that is, with the weights
 * mirrored where the axis runs the other way; the small result is turned at the end.
 *
 * Between the passes, or before the first, lies a window of rows no higher than twice what one
 * output row looks at, so that a picture of any size passes through the cache.
 *
 * NEAREST is a pass with one weight of 1.
 */
#include "image/fit.h"

#include "base/alloc.h"
#include "image/decode.h"
#include "image/resample.h"
#include "kernels/kernels.h"

#include <string.h>

enum { SLACK_ROWS = 16 };

/* One axis of the stored picture. */
typedef struct side {
    uint32_t in;       /* pixels of the picture */
    uint32_t out;      /* wanted ones of the result */
    uint32_t from, to; /* pixels that are looked at */
    int changes;       /* whether there is a pass */
    kn_axis axis;      /* first counts from `from`; empty without a pass */
} side;

struct kn_fitter {
    uint8_t *to; /* where the wanted part goes in the caller's window */
    size_t to_stride;
    int orientation;
    side across, down;
    int down_first;

    uint8_t *result; /* (down.out, result_stride): `to` itself if the picture is upright */
    size_t result_stride;

    uint8_t *held; /* rows waiting for the vertical pass: held_at .. held_at + held_n - 1 */
    size_t held_stride;
    uint32_t held_at, held_n, held_room;
    uint8_t *line; /* one row between the passes, the vertical one first */
    uint32_t next; /* row of the result that comes next */
};

/* ---- the plan ---- */

/* Pillow 13's rule (python-pillow/Pillow pull request 9549; checked on 3,000 shapes); older releases
 * change the order only where the height is over a hundred times the width. */
static int vertical_first(const kn_window *w)
{
    return w->to_h < w->height &&
           (int64_t)w->height - w->to_h > 2 * ((int64_t)w->width - (int64_t)w->to_w);
}

/* Result pixels at .. at + n - 1 of an upright axis that goes from `in` to `to` pixels. */
static ken_status plan_side(side *s, uint32_t in, uint32_t to, uint32_t at, uint32_t n,
                            kn_filter filter, int mirrored)
{
    *s = (side){ .in = in, .out = n, .changes = in != to };
    if (!s->changes) {
        s->from = mirrored ? in - at - n : at;
        s->to = s->from + n;
        return KEN_OK;
    }
    ken_status st = kn_axis_make(&s->axis, in, to, at, n, filter);
    if (st)
        return st;
    if (mirrored)
        kn_axis_mirror(&s->axis, in);
    s->from = s->axis.lowest;
    s->to = s->axis.end;
    kn_axis_rebase(&s->axis);
    return KEN_OK;
}

static uint32_t most(const kn_axis *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n; i++)
        n = a->count[i] > n ? a->count[i] : n;
    return n;
}

static ken_status make_room(kn_fitter *f)
{
    const size_t row = 3 * (size_t)f->across.out;
    if (f->orientation == 1) {
        f->result = f->to;
        f->result_stride = f->to_stride;
    } else {
        f->result_stride = row;
        f->result = kn_alloc(f->down.out, row);
        if (!f->result)
            return KEN_E_NOMEM;
    }
    if (!f->down.changes)
        return KEN_OK;
    f->held_room = 2 * most(&f->down.axis) + SLACK_ROWS;
    f->held_stride = f->down_first ? 3 * (size_t)(f->across.to - f->across.from) : row;
    f->held = kn_alloc_aligned(f->held_room, f->held_stride);
    f->held_at = f->down.from;
    f->line = f->down_first ? kn_alloc_aligned(1, f->held_stride) : NULL;
    return f->held && (f->line || !f->down_first) ? KEN_OK : KEN_E_NOMEM;
}

/* The wanted part of the resized picture, (x, y, w, h), and where it goes. */
typedef struct place {
    uint32_t x, y, w, h;
} place;

static place place_of(kn_fitter *f, const kn_window *w, uint8_t *out)
{
    const uint32_t pad_x = w->left < 0 ? (uint32_t)-w->left : 0;
    const uint32_t pad_y = w->top < 0 ? (uint32_t)-w->top : 0;
    place p = { .x = w->left > 0 ? (uint32_t)w->left : 0, .y = w->top > 0 ? (uint32_t)w->top : 0 };
    p.w = w->to_w - p.x < w->w - pad_x ? w->to_w - p.x : w->w - pad_x;
    p.h = w->to_h - p.y < w->h - pad_y ? w->to_h - p.y : w->h - pad_y;
    f->to_stride = 3 * (size_t)w->w;
    f->to = out + pad_y * f->to_stride + 3 * (size_t)pad_x;
    if (p.w < w->w || p.h < w->h)
        for (size_t i = 0; i < (size_t)w->w * w->h; i++)
            memcpy(out + 3 * i, w->fill, 3);
    return p;
}

ken_status kn_fitter_new(kn_fitter **out, const kn_window *w, int orientation, uint8_t *pixels)
{
    kn_fitter *f = kn_zalloc(1, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    f->orientation = orientation;
    const place p = place_of(f, w, pixels);
    const int swapped = orientation >= 5;
    side *wide = swapped ? &f->down : &f->across, *high = swapped ? &f->across : &f->down;
    ken_status st =
        plan_side(wide, w->width, w->to_w, p.x, p.w, w->filter, kn_orient_mirrors(orientation, 0));
    if (!st)
        st = plan_side(high, w->height, w->to_h, p.y, p.h, w->filter,
                       kn_orient_mirrors(orientation, 1));
    f->down_first = wide->changes && high->changes && swapped != vertical_first(w);
    if (!st)
        st = make_room(f);
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
    kn_axis_release(&f->across.axis);
    kn_axis_release(&f->down.axis);
    if (f->orientation != 1)
        kn_free(f->result);
    kn_free(f->held);
    kn_free(f->line);
    kn_free(f);
}

kn_part kn_fitter_part(const kn_fitter *f)
{
    return (kn_part){ f->across.from, f->across.to, f->down.from, f->down.to };
}

/* ---- passes ---- */

/* Rows as they come through the horizontal pass, or their wanted columns without one. */
static void across(const side *s, const uint8_t *in, size_t in_stride, uint8_t *out,
                   size_t out_stride, uint32_t n)
{
    const kn_axis *a = &s->axis;
    if (s->changes) {
        const kn_resample r = { .in = in,
                                .in_stride = in_stride,
                                .out = out,
                                .out_stride = out_stride,
                                .width = a->n,
                                .height = n,
                                .channels = 3,
                                .first = a->first,
                                .count = a->count,
                                .coeff = a->coeff,
                                .taps = a->taps };
        kn_kernels_get()->resample_h(&r);
        return;
    }
    for (uint32_t y = 0; y < n; y++)
        memcpy(out + y * out_stride, in + y * in_stride, 3 * (size_t)s->out);
}

/* Row f->next of the vertical pass, from the rows held. */
static void one_row_down(const kn_fitter *f, uint8_t *out)
{
    const kn_axis *a = &f->down.axis;
    const uint32_t zero = 0, skipped = f->held_at - f->down.from;
    const kn_resample r = { .in = f->held + (a->first[f->next] - skipped) * f->held_stride,
                            .in_stride = f->held_stride,
                            .out = out,
                            .out_stride = f->held_stride,
                            .width = (uint32_t)(f->held_stride / 3),
                            .height = 1,
                            .channels = 3,
                            .first = &zero,
                            .count = &a->count[f->next],
                            .coeff = a->coeff + (size_t)f->next * a->taps,
                            .taps = a->taps };
    kn_kernels_get()->resample_v(&r);
}

/* Every row of the result whose last input row is here. */
static void finish_rows(kn_fitter *f)
{
    const kn_axis *a = &f->down.axis;
    const uint32_t have = f->held_at + f->held_n - f->down.from;
    for (; f->next < a->n && a->first[f->next] + a->count[f->next] <= have; f->next++) {
        uint8_t *out = f->result + f->next * f->result_stride;
        if (f->down_first) {
            one_row_down(f, f->line);
            across(&f->across, f->line, f->held_stride, out, f->result_stride, 1);
        } else {
            one_row_down(f, out);
        }
    }
}

/* Let go of rows that nothing will look at again. */
static void forget(kn_fitter *f)
{
    const kn_axis *a = &f->down.axis;
    const uint32_t first = f->next < a->n ? f->down.from + a->first[f->next] : f->down.to;
    uint32_t n = first > f->held_at ? first - f->held_at : 0;
    n = n < f->held_n ? n : f->held_n;
    f->held_n -= n;
    f->held_at += n;
    memmove(f->held, f->held + n * f->held_stride, f->held_n * f->held_stride);
}

static void hold(kn_fitter *f, const uint8_t *in, size_t stride, uint32_t n)
{
    while (n && f->next < f->down.axis.n) {
        if (f->held_n == f->held_room)
            forget(f);
        const uint32_t room = f->held_room - f->held_n, take = n < room ? n : room;
        uint8_t *to = f->held + f->held_n * f->held_stride;
        if (f->down_first)
            for (uint32_t y = 0; y < take; y++)
                memcpy(to + y * f->held_stride, in + y * stride, f->held_stride);
        else
            across(&f->across, in, stride, to, f->held_stride, take);
        f->held_n += take;
        finish_rows(f);
        in += take * stride;
        n -= take;
    }
}

void kn_fitter_rows(kn_fitter *f, const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n)
{
    const uint32_t from = first > f->down.from ? first : f->down.from;
    const uint32_t to = first + n < f->down.to ? first + n : f->down.to;
    if (from >= to)
        return;
    const uint8_t *in = rgb + (from - first) * stride + 3 * (size_t)f->across.from;
    if (f->down.changes)
        hold(f, in, stride, to - from);
    else
        across(&f->across, in, stride, f->result + (from - f->down.from) * f->result_stride,
               f->result_stride, to - from);
}

void kn_fitter_end(kn_fitter *f)
{
    if (f->orientation != 1)
        kn_orient(f->to, f->to_stride, f->result, f->result_stride, f->across.out, f->down.out,
                  f->orientation);
}
