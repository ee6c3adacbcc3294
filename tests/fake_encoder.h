/*
 * fake_encoder.h - a model small enough to be read at a glance, for tests of collections.
 *
 * Pictures are squashed to 8 x 8; number i of a vector is a fixed pseudo-random sum of their bytes.
 * The model's name is its fingerprint's beginning, so that "a" and "b" are two models.  A text
 * "rgb:R,G,B" gives the vector of a picture of that colour, any other one that its first letters say.
 */
#ifndef FAKE_ENCODER_H
#define FAKE_ENCODER_H

#include "base/alloc.h"
#include "base/error.h"
#include "base/rand.h"
#include "engine/encoder.h"
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { FAKE_SIDE = 8, FAKE_BYTES = FAKE_SIDE * FAKE_SIDE * 3, FAKE_DIM = 24 };

typedef struct fake_model {
    ken_model_info info;
    char name[16], fingerprint[33];
    uint64_t seed;
} fake_model;

static atomic_long fake_encoded; /* pictures, since the start */
static atomic_long fake_open;    /* models that are open */
static long fake_fail_at = -1;   /* this picture fails with KEN_E_DEVICE */
static long fake_stop_at = -1;   /* at this one ken_interrupt() is called */

static const fake_model *fake_of(const ken_model *m)
{
    return (const fake_model *)(const void *)m;
}

static ken_status fake_open_model(ken_model **out, const char *name, const ken_model_options *o)
{
    (void)o;
    if (!strncmp(name, "missing", 7))
        return kn_fail(KEN_E_MODEL, "no model %s", name);
    fake_model *m = kn_zalloc(1, sizeof *m);
    if (!m)
        return KEN_E_NOMEM;
    m->seed = kn_rand_at((uint64_t)name[0], 0).seed;
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->fingerprint, sizeof m->fingerprint, "%02x%030d", (unsigned char)name[0], 0);
    m->info = (ken_model_info){ .name = m->name,
                                .path = m->name,
                                .arch = "fake",
                                .precision = "f32",
                                .fingerprint = m->fingerprint,
                                .dim = FAKE_DIM + (name[0] == 'w' ? 8 : 0), /* "wide" */
                                .input = { FAKE_SIDE, FAKE_SIDE },
                                .has_images = 1,
                                .has_texts = 1 };
    atomic_fetch_add(&fake_open, 1);
    *out = (ken_model *)(void *)m;
    return KEN_OK;
}

static void fake_close(ken_model *m)
{
    atomic_fetch_sub(&fake_open, 1);
    kn_free(m);
}

static const ken_model_info *fake_info(const ken_model *m)
{
    return &fake_of(m)->info;
}

static const kn_prep *fake_prep(const ken_model *m)
{
    static const kn_prep prep = { .fit = KN_FIT_SQUASH,
                                  .resize = { FAKE_SIDE, FAKE_SIDE },
                                  .crop = { FAKE_SIDE, FAKE_SIDE },
                                  .filter = KN_BILINEAR,
                                  .std = { 1, 1, 1 } };
    (void)m;
    return &prep;
}

static ken_status fake_pixels(const ken_model *model, const uint8_t *pixels, size_t n, float *out)
{
    const fake_model *m = fake_of(model);
    const size_t dim = m->info.dim;
    for (size_t p = 0; p < n; p++, pixels += FAKE_BYTES, out += dim) {
        const long now = atomic_fetch_add(&fake_encoded, 1) + 1;
        if (now == fake_stop_at)
            ken_interrupt();
        if (now == fake_fail_at)
            return kn_fail(KEN_E_DEVICE, "the fake fails here");
        for (size_t i = 0; i < dim; i++) {
            kn_rand r = kn_rand_at(m->seed, i);
            double sum = 1e-3;
            for (size_t j = 0; j < FAKE_BYTES; j++)
                sum += ((double)kn_rand_float(&r) - 0.5) * pixels[j];
            out[i] = (float)sum;
        }
        kn_kernels_get()->l2_normalize(out, dim);
    }
    return KEN_OK;
}

static inline ken_status fake_images(const ken_model *m, const ken_image *const *imgs, size_t n, float *out)
{
    uint8_t pixels[FAKE_BYTES];
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++) {
        st = kn_image_fit(imgs[i], fake_prep(m), pixels);
        if (!st)
            st = fake_pixels(m, pixels, 1, out + i * fake_of(m)->info.dim);
    }
    return st;
}

static ken_status fake_texts(const ken_model *m, const char *const *texts, size_t n, float *out)
{
    uint8_t pixels[FAKE_BYTES];
    for (size_t i = 0; i < n; i++) {
        unsigned c[3];
        if (sscanf(texts[i], "rgb:%u,%u,%u", &c[0], &c[1], &c[2]) != 3) {
            if (!strncmp(texts[i], "rgb:", 4))
                return kn_fail(KEN_E_INVALID, "not a colour: %s", texts[i]);
            for (size_t j = 0; j < 3; j++)
                c[j] = (unsigned char)texts[i][j < strlen(texts[i]) ? j : 0];
        }
        for (size_t j = 0; j < FAKE_BYTES; j++)
            pixels[j] = (uint8_t)c[j % 3];
        ken_status st = fake_pixels(m, pixels, 1, out + i * fake_of(m)->info.dim);
        if (st)
            return st;
    }
    return KEN_OK;
}

static float fake_score(const ken_model *m, const char *kinds, float raw)
{
    (void)m;
    return kinds[0] == 't' ? (raw + 1) / 2 : raw > 0 ? raw : 0;
}

static const char *fake_recognition; /* metadata "recognition" */

static const char *fake_meta(const ken_model *m, const char *key)
{
    (void)m;
    return strcmp(key, "recognition") ? NULL : fake_recognition;
}

static const kn_encoder fake_encoder = { fake_open_model, fake_close,  fake_info,
                                         fake_prep,       fake_pixels, fake_texts,
                                         fake_score,      fake_meta };

/* A picture of w x h pixels that `seed` gives, as PPM; the same seed is the same file. */
static inline size_t fake_picture(unsigned char *out, unsigned w, unsigned h, uint64_t seed)
{
    const int n = sprintf((char *)out, "P6\n%u %u\n255\n", w, h);
    kn_rand r = kn_rand_at(seed, 77);
    for (unsigned i = 0; i < w * h * 3; i++)
        out[(unsigned)n + i] = (unsigned char)kn_rand_below(&r, 256);
    return (size_t)n + w * h * 3;
}

#endif
