/*
 * vit.c - patches to tokens, the trunk, and the class token's row out.
 *
 * The class token is a patch of zeros: its row of the patch product is exactly 0, so that one
 * product over all pictures writes every token where it belongs, on top of a table that holds
 * positions, class token and bias.  The patches live in `big`, free until the first layer.
 */
#include "nn/vit.h"

#include <string.h>

static size_t tokens(const kn_vit_config *c)
{
    return (size_t)c->grid[0] * c->grid[1] + 1;
}

static ken_status make_table(const kn_source *s, kn_vit *v)
{
    const size_t n = tokens(&v->c), w = v->c.trunk.width;
    const float *cls = NULL, *pos = NULL, *bias = NULL;
    ken_status st = kn_load_vec(s, &cls, w, "v.cls");
    if (!st)
        st = kn_load_array(s, &pos, n, w, "v.pos");
    if (!st && kn_source_has(s, "v.patch.b"))
        st = kn_load_vec(s, &bias, w, "v.patch.b");
    float *table = st ? NULL : kn_own(s->owned, n * w, sizeof *table);
    if (st || !table)
        return st ? st : KEN_E_NOMEM;
    for (size_t i = 0; i < w; i++)
        table[i] = pos[i] + cls[i];
    for (size_t i = w; i < n * w; i++)
        table[i] = pos[i] + (bias ? bias[i % w] : 0);
    v->table = table;
    return KEN_OK;
}

ken_status kn_vit_load(const kn_source *s, const kn_vit_config *c, kn_vit *out)
{
    const size_t w = c->trunk.width, k = (size_t)c->patch * c->patch * 3;
    *out = (kn_vit){ .c = *c, .trunk = { .c = c->trunk } };
    ken_status st = kn_load_mat(s, &out->patch, w, k, "v.patch");
    if (!st && s->crew->type == KN_BF16)
        out->patch.k = kn_panel_k(k, KN_BF16); /* patches are padded with zeros, as the panels are */
    if (!st)
        st = make_table(s, out);
    if (!st && c->ln_pre)
        st = kn_load_norm(s, &out->ln_pre, w, "v.ln_pre");
    if (!st)
        st = kn_trunk_load(s, &out->trunk, "v");
    if (!st)
        st = kn_load_norm(s, &out->ln_post, w, "v.ln_post");
    if (!st && (kn_source_has(s, "v.proj.w") || c->dim != w))
        st = kn_load_mat(s, &out->proj, c->dim, w, "v.proj");
    return st;
}

/* ---- running ---- */

typedef struct vit_work {
    kn_trunk_work trunk;
    size_t *first, *pool;
} vit_work;

static vit_work plan(const kn_crew *crew, const kn_vit *v, size_t n, kn_arena *a)
{
    vit_work w;
    const size_t t = tokens(&v->c);
    w.first = kn_arena_take(a, (n + 1) * sizeof *w.first);
    w.pool = kn_arena_take(a, n * sizeof *w.pool);
    kn_trunk_plan(crew, &v->trunk, n * t, t, v->patch.k, a, &w.trunk);
    return w;
}

size_t kn_vit_bytes(const kn_crew *crew, const kn_vit *v, size_t n)
{
    kn_arena a = { 0 };
    plan(crew, v, n, &a);
    return a.used;
}

typedef struct patch_loop {
    const kn_crew *crew;
    const kn_vit *v;
    const kn_lut *lut;
    const uint8_t *pixels;
    void *patches; /* (pictures, tokens, patch.k) */
    float *x;      /* (pictures, tokens, width) */
} patch_loop;

/* Row `gy` of the grid of patches of one picture. */
static void cut_row(const patch_loop *l, const uint8_t *picture, size_t gy, void *rows)
{
    const size_t p = l->v->c.patch, gw = l->v->c.grid[1], k = l->v->patch.k;
    const kn_type type = l->crew->type;
    for (size_t gx = 0; gx < gw; gx++) {
        void *row = kn_at(rows, type, gx * k);
        for (size_t y = 0; y < p; y++)
            kn_lut_apply(l->lut, type, picture + ((gy * p + y) * gw + gx) * p * 3, p,
                         kn_at(row, type, y * p * 3));
        memset(kn_at(row, type, p * p * 3), 0, (k - p * p * 3) * kn_type_bytes(type));
    }
}

static void patch_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const patch_loop *l = cookie;
    const kn_vit_config *c = &l->v->c;
    const size_t gh = c->grid[0], gw = c->grid[1], t = tokens(c), k = l->v->patch.k;
    const kn_type type = l->crew->type;
    (void)worker;
    for (size_t u = begin; u < end; u++) {
        const size_t i = u / gh, gy = u % gh;
        void *rows = kn_at(l->patches, type, i * t * k);
        cut_row(l, l->pixels + i * gh * gw * c->patch * c->patch * 3, gy,
                kn_at(rows, type, (1 + gy * gw) * k));
        if (gy == 0) {
            memset(rows, 0, k * kn_type_bytes(type));
            memcpy(l->x + i * t * c->trunk.width, l->v->table,
                   t * c->trunk.width * sizeof *l->x);
        }
    }
}

/* Pixels to the residual stream. */
static void embed(const kn_crew *crew, const kn_vit *v, const kn_lut *lut, const uint8_t *pixels,
                  size_t n, const kn_trunk_work *w)
{
    const size_t rows = n * tokens(&v->c), width = v->c.trunk.width;
    patch_loop l = { crew, v, lut, pixels, w->big, w->x };
    kn_crew_run(crew, n * v->c.grid[0], 1, patch_piece, &l);
    kn_mat_mul(crew, &v->patch, (kn_gemm){ .m = rows, .a = w->big, .lda = v->patch.k,
                                           .residual = w->x, .ldr = width, .residual_type = KN_F32,
                                           .c = w->x, .ldc = width, .c_type = KN_F32 });
    if (v->c.ln_pre)
        kn_norm_rows(crew, &v->ln_pre, v->c.trunk.eps, w->x, rows, width, w->x, KN_F32);
}

void kn_vit_run(const kn_crew *crew, const kn_vit *v, const kn_lut *lut, const uint8_t *pixels,
                size_t n, float *out, kn_arena a)
{
    const size_t t = tokens(&v->c), width = v->c.trunk.width;
    vit_work w = plan(crew, v, n, &a);
    for (size_t i = 0; i < n; i++)
        w.pool[i] = w.first[i] = i * t;
    w.first[n] = n * t;
    const kn_batch b = { n, w.first, w.pool, t };

    embed(crew, v, lut, pixels, n, &w.trunk);
    kn_trunk_run(crew, &v->trunk, &b, &w.trunk);
    if (!v->proj.n) {
        kn_norm_rows(crew, &v->ln_post, v->c.trunk.eps, w.trunk.x, n, width, out, KN_F32);
        return;
    }
    kn_norm_rows(crew, &v->ln_post, v->c.trunk.eps, w.trunk.x, n, width, w.trunk.h, crew->type);
    kn_mat_mul(crew, &v->proj, (kn_gemm){ .m = n, .a = w.trunk.h, .lda = width, .c = out,
                                          .ldc = v->c.dim, .c_type = KN_F32 });
}

double kn_vit_macs(const kn_vit_config *c)
{
    const double t = (double)tokens(c), w = c->trunk.width;
    return (t - 1) * w * 3 * c->patch * c->patch + kn_trunk_macs(&c->trunk, t) + w * c->dim;
}
