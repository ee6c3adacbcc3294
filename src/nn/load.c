/*
 * load.c - find, check, and use in place or pack.
 *
 * A matrix that must be packed is read a panel (16 rows) at a time, so that opening needs no copy
 * of the whole in f32, and the panels are spread over the crew.
 */
#include "nn/load.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/random.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 64 };

void *kn_own(kn_owned *o, size_t n, size_t size)
{
    void **list = kn_room(o->list, o->len, &o->cap, sizeof *list);
    if (!list)
        return NULL;
    o->list = list;
    void *p = kn_alloc_aligned(n, size);
    if (p)
        o->list[o->len++] = p;
    return p;
}

void kn_owned_release(kn_owned *o)
{
    for (size_t i = 0; i < o->len; i++)
        kn_free(o->list[i]);
    kn_free(o->list);
    *o = (kn_owned){ 0 };
}

/* ---- finding and checking ---- */

static const char *format_name(char name[NAME], const char *fmt, va_list ap)
{
    vsnprintf(name, NAME, fmt, ap);
    return name;
}

#define FORMAT(name, fmt)                     \
    char name[NAME];                          \
    do {                                      \
        va_list ap;                           \
        va_start(ap, fmt);                    \
        format_name(name, fmt, ap);           \
        va_end(ap);                           \
    } while (0)

int kn_source_has(const kn_source *s, const char *fmt, ...)
{
    FORMAT(name, fmt);
    return s->weights && kn_weights_find(s->weights, name);
}

static void print_shape(char *out, size_t cap, uint32_t rank, const uint64_t *shape)
{
    size_t at = (size_t)snprintf(out, cap, "[");
    for (uint32_t i = 0; i < rank && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, i ? ", %llu" : "%llu",
                               (unsigned long long)shape[i]);
    if (at < cap)
        snprintf(out + at, cap - at, "]");
}

ken_status kn_tensor_shape(const kn_tensor *t, uint32_t rank, const uint64_t *shape)
{
    char have[96], want[96];
    if (t->rank == rank && !memcmp(t->shape, shape, rank * sizeof *shape))
        return KEN_OK;
    print_shape(have, sizeof have, t->rank, t->shape);
    print_shape(want, sizeof want, rank, shape);
    return kn_fail(KEN_E_FORMAT, "tensor %s: shape %s where the config wants %s", t->name, have,
                   want);
}

ken_status kn_tensor_find(const kn_weights *w, const char *name, const kn_tensor **out)
{
    *out = kn_weights_find(w, name);
    const size_t bytes = *out ? kn_dtype_bytes((*out)->dtype) : 0;
    if (bytes && (uintptr_t)(*out)->data % bytes)
        return kn_fail(KEN_E_FORMAT, "tensor %s: not aligned", name);
    return KEN_OK;
}

static ken_status find(const kn_source *s, const char *name, const kn_tensor **out)
{
    const ken_status st = kn_tensor_find(s->weights, name, out);
    return st || *out ? st : kn_fail(KEN_E_FORMAT, "tensor %s: missing", name);
}

ken_status kn_tensor_type(const kn_tensor *t, kn_type *out)
{
    switch (t->dtype) {
    case KN_DT_F32: *out = KN_F32; return KEN_OK;
    case KN_DT_F16: *out = KN_F16; return KEN_OK;
    case KN_DT_BF16: *out = KN_BF16; return KEN_OK;
    default: break;
    }
    return kn_fail(KEN_E_FORMAT, "tensor %s: type %s where F32, F16 or BF16 is wanted", t->name,
                   kn_dtype_name(t->dtype));
}

/* ---- plain arrays ---- */

static ken_status load_f32(const kn_source *s, const float **out, uint32_t rank,
                           const uint64_t *shape, const char *name)
{
    const kn_tensor *t = NULL;
    if (!s->weights) {
        const size_t n = (size_t)(rank == 2 ? shape[0] * shape[1] : shape[0]);
        float *p = kn_own(s->owned, n, sizeof *p);
        if (!p)
            return KEN_E_NOMEM;
        kn_random_weights(name, s->seed, 0, n, 0.02F, p);
        *out = p;
        return KEN_OK;
    }
    ken_status st = find(s, name, &t);
    if (!st)
        st = kn_tensor_shape(t, rank, shape);
    if (!st && t->dtype != KN_DT_F32)
        st = kn_fail(KEN_E_FORMAT, "tensor %s: type %s where F32 is wanted", name,
                     kn_dtype_name(t->dtype));
    if (!st)
        *out = t->data;
    return st;
}

ken_status kn_load_vec(const kn_source *s, const float **out, size_t n, const char *fmt, ...)
{
    FORMAT(name, fmt);
    return load_f32(s, out, 1, (uint64_t[]){ n }, name);
}

ken_status kn_load_array(const kn_source *s, const float **out, size_t n, size_t k, const char *fmt,
                         ...)
{
    FORMAT(name, fmt);
    return load_f32(s, out, 2, (uint64_t[]){ n, k }, name);
}

static void to_f32(const kn_kernels *k, const void *in, kn_type type, size_t n, float *out)
{
    if (type == KN_BF16)
        k->bf16_to_f32(in, out, n);
    else if (type == KN_F16)
        k->f16_to_f32(in, out, n);
    else
        memcpy(out, in, n * sizeof *out);
}

void kn_rows_get(const kn_kernels *k, const kn_rows *r, size_t i, float *out)
{
    to_f32(k, kn_at_const(r->data, r->type, i * r->k), r->type, r->k, out);
}

ken_status kn_load_rows(const kn_source *s, kn_rows *out, size_t n, size_t k, const char *fmt, ...)
{
    FORMAT(name, fmt);
    kn_rows r = { .n = n, .k = k, .type = KN_F32 };
    const kn_tensor *t = NULL;
    const float *p = NULL;
    ken_status st = KEN_OK;
    if (!s->weights) {
        st = load_f32(s, &p, 2, (uint64_t[]){ n, k }, name);
        r.data = p;
    } else {
        st = find(s, name, &t);
        if (!st)
            st = kn_tensor_shape(t, 2, (uint64_t[]){ n, k });
        if (!st)
            st = kn_tensor_type(t, &r.type);
        if (!st)
            r.data = t->data;
    }
    if (!st)
        *out = r;
    return st;
}

/* ---- matrices ---- */

/* Where the rows of a matrix come from. */
typedef struct origin {
    const kn_source *s;
    const char *name;
    const kn_tensor *t; /* NULL: random */
    kn_type type;       /* stored */
    size_t n, k;
    const float *scale; /* (n) factors of the rows, or NULL */
    const float *steps; /* (n) of int8: what 1 stands for in each row; NULL: another type */
} origin;

static float panel_at(const kn_kernels *k, const void *panels, kn_type type, size_t cols, size_t row,
                      size_t j)
{
    const size_t p = row / KN_PANEL, lane = row % KN_PANEL, kp = kn_panel_k(cols, type);
    const size_t at = type != KN_BF16 ? (p * kp + j) * KN_PANEL + lane
                                      : ((p * (kp / 2) + j / 2) * KN_PANEL + lane) * 2 + j % 2;
    float x;
    to_f32(k, kn_at_const(panels, type, at), type, 1, &x);
    return x;
}

void kn_panel_row(const kn_kernels *k, const void *panels, kn_type type, size_t cols, size_t row, float *out)
{
    for (size_t j = 0; j < cols; j++)
        out[j] = panel_at(k, panels, type, cols, row, j);
}

void kn_mat_row(const kn_kernels *k, const kn_mat *m, size_t row, float *out)
{
    kn_panel_row(k, m->w, m->type, m->k, row, out);
    for (size_t j = 0; m->w_lo && j < m->k; j++)
        out[j] += panel_at(k, m->w_lo, KN_BF16, m->k, row, j);
}

static void get_row(const origin *o, size_t i, float *out)
{
    if (o->steps)
        for (size_t j = 0; j < o->k; j++)
            out[j] = (float)((const int8_t *)o->t->data)[i * o->k + j] * o->steps[i];
    else if (!o->t)
        kn_random_weights(o->name, o->s->seed, (uint64_t)i * o->k, o->k, 1 / sqrtf((float)o->k), out);
    else if (o->s->panels)
        kn_panel_row(o->s->crew->k, o->t->data, o->type, o->k, i, out);
    else
        to_f32(o->s->crew->k, kn_at_const(o->t->data, o->type, i * o->k), o->type, o->k, out);
    for (size_t j = 0; o->scale && j < o->k; j++)
        out[j] *= o->scale[i];
}

typedef struct packing {
    const origin *o;
    kn_type type;
    unsigned char *w, *lo; /* lo may be NULL */
    float *rows;           /* (threads, KN_PANEL, k) */
} packing;

static void pack_panels(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const packing *p = cookie;
    const origin *o = p->o;
    const kn_kernels *k = o->s->crew->k;
    float *rows = p->rows + worker * KN_PANEL * o->k;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i * KN_PANEL, left = o->n - first;
        const size_t n = left < KN_PANEL ? left : KN_PANEL;
        for (size_t r = 0; r < n; r++)
            get_row(o, first + r, rows + r * o->k);
        k->pack(rows, n, o->k, p->type, p->w + kn_panel_bytes(first, o->k, p->type));
        if (p->lo)
            k->pack_lo(rows, n, o->k, p->lo + kn_panel_bytes(first, o->k, KN_BF16));
    }
}

/* The stored type where the arithmetic takes it and no factor has made it inexact. */
static kn_type packed_type(const origin *o)
{
    if (o->s->crew->math != KN_MATH_F32)
        return KN_BF16;
    return o->t && !o->scale && !o->steps ? o->type : KN_F32;
}

static ken_status pack(const origin *o, kn_mat *out)
{
    const kn_crew *crew = o->s->crew;
    const size_t panels = (o->n + KN_PANEL - 1) / KN_PANEL;
    packing p = { .o = o, .type = packed_type(o) };
    const int exact = o->t && o->type == KN_BF16 && !o->scale && !o->steps;

    p.w = kn_own(o->s->owned, kn_panel_bytes(o->n, o->k, p.type), 1);
    if (!p.w)
        return KEN_E_NOMEM;
    if (crew->math == KN_MATH_BF16X3 && !exact) {
        p.lo = kn_own(o->s->owned, kn_panel_bytes(o->n, o->k, KN_BF16), 1);
        if (!p.lo)
            return KEN_E_NOMEM;
    }
    p.rows = kn_alloc_aligned(crew->threads * KN_PANEL * o->k, sizeof *p.rows);
    if (!p.rows)
        return KEN_E_NOMEM;
    kn_crew_run(crew, panels, 1, pack_panels, &p);
    kn_free(p.rows);
    *out = (kn_mat){ .n = o->n, .k = o->k, .w = p.w, .w_lo = p.lo, .type = p.type };
    return KEN_OK;
}

ken_status kn_tensor_matrix(const kn_tensor *t, kn_type type, int panels, size_t n, size_t k)
{
    const uint64_t blocks = (n + KN_PANEL - 1) / KN_PANEL, kp = kn_panel_k(k, type);
    if (!panels)
        return kn_tensor_shape(t, 2, (uint64_t[]){ n, k });
    if (type == KN_BF16)
        return kn_tensor_shape(t, 4, (uint64_t[]){ blocks, kp / 2, KN_PANEL, 2 });
    return kn_tensor_shape(t, 3, (uint64_t[]){ blocks, kp, KN_PANEL });
}

/* Kernels read panels by cache lines.  The writer puts those that are a multiple of one there; a
 * small one, of 16-bit elements and an odd k, may lie anywhere. */
static int fits(const origin *o)
{
    return o->t && o->s->panels && !o->scale && !o->steps && (uintptr_t)o->t->data % 64 == 0 &&
           (o->s->crew->math == KN_MATH_F32 || o->type == KN_BF16);
}

/* An int8 matrix NAME.w is rows, beside it NAME.s. */
static ken_status load_steps(origin *o, const char *base)
{
    char name[NAME + 8];
    snprintf(name, sizeof name, "%s.s", base);
    if (o->s->panels)
        return kn_fail(KEN_E_FORMAT, "tensor %s: I8 is stored as rows", o->name);
    return load_f32(o->s, &o->steps, 1, (uint64_t[]){ o->n }, name);
}

static ken_status load_matrix(const kn_source *s, kn_mat *out, size_t n, size_t k,
                              const float *scale, const char *base)
{
    char name[NAME + 8];
    snprintf(name, sizeof name, "%s.w", base);
    origin o = { .s = s, .name = name, .n = n, .k = k, .scale = scale };
    if (s->weights) {
        ken_status st = find(s, name, &o.t);
        if (!st && o.t->dtype == KN_DT_I8)
            st = load_steps(&o, base);
        else if (!st)
            st = kn_tensor_type(o.t, &o.type);
        if (!st)
            st = kn_tensor_matrix(o.t, o.type, s->panels, n, k);
        if (st)
            return st;
    }
    if (fits(&o)) {
        *out = (kn_mat){ .n = n, .k = k, .w = o.t->data, .type = o.type };
        return KEN_OK;
    }
    return pack(&o, out);
}

ken_status kn_load_mat(const kn_source *s, kn_mat *out, size_t n, size_t k, const char *fmt, ...)
{
    FORMAT(name, fmt);
    return load_matrix(s, out, n, k, NULL, name);
}

/* bias * scale, owned */
static ken_status scaled_bias(const kn_source *s, const float **bias, size_t n, const float *scale)
{
    float *b = kn_own(s->owned, n, sizeof *b);
    if (!b)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        b[i] = (*bias)[i] * scale[i];
    *bias = b;
    return KEN_OK;
}

ken_status kn_load_linear(const kn_source *s, kn_mat *out, size_t n, size_t k, size_t q_rows,
                          float scale, const char *fmt, ...)
{
    FORMAT(name, fmt);
    float *factors = NULL;
    const float *bias = NULL;
    ken_status st = kn_load_vec(s, &bias, n, "%s.b", name);
    if (!st && q_rows && !s->folded) {
        factors = kn_alloc(n, sizeof *factors);
        if (!factors)
            return KEN_E_NOMEM;
        for (size_t i = 0; i < n; i++)
            factors[i] = i < q_rows ? scale : 1;
        st = scaled_bias(s, &bias, n, factors);
    }
    if (!st)
        st = load_matrix(s, out, n, k, factors, name);
    if (!st)
        out->bias = bias;
    kn_free(factors);
    return st;
}

/* Inference of BatchNorm is y = x f + b with f = w / sqrt(var + eps) and b' = b - mean f. */
static ken_status fold_norm(const kn_source *s, const char *name, size_t n, float *factors,
                            const float **bias)
{
    const float *w = NULL, *b = NULL, *mean = NULL, *var = NULL;
    ken_status st = kn_load_vec(s, &w, n, "%s.bn.w", name);
    if (!st)
        st = kn_load_vec(s, &b, n, "%s.bn.b", name);
    if (!st)
        st = kn_load_vec(s, &mean, n, "%s.bn.mean", name);
    if (!st)
        st = kn_load_vec(s, &var, n, "%s.bn.var", name);
    float *folded = st ? NULL : kn_own(s->owned, n, sizeof *folded);
    if (st || !folded)
        return st ? st : KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        factors[i] = w[i] / sqrtf(var[i] + KN_BN_EPS);
        folded[i] = b[i] - mean[i] * factors[i];
    }
    *bias = folded;
    return KEN_OK;
}

ken_status kn_load_conv(const kn_source *s, kn_mat *out, size_t n, size_t k, const char *fmt, ...)
{
    FORMAT(name, fmt);
    float *factors = NULL;
    const float *bias = NULL;
    ken_status st = KEN_OK;
    if (kn_source_has(s, "%s.bn.w", name)) {
        factors = kn_alloc(n, sizeof *factors);
        st = factors ? fold_norm(s, name, n, factors, &bias) : KEN_E_NOMEM;
    } else {
        st = kn_load_vec(s, &bias, n, "%s.b", name);
    }
    if (!st)
        st = load_matrix(s, out, n, k, factors, name);
    if (!st)
        out->bias = bias;
    kn_free(factors);
    return st;
}
