/*
 * augment_shape.c - turning, blurring, covering and spoiling a square of pixels.
 *
 * In whole numbers where pixels are concerned, so that a machine's libm hardly matters.
 */
#include "image/augment_ops.h"

#include <math.h>
#include <string.h>

enum { MAX_RADIUS = KN_BLUR_RADIUS };

static uint8_t byte_of(float x)
{
    return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)(x + 0.5f);
}

/* ---- geometry ---- */

void kn_affine_matrix(double m[6], double angle, double dx, double dy, double scale, double shear)
{
    const double turn = 3.14159265358979323846 / 180, a = angle * turn, s = shear * turn;
    /* rotation times shear along x, times scale; then its inverse */
    m[0] = (cos(a) - sin(a) * tan(s)) / scale;
    m[1] = (sin(a) + cos(a) * tan(s)) / scale;
    m[3] = -sin(a) / scale;
    m[4] = cos(a) / scale;
    m[2] = -(m[0] * dx + m[1] * dy);
    m[5] = -(m[3] * dx + m[4] * dy);
}

static int32_t inside(int32_t x, uint32_t size)
{
    return x < 0 ? 0 : x >= (int32_t)size ? (int32_t)size - 1 : x;
}

/* Position (x, y) in 1/65536 pixels. */
static void sample(const uint8_t *in, uint32_t size, int64_t x, int64_t y, uint8_t *out)
{
    const int32_t ix = (int32_t)(x >> 16), iy = (int32_t)(y >> 16);
    const int32_t fx = (int32_t)(x >> 8 & 255), fy = (int32_t)(y >> 8 & 255);
    const size_t x0 = 3 * (size_t)inside(ix, size), x1 = 3 * (size_t)inside(ix + 1, size);
    const uint8_t *r0 = in + 3 * (size_t)size * (size_t)inside(iy, size);
    const uint8_t *r1 = in + 3 * (size_t)size * (size_t)inside(iy + 1, size);
    for (size_t c = 0; c < 3; c++) {
        const int32_t up = r0[x0 + c] * (256 - fx) + r0[x1 + c] * fx;
        const int32_t low = r1[x0 + c] * (256 - fx) + r1[x1 + c] * fx;
        out[c] = (uint8_t)((up * (256 - fy) + low * fy + 0x8000) >> 16);
    }
}

void kn_warp(const uint8_t *in, uint32_t size, const double m[6], uint8_t *out)
{
    const double half = ((double)size - 1) / 2, one = 65536;
    const int64_t xx = llrint(m[0] * one), yx = llrint(m[3] * one);
    for (uint32_t j = 0; j < size; j++) {
        const double y = (double)j - half;
        int64_t sx = llrint((m[1] * y + m[2] - m[0] * half + half) * one);
        int64_t sy = llrint((m[4] * y + m[5] - m[3] * half + half) * one);
        for (uint32_t i = 0; i < size; i++, sx += xx, sy += yx, out += 3)
            sample(in, size, sx, sy, out);
    }
}

/* ---- blur ---- */

/* Weights of 2r + 1 taps, summing to 65536; returns r <= MAX_RADIUS. */
static int gaussian(uint32_t weight[2 * MAX_RADIUS + 1], float sigma)
{
    const int r = (int)fminf(fmaxf(ceilf(3 * sigma), 1), MAX_RADIUS);
    double sum = 0;
    uint32_t total = 0;
    for (int i = -r; i <= r; i++)
        sum += exp(-0.5 * i * i / ((double)sigma * (double)sigma));
    for (int i = -r; i <= r; i++) {
        const double w = exp(-0.5 * i * i / ((double)sigma * (double)sigma)) / sum;
        weight[i + r] = (uint32_t)lrint(w * 65536);
        total += weight[i + r];
    }
    weight[r] += 65536 - total;
    return r;
}

/* Rows of n pixels with their borders repeated on both sides, then the taps over them. */
static void blur_row(const uint8_t *in, uint8_t *out, uint32_t n, const uint32_t *weight, int r,
                     uint8_t *wide)
{
    const size_t left = 3 * (size_t)r, row = 3 * (size_t)n;
    for (size_t i = 0; i < left; i += 3) {
        memcpy(wide + i, in, 3);
        memcpy(wide + left + row + i, in + row - 3, 3);
    }
    memcpy(wide + left, in, row);
    for (size_t i = 0; i < row; i++) {
        uint32_t sum = 0x8000;
        for (size_t k = 0; k <= 2 * (size_t)r; k++)
            sum += weight[k] * wide[i + 3 * k];
        out[i] = (uint8_t)(sum >> 16);
    }
}

static void blur_column(const uint8_t *in, uint8_t *out, uint32_t y, uint32_t size,
                        const uint32_t *weight, int r)
{
    enum { PIECE = 64 };
    const size_t row = 3 * (size_t)size;
    for (size_t x = 0; x < row; x += PIECE) {
        const size_t n = row - x < PIECE ? row - x : PIECE;
        uint32_t sum[PIECE];
        for (size_t i = 0; i < n; i++)
            sum[i] = 0x8000;
        for (int k = -r; k <= r; k++) {
            const uint8_t *p = in + (size_t)inside((int32_t)y + k, size) * row + x;
            for (size_t i = 0; i < n; i++)
                sum[i] += weight[k + r] * p[i];
        }
        for (size_t i = 0; i < n; i++)
            out[y * row + x + i] = (uint8_t)(sum[i] >> 16);
    }
}

void kn_blur(uint8_t *rgb, uint32_t size, float sigma, uint8_t *scratch)
{
    uint32_t weight[2 * MAX_RADIUS + 1];
    if (!(sigma > 0.01f))
        return;
    const int r = gaussian(weight, sigma);
    const size_t row = 3 * (size_t)size;
    for (uint32_t y = 0; y < size; y++)
        blur_column(rgb, scratch, y, size, weight, r);
    for (uint32_t y = 0; y < size; y++)
        blur_row(scratch + y * row, rgb + y * row, size, weight, r, scratch + size * row);
}

/* ---- light and noise ---- */

void kn_light_slope(uint8_t *rgb, uint32_t size, float dx, float dy, float slope)
{
    const float step = 2 / (float)size;
    for (uint32_t y = 0; y < size; y++)
        for (uint32_t x = 0; x < size; x++, rgb += 3) {
            const float at = dx * ((float)x * step - 1) + dy * ((float)y * step - 1);
            for (int c = 0; c < 3; c++)
                rgb[c] = byte_of((float)rgb[c] * (1 + slope * at));
        }
}

/* Marsaglia's xorshift64*: each row starts one from the counter's numbers. */
static uint64_t next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1Du;
}

/* The sum of four even bytes is near enough to normal, and bounded: deviation 147.8. */
static int32_t normal(uint32_t w)
{
    return (int32_t)((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24)) - 510;
}

static uint8_t add_noise(uint8_t value, uint32_t w, int32_t gain)
{
    const int32_t x = value + ((normal(w) * gain + 0x8000) >> 16);
    return x < 0 ? 0 : x > 255 ? 255 : (uint8_t)x;
}

void kn_noise(uint8_t *rgb, size_t n, float deviation, kn_rand r)
{
    enum { ROW = 768 };
    const int32_t gain = (int32_t)lrintf(deviation / 147.8017f * 65536);
    for (size_t at = 0; at < 3 * n; at += ROW) {
        const size_t left = 3 * n - at, stop = at + (left < ROW ? left : ROW);
        uint64_t state = kn_rand_u64(&r) | 1;
        for (size_t i = at; i < stop; i += 2) {
            const uint64_t w = next(&state);
            rgb[i] = add_noise(rgb[i], (uint32_t)w, gain);
            if (i + 1 < stop)
                rgb[i + 1] = add_noise(rgb[i + 1], (uint32_t)(w >> 32), gain);
        }
    }
}

/* ---- objects in front ---- */

/* (u, v) from -1 to 1 over the shape. */
static void paint(uint8_t *p, const kn_shape *s, float u, float v)
{
    const ken_image *t = s->texture;
    const float light = 1 - s->shade * v;
    const uint8_t *from = NULL;
    if (t) {
        const size_t x = (size_t)((u + 1) / 2 * (float)t->width);
        const size_t y = (size_t)((v + 1) / 2 * (float)t->height);
        from = t->pixels + (y < t->height ? y : t->height - 1) * t->stride +
               3 * (x < t->width ? x : t->width - 1);
    }
    for (int c = 0; c < 3; c++)
        p[c] = from ? from[c] : byte_of(s->rgb[c] * light);
}

void kn_draw_shape(uint8_t *rgb, uint32_t size, const kn_shape *s)
{
    const float ca = cosf(s->angle), sa = sinf(s->angle), reach = s->rx + s->ry;
    const int32_t x0 = inside((int32_t)(s->x - reach), size),
                  x1 = inside((int32_t)(s->x + reach), size);
    const int32_t y0 = inside((int32_t)(s->y - reach), size),
                  y1 = inside((int32_t)(s->y + reach), size);
    for (int32_t y = y0; y <= y1; y++)
        for (int32_t x = x0; x <= x1; x++) {
            const float dx = (float)x - s->x, dy = (float)y - s->y;
            const float u = (ca * dx + sa * dy) / s->rx, v = (ca * dy - sa * dx) / s->ry;
            if (s->ellipse ? u * u + v * v < 1 : fabsf(u) < 1 && fabsf(v) < 1)
                paint(rgb + 3 * ((size_t)y * size + (size_t)x), s, u, v);
        }
}
