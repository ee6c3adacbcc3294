/*
 * trunk.c - a layer is seven steps: norm, qkv, attention, o, norm, fc1, fc2.
 *
 * Residual stream and norms are f32; what enters a product has the crew's type, written there by
 * the step before (a norm, attention, an epilogue), never by a pass of its own.  q, k and v of a
 * row lie side by side and share their memory with the MLP's inside, which never lives at the
 * same time; attention writes over the norm's output, which q, k and v have consumed.
 */
#include "nn/trunk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ken_status kn_load_norm(const kn_source *s, kn_norm *out, size_t n, const char *name)
{
    ken_status st = kn_load_vec(s, &out->w, n, "%s.w", name);
    return st ? st : kn_load_vec(s, &out->b, n, "%s.b", name);
}

static ken_status load_layer(const kn_source *s, kn_layer *l, const kn_trunk_config *c,
                             const char *prefix, uint32_t i)
{
    char base[24], name[32];
    const size_t w = c->width;
    const float scale = 1 / sqrtf((float)(c->width / c->heads));
    snprintf(base, sizeof base, "%.8s.%u", prefix, i);

    snprintf(name, sizeof name, "%s.ln1", base);
    ken_status st = kn_load_norm(s, &l->ln1, w, name);
    if (!st)
        st = kn_load_linear(s, &l->qkv, 3 * w, w, w, scale, "%s.qkv", base);
    if (!st)
        st = kn_load_linear(s, &l->o, w, w, 0, 1, "%s.o", base);
    snprintf(name, sizeof name, "%s.ln2", base);
    if (!st)
        st = kn_load_norm(s, &l->ln2, w, name);
    if (!st)
        st = kn_load_linear(s, &l->fc1, c->mlp, w, 0, 1, "%s.fc1", base);
    if (!st)
        st = kn_load_linear(s, &l->fc2, w, c->mlp, 0, 1, "%s.fc2", base);
    return st;
}

ken_status kn_trunk_load(const kn_source *s, kn_trunk *out, const char *prefix)
{
    ken_status st = KEN_OK;
    out->layers = kn_own(s->owned, out->c.layers, sizeof *out->layers);
    if (!out->layers)
        return KEN_E_NOMEM;
    for (uint32_t i = 0; i < out->c.layers && !st; i++)
        st = load_layer(s, &out->layers[i], &out->c, prefix, i);
    return st;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void kn_trunk_plan(const kn_crew *crew, const kn_trunk *t, size_t rows, size_t longest,
                   size_t at_least, kn_arena *a, kn_trunk_work *w)
{
    const size_t width = t->c.width, each = kn_type_bytes(crew->type);
    const size_t big = larger(larger(3 * width, t->c.mlp), at_least);
    w->scratch_each = (kn_attention_scratch((uint32_t)longest, t->c.width / t->c.heads) + 15) / 16 * 16;
    w->x = kn_arena_take(a, rows * width * sizeof *w->x);
    w->h = kn_arena_take(a, rows * width * each);
    w->big = kn_arena_take(a, rows * big * each);
    w->scratch = kn_arena_take(a, w->scratch_each * crew->threads * sizeof *w->scratch);
}

/* ---- norms ---- */

typedef struct norm_loop {
    const kn_crew *crew;
    const kn_norm *norm;
    float eps;
    const float *x;
    size_t n;
    void *out;
    kn_type out_type;
} norm_loop;

static void norm_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const norm_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->crew->k->layernorm(l->x + i * l->n, l->n, l->norm->w, l->norm->b, l->eps,
                              kn_at(l->out, l->out_type, i * l->n), l->out_type);
}

void kn_norm_rows(const kn_crew *crew, const kn_norm *norm, float eps, const float *x, size_t rows,
                  size_t n, void *out, kn_type out_type)
{
    norm_loop l = { crew, norm, eps, x, n, out, out_type };
    kn_crew_run(crew, rows, 16, norm_piece, &l);
}

/* ---- attention ---- */

typedef struct attention_loop {
    const kn_crew *crew;
    const kn_trunk *t;
    const kn_batch *b;
    const kn_trunk_work *w;
    int pooled; /* one query a sequence, in row i of big, to row i of h */
} attention_loop;

/* Heads h0 .. h1-1 of sequence i. */
static void attend(const attention_loop *l, size_t i, uint32_t h0, uint32_t h1, float *scratch)
{
    const kn_trunk_config *c = &l->t->c;
    const kn_type type = l->crew->type;
    const size_t first = l->b->first[i], rows = l->b->first[i + 1] - first;
    const size_t w = c->width, ld = 3 * w, from = l->pooled ? i : first;
    const uint32_t dim = c->width / c->heads;
    const kn_attention a = {
        .type = type,
        .q = kn_at(l->w->big, type, from * ld + h0 * dim),
        .k = kn_at(l->w->big, type, first * ld + w + h0 * dim),
        .v = kn_at(l->w->big, type, first * ld + 2 * w + h0 * dim),
        .ldq = ld,
        .ldkv = ld,
        .out = kn_at(l->w->h, type, from * w + h0 * dim),
        .ldo = w,
        .heads = h1 - h0,
        .dim = dim,
        .q_rows = l->pooled ? 1 : (uint32_t)rows,
        .kv_rows = (uint32_t)rows,
        .causal = l->t->causal && !l->pooled, /* a pooled row comes last and sees all */
        .scratch = scratch,
    };
    l->crew->k->attention(&a);
}

static void attention_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const attention_loop *l = cookie;
    const uint32_t heads = l->t->c.heads;
    float *scratch = l->w->scratch + worker * l->w->scratch_each;
    while (begin < end) {
        const size_t i = begin / heads, next = (i + 1) * heads < end ? (i + 1) * heads : end;
        attend(l, i, (uint32_t)(begin - i * heads), (uint32_t)(next - i * heads), scratch);
        begin = next;
    }
}

static void attention(const kn_crew *crew, const kn_trunk *t, const kn_batch *b,
                      const kn_trunk_work *w, int pooled)
{
    attention_loop l = { crew, t, b, w, pooled };
    kn_crew_run(crew, b->seqs * t->c.heads, 1, attention_piece, &l);
}

/* ---- layers ---- */

/* big columns n0 .. n0+n-1 of q, k, v from h */
static void project(const kn_crew *crew, const kn_trunk *t, const kn_mat *qkv, size_t n0, size_t n,
                    size_t rows, const kn_trunk_work *w)
{
    const kn_mat part = kn_mat_part(qkv, n0, n);
    kn_mat_mul(crew, &part, (kn_gemm){ .m = rows, .a = w->h, .lda = t->c.width,
                                       .c = kn_at(w->big, crew->type, n0), .ldc = 3 * t->c.width,
                                       .c_type = crew->type });
}

static void gather(void *rows, size_t row_bytes, const kn_batch *b)
{
    unsigned char *p = rows;
    for (size_t i = 0; i < b->seqs; i++)
        if (b->pool[i] != i)
            memmove(p + i * row_bytes, p + b->pool[i] * row_bytes, row_bytes);
}

/* q of the pooled rows, to rows 0 .. seqs-1; k and v of all; x only of the pooled ones. */
static void project_pooled(const kn_crew *crew, const kn_trunk *t, const kn_mat *qkv,
                           const kn_batch *b, const kn_trunk_work *w)
{
    const size_t width = t->c.width, rows = b->first[b->seqs], each = kn_type_bytes(crew->type);
    gather(w->x, width * sizeof *w->x, b);
    if (width % KN_PANEL) { /* q does not end with a panel */
        project(crew, t, qkv, 0, 3 * width, rows, w);
        for (size_t i = 0; i < b->seqs; i++)
            memmove(kn_at(w->big, crew->type, i * 3 * width),
                    kn_at(w->big, crew->type, b->pool[i] * 3 * width), width * each);
        return;
    }
    project(crew, t, qkv, width, 2 * width, rows, w);
    gather(w->h, width * each, b);
    project(crew, t, qkv, 0, width, b->seqs, w);
}

static void mlp(const kn_crew *crew, const kn_trunk *t, const kn_layer *l, size_t rows,
                const kn_trunk_work *w)
{
    const size_t width = t->c.width;
    kn_mat_mul(crew, &l->fc1, (kn_gemm){ .m = rows, .a = w->h, .lda = width, .act = t->c.act,
                                         .c = w->big, .ldc = t->c.mlp, .c_type = crew->type });
    kn_mat_mul(crew, &l->fc2, (kn_gemm){ .m = rows, .a = w->big, .lda = t->c.mlp, .residual = w->x,
                                         .ldr = width, .residual_type = KN_F32, .c = w->x,
                                         .ldc = width, .c_type = KN_F32 });
}

/* x normalised, in f32 for the next sum and in h for the next product */
static void norm_both(const kn_crew *crew, const kn_trunk *t, const kn_norm *norm, size_t rows,
                      const kn_trunk_work *w)
{
    kn_norm_rows(crew, norm, t->c.eps, w->x, rows, t->c.width, w->x, KN_F32);
    kn_crew_round(crew, w->x, rows * t->c.width, w->h);
}

static void run_layer(const kn_crew *crew, const kn_trunk *t, const kn_layer *l, const kn_batch *b,
                      int last, kn_trunk_work *w)
{
    const size_t width = t->c.width, all = b->first[b->seqs], rows = last ? b->seqs : all;
    if (!t->post_norm)
        kn_norm_rows(crew, &l->ln1, t->c.eps, w->x, all, width, w->h, crew->type);
    if (last)
        project_pooled(crew, t, &l->qkv, b, w);
    else
        project(crew, t, &l->qkv, 0, 3 * width, all, w);
    attention(crew, t, b, w, last);
    kn_mat_mul(crew, &l->o, (kn_gemm){ .m = rows, .a = w->h, .lda = width, .residual = w->x,
                                       .ldr = width, .residual_type = KN_F32, .c = w->x,
                                       .ldc = width, .c_type = KN_F32 });
    if (t->post_norm)
        norm_both(crew, t, &l->ln1, rows, w);
    else
        kn_norm_rows(crew, &l->ln2, t->c.eps, w->x, rows, width, w->h, crew->type);
    mlp(crew, t, l, rows, w);
    if (t->post_norm)
        norm_both(crew, t, &l->ln2, rows, w);
}

void kn_trunk_run(const kn_crew *crew, const kn_trunk *t, const kn_batch *b, kn_trunk_work *w)
{
    if (t->post_norm)
        kn_crew_round(crew, w->x, b->first[b->seqs] * t->c.width, w->h);
    for (uint32_t i = 0; i < t->c.layers; i++)
        run_layer(crew, t, &t->layers[i], b, i + 1 == t->c.layers, w);
}

double kn_trunk_macs(const kn_trunk_config *c, double rows)
{
    const double w = c->width, mlp_macs = 2 * w * c->mlp;
    const double layer = rows * (4 * w * w + mlp_macs) + 2 * rows * rows * w;
    const double last = rows * 2 * w * w + 2 * w * w + mlp_macs + 2 * rows * w;
    return (c->layers - 1) * layer + last;
}
