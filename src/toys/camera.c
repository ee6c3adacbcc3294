/*
 * camera.c - from linear light to the bytes of a photograph: lens blur, vignette, exposure, tone, noise
 * of the sensor, and JPEG's quantisation.
 */
#include "toys/toys.h"

#include "base/alloc.h"
#include "base/error.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { CURVE = 4096, CURVE_TOP = 4 }; /* table of the tone curve over linear 0 .. 4 */

struct kn_toy_camera {
    uint32_t side;
    float *light, *spare; /* (side, side, 3) */
    uint8_t *object;      /* (side, side) */
    uint8_t *alone;       /* the same without what is in front, for `hidden` */
    float curve[CURVE + 1];
    float down[8][8],
        across[8][8]; /* of the discrete cosine transform, orthonormal: D and its transpose */
    kn_toy_scene scene;
};

/* sRGB's curve behind a soft shoulder, so that highlights do not clip hard. */
static float tone(float x)
{
    const float y = x < .6f ? x : .6f + .4f * (1 - expf(-(x - .6f) / .4f));
    return y <= .0031308f ? 12.92f * y : 1.055f * powf(y, 1 / 2.4f) - .055f;
}

ken_status kn_toy_camera_new(kn_toy_camera **out, uint32_t side)
{
    if (side < 8 || side > 2048)
        return kn_fail(KEN_E_LIMIT, "a side of %u pixels: 8 .. 2048", side);
    const size_t n = (size_t)side * side;
    kn_toy_camera *c = kn_zalloc(1, sizeof *c);
    if (!c)
        return KEN_E_NOMEM;
    c->side = side;
    c->light = kn_alloc_aligned(3 * n, sizeof *c->light);
    c->spare = kn_alloc_aligned(3 * n, sizeof *c->spare);
    c->object = kn_alloc(n, 1);
    c->alone = kn_alloc(n, 1);
    if (!c->light || !c->spare || !c->object || !c->alone) {
        kn_toy_camera_free(c);
        return KEN_E_NOMEM;
    }
    for (int i = 0; i <= CURVE; i++)
        c->curve[i] = 255 * tone((float)i * CURVE_TOP / CURVE);
    for (int k = 0; k < 8; k++)
        for (int x = 0; x < 8; x++)
            c->down[k][x] = c->across[x][k] =
                (k ? .5f : .35355339f) * cosf((2 * (float)x + 1) * (float)k * .19634954f);
    *out = c;
    return KEN_OK;
}

void kn_toy_camera_free(kn_toy_camera *c)
{
    if (!c)
        return;
    kn_free(c->light);
    kn_free(c->spare);
    kn_free(c->object);
    kn_free(c->alone);
    kn_free(c);
}

/* Three taps, w 1-2w w, along rows and columns; borders repeat. */
static void blur_line(const float *in, float *out, size_t n, size_t step, float w)
{
    for (size_t i = 0; i < n; i++) {
        const float *before = in + (i ? i - 1 : 0) * step,
                    *after = in + (i + 1 < n ? i + 1 : i) * step, *at = in + i * step;
        for (int k = 0; k < 3; k++)
            out[i * step + (size_t)k] = at[k] + w * (before[k] - 2 * at[k] + after[k]);
    }
}

static void blur(kn_toy_camera *c, uint32_t size, float sigma)
{
    const size_t row = 3 * (size_t)size;
    float w = sigma * sigma / 2; /* the variance of three taps is 2 w */
    const int times = w > .24f ? (int)(w / .24f) + 1 : 1;
    w /= (float)times;
    for (int t = 0; t < times; t++) {
        for (uint32_t y = 0; y < size; y++)
            blur_line(c->light + y * row, c->spare + y * row, size, 3, w);
        for (uint32_t y = 0; y < size; y++) {
            const float *at = c->spare + y * row, *up = y ? at - row : at,
                        *down = y + 1 < size ? at + row : at;
            for (size_t i = 0; i < row; i++)
                c->light[y * row + i] = at[i] + w * (up[i] - 2 * at[i] + down[i]);
        }
    }
}

static uint32_t scramble(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* Sum of four bytes, nearly normal: mean 0, deviation 1. */
static float grain(uint32_t h)
{
    const int sum = (int)(h & 255) + (int)(h >> 8 & 255) + (int)(h >> 16 & 255) + (int)(h >> 24);
    return (float)(sum - 510) * (1 / 147.8f);
}

static float develop_value(const kn_toy_camera *c, const kn_toy_view *v, float x)
{
    x = x * v->exposure * (CURVE / (float)CURVE_TOP);
    x = x > 0 ? x < CURVE ? x : CURVE : 0;
    return (c->curve[(int)x] - 118) * v->contrast + 118;
}

/* Linear light to 0 .. 255, in place. */
static void develop(kn_toy_camera *c, const kn_toy_view *v, uint32_t size)
{
    const float half = (float)size / 2;
    for (uint32_t y = 0; y < size; y++)
        for (uint32_t x = 0; x < size; x++) {
            float *p = c->light + 3 * ((size_t)y * size + x);
            const float dx = ((float)x - half) / half, dy = ((float)y - half) / half;
            const float dark = 1 - v->vignette * .5f * (dx * dx + dy * dy);
            for (int k = 0; k < 3; k++)
                p[k] = develop_value(c, v, p[k] * dark);
            const float grey = .3f * p[0] + .59f * p[1] + .11f * p[2];
            const uint32_t seed = scramble((uint32_t)v->seed + (y << 16) + x);
            const float luma = grain(seed);
            for (int k = 0; k < 3; k++) {
                const float own = grain(scramble(seed + (uint32_t)k + 1));
                p[k] = grey + (p[k] - grey) * v->saturation +
                       v->noise * 255 * (.7f * luma + .7f * own);
            }
        }
}

/* ---- JPEG: the loss without the file ---- */

/* Annex K of ITU-T T.81, tables K.1 and K.2. */
static const uint8_t luma_table[64] = { 16,  11,  10,  16, 24,  40,  51,  61,  12,  12,  14,
                                        19,  26,  58,  60, 55,  14,  13,  16,  24,  40,  57,
                                        69,  56,  14,  17, 22,  29,  51,  87,  80,  62,  18,
                                        22,  37,  56,  68, 109, 103, 77,  24,  35,  55,  64,
                                        81,  104, 113, 92, 49,  64,  78,  87,  103, 121, 120,
                                        101, 72,  92,  95, 98,  112, 100, 103, 99 };
static const uint8_t chroma_table[64] = { 17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99,
                                          99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
                                          99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                          99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                          99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99 };

/* out = a b: 8 x 8, a row at a time; out is neither */
static void multiply(float out[8][8], float a[8][8], float b[8][8])
{
    for (int i = 0; i < 8; i++) {
        float row[8] = { 0 };
        for (int j = 0; j < 8; j++)
            for (int k = 0; k < 8; k++)
                row[k] += a[i][j] * b[j][k];
        memcpy(out[i], row, sizeof row);
    }
}

static void quantise(float m[8][8], const uint8_t *table, int scale)
{
    for (int i = 0; i < 64; i++) {
        const int step = (table[i] * scale + 50) / 100;
        const float q = (float)(step < 1 ? 1 : step > 255 ? 255 : step);
        const float x = m[i / 8][i % 8] / q;
        m[i / 8][i % 8] = q * (float)(int)(x + (x < 0 ? -.5f : .5f));
    }
}

/* One 8 x 8 block (parts beyond the picture repeat its edge) through Y Cb Cr, 4:4:4. */
static void jpeg_block(kn_toy_camera *c, uint32_t size, uint32_t x0, uint32_t y0, int scale)
{
    static const float to[3][3] = { { .299f, .587f, .114f },
                                    { -.168736f, -.331264f, .5f },
                                    { .5f, -.418688f, -.081312f } };
    float m[3][8][8], half[8][8];
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t y = y0 + i / 8 < size ? y0 + i / 8 : size - 1,
                       x = x0 + i % 8 < size ? x0 + i % 8 : size - 1;
        const float *p = c->light + 3 * ((size_t)y * size + x);
        for (int k = 0; k < 3; k++)
            m[k][i / 8][i % 8] =
                to[k][0] * p[0] + to[k][1] * p[1] + to[k][2] * p[2] - (k ? 0 : 128);
    }
    for (int k = 0; k < 3; k++) {
        multiply(half, m[k], c->across);
        multiply(m[k], c->down, half);
        quantise(m[k], k ? chroma_table : luma_table, scale);
        multiply(half, m[k], c->down);
        multiply(m[k], c->across, half);
    }
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t y = y0 + i / 8, x = x0 + i % 8;
        if (y >= size || x >= size)
            continue;
        float *p = c->light + 3 * ((size_t)y * size + x);
        const float l = m[0][i / 8][i % 8] + 128, b = m[1][i / 8][i % 8], r = m[2][i / 8][i % 8];
        p[0] = l + 1.402f * r;
        p[1] = l - .344136f * b - .714136f * r;
        p[2] = l + 1.772f * b;
    }
}

static void jpeg(kn_toy_camera *c, uint32_t size, int quality)
{
    const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality; /* as the IJG's library */
    for (uint32_t y = 0; y < size; y += 8)
        for (uint32_t x = 0; x < size; x += 8)
            jpeg_block(c, size, x, y, scale);
}

/* ---- a photograph ---- */

static void measure(kn_toy_camera *c, uint32_t size, kn_toy_truth *truth)
{
    uint32_t x0 = size, y0 = size, x1 = 0, y1 = 0;
    size_t seen = 0, there = 0;
    for (uint32_t y = 0; y < size; y++)
        for (uint32_t x = 0; x < size; x++) {
            const size_t i = (size_t)y * size + x;
            there += c->alone[i] == 0;
            if (c->object[i])
                continue;
            seen++;
            x0 = x < x0 ? x : x0;
            y0 = y < y0 ? y : y0;
            x1 = x >= x1 ? x + 1 : x1;
            y1 = y >= y1 ? y + 1 : y1;
        }
    *truth = (kn_toy_truth){ .visible = (float)seen / ((float)size * (float)size) };
    if (seen) {
        const float box[4] = { (float)x0, (float)y0, (float)(x1 - x0), (float)(y1 - y0) };
        memcpy(truth->box, box, sizeof box);
    }
    if (there)
        truth->hidden = seen < there ? 1 - (float)seen / (float)there : 0;
}

/* The toy alone, to know how much of it is hidden. */
static void look_behind(kn_toy_camera *c, uint32_t size)
{
    kn_toy_scene *s = &c->scene;
    const uint32_t all = s->prims;
    uint32_t n = 0;
    for (uint32_t i = 0; i < all; i++)
        n += s->prim[i].object == 0; /* the toy's own come first */
    if (n == all) { /* nothing else is there */
        memcpy(c->alone, c->object, (size_t)size * size);
        return;
    }
    s->prims = n;
    kn_kernels_get()->toy_rows(s, 0, size, NULL, c->alone);
    s->prims = all;
}

ken_status kn_toy_shoot(kn_toy_camera *c, const kn_toy *t, const kn_toy_view *v, uint32_t size,
                        uint8_t *rgb, uint8_t *mask, kn_toy_truth *truth)
{
    if (size < 8 || size > c->side)
        return kn_fail(KEN_E_LIMIT, "a picture of %u pixels: this camera takes 8 .. %u", size,
                       c->side);
    const size_t n = (size_t)size * size;
    kn_toy_scene_make(&c->scene, t, v, size, size);
    kn_kernels_get()->toy_rows(&c->scene, 0, size, c->light, c->object);
    blur(c, size, v->blur * (float)size / 96 + .12f);
    develop(c, v, size);
    if (v->jpeg)
        jpeg(c, size, v->jpeg);
    for (size_t i = 0; i < 3 * n; i++) {
        const float x = c->light[i] + .5f;
        rgb[i] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
    }
    if (mask)
        for (size_t i = 0; i < n; i++)
            mask[i] = c->object[i] ? 0 : 255;
    if (truth) {
        look_behind(c, size);
        measure(c, size, truth);
    }
    return KEN_OK;
}

ken_status kn_toy_picture(kn_toy_camera *c, uint64_t id, kn_toy_mode mode, uint64_t seed,
                          uint32_t number, uint32_t size, uint8_t *rgb, uint8_t *mask,
                          kn_toy_truth *truth)
{
    kn_toy t;
    kn_toy_view v;
    kn_toy_make(&t, id);
    kn_toy_view_make(&v, &t, mode, seed, number);
    return kn_toy_shoot(c, &t, &v, size, rgb, mask, truth);
}

/* ---- twins ---- */

/* Colours alone: even light, nothing throws a shadow. */
static void shoot_flat(kn_toy_scene *s, const kn_toy *t, const kn_toy_view *v, uint32_t size,
                       float *light, uint8_t *object)
{
    kn_toy_scene_make(s, t, v, size, size);
    for (uint32_t i = 0; i < s->prims; i++)
        s->prim[i].casts = 0;
    for (int i = 0; i < 3; i++) {
        s->light_color[i] = 0;
        s->sky[i] = s->ground[i] = 1;
    }
    kn_kernels_get()->toy_rows(s, 0, size, light, object);
}

static int looks_different(const float *p, const float *q)
{
    for (int k = 0; k < 3; k++)
        if (fabsf(p[k] - q[k]) > .02f + .1f * fmaxf(p[k], q[k]))
            return 1;
    return 0;
}

ken_status kn_toy_differs(kn_toy_camera *c, const kn_toy *a, const kn_toy *b, const kn_toy_view *v,
                          uint32_t size, float share[2])
{
    if (size < 8 || size > c->side)
        return kn_fail(KEN_E_LIMIT, "a picture of %u pixels: this camera takes 8 .. %u", size,
                       c->side);
    shoot_flat(&c->scene, a, v, size, c->light, c->object);
    shoot_flat(&c->scene, b, v, size, c->spare, c->alone);
    size_t all[2] = { 0 }, changed[2] = { 0 };
    for (size_t i = 0; i < (size_t)size * size; i++) {
        const int on[2] = { c->object[i] == 0, c->alone[i] == 0 };
        const int differ = on[0] != on[1] || looks_different(c->light + 3 * i, c->spare + 3 * i);
        for (int k = 0; k < 2; k++) {
            all[k] += (size_t)on[k];
            changed[k] += (size_t)(on[k] && differ);
        }
    }
    for (int k = 0; k < 2; k++)
        share[k] = all[k] ? (float)changed[k] / (float)all[k] : 0;
    return KEN_OK;
}
