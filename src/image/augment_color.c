/*
 * augment_color.c - colours as Pillow's ImageEnhance and torchvision change them.
 *
 * Each blends with something plain: brightness with black, contrast with the mean grey, saturation
 * with the grey of each pixel; b + f (x - b) in f32, cut to 0 … 255 and truncated, is Pillow's
 * blend.  Grey is (19595 R + 38470 G + 7471 B + 2^15) / 2^16.  Hue goes through Pillow's 8-bit HSV
 * (the hexcone model: Smith, SIGGRAPH 1978), whose rounding is kept.
 */
#include "image/augment_ops.h"

#include <math.h>

static uint8_t blend(int base, int x, float factor)
{
    const float y = (float)base + factor * (float)(x - base);
    return y <= 0 ? 0 : y >= 255 ? 255 : (uint8_t)y;
}

static int gray_of(const uint8_t *p)
{
    return (int)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
}

static void through(uint8_t *bytes, size_t n, const uint8_t table[256])
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = table[bytes[i]];
}

static void blend_all(uint8_t *rgb, size_t n, int base, float factor)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = blend(base, i, factor);
    through(rgb, 3 * n, table);
}

void kn_adjust_brightness(uint8_t *rgb, size_t n, float factor)
{
    blend_all(rgb, n, 0, factor);
}

void kn_adjust_contrast(uint8_t *rgb, size_t n, float factor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)gray_of(rgb + 3 * i);
    blend_all(rgb, n, n ? (int)((double)sum / (double)n + 0.5) : 0, factor);
}

void kn_adjust_saturation(uint8_t *rgb, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = rgb + 3 * i;
        const int gray = gray_of(p);
        for (int c = 0; c < 3; c++)
            p[c] = blend(gray, p[c], factor);
    }
}

void kn_adjust_gray(uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (uint8_t)gray_of(rgb + 3 * i);
}

/* ---- hue ---- */

static int largest(const uint8_t *p)
{
    const int m = p[0] > p[1] ? p[0] : p[1];
    return m > p[2] ? m : p[2];
}

static int smallest(const uint8_t *p)
{
    const int m = p[0] < p[1] ? p[0] : p[1];
    return m < p[2] ? m : p[2];
}

/* Hue of a pixel that is not grey, 0 … 255. */
static uint8_t hue_of(const uint8_t *p, int most, int least)
{
    const float range = (float)(most - least);
    const float r = (float)(most - p[0]) / range, g = (float)(most - p[1]) / range;
    const float b = (float)(most - p[2]) / range;
    const float h = p[0] == most   ? b - g
                    : p[1] == most ? (float)(2.0 + (double)r - (double)b)
                                   : (float)(4.0 + (double)g - (double)r);
    const double turn = (double)h / 6.0 + 1.0; /* .83 … 1.83 */
    return (uint8_t)((double)(float)(turn < 1 ? turn : turn - 1) * 255.0);
}

static uint8_t rounded(double x)
{
    return (uint8_t)(x + 0.5);
}

static void from_hsv(uint8_t *p, uint8_t h, uint8_t s, uint8_t v)
{
    /* which of v, the falling, the rising and the low value goes to R, G and B in each sixth */
    static const uint8_t place[6][3] = { { 0, 3, 1 }, { 2, 0, 1 }, { 1, 0, 3 },
                                         { 1, 2, 0 }, { 3, 1, 0 }, { 0, 1, 2 } };
    const double sixths = (double)(float)h * 6.0 / 255.0;
    const int sector = (int)sixths;
    const float part = (float)(sixths - (double)sector), sat = (float)((double)s / 255.0);
    const uint8_t x[4] = { v, rounded((double)v * (1.0 - (double)sat)),
                           rounded((double)v * (1.0 - (double)(sat * part))),
                           rounded((double)v * (1.0 - (double)sat * (1.0 - (double)part))) };
    for (int c = 0; c < 3; c++)
        p[c] = x[place[sector % 6][c]];
}

void kn_adjust_hue(uint8_t *rgb, size_t n, float factor)
{
    const uint8_t turn = (uint8_t)(int)(factor * 255);
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = rgb + 3 * i;
        const int most = largest(p), least = smallest(p);
        if (most == least)
            continue;
        const uint8_t s = (uint8_t)((double)((float)(most - least) / (float)most) * 255.0);
        from_hsv(p, (uint8_t)(hue_of(p, most, least) + turn), s, (uint8_t)most);
    }
}

/* ---- light ---- */

void kn_adjust_curve(uint8_t *rgb, size_t n, const float gain[3], float gamma)
{
    uint8_t table[3][256];
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++) {
            const float y = 255 * gain[c] * powf((float)i / 255, gamma) + 0.5f;
            table[c][i] = y >= 255 ? 255 : (uint8_t)y;
        }
    for (size_t i = 0; i < 3 * n; i += 3)
        for (int c = 0; c < 3; c++)
            rgb[i + (size_t)c] = table[c][rgb[i + (size_t)c]];
}
