/*
 * lut.h - 8-bit pixels to what the first matrix product takes.
 */
#ifndef NN_LUT_H
#define NN_LUT_H

#include "image/image.h"
#include "kernels/kernels.h"

/* (u / 255 - mean) / std of each channel and byte, in both types. */
typedef struct kn_lut {
    float f32[3][256];
    uint16_t bf16[3][256];
} kn_lut;
void kn_lut_make(kn_lut *l, const kn_kernels *k, const kn_prep *p);

/* n pixels, interleaved; out (n, 3) of type KN_F32 or KN_BF16. */
void kn_lut_apply(const kn_lut *l, kn_type type, const uint8_t *rgb, size_t n, void *out);

#endif
