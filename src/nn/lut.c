/* lut.c - one look-up a byte: the exact value, whatever the level. */
#include "nn/lut.h"

void kn_lut_make(kn_lut *l, const kn_kernels *k, const kn_prep *p)
{
    kn_prep_table(p, l->f32);
    k->f32_to_bf16(l->f32[0], l->bf16[0], sizeof l->bf16 / sizeof l->bf16[0][0]);
}

void kn_lut_apply(const kn_lut *l, kn_type type, const uint8_t *rgb, size_t n, void *out)
{
    float *f = out;
    uint16_t *b = out;
    if (type == KN_F32) {
        for (size_t i = 0; i < 3 * n; i += 3)
            for (size_t c = 0; c < 3; c++)
                f[i + c] = l->f32[c][rgb[i + c]];
        return;
    }
    for (size_t i = 0; i < 3 * n; i += 3)
        for (size_t c = 0; c < 3; c++)
            b[i + c] = l->bf16[c][rgb[i + c]];
}
