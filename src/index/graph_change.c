/*
 * graph_change.c - a graph that follows its rows: who is gone is cut out, who is new is linked in.
 *
 * A node that has lost neighbours gets its links anew from those it has left and from what the lost ones
 * led to, pruned as always (the repair of Singh et al., "FreshDiskANN", 2021).  New nodes are then linked
 * in batches as in a build, twice.  The upper layers, a small part of the whole, are linked from nothing.
 * The coder stays as it was trained, so all codes and links of others are kept.
 */
#include "index/graph_builder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/rand.h"

#include <string.h>

enum { LEAST = 1024 }; /* smaller ones are built */

typedef struct changer {
    kn_builder b;
    const kn_graph *old;
    const uint64_t *gone;
    uint32_t *to;   /* (old->n) the new node of an old one, or KN_NO_ROW */
    uint32_t *from; /* (g->n) the old node of a new one, or KN_NO_ROW */
    uint8_t *known; /* (g->n) factor and norm are copied */
    size_t kept;    /* rows */
} changer;

static int is_gone(const changer *c, size_t slot)
{
    return slot >= c->old->rows.n || c->gone[slot / 64] >> slot % 64 & 1;
}

static size_t count_kept(const changer *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->old->rows.n; i++)
        n += !is_gone(c, i);
    return n;
}

/* Is enough left, and is the coder still the rows' own?  An inner product's rows are lengthened by the
 * longest, which changes them all. */
static int is_worth_it(const changer *c, const kn_rows *rows)
{
    const kn_graph *g = c->old;
    return rows->metric != KN_METRIC_DOT && rows->n >= LEAST && c->kept * 2 >= rows->n
           && c->kept * 2 >= g->trained && rows->n / 2 <= g->trained;
}

/* ---- who is who ---- */

/* A node lives on while one of its rows does; the first of those is the row of the new node. */
static ken_status match(changer *c)
{
    const kn_graph *old = c->old, *g = c->b.g;
    const size_t n = old->rows.n;
    uint32_t *slot = kn_alloc(n + 1, sizeof *slot), *node = kn_alloc(g->rows.n + 1, sizeof *node);
    c->to = kn_alloc(old->n + 1, sizeof *c->to);
    c->from = kn_alloc(g->n + 1, sizeof *c->from);
    c->known = kn_zalloc(g->n + 1, 1);
    const int ok = slot && node && c->to && c->from && c->known;
    for (size_t i = 0, at = 0; ok && i < n; i++)
        slot[i] = is_gone(c, i) ? KN_NO_ROW : (uint32_t)at++;
    if (ok) {
        memset(node, 0xff, g->rows.n * sizeof *node);
        memset(c->from, 0xff, g->n * sizeof *c->from);
    }
    for (uint32_t i = 0; ok && i < g->n; i++)
        node[g->slots[i]] = i;
    for (uint32_t u = 0; ok && u < old->n; u++) {
        uint32_t s = old->slots[u];
        for (size_t turn = 0; s < n && slot[s] == KN_NO_ROW && turn < n; turn++)
            s = old->twins[s];
        c->to[u] = s < n && slot[s] != KN_NO_ROW ? node[slot[s]] : KN_NO_ROW;
        if (c->to[u] != KN_NO_ROW && c->from[c->to[u]] != KN_NO_ROW)
            c->to[u] = KN_NO_ROW; /* a damaged file may have it twice */
        if (c->to[u] != KN_NO_ROW)
            c->from[c->to[u]] = u;
    }
    kn_free(slot);
    kn_free(node);
    return ok ? KEN_OK : KEN_E_NOMEM;
}

/* ---- codes ---- */

/* A node's factor and norm stand in the rows of links that lead to it. */
static void copy_factors(changer *c)
{
    const kn_layer *l = &c->old->layer[0];
    const int l2 = c->old->rows.metric == KN_METRIC_L2;
    for (uint32_t u = 0; c->old->bits && u < l->n; u++) {
        const uint32_t *ids = kn_links(l, u);
        const uint16_t *factors = (const void *)(ids + l->degree), *norms = factors + l->degree;
        for (uint32_t k = 0; k < l->degree; k++) {
            const uint32_t v = ids[k] < l->n ? c->to[ids[k]] : KN_NO_ROW;
            if (v == KN_NO_ROW || c->known[v] || ids[k] == u)
                continue;
            c->known[v] = 1;
            c->b.factor[v] = factors[k];
            if (l2)
                c->b.norm[v] = norms[k];
        }
    }
}

static ken_status make_codes(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const changer *c = cookie;
    const kn_graph *g = c->b.g, *old = c->old;
    const size_t bits = g->coder.padded / 8;
    for (size_t i = begin; i < end; i++) {
        const uint32_t u = c->from[i];
        const int same = u != KN_NO_ROW && (c->known[i] || !g->bits);
        if (!same || !old->bytes)
            kn_builder_encode(&c->b, &c->b.workers[worker], i, same);
        if (same && old->bytes)
            memcpy((int8_t *)(uintptr_t)g->bytes + i * g->stride, old->bytes + u * old->stride, g->stride);
        if (same && g->bits)
            memcpy((uint8_t *)(uintptr_t)g->bits + i * bits, old->bits + u * bits, bits);
    }
    return KEN_OK;
}

/* ---- links ---- */

/* New nodes that u of the old graph leads to, behind list; *lost if there was one that is gone. */
static size_t neighbours(const changer *c, uint32_t u, uint32_t self, kn_cand *list, size_t n, int *lost)
{
    const kn_layer *l = &c->old->layer[0];
    const uint32_t *ids = kn_links(l, u);
    for (uint32_t k = 0; k < l->degree && n < c->b.cap; k++) {
        if (ids[k] >= l->n || ids[k] == u)
            continue;
        const uint32_t v = c->to[ids[k]];
        *lost |= v == KN_NO_ROW;
        if (v != KN_NO_ROW && v != self)
            list[n++].at = v;
    }
    return n;
}

static size_t weigh(const changer *c, kn_worker *w, uint32_t at, kn_cand *list, size_t n)
{
    const kn_builder *b = &c->b;
    const size_t dim = b->g->coder.dim;
    for (size_t i = 0; i < n; i++)
        w->ids[i] = list[i].at;
    kn_code_seven_of(kn_builder_row(b, at), dim, w->seven);
    kn_builder_distances(b, w->seven, kn_byte_tail_of(kn_builder_row(b, at), dim), w->ids, n, w->dots, w->d);
    for (size_t i = 0; i < n; i++)
        list[i].d = w->d[i];
    return kn_builder_tidy(list, n, KN_CANDS);
}

static ken_status carry_over(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const changer *c = cookie;
    const kn_builder *b = &c->b;
    const kn_layer *l = &c->old->layer[0];
    kn_worker *w = &b->workers[worker];
    for (size_t i = begin; i < end; i++) {
        const uint32_t at = (uint32_t)i, u = c->from[i];
        int lost = 0, more = 0;
        size_t n = u == KN_NO_ROW ? 0 : neighbours(c, u, at, w->list, 0, &lost);
        if (lost) {
            const uint32_t *ids = kn_links(l, u);
            for (uint32_t k = 0; k < l->degree; k++)
                if (ids[k] < l->n && ids[k] != u && c->to[ids[k]] == KN_NO_ROW)
                    n = neighbours(c, ids[k], at, w->list, n, &more);
            n = weigh(c, w, at, w->list, n);
            n = kn_builder_prune(b, w, w->list, n, l->degree, l->degree);
        }
        kn_builder_put_row(b, at, w->list, n < l->degree ? n : l->degree);
    }
    return KEN_OK;
}

/* Who was there, then new nodes that stand in layer 1, then the others, each part shuffled. */
static void put_in_order(changer *c, size_t *high, size_t *rest)
{
    const kn_graph *g = c->b.g;
    const kn_layer *up = g->layers > 1 ? &g->layer[1] : NULL;
    kn_rand r = kn_rand_at(g->coder.seed, 0x6368616e6765 + g->n); /* "change" */
    size_t n = 0, ends[3];
    for (int part = 0; part < 3; part++) {
        const size_t first = n;
        for (uint32_t i = 0, k = 0; i < g->n; i++) {
            while (up && k < up->n && up->down[k] < i)
                k++;
            const int above = up && k < up->n && up->down[k] == i, is_new = c->from[i] == KN_NO_ROW;
            if (part == (is_new ? above ? 1 : 2 : 0))
                c->b.order[n++] = i;
        }
        for (size_t i = n; part && i-- > first + 1;) {
            const size_t j = first + kn_rand_below(&r, (uint32_t)(i - first + 1));
            const uint32_t t = c->b.order[i];
            c->b.order[i] = c->b.order[j];
            c->b.order[j] = t;
        }
        ends[part] = n;
    }
    *high = ends[0];
    *rest = ends[1];
}

static ken_status link_part(kn_builder *b, size_t first, size_t end)
{
    ken_status st = KEN_OK;
    for (size_t i = first; !st && i < end; i += KN_BATCH)
        st = kn_builder_batch(b, i, end - i < KN_BATCH ? end - i : KN_BATCH);
    return st;
}

static ken_status change_layer(changer *c)
{
    kn_builder *b = &c->b;
    kn_layer *l = b->l = &b->g->layer[0];
    size_t high, rest;
    ken_status st = kn_graph_own(b->g, b->links = kn_alloc_aligned(l->n, l->row_bytes));
    if (st)
        return st;
    l->links = b->links;
    put_in_order(c, &high, &rest);
    st = kn_parallel(l->n, 64, b->threads, carry_over, c);
    b->done = high;
    b->again = 0;
    b->dense = b->low = 1;
    if (!st)
        st = link_part(b, high, rest);
    b->low = 0;
    if (!st)
        st = link_part(b, rest, l->n);
    b->again = 1;
    if (!st)
        st = link_part(b, high, l->n);
    return st ? st : kn_builder_connect(b);
}

/* ---- all of it ---- */

static ken_status run(changer *c, const kn_build *o)
{
    kn_builder *b = &c->b;
    kn_graph *g = b->g;
    uint64_t total = 0;
    ken_status st = kn_coder_restore(&g->coder, c->old->coder.dim, c->old->coder.seed,
                                     c->old->coder.scale, c->old->coder.centre);
    if (!st)
        st = kn_builder_twins(b);
    if (!st)
        st = kn_builder_begin(b, o);
    if (!st)
        st = match(c);
    if (st)
        return st;
    copy_factors(c);
    st = kn_parallel(g->n, 256, b->threads, make_codes, c);
    if (!st)
        st = kn_builder_layers(g);
    for (uint32_t l = 1; l < g->layers; l++)
        total += 2 * (uint64_t)g->layer[l].n;
    for (uint32_t i = 0; i < g->n; i++)
        total += c->from[i] == KN_NO_ROW ? 2 : 0;
    kn_meter_start(&b->meter, "link", "vectors", total, o->progress, o->cookie);
    for (uint32_t l = g->layers; !st && l-- > 1;)
        st = kn_builder_layer(b, l);
    if (!st)
        st = change_layer(c);
    if (!st)
        kn_meter_end(&b->meter);
    return st;
}

ken_status kn_graph_change(kn_graph *g, const kn_graph *old, const uint64_t *gone, const kn_rows *rows,
                           const kn_build *o)
{
    changer c = { .old = old, .gone = gone };
    c.kept = count_kept(&c);
    if (!old->n || !is_worth_it(&c, rows))
        return kn_graph_build(g, rows, old->m, o);
    *g = (kn_graph){ .rows = *rows, .m = old->m, .trained = old->trained };
    c.b = (kn_builder){ .g = g, .base = rows->f32, .ld = rows->dim };
    const ken_status st = run(&c, o);
    kn_builder_end(&c.b);
    kn_free(c.to);
    kn_free(c.from);
    kn_free(c.known);
    if (st)
        kn_graph_release(g);
    return st;
}
