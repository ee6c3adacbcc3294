/*
 * augment.c - one picture through the operations, in order.
 *
 * The part that is taken is resized once, with antialiasing (torchvision's resized_crop); turns and
 * affine changes are one warp of the small square, everything else works on it in place.
 *
 * Each operation draws from a stream of its own: adding one does not change what the others do.
 */
#include "image/augment.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/rand.h"
#include "image/augment_ops.h"

#include <math.h>
#include <string.h>

/* One picture under way. */
typedef struct work {
    const kn_augment *a;
    kn_augment_key key;
    const ken_image *other;
    uint32_t size;
    uint8_t *rgb, *scratch; /* (size, size, 3) each, scratch with room for a blur */
} work;

/* ---- chance ---- */

static kn_rand draw(kn_augment_key key, kn_augment_op op)
{
    const uint64_t words[3] = { key.seed, key.epoch, (uint64_t)op };
    return kn_rand_at(kn_hash64(words, sizeof words), key.sample);
}

static float between(kn_rand *r, float low, float high)
{
    return low + (high - low) * kn_rand_float(r);
}

static float within(kn_rand *r, const float v[2])
{
    return between(r, v[0], v[1]);
}

static float either_way(kn_rand *r, float most)
{
    return between(r, -most, most);
}

/* Whether the operation is done this time; r goes on behind that draw. */
static int happens(const kn_augment *a, kn_augment_key key, kn_augment_op op, kn_rand *r)
{
    *r = draw(key, op);
    return kn_rand_float(r) < a->op[op].chance;
}

/* ---- which part ---- */

static uint32_t at_least_one(double x)
{
    return x < 1 ? 1 : (uint32_t)x;
}

static kn_box square(uint32_t width, uint32_t height)
{
    const uint32_t side = width < height ? width : height;
    return (kn_box){ (width - side) / 2, (height - side) / 2, side, side };
}

/* The upper or lower part: a square at that edge, near the middle of the other direction. */
static kn_box part_box(uint32_t width, uint32_t height, kn_rand *r)
{
    const double least = width < height ? width : height;
    const uint32_t side = at_least_one(least * (double)between(r, 0.45f, 0.65f));
    const int lower = kn_rand_float(r) < 0.5f;
    const double x = (double)(width - side) * (double)between(r, 0.3f, 0.7f);
    const double y = (double)(height - side) * (double)between(r, 0, 0.15f);
    return (kn_box){ (uint32_t)x, lower ? height - side - (uint32_t)y : (uint32_t)y, side, side };
}

/* torchvision's RandomResizedCrop.get_params: ten tries, then the largest of a fitting shape. */
static kn_box crop_box(const float v[4][2], uint32_t width, uint32_t height, kn_rand *r)
{
    const double area = (double)width * height, proportion = (double)width / height;
    for (int i = 0; i < 10; i++) {
        const double target = area * (double)within(r, v[0]);
        const double ratio = exp((double)between(r, logf(v[1][0]), logf(v[1][1])));
        const double w = rint(sqrt(target * ratio)), h = rint(sqrt(target / ratio));
        if (w >= 1 && w <= width && h >= 1 && h <= height) {
            const uint32_t y = kn_rand_below(r, height - (uint32_t)h + 1);
            const uint32_t x = kn_rand_below(r, width - (uint32_t)w + 1);
            return (kn_box){ x, y, (uint32_t)w, (uint32_t)h };
        }
    }
    double w = width, h = height;
    if (proportion < (double)v[1][0])
        h = rint(w / (double)v[1][0]);
    else if (proportion > (double)v[1][1])
        w = rint(h * (double)v[1][1]);
    const uint32_t iw = at_least_one(w), ih = at_least_one(h);
    return (kn_box){ (width - iw) / 2, (height - ih) / 2, iw, ih };
}

kn_box kn_augment_box(const kn_augment *a, uint32_t width, uint32_t height, kn_augment_key key)
{
    kn_rand r;
    kn_box box = { 0, 0, width, height };
    const int part = happens(a, key, KN_AUG_PART, &r);
    if (part)
        box = part_box(width, height, &r);
    if (happens(a, key, KN_AUG_CROP, &r)) {
        const kn_box in = crop_box(a->op[KN_AUG_CROP].v, box.w, box.h, &r);
        return (kn_box){ box.x + in.x, box.y + in.y, in.w, in.h };
    }
    return part ? box : square(width, height);
}

/* ---- geometry ---- */

static void copy_rows(work *w, const ken_image *from, int flip)
{
    const size_t row = 3 * (size_t)w->size;
    for (size_t y = 0; y < w->size; y++) {
        const uint8_t *in = from->pixels + y * from->stride;
        uint8_t *out = w->rgb + y * row;
        if (!flip) {
            memcpy(out, in, row);
            continue;
        }
        for (size_t x = 0; x < row; x += 3)
            memcpy(out + x, in + row - 3 - x, 3);
    }
}

static ken_status take(work *w, const ken_image *img)
{
    const kn_box b = kn_augment_box(w->a, img->width, img->height, w->key);
    const ken_image view = { b.w, b.h, img->stride,
                             img->pixels + b.y * img->stride + 3 * (size_t)b.x };
    kn_rand r;
    const int flip = happens(w->a, w->key, KN_AUG_FLIP, &r);
    if (b.w == w->size && b.h == w->size) {
        copy_rows(w, &view, flip);
        return KEN_OK;
    }
    ken_image *small = NULL;
    const ken_status st = kn_image_resize(&small, &view, w->size, w->size, KN_BILINEAR);
    if (!st)
        copy_rows(w, small, flip);
    ken_image_free(small);
    return st;
}

static void turn(work *w)
{
    const kn_augment *a = w->a;
    const float(*v)[2] = a->op[KN_AUG_AFFINE].v;
    double angle = 0, dx = 0, dy = 0, scale = 1, shear = 0, m[6];
    kn_rand r;
    const int rotate = happens(a, w->key, KN_AUG_ROTATE, &r);
    if (rotate)
        angle = (double)either_way(&r, a->op[KN_AUG_ROTATE].v[0][1]);
    const int affine = happens(a, w->key, KN_AUG_AFFINE, &r);
    if (affine) {
        angle += (double)either_way(&r, v[0][1]);
        dx = (double)either_way(&r, v[1][1] * (float)w->size);
        dy = (double)either_way(&r, v[1][1] * (float)w->size);
        scale = (double)within(&r, v[2]);
        shear = (double)either_way(&r, v[3][1]);
    }
    if (!rotate && !affine)
        return;
    kn_affine_matrix(m, angle, dx, dy, scale, shear);
    memcpy(w->scratch, w->rgb, 3 * (size_t)w->size * w->size);
    kn_warp(w->scratch, w->size, m, w->rgb);
}

/* ---- things in front ---- */

static void occlude(work *w)
{
    kn_rand r;
    if (!happens(w->a, w->key, KN_AUG_OCCLUDE, &r))
        return;
    const uint32_t count = 1 + kn_rand_below(&r, 3);
    const float side = (float)w->size;
    /* the shares of `count` shapes; half of what lies over the edge is lost, so they are a little
     * larger */
    const float share = within(&r, w->a->op[KN_AUG_OCCLUDE].v[0]) / (float)count * 1.3f;
    for (uint32_t i = 0; i < count; i++) {
        kn_shape s = { .shade = either_way(&r, 0.3f) };
        s.ellipse = kn_rand_float(&r) < 0.5f;
        const float shape = expf(either_way(&r, 0.9f)); /* up to 2.5 to 1 */
        const float half = sqrtf(share * side * side / (s.ellipse ? 3.1416f : 4));
        s.rx = fmaxf(half * sqrtf(shape), 1e-3f);
        s.ry = fmaxf(half / sqrtf(shape), 1e-3f);
        s.x = between(&r, 0, side);
        s.y = between(&r, 0, side);
        s.angle = either_way(&r, 1.5708f);
        for (int c = 0; c < 3; c++)
            s.rgb[c] = between(&r, 0, 255);
        s.texture = kn_rand_float(&r) < 0.5f ? w->other : NULL;
        kn_draw_shape(w->rgb, w->size, &s);
    }
}

/* One colour over a box, as RandomErasing places it. */
static void cut_out(work *w)
{
    kn_rand r;
    if (!happens(w->a, w->key, KN_AUG_CUTOUT, &r))
        return;
    const float v[4][2] = { { w->a->op[KN_AUG_CUTOUT].v[0][0], w->a->op[KN_AUG_CUTOUT].v[0][1] },
                            { 0.3f, 3.3f } };
    const kn_box b = crop_box(v, w->size, w->size, &r);
    uint8_t color[3];
    for (int c = 0; c < 3; c++)
        color[c] = (uint8_t)kn_rand_below(&r, 256);
    for (size_t y = b.y; y < b.y + b.h; y++)
        for (size_t x = b.x; x < b.x + b.w; x++)
            memcpy(w->rgb + 3 * (y * w->size + x), color, 3);
}

/* ---- light and colour ---- */

static void light(work *w)
{
    const kn_augment *a = w->a;
    const size_t n = (size_t)w->size * w->size;
    float gain[3] = { 1, 1, 1 }, gamma = 1;
    kn_rand r;
    const int lit = happens(a, w->key, KN_AUG_LIGHT, &r);
    if (lit) {
        const float x = a->op[KN_AUG_LIGHT].v[0][1];
        const float exposure = exp2f(either_way(&r, x)), warm = either_way(&r, x / 2);
        gain[0] = exposure * exp2f(warm);
        gain[1] = exposure;
        gain[2] = exposure * exp2f(-warm);
        const float from = either_way(&r, 3.14159f);
        kn_light_slope(w->rgb, w->size, cosf(from), sinf(from), between(&r, 0, x));
    }
    const int curved = happens(a, w->key, KN_AUG_GAMMA, &r);
    if (curved)
        gamma = exp2f(either_way(&r, a->op[KN_AUG_GAMMA].v[0][1]));
    if (lit || curved)
        kn_adjust_curve(w->rgb, n, gain, gamma);
}

static float factor(kn_rand *r, float strength)
{
    return between(r, fmaxf(1 - strength, 0), 1 + strength);
}

static void color(work *w)
{
    const float(*v)[2] = w->a->op[KN_AUG_COLOR].v;
    const size_t n = (size_t)w->size * w->size;
    int order[4] = { 0, 1, 2, 3 };
    float f[4];
    kn_rand r;
    if (!happens(w->a, w->key, KN_AUG_COLOR, &r))
        return;
    for (uint32_t i = 4; i > 1; i--) {
        const uint32_t j = kn_rand_below(&r, i);
        const int t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
    for (int i = 0; i < 3; i++)
        f[i] = factor(&r, v[i][1]);
    f[3] = either_way(&r, v[3][1]);
    for (int i = 0; i < 4; i++) {
        static void (*const change[])(uint8_t *, size_t,
                                      float) = { kn_adjust_brightness, kn_adjust_contrast,
                                                 kn_adjust_saturation, kn_adjust_hue };
        if (v[order[i]][1] > 0)
            change[order[i]](w->rgb, n, f[order[i]]);
    }
}

/* ---- the camera ---- */

static ken_status jpeg(work *w)
{
    const ken_image img = { w->size, w->size, 3 * (size_t)w->size, w->rgb };
    ken_image *back = NULL;
    unsigned char *bytes = NULL;
    size_t len = 0;
    kn_rand r;
    if (!happens(w->a, w->key, KN_AUG_JPEG, &r))
        return KEN_OK;
    const int quality = (int)lrintf(within(&r, w->a->op[KN_AUG_JPEG].v[0]));
    ken_status st = kn_image_encode(&bytes, &len, &img, quality);
    if (!st)
        st = ken_image_decode(&back, bytes, len, NULL);
    if (!st)
        copy_rows(w, back, 0);
    ken_image_free(back);
    kn_free(bytes);
    return st;
}

static void soften(work *w)
{
    const size_t n = (size_t)w->size * w->size;
    kn_rand r;
    if (happens(w->a, w->key, KN_AUG_GRAY, &r))
        kn_adjust_gray(w->rgb, n);
    if (happens(w->a, w->key, KN_AUG_BLUR, &r))
        kn_blur(w->rgb, w->size, within(&r, w->a->op[KN_AUG_BLUR].v[0]) * (float)w->size / 224,
                w->scratch);
    if (happens(w->a, w->key, KN_AUG_NOISE, &r)) {
        const float deviation = between(&r, 0, w->a->op[KN_AUG_NOISE].v[0][1]) * 255;
        kn_noise(w->rgb, n, deviation, kn_rand_at(r.seed ^ 1, r.stream));
    }
}

ken_status kn_augment_run(const kn_augment *a, const ken_image *img, const ken_image *other,
                          uint32_t size, kn_augment_key key, uint8_t *out)
{
    work w = { a, key, other, size, out, NULL };
    if (!size)
        return kn_fail(KEN_E_INVALID, "a picture of size 0");
    w.scratch = kn_alloc((size_t)size * size + size + 2 * KN_BLUR_RADIUS, 3);
    if (!w.scratch)
        return KEN_E_NOMEM;
    ken_status st = take(&w, img);
    if (!st) {
        turn(&w);
        occlude(&w);
        light(&w);
        color(&w);
        soften(&w);
        st = jpeg(&w);
        cut_out(&w);
    }
    kn_free(w.scratch);
    return st;
}
