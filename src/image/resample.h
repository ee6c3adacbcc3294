/* resample.h - the weights of one axis of Pillow's resampling. */
#ifndef IMAGE_RESAMPLE_H
#define IMAGE_RESAMPLE_H

#include "image/image.h"

/* Of output pixels from .. from + n - 1 of an axis that goes from `in` to `out` pixels. */
typedef struct kn_axis {
    uint32_t n, taps;
    uint32_t *first, *count; /* (n) */
    int32_t *coeff;          /* (n, taps), 22 bits behind the point */
    uint32_t lowest, end;    /* input pixels that any of them needs: lowest .. end - 1 */
} kn_axis;

/* KEN_E_NOMEM. */
KEN_CALL ken_status kn_axis_make(kn_axis *a, uint32_t in, uint32_t out, uint32_t from, uint32_t n,
                                 kn_filter filter);
void kn_axis_release(kn_axis *a); /* harmless on a zeroed one */
/* The axis that runs the other way, over a mirrored picture of `in` pixels. */
void kn_axis_mirror(kn_axis *a, uint32_t in);
/* Input positions count from the axis' lowest afterwards. */
void kn_axis_rebase(kn_axis *a);

#endif
