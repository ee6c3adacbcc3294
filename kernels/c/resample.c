/* resample.c - the passes of Pillow's resampling, the definition. */
#include "kernels/levels.h"

enum { PRECISION = 22 };

static uint8_t clip8(int32_t x)
{
    x >>= PRECISION;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

static void resample_h(const kn_resample *r)
{
    for (uint32_t y = 0; y < r->height; y++)
        for (uint32_t x = 0; x < r->width; x++)
            for (uint32_t c = 0; c < r->channels; c++) {
                const uint8_t *in =
                    r->in + y * r->in_stride + (size_t)r->first[x] * r->channels + c;
                int32_t sum = 1 << (PRECISION - 1);
                for (uint32_t k = 0; k < r->count[x]; k++)
                    sum += in[(size_t)k * r->channels] * r->coeff[(size_t)x * r->taps + k];
                r->out[y * r->out_stride + (size_t)x * r->channels + c] = clip8(sum);
            }
}

static void resample_v(const kn_resample *r)
{
    for (uint32_t y = 0; y < r->height; y++)
        for (size_t x = 0; x < (size_t)r->width * r->channels; x++) {
            int32_t sum = 1 << (PRECISION - 1);
            for (uint32_t k = 0; k < r->count[y]; k++)
                sum +=
                    r->in[(r->first[y] + k) * r->in_stride + x] * r->coeff[(size_t)y * r->taps + k];
            r->out[y * r->out_stride + x] = clip8(sum);
        }
}

static void rgb_to_planes(const uint8_t *rgb, size_t n, const float *table, float *out,
                          size_t plane)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            out[c * plane + i] = table[256 * c + rgb[3 * i + c]];
}

void kn_resample_c(kn_kernels *k)
{
    k->resample_h = resample_h;
    k->resample_v = resample_v;
    k->rgb_to_planes = rgb_to_planes;
}
