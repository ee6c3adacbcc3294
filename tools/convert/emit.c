/*
 * emit.c - rows from the checkpoint, folded, rounded, packed and put in their place.
 *
 * A matrix goes through in panels of sixteen rows.  Folding is done in double:
 *
 *   convolution, then BatchNorm   W' = W f, b' = beta - mean f, f = gamma / sqrt(var + 1e-5)
 *   attention                     the rows that make q get the factor 1 / sqrt(head dim)
 */
#include "tools/convert/emit.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double BN_EPS = 1e-5;
static const float MAX_F16 = 65504;

typedef struct emitter {
    const cv_plan *p;
    cv_set *set;
    kn_writer *w;
    const kn_kernels *k;
    const cv_item *item;
    double *factors; /* (n) of the rows, or NULL */
    float *rows;     /* (KN_PANEL, k) */
} emitter;

/* ---- shapes ---- */

kn_dtype cv_item_dtype(const cv_plan *p, const cv_item *item)
{
    if (item->kind == CV_BYTES)
        return KN_DT_U8;
    if (item->kind == CV_FLOATS || p->opts->type == KN_F32)
        return KN_DT_F32;
    return p->opts->type == KN_F16 ? KN_DT_F16 : KN_DT_BF16;
}

uint32_t cv_item_shape(const cv_plan *p, const cv_item *item, uint64_t shape[KN_MAX_RANK])
{
    const int panels = item->kind == CV_MAT && !p->opts->trainable;
    const uint64_t kp = panels ? kn_panel_k(item->k, p->opts->type) : 0;
    if (!panels) {
        shape[0] = item->n;
        shape[1] = item->k;
        return item->kind == CV_FLOATS ? item->rank : item->kind == CV_BYTES ? 1 : 2;
    }
    shape[0] = (item->n + KN_PANEL - 1) / KN_PANEL;
    shape[1] = p->opts->type == KN_BF16 ? kp / 2 : kp;
    shape[2] = KN_PANEL;
    shape[3] = 2;
    return p->opts->type == KN_BF16 ? 4 : 3;
}

/* ---- rows ---- */

/* Row i of the slot, whichever part it is in. */
static ken_status source_row(emitter *e, const cv_slot *s, uint64_t i, float *out)
{
    for (uint32_t j = 0; j < s->parts; j++) {
        const uint64_t n = cv_view_rows(&s->part[j]);
        if (i < n)
            return cv_view_row(e->set, &s->part[j], i, out);
        i -= n;
    }
    return kn_fail(KEN_E_FORMAT, "%s: too few rows", s->name);
}

static ken_status get_row(emitter *e, uint64_t i, float *out)
{
    const cv_item *item = e->item;
    ken_status st = KEN_OK;
    if (item->values)
        memcpy(out, item->values + i * item->k, item->k * sizeof *out);
    else
        st = source_row(e, item->from, i, out);
    for (uint64_t j = 0; !st && e->factors && e->factors[i] != 1 && j < item->k; j++)
        out[j] = (float)(out[j] * e->factors[i]);
    return st;
}

/* A weight that the stored type cannot hold is an error, not an infinity. */
static ken_status check_range(const emitter *e, uint64_t row, const float *x)
{
    const int narrow = e->item->kind != CV_FLOATS && e->p->opts->type == KN_F16;
    for (uint64_t j = 0; j < e->item->k; j++) {
        if (!isfinite(x[j]))
            return kn_fail(KEN_E_FORMAT, "%s: row %llu: not a finite number", e->item->name,
                           (unsigned long long)row);
        if (narrow && fabsf(x[j]) > MAX_F16)
            return kn_fail(KEN_E_LIMIT, "%s: row %llu: %g is beyond f16, take bf16 or f32",
                           e->item->name, (unsigned long long)row, (double)x[j]);
    }
    return KEN_OK;
}

static ken_status checked_row(emitter *e, uint64_t i, float *out)
{
    ken_status st = get_row(e, i, out);
    return st ? st : check_range(e, i, out);
}

/* ---- folding ---- */

/* BatchNorm's factors, and its bias if asked for. */
static ken_status fold(emitter *e, double *factors, float *bias)
{
    const cv_item *item = e->item;
    const size_t n = (size_t)item->n;
    float *v = kn_alloc(4 * n, sizeof *v);
    ken_status st = v ? KEN_OK : KEN_E_NOMEM;
    for (int i = 0; !st && i < 4; i++)
        st = cv_view_all(e->set, &item->norm[i]->part[0], v + (size_t)i * n);
    for (size_t i = 0; !st && i < n; i++) {
        const double var = v[3 * n + i], f = v[i] / sqrt(var + BN_EPS);
        if (!(var >= 0) || !isfinite(f))
            st = kn_fail(KEN_E_FORMAT, "tensor %s: element %zu is not a variance",
                         item->norm[3]->part[0].t->name, i);
        if (factors)
            factors[i] = f;
        if (bias)
            bias[i] = (float)(v[n + i] - v[2 * n + i] * f);
    }
    kn_free(v);
    return st;
}

static ken_status make_factors(emitter *e)
{
    const cv_item *item = e->item;
    if (item->bias || (!item->scaled && !item->norm[0]))
        return KEN_OK;
    e->factors = kn_alloc((size_t)item->n, sizeof *e->factors);
    if (!e->factors)
        return KEN_E_NOMEM;
    for (uint64_t i = 0; i < item->n; i++)
        e->factors[i] = i < item->scaled ? item->scale : 1;
    return item->norm[0] ? fold(e, e->factors, NULL) : KEN_OK;
}

/* ---- kinds ---- */

/* A vector lies in its parts as one row each; what has rows goes row by row. */
static ken_status emit_floats(emitter *e, float *out)
{
    const cv_item *item = e->item;
    ken_status st = KEN_OK;
    if (item->bias)
        st = fold(e, NULL, out);
    for (uint64_t i = 0; !st && i < item->n; i++)
        st = item->bias ? KEN_OK : get_row(e, i, out + i * item->k);
    for (uint64_t i = 0; !st && i < item->n; i++)
        st = check_range(e, i, out + i * item->k);
    return st;
}

static void store_row(const emitter *e, const float *row, uint64_t i, void *out)
{
    const size_t k = (size_t)e->item->k, at = (size_t)i * k;
    if (e->p->opts->type == KN_F32)
        memcpy((float *)out + at, row, k * sizeof *row);
    else if (e->p->opts->type == KN_F16)
        e->k->f32_to_f16(row, (uint16_t *)out + at, k);
    else
        e->k->f32_to_bf16(row, (uint16_t *)out + at, k);
}

static ken_status emit_rows(emitter *e, void *out)
{
    ken_status st = KEN_OK;
    for (uint64_t i = 0; !st && i < e->item->n; i++) {
        st = checked_row(e, i, e->rows);
        if (!st)
            store_row(e, e->rows, i, out);
    }
    return st;
}

static ken_status emit_panels(emitter *e, unsigned char *out)
{
    const kn_type type = e->p->opts->type;
    const size_t n = (size_t)e->item->n, k = (size_t)e->item->k;
    ken_status st = KEN_OK;
    for (size_t first = 0; !st && first < n; first += KN_PANEL) {
        const size_t some = n - first < KN_PANEL ? n - first : KN_PANEL;
        for (size_t r = 0; !st && r < some; r++)
            st = checked_row(e, first + r, e->rows + r * k);
        if (!st)
            e->k->pack(e->rows, some, k, type, out + kn_panel_bytes(first, k, type));
    }
    return st;
}

static ken_status emit_item(emitter *e, const cv_item *item)
{
    size_t bytes = 0;
    void *out = kn_writer_data(e->w, item->name, &bytes);
    e->item = item;
    e->factors = NULL;
    e->rows = NULL;
    if (item->kind == CV_BYTES) {
        memcpy(out, item->bytes, bytes);
        return KEN_OK;
    }
    ken_status st = make_factors(e);
    if (!st && item->kind != CV_FLOATS) {
        e->rows = kn_alloc_aligned(KN_PANEL * (size_t)item->k, sizeof *e->rows);
        if (!e->rows)
            st = KEN_E_NOMEM;
    }
    if (!st && item->kind == CV_FLOATS)
        st = emit_floats(e, out);
    else if (!st && (item->kind == CV_ROWS || e->p->opts->trainable))
        st = emit_rows(e, out);
    else if (!st)
        st = emit_panels(e, out);
    kn_free(e->factors);
    kn_free(e->rows);
    return st;
}

/* ---- the file ---- */

static ken_status put_meta(const cv_plan *p, kn_writer *w)
{
    const cv_options *o = p->opts;
    char *image = NULL, *prep = NULL, *text = NULL;
    ken_status st = kn_config_write(&p->config, &image, &prep, &text);
    const char *const pairs[][2] = {
        { "ken", "1" },
        { "arch", p->arch },
        { "image", image },
        { "preprocess", prep },
        { "text", text },
        { "tokenizer", p->tokenizer },
        { "dtype", o->type == KN_F32   ? "f32"
                   : o->type == KN_F16 ? "f16"
                                       : "bf16" },
        { "layout", o->trainable ? "rows" : "panel16" },
        { "folded", o->trainable ? "0" : "1" },
        { "labels", p->labels },
        { "licence", o->licence },
        { "source", o->source },
        { "name", o->name },
    };
    for (size_t i = 0; !st && i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][1])
            st = kn_writer_meta(w, pairs[i][0], pairs[i][1]);
    kn_free(image);
    kn_free(prep);
    kn_free(text);
    return st;
}

static ken_status declare(const cv_plan *p, kn_writer *w)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < p->len; i++) {
        uint64_t shape[KN_MAX_RANK];
        const uint32_t rank = cv_item_shape(p, &p->items[i], shape);
        st = kn_writer_declare(w, p->items[i].name, cv_item_dtype(p, &p->items[i]), rank, shape);
    }
    return st;
}

ken_status cv_emit(const cv_plan *p, cv_set *set, const char *path, cv_emitted *out)
{
    emitter e = { .p = p, .set = set, .k = kn_kernels_get() };
    ken_status st = kn_writer_new(&e.w);
    *out = (cv_emitted){ 0 };
    if (!st)
        st = put_meta(p, e.w);
    if (!st)
        st = declare(p, e.w);
    if (!st) {
        st = kn_writer_begin(e.w, path);
        out->output_failed = st != KEN_OK;
    }
    for (size_t i = 0; !st && i < p->len; i++) {
        size_t bytes = 0;
        (void)kn_writer_data(e.w, p->items[i].name, &bytes);
        out->bytes += bytes;
        st = ken_interrupted() ? kn_fail(KEN_E_CANCELED, "interrupted")
                               : emit_item(&e, &p->items[i]);
    }
    if (!st) {
        st = kn_writer_commit(e.w);
        out->output_failed = st != KEN_OK;
    }
    kn_writer_free(e.w);
    return st;
}
