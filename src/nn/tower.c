/*
 * tower.c - ids to rows, the trunk, and the pooled row out.
 *
 * CLIP's tower is causal and pools the end-of-text row, so that what follows it, padding above
 * all, cannot change the result and is never computed: eight words cost ten rows, not 77.  BERT
 * looks both ways; its padding is masked, so that it is left out just as exactly.
 */
#include "nn/tower.h"

#include "base/error.h"

static ken_status make_table(const kn_source *s, kn_tower *t)
{
    const size_t w = t->c.trunk.width, n = t->c.context;
    kn_rows pos, type = { 0 };
    ken_status st = kn_load_rows(s, &pos, t->c.positions, w, "t.pos");
    if (!st && t->c.bert)
        st = kn_load_rows(s, &type, 1, w, "t.type");
    float *table = st ? NULL : kn_own(s->owned, (n + 1) * w, sizeof *table);
    if (st || !table)
        return st ? st : KEN_E_NOMEM;
    float *first_type = table + n * w;
    for (size_t i = 0; i < n; i++)
        kn_rows_get(s->crew->k, &pos, i, table + i * w);
    if (t->c.bert)
        kn_rows_get(s->crew->k, &type, 0, first_type);
    for (size_t i = 0; t->c.bert && i < n * w; i++)
        table[i] += first_type[i % w];
    t->table = table;
    return KEN_OK;
}

ken_status kn_tower_load(const kn_source *s, const kn_text_config *c, kn_tower *out)
{
    const size_t w = c->trunk.width;
    *out = (kn_tower){ .c = *c };
    out->trunk = (kn_trunk){ .c = c->trunk, .causal = !c->bert, .post_norm = c->bert };
    ken_status st = kn_load_rows(s, &out->tok, c->vocab, w, "t.tok");
    if (!st)
        st = make_table(s, out);
    if (!st)
        st = kn_load_norm(s, &out->ln, w, c->bert ? "t.ln_emb" : "t.ln_final");
    if (!st)
        st = kn_trunk_load(s, &out->trunk, "t");
    if (!st)
        st = kn_load_mat(s, &out->proj, c->dim, w, "t.proj");
    return st;
}

/* The first end-of-text; without one the first largest id, which is what the publisher's argmax
 * finds. */
static size_t pooled_at(const kn_tower *t, const int32_t *ids, size_t len)
{
    size_t best = 0;
    for (size_t i = 0; i < len; i++) {
        if (ids[i] == t->c.eot)
            return i;
        if (ids[i] > ids[best])
            best = i;
    }
    return best;
}

ken_status kn_tower_need(const kn_tower *t, const int32_t *ids, size_t len, size_t *need)
{
    if (!len || len > t->c.context)
        return kn_fail(KEN_E_INVALID, "%zu tokens where 1 to %u are wanted", len, t->c.context);
    for (size_t i = 0; i < len; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->c.vocab)
            return kn_fail(KEN_E_INVALID, "token %d outside the vocabulary of %u", ids[i],
                           t->c.vocab);
    *need = t->c.bert ? len : pooled_at(t, ids, len) + 1;
    return KEN_OK;
}

/* ---- running ---- */

typedef struct tower_work {
    kn_trunk_work trunk;
    size_t *first, *pool;
    size_t rows, longest;
} tower_work;

static tower_work plan(const kn_crew *crew, const kn_tower *t, const kn_texts *x, kn_arena *a)
{
    tower_work w = { 0 };
    for (size_t i = 0; i < x->n; i++) {
        w.rows += x->need[i];
        if (x->need[i] > w.longest)
            w.longest = x->need[i];
    }
    w.first = kn_arena_take(a, (x->n + 1) * sizeof *w.first);
    w.pool = kn_arena_take(a, x->n * sizeof *w.pool);
    kn_trunk_plan(crew, &t->trunk, w.rows, w.longest, 0, a, &w.trunk);
    return w;
}

size_t kn_tower_bytes(const kn_crew *crew, const kn_tower *t, const kn_texts *x)
{
    kn_arena a = { 0 };
    plan(crew, t, x, &a);
    return a.used;
}

static void embed(const kn_crew *crew, const kn_tower *t, const kn_texts *x, const tower_work *w)
{
    const size_t width = t->c.trunk.width;
    for (size_t i = 0; i < x->n; i++)
        for (size_t j = 0; j < x->need[i]; j++) {
            float *row = w->trunk.x + (w->first[i] + j) * width;
            const float *pos = t->table + j * width;
            kn_rows_get(crew->k, &t->tok, (size_t)x->ids[x->at[i] + j], row);
            for (size_t c = 0; c < width; c++)
                row[c] += pos[c];
        }
    if (t->c.bert)
        kn_norm_rows(crew, &t->ln, t->c.trunk.eps, w->trunk.x, w->rows, width, w->trunk.x, KN_F32);
}

void kn_tower_run(const kn_crew *crew, const kn_tower *t, const kn_texts *x, float *out, kn_arena a)
{
    const size_t width = t->c.trunk.width;
    tower_work w = plan(crew, t, x, &a);
    w.first[0] = 0;
    for (size_t i = 0; i < x->n; i++) {
        w.first[i + 1] = w.first[i] + x->need[i];
        w.pool[i] = t->c.bert ? w.first[i] : w.first[i + 1] - 1;
    }
    const kn_batch b = { x->n, w.first, w.pool, w.longest };
    embed(crew, t, x, &w);
    kn_trunk_run(crew, &t->trunk, &b, &w.trunk);
    if (!t->c.bert) /* BERT's last norm has left its rows in h */
        kn_norm_rows(crew, &t->ln, t->c.trunk.eps, w.trunk.x, x->n, width, w.trunk.h, crew->type);
    kn_mat_mul(crew, &t->proj, (kn_gemm){ .m = x->n, .a = w.trunk.h, .lda = width, .c = out,
                                          .ldc = t->c.dim, .c_type = KN_F32 });
}

double kn_tower_macs(const kn_text_config *c, size_t tokens)
{
    return kn_trunk_macs(&c->trunk, (double)tokens) + (double)c->trunk.width * c->dim;
}
