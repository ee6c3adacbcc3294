/*
 * net_make.h - tiny models with random weights, as a publisher would hold them, and the files that
 * ken-convert would make of them: folded or not, in any stored type and layout.
 */
#ifndef NET_MAKE_H
#define NET_MAKE_H

#include "tests/test.h"

#include "base/rand.h"
#include "kernels/kernels.h"
#include "nn/weights.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { MOST_TENSORS = 400 };

typedef enum make_kind {
    VECTOR, /* (n) f32 */
    ARRAY,  /* (n, k) f32 */
    TABLE,  /* (n, k) in the stored type */
    MATRIX  /* (n, k) in the stored type and layout */
} make_kind;

typedef struct make_tensor {
    char name[64];
    make_kind kind;
    size_t n, k;
    float *data;
} make_tensor;

typedef struct make_model {
    make_tensor list[MOST_TENSORS];
    size_t len;
    const char *image, *text, *preprocess, *labels; /* metadata, or NULL */
    uint64_t seed;
} make_model;

static make_tensor *make_find(make_model *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static make_tensor *make_find(make_model *m, const char *fmt, ...)
{
    char name[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < m->len; i++)
        if (!strcmp(m->list[i].name, name))
            return &m->list[i];
    return NULL;
}

static make_tensor *make_add(make_model *m, make_kind kind, size_t n, size_t k, float mean,
                             float deviation, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
static make_tensor *make_add(make_model *m, make_kind kind, size_t n, size_t k, float mean,
                             float deviation, const char *fmt, ...)
{
    make_tensor *t = &m->list[m->len++];
    va_list ap;
    ck_assert(m->len < MOST_TENSORS);
    va_start(ap, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, ap);
    va_end(ap);
    t->kind = kind;
    t->n = n;
    t->k = k;
    t->data = malloc(n * k * sizeof *t->data);
    kn_rand_fill_normal(t->data, n * k, m->seed, m->len, deviation);
    for (size_t i = 0; i < n * k; i++)
        t->data[i] += mean;
    return t;
}

static inline void make_linear(make_model *m, size_t n, size_t k, const char *name)
{
    make_add(m, MATRIX, n, k, 0, 1 / sqrtf((float)k), "%s.w", name);
    make_add(m, VECTOR, n, 1, 0, 0.1F, "%s.b", name);
}

static inline void make_norm(make_model *m, size_t n, const char *name)
{
    make_add(m, VECTOR, n, 1, 1, 0.2F, "%s.w", name);
    make_add(m, VECTOR, n, 1, 0, 0.2F, "%s.b", name);
}

static inline void make_layers(make_model *m, const char *prefix, size_t layers, size_t w, size_t mlp)
{
    static const char *const norms[] = { "ln1", "ln2" };
    char name[64];
    for (size_t i = 0; i < layers; i++) {
        for (int j = 0; j < 2; j++) {
            snprintf(name, sizeof name, "%s.%zu.%s", prefix, i, norms[j]);
            make_norm(m, w, name);
        }
        snprintf(name, sizeof name, "%s.%zu.qkv", prefix, i);
        make_linear(m, 3 * w, w, name);
        snprintf(name, sizeof name, "%s.%zu.o", prefix, i);
        make_linear(m, w, w, name);
        snprintf(name, sizeof name, "%s.%zu.fc1", prefix, i);
        make_linear(m, mlp, w, name);
        snprintf(name, sizeof name, "%s.%zu.fc2", prefix, i);
        make_linear(m, w, mlp, name);
    }
}

/* A convolution with a BatchNorm behind it. */
static inline void make_conv(make_model *m, size_t n, size_t k, const char *name)
{
    make_add(m, MATRIX, n, k, 0, sqrtf(2 / (float)k), "%s.w", name);
    make_add(m, VECTOR, n, 1, 0.7F, 0.1F, "%s.bn.w", name);
    make_add(m, VECTOR, n, 1, 0, 0.1F, "%s.bn.b", name);
    make_add(m, VECTOR, n, 1, 0, 0.1F, "%s.bn.mean", name);
    make_tensor *var = make_add(m, VECTOR, n, 1, 0, 0.5F, "%s.bn.var", name);
    for (size_t i = 0; i < n; i++)
        var->data[i] = 0.5F + fabsf(var->data[i]);
}

static inline void make_release(make_model *m)
{
    for (size_t i = 0; i < m->len; i++)
        free(m->list[i].data);
    m->len = 0;
}

/* ---- folding, as format.h says ---- */

static inline void fold_conv(make_model *m, make_tensor *w, const char *base)
{
    const make_tensor *g = make_find(m, "%s.bn.w", base), *b = make_find(m, "%s.bn.b", base);
    const make_tensor *mean = make_find(m, "%s.bn.mean", base), *var = make_find(m, "%s.bn.var", base);
    make_tensor *bias = make_add(m, VECTOR, w->n, 1, 0, 0, "%s.b", base);
    for (size_t i = 0; i < w->n; i++) {
        const double f = g->data[i] / sqrt(var->data[i] + 1e-5);
        for (size_t j = 0; j < w->k; j++)
            w->data[i * w->k + j] = (float)(w->data[i * w->k + j] * f);
        bias->data[i] = (float)(b->data[i] - mean->data[i] * f);
    }
}

static inline void scale_rows(make_tensor *t, size_t rows, double f)
{
    for (size_t i = 0; i < rows * t->k; i++)
        t->data[i] = (float)(t->data[i] * f);
}

/* heads: of the image network's attention, and of the text network's */
static inline void make_fold(make_model *m, size_t image_heads, size_t text_heads)
{
    char base[64];
    const size_t len = m->len;
    for (size_t i = 0; i < len; i++) {
        make_tensor *t = &m->list[i];
        const char *end = strrchr(t->name, '.');
        snprintf(base, sizeof base, "%.*s", (int)(end - t->name), t->name);
        if (!strcmp(end, ".w") && make_find(m, "%s.bn.w", base))
            fold_conv(m, t, base);
        const size_t heads = t->name[0] == 't' ? text_heads : image_heads;
        if (strstr(t->name, ".qkv."))
            scale_rows(t, t->n / 3, 1 / sqrt((double)(t->n / 3) / (double)heads));
        if (strstr(t->name, ".pool.q."))
            scale_rows(t, t->n, 1 / sqrt((double)t->n / (double)heads));
    }
}

/* What the stored type keeps of each weight. */
static inline void make_round(make_model *m, kn_type type)
{
    const kn_kernels k = kn_kernels_for(0);
    for (size_t i = 0; i < m->len; i++) {
        make_tensor *t = &m->list[i];
        uint16_t *half = malloc(t->n * t->k * sizeof *half);
        if ((t->kind == MATRIX || t->kind == TABLE) && type == KN_BF16) {
            k.f32_to_bf16(t->data, half, t->n * t->k);
            k.bf16_to_f32(half, t->data, t->n * t->k);
        } else if ((t->kind == MATRIX || t->kind == TABLE) && type == KN_F16) {
            k.f32_to_f16(t->data, half, t->n * t->k);
            k.f16_to_f32(half, t->data, t->n * t->k);
        }
        free(half);
    }
}

/* ---- writing ---- */

typedef struct make_form {
    kn_type type;
    int panels, folded;
} make_form;

static inline kn_dtype make_dtype(const make_tensor *t, const make_form *f)
{
    const int plain = t->kind == VECTOR || t->kind == ARRAY || f->type == KN_F32;
    return plain ? KN_DT_F32 : f->type == KN_BF16 ? KN_DT_BF16 : KN_DT_F16;
}

static inline uint32_t make_shape(const make_tensor *t, const make_form *f, uint64_t shape[4])
{
    shape[0] = t->n;
    shape[1] = t->k;
    if (t->kind != MATRIX || !f->panels)
        return t->kind == VECTOR ? 1 : 2;
    shape[0] = (t->n + 15) / 16;
    shape[1] = f->type == KN_BF16 ? kn_panel_k(t->k, KN_BF16) / 2 : t->k;
    shape[2] = 16;
    shape[3] = 2;
    return f->type == KN_BF16 ? 4 : 3;
}

static inline void make_bytes(const make_tensor *t, const make_form *f, void *out)
{
    const kn_kernels k = kn_kernels_for(0);
    const kn_dtype d = make_dtype(t, f);
    if (t->kind == MATRIX && f->panels)
        k.pack(t->data, t->n, t->k, f->type, out);
    else if (d == KN_DT_F32)
        memcpy(out, t->data, t->n * t->k * sizeof *t->data);
    else if (d == KN_DT_BF16)
        k.f32_to_bf16(t->data, out, t->n * t->k);
    else
        k.f32_to_f16(t->data, out, t->n * t->k);
}

static inline void make_meta(kn_writer *w, const char *key, const char *value)
{
    if (value)
        ck_assert_int_eq(kn_writer_meta(w, key, value), KEN_OK);
}

static inline int make_wanted(const make_tensor *t, const make_form *f)
{
    return !f->folded || !strstr(t->name, ".bn.");
}

static inline void make_write(const make_model *m, make_form f, const char *path)
{
    kn_writer *w = NULL;
    uint64_t shape[4];
    ck_assert_int_eq(kn_writer_new(&w), KEN_OK);
    make_meta(w, "ken", "1");
    make_meta(w, "arch", "custom");
    make_meta(w, "image", m->image);
    make_meta(w, "text", m->text);
    make_meta(w, "preprocess", m->preprocess);
    make_meta(w, "labels", m->labels);
    make_meta(w, "layout", f.panels ? "panel16" : "rows");
    make_meta(w, "folded", f.folded ? "1" : "0");
    make_meta(w, "dtype", f.type == KN_F32 ? "f32" : f.type == KN_BF16 ? "bf16" : "f16");
    make_meta(w, "scores", "{\"image-image\":[12,-5]}");
    for (size_t i = 0; i < m->len; i++) {
        const uint32_t rank = make_shape(&m->list[i], &f, shape);
        if (make_wanted(&m->list[i], &f))
            ck_assert_int_eq(kn_writer_declare(w, m->list[i].name, make_dtype(&m->list[i], &f), rank,
                                               shape), KEN_OK);
    }
    ck_assert_int_eq(kn_writer_begin(w, path), KEN_OK);
    for (size_t i = 0; i < m->len; i++) {
        size_t bytes = 0;
        void *out = make_wanted(&m->list[i], &f) ? kn_writer_data(w, m->list[i].name, &bytes) : NULL;
        if (out)
            make_bytes(&m->list[i], &f, out);
    }
    ck_assert_int_eq(kn_writer_commit(w), KEN_OK);
    kn_writer_free(w);
}

#endif
