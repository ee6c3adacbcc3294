/* fit.h - resize and crop as a plan that takes rows as they come. */
#ifndef IMAGE_FIT_H
#define IMAGE_FIT_H

#include "image/image.h"

/* From an upright picture of (width, height): resized to (to_w, to_h), of which the window at
 * (left, top) of (w, h) is wanted; parts of the window outside the resized picture are filled. */
typedef struct kn_window {
    uint32_t width, height, to_w, to_h;
    int32_t left, top;
    uint32_t w, h;
    kn_filter filter;
    uint8_t fill[3];
} kn_window;

/* What a model's preprocessing asks of a picture of that size. */
void kn_window_of(kn_window *out, const kn_prep *p, uint32_t width, uint32_t height);

/* Pixels of the picture as it is stored: x0 <= x < x1, y0 <= y < y1. */
typedef struct kn_part {
    uint32_t x0, x1, y0, y1;
} kn_part;

/* fitter.c.  The picture comes as it is stored, `orientation` (1..8) turns it upright on the way.
 * out (h, w, 3), borrowed until the end. */
typedef struct kn_fitter kn_fitter;
KEN_CALL ken_status kn_fitter_new(kn_fitter **f, const kn_window *w, int orientation, uint8_t *out);
/* What it will look at; other pixels may hold anything, other rows need not come. */
kn_part kn_fitter_part(const kn_fitter *f);
/* Rows of the stored picture, in order, each once. */
void kn_fitter_rows(kn_fitter *f, const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n);
void kn_fitter_end(kn_fitter *f); /* after the last row: out is complete */
void kn_fitter_free(kn_fitter *f);

#endif
