/*
 * vit.h - the vision transformer of CLIP, and plain ones: pixels to features.
 */
#ifndef NN_VIT_H
#define NN_VIT_H

#include "nn/lut.h"
#include "nn/trunk.h"

typedef struct kn_vit {
    kn_vit_config c;
    kn_trunk trunk;
    kn_mat patch;       /* (width, patch * patch * 3) */
    const float *table; /* (grid + 1, width): positions, with the class token and the patches' bias */
    kn_norm ln_pre, ln_post;
    kn_mat proj;        /* n is 0 where there is none */
} kn_vit;

KEN_CALL ken_status kn_vit_load(const kn_source *s, const kn_vit_config *c, kn_vit *out);

/* Bytes that kn_vit_run needs for n pictures. */
size_t kn_vit_bytes(const kn_crew *crew, const kn_vit *v, size_t n);
/* n pictures (H, W, 3) to features (n, dim). */
void kn_vit_run(const kn_crew *crew, const kn_vit *v, const kn_lut *lut, const uint8_t *pixels,
                size_t n, float *out, kn_arena a);

double kn_vit_macs(const kn_vit_config *c);

#endif
