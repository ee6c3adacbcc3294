/* repack.c - a trained model folded and packed. */
#include "tools/convert/repack.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "nn/load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct repack {
    const kn_kernels *k;
    const kn_weights *in;
    const cv_options *o;
    kn_net_config config;
    kn_writer *w;
} repack;

int cv_is_ours(const char *path)
{
    kn_weights *w = NULL;
    if (kn_weights_open(&w, path))
        return 0;
    const int ours = kn_weights_meta(w, "ken") && kn_weights_meta(w, "layout");
    kn_weights_close(w);
    return ours;
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* NAME.w of a convolution has NAME.bn.w beside it. */
static const kn_tensor *norm_of(const repack *r, const char *name, const char *part)
{
    char other[96];
    snprintf(other, sizeof other, "%.*s.bn.%s", (int)strlen(name) - 2, name, part);
    return kn_weights_find(r->in, other);
}

typedef enum treatment {
    COPIED, /* f32 and bytes, as they are */
    ROWS,   /* a table in the stored type */
    MATRIX, /* panels in the stored type */
    GONE    /* folded into others */
} treatment;

static treatment treat(const kn_tensor *t)
{
    if (strstr(t->name, ".bn."))
        return GONE;
    if (t->rank != 2 || t->dtype != KN_DT_F32)
        return COPIED;
    if (ends_with(t->name, ".w"))
        return MATRIX;
    return strncmp(t->name, "t.", 2) ? COPIED : ROWS;
}

static kn_dtype stored(const repack *r)
{
    return r->o->type == KN_F32 ? KN_DT_F32 : r->o->type == KN_F16 ? KN_DT_F16 : KN_DT_BF16;
}

/* ---- declaring ---- */

/* NAME.w becomes NAME.b or NAME.s. */
static const char *beside(char out[96], const kn_tensor *t, char what)
{
    snprintf(out, 96, "%.*s.%c", (int)strlen(t->name) - 2, t->name, what);
    return out;
}

static ken_status declare_int8(const repack *r, const kn_tensor *t)
{
    char name[96];
    const ken_status st = kn_writer_declare(r->w, t->name, KN_DT_I8, 2, t->shape);
    return st ? st : kn_writer_declare(r->w, beside(name, t, 's'), KN_DT_F32, 1, t->shape);
}

static ken_status declare_matrix(const repack *r, const kn_tensor *t)
{
    const uint64_t panels = (t->shape[0] + KN_PANEL - 1) / KN_PANEL;
    const uint64_t kp = kn_panel_k((size_t)t->shape[1], r->o->type);
    char bias[96];
    ken_status st = r->o->int8 ? declare_int8(r, t)
                    : r->o->type == KN_BF16
                        ? kn_writer_declare(r->w, t->name, KN_DT_BF16, 4,
                                            (uint64_t[]){ panels, kp / 2, KN_PANEL, 2 })
                        : kn_writer_declare(r->w, t->name, stored(r), 3,
                                            (uint64_t[]){ panels, kp, KN_PANEL });
    if (st || !norm_of(r, t->name, "w"))
        return st;
    return kn_writer_declare(r->w, beside(bias, t, 'b'), KN_DT_F32, 1, t->shape);
}

static ken_status declare(const repack *r)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < kn_weights_len(r->in); i++) {
        const kn_tensor *t = kn_weights_at(r->in, i);
        const treatment how = treat(t);
        if (how == MATRIX)
            st = declare_matrix(r, t);
        else if (how == ROWS)
            st = kn_writer_declare(r->w, t->name, stored(r), t->rank, t->shape);
        else if (how == COPIED)
            st = kn_writer_declare(r->w, t->name, t->dtype, t->rank, t->shape);
    }
    return st;
}

/* ---- numbers ---- */

static void convert(const repack *r, const float *in, size_t n, void *out)
{
    if (r->o->type == KN_BF16)
        r->k->f32_to_bf16(in, out, n);
    else if (r->o->type == KN_F16)
        r->k->f32_to_f16(in, out, n);
    else
        memcpy(out, in, n * sizeof *in);
}

/* Each row by its largest element: w = q s, |q| <= 127. */
static void quantise(const float *w, size_t n, size_t k, int8_t *q, float *scale)
{
    for (size_t i = 0; i < n; i++, w += k, q += k) {
        float most = 0;
        for (size_t j = 0; j < k; j++)
            most = fmaxf(most, fabsf(w[j]));
        scale[i] = most / 127;
        for (size_t j = 0; j < k; j++)
            q[j] = most > 0 ? (int8_t)lrintf(w[j] / scale[i]) : 0;
    }
}

/* The factor of the q rows of NAME.qkv and of all rows of a pooling's q; 1 and no rows of anything
 * else. */
static float attention_scale(const repack *r, const char *name, size_t *rows)
{
    if (!strncmp(name, "v.pool.q.", 9)) {
        *rows = kn_resnet_channels(&r->config.resnet, r->config.resnet.stages - 1);
        return 1 / sqrtf((float)*rows / (float)r->config.resnet.heads);
    }
    const kn_trunk_config *c = name[0] == 't' ? &r->config.text.trunk : &r->config.vit.trunk;
    *rows = 0;
    if (!strstr(name, ".qkv."))
        return 1;
    *rows = c->width;
    return 1 / sqrtf((float)(c->width / c->heads));
}

static ken_status fold(const repack *r, const kn_tensor *t, float *w)
{
    static const char *const parts[] = { "w", "b", "mean", "var" };
    const size_t n = (size_t)t->shape[0], k = (size_t)t->shape[1];
    const float *p[4];
    char name[96];
    size_t bytes;
    for (int i = 0; i < 4; i++) {
        const kn_tensor *part = norm_of(r, t->name, parts[i]);
        if (!part || part->bytes != n * 4)
            return kn_fail(KEN_E_FORMAT, "tensor %s: its BatchNorm is not whole", t->name);
        p[i] = part->data;
    }
    float *bias = kn_writer_data(r->w, beside(name, t, 'b'), &bytes);
    for (size_t i = 0; i < n; i++) {
        const float factor = p[0][i] / sqrtf(p[3][i] + KN_BN_EPS);
        bias[i] = p[1][i] - p[2][i] * factor;
        for (size_t j = 0; j < k; j++)
            w[i * k + j] *= factor;
    }
    return KEN_OK;
}

static ken_status write_matrix(const repack *r, const kn_tensor *t)
{
    const size_t n = (size_t)t->shape[0], k = (size_t)t->shape[1];
    size_t rows, bytes;
    char name[96];
    ken_status st = KEN_OK;
    const float scale = attention_scale(r, t->name, &rows);
    float *w = kn_alloc_aligned(n * k, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    memcpy(w, t->data, n * k * sizeof *w);
    for (size_t i = 0; i < rows * k; i++)
        w[i] *= scale;
    if (norm_of(r, t->name, "w"))
        st = fold(r, t, w);
    void *to = kn_writer_data(r->w, t->name, &bytes);
    if (!st && r->o->int8)
        quantise(w, n, k, to, kn_writer_data(r->w, beside(name, t, 's'), &bytes));
    else if (!st)
        r->k->pack(w, n, k, r->o->type, to);
    kn_free(w);
    return st;
}

static void write_copy(const repack *r, const kn_tensor *t)
{
    size_t rows, bytes;
    float *to = kn_writer_data(r->w, t->name, &bytes);
    const float scale = attention_scale(r, t->name, &rows);
    memcpy(to, t->data, bytes);
    for (size_t i = 0; i < rows; i++)
        to[i] *= scale;
}

static ken_status write_all(const repack *r)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < kn_weights_len(r->in); i++) {
        const kn_tensor *t = kn_weights_at(r->in, i);
        const treatment how = treat(t);
        size_t bytes;
        if (how == MATRIX)
            st = write_matrix(r, t);
        else if (how == ROWS)
            convert(r, t->data, (size_t)(t->shape[0] * t->shape[1]), kn_writer_data(r->w, t->name, &bytes));
        else if (how == COPIED)
            write_copy(r, t);
    }
    return st;
}

/* ---- metadata ---- */

static const char *said(const repack *r, const char *key, const char *value)
{
    const cv_options *o = r->o;
    if (!strcmp(key, "dtype"))
        return o->int8 ? "int8" : o->type == KN_F32 ? "f32" : o->type == KN_F16 ? "f16" : "bf16";
    if (!strcmp(key, "layout"))
        return o->int8 ? "rows" : "panel16";
    if (!strcmp(key, "folded"))
        return "1";
    if (!strcmp(key, "checksum") || (!strcmp(key, "licence") && o->licence) ||
        (!strcmp(key, "source") && o->source) || (!strcmp(key, "name") && o->name))
        return NULL; /* written anew */
    return value;
}

static ken_status put_meta(const repack *r)
{
    const char *const anew[][2] = { { "licence", r->o->licence },
                                    { "source", r->o->source },
                                    { "name", r->o->name } };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < kn_weights_meta_len(r->in); i++) {
        const char *key, *value;
        kn_weights_meta_at(r->in, i, &key, &value);
        value = said(r, key, value);
        if (value)
            st = kn_writer_meta(r->w, key, value);
    }
    for (size_t i = 0; !st && i < sizeof anew / sizeof *anew; i++)
        if (anew[i][1])
            st = kn_writer_meta(r->w, anew[i][0], anew[i][1]);
    return st;
}

static ken_status check(repack *r, const char *path)
{
    const char *folded = kn_weights_meta(r->in, "folded"), *layout = kn_weights_meta(r->in, "layout");
    const ken_status st =
        kn_config_parse(&r->config, kn_weights_meta(r->in, "image"),
                        kn_weights_meta(r->in, "preprocess"), kn_weights_meta(r->in, "text"));
    if (st)
        return kn_fail_in(st, "%s", path);
    if (!folded || strcmp(folded, "0") || strcmp(layout, "rows"))
        return kn_fail(KEN_E_UNSUPPORTED, "%s is packed already; convert the checkpoint that it comes from",
                       path);
    return KEN_OK;
}

ken_status cv_repack(const char *in, const char *out, const cv_options *o, uint64_t *bytes)
{
    kn_weights *weights = NULL;
    repack r = { .k = kn_kernels_get(), .o = o };
    ken_status st = kn_weights_open(&weights, in);
    if (st)
        return st;
    r.in = weights;
    st = check(&r, in);
    if (!st)
        st = kn_writer_new(&r.w);
    if (!st)
        st = put_meta(&r);
    if (!st)
        st = declare(&r);
    if (!st)
        st = kn_writer_begin(r.w, out);
    if (!st)
        st = write_all(&r);
    if (!st)
        st = kn_writer_commit(r.w);
    kn_writer_free(r.w);
    kn_weights_close(weights);
    if (st)
        return st;
    st = kn_weights_open(&weights, out);
    if (!st)
        *bytes = kn_weights_file_bytes(weights);
    kn_weights_close(weights);
    return st;
}
