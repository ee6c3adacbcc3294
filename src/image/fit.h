/* fit.h - resize and crop as a plan that takes rows as they come. */
#ifndef IMAGE_FIT_H
#define IMAGE_FIT_H

#include "image/image.h"
#include "image/resample.h"

/* From a picture of (width, height): resized to (to_w, to_h), of which the window at (left, top) of
 * (w, h) is wanted; parts of the window outside the resized picture are filled. */
typedef struct kn_window {
    uint32_t width, height, to_w, to_h;
    int32_t left, top;
    uint32_t w, h;
    kn_filter filter;
    uint8_t fill[3];
} kn_window;

/* What a model's preprocessing asks of a picture of that size. */
void kn_window_of(kn_window *out, const kn_prep *p, uint32_t width, uint32_t height);

typedef struct kn_fitter kn_fitter;
/* out (h, w, 3), borrowed until the end. */
KEN_CALL ken_status kn_fitter_new(kn_fitter **f, const kn_window *w, uint8_t *out);
/* Rows of the picture, in order, each once; those that nothing needs cost nothing. */
KEN_CALL ken_status kn_fitter_rows(kn_fitter *f, const uint8_t *rgb, size_t stride, uint32_t first, uint32_t n);
const kn_window *kn_fitter_window(const kn_fitter *f);
void kn_fitter_end(kn_fitter *f); /* the vertical pass: fills out */
void kn_fitter_free(kn_fitter *f);

#endif
