/*
 * graph_build.c - building the graph, layer by layer from the top, in batches.
 *
 * A batch of nodes looks for neighbours in the graph as it was before it, and among itself by products
 * of bytes; the candidates are pruned (an edge goes if a kept neighbour is nearer to its end than the
 * node itself), then each new edge is offered to its other end.  Every step writes only what belongs
 * to one node and reads only what the step before has finished, in whole numbers or in one fixed
 * order of float operations, so neither threads nor the CPU level can change the outcome (the batches
 * of Dobson et al., "ParlayANN", PPoPP 2024).  A second pass over all nodes does the same with the
 * whole graph to look in.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rand.h"
#include "index/graph.h"
#include "index/idmap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 2048,
    EF = 96,     /* of the search for candidates */
    AMONG = 16,  /* candidates from a node's own batch */
    CANDS = 96,  /* that are pruned at most */
    TILE = 32, TILE_ROWS = 64,
    SAMPLE = 16384 /* rows of a source that train the coder */
};

typedef struct near {
    float d; /* squared distance */
    uint32_t at;
} near;

typedef struct edge {
    uint32_t to, from;
    float d;
} edge;

/* One thread's own. */
typedef struct worker {
    kn_walk_space w;
    kn_seeker s;
    float *v, *rotated, *d, *row;
    near *list;
    uint32_t *ids, *left;
    uint8_t *dead, *seven, *sevens;
    int32_t *dots;
} worker;

typedef struct builder {
    kn_graph *g;
    const float *base; /* rows, or their copies with one more dimension, ld apart; NULL: of a source */
    size_t ld;
    uint16_t *factor, *norm; /* (nodes) f16 */
    uint32_t threads;
    size_t ef, cap; /* cap: of worker.list */
    worker *workers;
    kn_meter meter;
    uint64_t told;

    kn_layer *l; /* the layer at work */
    uint8_t *links, *fill;
    uint32_t *order; /* positions, those of the layer above first */
    size_t done;     /* of order */
    int again;       /* the second pass */

    const uint32_t *items; /* the batch: (n) of order */
    size_t n;
    near *cands;       /* (BATCH, CANDS) */
    uint32_t *n_cands; /* (BATCH) */
    edge *edges;       /* (BATCH * degree) */
    size_t *groups, n_groups;
    int8_t *rows; /* (BATCH, stride) */
} builder;

static ken_status own(kn_graph *g, void *p)
{
    if (!p)
        return KEN_E_NOMEM;
    g->owned[g->n_owned++] = p;
    return KEN_OK;
}

/* ---- distances ------------------------------------------------------------------ */

static const int8_t *row_of(const builder *b, uint32_t node)
{
    return b->g->bytes + node * b->g->stride;
}

/* Squared distances of a row, given as sevens, from `n` rows of bytes. */
static void distances(const builder *b, const uint8_t *seven, const kn_byte_tail *t,
                      const uint32_t *nodes, size_t n, int32_t *dots, float *out)
{
    const size_t dim = b->g->coder.dim;
    kn_kernels_get()->dots_u7i8(seven, b->g->bytes, b->g->stride, nodes, n, kn_byte_padded(dim),
                                dots);
    for (size_t i = 0; i < n; i++) {
        const kn_byte_tail *u = kn_byte_tail_of(row_of(b, nodes[i]), dim);
        const float twice = (float)(4 * (dots[i] - 64 * u->sum) + u->sum);
        const float d = t->norm2 + u->norm2 - t->scale * u->scale * twice;
        out[i] = d > 0 ? d : 0;
    }
}

static int nearer(const void *a, const void *b)
{
    const near *x = a, *y = b;
    if (x->d != y->d)
        return x->d < y->d ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* ---- pruning -------------------------------------------------------------------- */

/* list (n), nearest first, no position twice: its front becomes what is kept, at most `most`; then,
 * up to `least`, the nearest of the others.  Returns how many. */
static size_t prune(const builder *b, worker *w, near *list, size_t n, size_t most, size_t least)
{
    size_t kept = 0;
    memset(w->dead, 0, n);
    for (size_t i = 0; i < n && kept < most; i++) {
        if (w->dead[i])
            continue;
        const uint32_t node = kn_node_at(b->l, list[i].at);
        size_t left = 0;
        w->dead[i] = 2;
        kept++;
        for (size_t j = i + 1; j < n; j++)
            if (!w->dead[j]) {
                w->left[left] = (uint32_t)j;
                w->ids[left++] = kn_node_at(b->l, list[j].at);
            }
        kn_code_seven_of(row_of(b, node), b->g->coder.dim, w->seven);
        distances(b, w->seven, kn_byte_tail_of(row_of(b, node), b->g->coder.dim), w->ids, left,
                  w->dots, w->d);
        for (size_t j = 0; j < left; j++)
            if (w->d[j] < list[w->left[j]].d)
                w->dead[w->left[j]] = 1;
    }
    for (size_t i = 0; i < n && kept < least; i++)
        if (w->dead[i] == 1) {
            w->dead[i] = 2;
            kept++;
        }
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (w->dead[i] == 2)
            list[m++] = list[i];
    return m;
}

/* ---- rows of links -------------------------------------------------------------- */

static void put_link(const builder *b, uint32_t at, size_t k, uint32_t to)
{
    uint32_t *ids = (uint32_t *)(b->links + at * b->l->row_bytes);
    uint16_t *factors = (uint16_t *)(ids + b->l->degree);
    ids[k] = to;
    if (b->g->bits)
        factors[k] = b->factor[kn_node_at(b->l, to)];
    if (b->g->bits && b->g->rows.metric == KN_METRIC_L2)
        factors[b->l->degree + k] = b->norm[kn_node_at(b->l, to)];
}

static void put_row(const builder *b, uint32_t at, const near *list, size_t n)
{
    for (size_t k = 0; k < b->l->degree; k++)
        put_link(b, at, k, k < n ? list[k].at : at);
    b->fill[at] = (uint8_t)n;
}

/* ---- a batch ---------------------------------------------------------------------- */

static size_t add_links(const builder *b, worker *w, uint32_t at, near *list, size_t n)
{
    const uint32_t *ids = kn_links(b->l, at), node = kn_node_at(b->l, at);
    const size_t fill = b->fill[at];
    for (size_t k = 0; k < fill; k++)
        w->ids[k] = kn_node_at(b->l, ids[k]);
    kn_code_seven_of(row_of(b, node), b->g->coder.dim, w->seven);
    distances(b, w->seven, kn_byte_tail_of(row_of(b, node), b->g->coder.dim), w->ids, fill, w->dots,
              w->d);
    for (size_t k = 0; k < fill; k++)
        list[n++] = (near){ w->d[k], ids[k] };
    return n;
}

/* Sorted, each once, at most `most`. */
static size_t tidy(near *list, size_t n, size_t most)
{
    size_t m = 0;
    qsort(list, n, sizeof *list, nearer);
    for (size_t i = 0; i < n && m < most; i++) {
        size_t j = 0;
        while (j < m && list[j].at != list[i].at) /* a distance may differ by who was asked */
            j++;
        if (j == m)
            list[m++] = list[i];
    }
    return m;
}

/* The whole row of a node. */
static const float *whole(const builder *b, worker *w, size_t node)
{
    const uint32_t slot = b->g->slots[node];
    return b->base ? b->base + slot * b->ld : kn_rows_at(&b->g->rows, slot, w->row);
}

static void seek(const builder *b, worker *w, uint32_t node)
{
    kn_graph *g = b->g;
    kn_coder_centre(&g->coder, whole(b, w, node), g->rows.metric == KN_METRIC_L2, w->v);
    kn_seeker_set(g, &w->s, w->v, w->rotated);
}

static ken_status find_items(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const builder *b = cookie;
    const kn_graph *g = b->g;
    worker *w = &b->workers[worker_number];
    const uint32_t layer = (uint32_t)(b->l - g->layer);
    const int from_top = layer + 1 < g->layers && b->done >= g->layer[layer + 1].n;
    for (size_t i = begin; i < end; i++) {
        const uint32_t at = b->items[i], node = kn_node_at(b->l, at);
        near *list = w->list;
        size_t n = 0, m = 0;
        b->n_cands[i] = 0;
        if (!b->done)
            continue;
        seek(b, w, node);
        const uint32_t start = from_top ? kn_descend(g, layer, &w->s, &w->w) : b->order[0];
        n = kn_walk_layer(g, b->l, &w->s, start, b->ef, &w->w);
        for (size_t k = 0; k < n; k++)
            if (kn_beam_at(w->w.beam[k]) != at) {
                list[m].at = kn_beam_at(w->w.beam[k]);
                w->ids[m] = kn_node_at(b->l, list[m].at);
                m++;
            }
        kn_code_seven_of(row_of(b, node), g->coder.dim, w->seven);
        distances(b, w->seven, kn_byte_tail_of(row_of(b, node), g->coder.dim), w->ids, m, w->dots,
                  w->d);
        for (size_t k = 0; k < m; k++)
            list[k].d = w->d[k];
        if (b->again)
            m = add_links(b, w, at, list, m);
        m = tidy(list, m, CANDS - AMONG);
        memcpy(b->cands + i * CANDS, list, m * sizeof *list);
        b->n_cands[i] = (uint32_t)m;
    }
    return KEN_OK;
}

/* A heap with the farthest in front would do as well; AMONG is small. */
static void keep_near(near *best, size_t *n, near e)
{
    size_t i = *n;
    if (i == AMONG && nearer(&e, &best[i - 1]) >= 0)
        return;
    i = i == AMONG ? i - 1 : i;
    for (; i && nearer(&e, &best[i - 1]) < 0; i--)
        best[i] = best[i - 1];
    best[i] = e;
    *n += *n < AMONG;
}

/* TILE items among the whole batch. */
static void find_tile(const builder *b, worker *w, size_t first, size_t q)
{
    const size_t dim = b->g->coder.dim, padded = kn_byte_padded(dim), stride = b->g->stride;
    near best[TILE][AMONG];
    size_t n[TILE] = { 0 };
    for (size_t i = 0; i < q; i++)
        kn_code_seven_of(b->rows + (first + i) * stride, dim, w->sevens + i * padded);
    for (size_t r = 0; r < b->n; r += TILE_ROWS) {
        const size_t m = b->n - r < TILE_ROWS ? b->n - r : TILE_ROWS;
        kn_kernels_get()->products_u7i8(w->sevens, padded, q, b->rows + r * stride, stride, m,
                                        padded, w->dots, TILE_ROWS);
        for (size_t i = 0; i < q; i++) {
            const kn_byte_tail *t = kn_byte_tail_of(b->rows + (first + i) * stride, dim);
            float worst = n[i] < AMONG ? INFINITY : best[i][AMONG - 1].d;
            for (size_t j = 0; j < m; j++) {
                const kn_byte_tail *u = kn_byte_tail_of(b->rows + (r + j) * stride, dim);
                const int32_t twice = 4 * (w->dots[i * TILE_ROWS + j] - 64 * u->sum) + u->sum;
                float d = t->norm2 + u->norm2 - t->scale * u->scale * (float)twice;
                d = d > 0 ? d : 0;
                if (d <= worst && r + j != first + i) {
                    keep_near(best[i], &n[i], (near){ d, b->items[r + j] });
                    worst = n[i] < AMONG ? INFINITY : best[i][AMONG - 1].d;
                }
            }
        }
    }
    for (size_t i = 0; i < q; i++) {
        memcpy(b->cands + (first + i) * CANDS + b->n_cands[first + i], best[i],
               n[i] * sizeof(near));
        b->n_cands[first + i] += (uint32_t)n[i];
    }
}

static ken_status find_among(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const builder *b = cookie;
    for (size_t i = begin; i < end; i += TILE)
        find_tile(b, &b->workers[worker_number], i, end - i < TILE ? end - i : TILE);
    return KEN_OK;
}

static ken_status link_items(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const builder *b = cookie;
    worker *w = &b->workers[worker_number];
    for (size_t i = begin; i < end; i++) {
        near *list = b->cands + i * CANDS;
        size_t n = tidy(list, b->n_cands[i], CANDS);
        n = prune(b, w, list, n, b->l->degree, b->again ? b->l->degree * 3 / 4 : 0);
        b->n_cands[i] = (uint32_t)n;
        put_row(b, b->items[i], list, n);
    }
    return KEN_OK;
}

static int edge_order(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->d != y->d)
        return x->d < y->d ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

/* What is new to a node: into its free links, or pruned together with the old ones, so far that
 * there is room for the next few (faiss calls it headroom). */
static void link_back(const builder *b, worker *w, const edge *e, size_t n)
{
    const uint32_t at = e->to, degree = b->l->degree, *ids = kn_links(b->l, at);
    const size_t fill = b->fill[at];
    near *list = w->list;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < fill && ids[k] != e[i].from)
            k++;
        if (k == fill)
            list[m++] = (near){ e[i].d, e[i].from };
    }
    if (fill + m <= degree) {
        for (size_t i = 0; i < m; i++)
            put_link(b, at, fill + i, list[i].at);
        b->fill[at] = (uint8_t)(fill + m);
        return;
    }
    m = tidy(list, add_links(b, w, at, list, m), CANDS);
    m = prune(b, w, list, m, b->again ? degree : degree * 3 / 4, b->again ? degree : 0);
    put_row(b, at, list, m);
}

static ken_status link_groups(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const builder *b = cookie;
    for (size_t i = begin; i < end; i++)
        link_back(b, &b->workers[worker_number], b->edges + b->groups[i],
                  b->groups[i + 1] - b->groups[i]);
    return KEN_OK;
}

static void sort_edges(builder *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        for (size_t k = 0; k < b->n_cands[i]; k++) {
            const near *c = &b->cands[i * CANDS + k];
            b->edges[n++] = (edge){ c->at, b->items[i], c->d };
        }
    qsort(b->edges, n, sizeof *b->edges, edge_order);
    b->n_groups = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || b->edges[i].to != b->edges[i - 1].to)
            b->groups[b->n_groups++] = i;
    b->groups[b->n_groups] = n;
}

static ken_status run_batch(builder *b, size_t first, size_t n)
{
    b->items = b->order + first;
    b->n = n;
    ken_status st = kn_parallel(n, 1, b->threads, find_items, b);
    for (size_t i = 0; !b->again && i < n; i++)
        memcpy(b->rows + i * b->g->stride, row_of(b, kn_node_at(b->l, b->items[i])),
               b->g->stride);
    if (!st && !b->again)
        st = kn_parallel(n, TILE, b->threads, find_among, b);
    if (!st)
        st = kn_parallel(n, 1, b->threads, link_items, b);
    if (st)
        return st;
    sort_edges(b);
    st = kn_parallel(b->n_groups, 1, b->threads, link_groups, b);
    if (!b->again)
        b->done += n;
    b->told += n;
    return st ? st : kn_meter_tell(&b->meter, b->told, NULL);
}

/* ---- every node within reach ---------------------------------------------------- */

typedef struct reach {
    const builder *b;
    uint32_t *parent, *queue; /* parent: KN_NO_ROW while not reached */
    size_t head, len;
} reach;

static void spread(reach *r)
{
    for (; r->head < r->len; r->head++) {
        const uint32_t from = r->queue[r->head], *ids = kn_links(r->b->l, from);
        for (uint32_t k = 0; k < r->b->l->degree; k++)
            if (r->parent[ids[k]] == KN_NO_ROW) {
                r->parent[ids[k]] = from;
                r->queue[r->len++] = ids[k];
            }
    }
}

/* A link of `from` that may go: free, or one by which nobody was reached. */
static int adopt(reach *r, uint32_t from, uint32_t at)
{
    const builder *b = r->b;
    const uint32_t *ids = kn_links(b->l, from), degree = b->l->degree;
    uint32_t k = b->fill[from];
    if (r->parent[from] == KN_NO_ROW)
        return 0;
    if (k == degree)
        for (; k-- > 0 && r->parent[ids[k]] == from;)
            continue;
    if (k >= degree) /* none: k has wrapped */
        return 0;
    put_link(b, from, k, at);
    b->fill[from] += b->fill[from] == k;
    r->parent[at] = from;
    r->queue[r->len++] = at;
    return 1;
}

/* From where the entry stands in this layer, along links, to all: a node that is not reached is linked
 * from the nearest of its own links that is. */
static ken_status connect(builder *b)
{
    const uint32_t n = b->l->n;
    uint32_t first = 0;
    reach r = { .b = b };
    for (uint32_t l = b->g->layers - 1; &b->g->layer[l] != b->l; l--)
        first = b->g->layer[l].down[first];
    r.parent = kn_alloc(n, sizeof *r.parent);
    r.queue = kn_alloc(n, sizeof *r.queue);
    if (r.parent && r.queue) {
        memset(r.parent, 0xff, n * sizeof *r.parent);
        r.parent[first] = first;
        r.queue[r.len++] = first;
        spread(&r);
        for (uint32_t at = 0; at < n; at++) {
            if (r.parent[at] != KN_NO_ROW)
                continue;
            const uint32_t *ids = kn_links(b->l, at);
            int linked = 0;
            for (uint32_t k = 0; k < b->fill[at] && !linked; k++)
                linked = adopt(&r, ids[k], at);
            for (uint32_t from = 0; from < n && !linked; from++)
                linked = adopt(&r, from, at);
            spread(&r);
        }
        b->g->unreachable += n - r.len;
    }
    const int ok = r.parent && r.queue;
    kn_free(r.parent);
    kn_free(r.queue);
    return ok ? KEN_OK : KEN_E_NOMEM;
}

/* ---- a layer ----------------------------------------------------------------------- */

/* Those of the layer above first, then the others, each part shuffled. */
static void put_in_order(builder *b, uint32_t layer)
{
    const kn_graph *g = b->g;
    const uint32_t n = b->l->n, above = layer + 1 < g->layers ? g->layer[layer + 1].n : 0;
    kn_rand r = kn_rand_at(g->coder.seed, 0x6f72646572 + layer); /* "order" */
    memset(b->fill, 0, n);
    for (uint32_t i = 0; i < above; i++) {
        b->order[i] = g->layer[layer + 1].down[i];
        b->fill[b->order[i]] = 1;
    }
    for (uint32_t i = 0, k = above; i < n; i++)
        if (!b->fill[i])
            b->order[k++] = i;
    memset(b->fill, 0, n);
    for (uint32_t part = 0; part < 2; part++) {
        const uint32_t first = part ? above : 0, end = part ? n : above;
        for (uint32_t i = end; i-- > first + 1;) {
            const uint32_t j = first + kn_rand_below(&r, i - first + 1), t = b->order[i];
            b->order[i] = b->order[j];
            b->order[j] = t;
        }
    }
}

static ken_status build_layer(builder *b, uint32_t layer)
{
    kn_layer *l = b->l = &b->g->layer[layer];
    ken_status st = own(b->g, b->links = kn_alloc_aligned(l->n, l->row_bytes));
    if (st)
        return st;
    l->links = b->links;
    put_in_order(b, layer);
    for (uint32_t at = 0; at < l->n; at++)
        put_row(b, at, NULL, 0);
    b->done = 0;
    for (b->again = 0; !st && b->again < 2; b->again++)
        for (size_t i = 0; !st && i < l->n;) {
            size_t n = l->n - i < BATCH ? l->n - i : BATCH;
            const uint32_t above = layer + 1 < b->g->layers ? b->g->layer[layer + 1].n : 0;
            if (!b->again && i && n > i)
                n = i; /* not more than there are already */
            if (!b->again && i < above && n > above - i)
                n = above - i; /* from then on searches begin at the top */
            st = run_batch(b, i, n);
            i += n;
        }
    return st ? st : connect(b);
}

/* ---- nodes, codes, levels ------------------------------------------------------------ */

static ken_status find_twins(builder *b)
{
    kn_graph *g = b->g;
    const size_t n = g->rows.n, bytes = g->rows.dim * sizeof(float);
    uint32_t *slots = kn_alloc(n, sizeof *slots), *twins = kn_alloc(n, sizeof *twins);
    uint32_t *last = kn_alloc(n, sizeof *last);
    float *room = kn_alloc(2, bytes), *other = room + g->rows.dim;
    kn_idmap seen = { 0 };
    ken_status st = own(g, slots);
    if (!st)
        st = own(g, twins);
    else
        kn_free(twins);
    if (!st)
        st = last && room ? kn_idmap_reserve(&seen, n) : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        const float *row = kn_rows_at(&g->rows, i, room);
        const uint64_t hash = kn_hash64(row, bytes);
        size_t first;
        twins[i] = KN_NO_ROW;
        last[i] = (uint32_t)i;
        if (!kn_idmap_get(&seen, hash, &first))
            kn_idmap_put(&seen, hash, i);
        else if (!memcmp(row, kn_rows_at(&g->rows, first, other), bytes)) {
            twins[last[first]] = (uint32_t)i;
            last[first] = (uint32_t)i;
            continue;
        }
        slots[g->n++] = (uint32_t)i;
    }
    kn_idmap_release(&seen);
    kn_free(room);
    kn_free(last);
    g->slots = slots;
    g->twins = twins;
    return st;
}

static ken_status encode(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const builder *b = cookie;
    const kn_graph *g = b->g;
    worker *w = &b->workers[worker_number];
    for (size_t i = begin; i < end; i++) {
        float pair[2];
        kn_coder_centre(&g->coder, whole(b, w, i), 1, w->v);
        kn_code_bytes(w->v, g->coder.dim, (int8_t *)(uintptr_t)row_of(b, (uint32_t)i));
        if (!g->bits)
            continue;
        kn_coder_rotate(&g->coder, w->v);
        pair[0] = kn_code_bits(w->v, g->coder.padded,
                               (uint8_t *)(uintptr_t)g->bits + i * g->coder.padded / 8, &pair[1]);
        kn_kernels_get()->f32_to_f16(&pair[0], &b->factor[i], 1);
        kn_kernels_get()->f32_to_f16(&pair[1], &b->norm[i], 1);
    }
    return KEN_OK;
}

static ken_status make_codes(builder *b)
{
    kn_graph *g = b->g;
    void *bytes, *bits = NULL;
    g->stride = kn_byte_stride(g->coder.dim);
    ken_status st = own(g, bytes = kn_alloc_aligned(g->n, g->stride));
    if (!st && g->coder.dim >= KN_BITS_MIN_DIM)
        st = own(g, bits = kn_alloc_aligned(g->n, g->coder.padded / 8));
    g->bytes = bytes;
    g->bits = bits;
    b->factor = kn_alloc(g->n, sizeof *b->factor);
    b->norm = kn_alloc(g->n, sizeof *b->norm);
    if (st || !b->factor || !b->norm)
        return st ? st : KEN_E_NOMEM;
    return kn_parallel(g->n, 256, b->threads, encode, b);
}

/* The finalizer of MurmurHash3 (Appleby, public domain). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* One node in m is raised to the next layer. */
static uint32_t level_of(const kn_graph *g, uint32_t node)
{
    uint64_t h = mix(g->rows.ids[g->slots[node]] + g->coder.seed);
    uint32_t level = 0;
    for (; level + 1 < KN_LAYERS && h % g->m == 0; level++)
        h /= g->m;
    return level;
}

static ken_status make_upper_layer(kn_graph *g, uint32_t layer)
{
    kn_layer *l = &g->layer[layer];
    const kn_layer *below = &g->layer[layer - 1];
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++)
        n += level_of(g, i) >= layer;
    if (!n || n == below->n)
        return KEN_OK;
    uint32_t *nodes = kn_alloc(n, sizeof *nodes), *down = kn_alloc(n, sizeof *down);
    ken_status st = own(g, nodes);
    if (st)
        kn_free(down);
    else
        st = own(g, down);
    if (st)
        return st;
    n = 0;
    for (uint32_t at = 0; at < below->n; at++)
        if (level_of(g, kn_node_at(below, at)) >= layer) {
            nodes[n] = kn_node_at(below, at);
            down[n++] = at;
        }
    *l = (kn_layer){ .n = n, .nodes = nodes, .down = down };
    g->layers++;
    return KEN_OK;
}

static ken_status make_layers(kn_graph *g)
{
    ken_status st = KEN_OK;
    g->layer[0].n = g->n;
    g->layers = 1;
    for (uint32_t l = 1; !st && l < KN_LAYERS && g->layers == l; l++)
        st = make_upper_layer(g, l);
    for (uint32_t l = 0; l < g->layers; l++) {
        const uint32_t degree = l ? g->m : 2 * g->m;
        g->layer[l].degree = degree;
        g->layer[l].row_bytes =
            degree * (4 + (g->bits ? g->rows.metric == KN_METRIC_L2 ? 4u : 2u : 0u));
    }
    return st;
}

/* ---- all of it ------------------------------------------------------------------------ */

static void free_worker(worker *w)
{
    void *const all[] = { w->w.visited, w->w.beam, w->s.planes, w->s.seven, w->v, w->row,
                          w->rotated,   w->d,      w->list,     w->ids,     w->left,
                          w->dead,      w->seven,  w->sevens,   w->dots };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kn_free(all[i]);
}

static ken_status make_worker(const builder *b, worker *w)
{
    const size_t padded = b->g->coder.padded, dim = kn_byte_padded(b->g->coder.dim);
    const size_t cap = b->cap > TILE * TILE_ROWS ? b->cap : TILE * TILE_ROWS;
    w->w.visited = kn_alloc_aligned((b->g->rows.n + 63) / 64, sizeof *w->w.visited);
    w->w.beam = kn_alloc(b->ef + UINT32_C(64), sizeof *w->w.beam);
    w->s.planes = kn_alloc_aligned(KN_PLANES * padded / 8, 1);
    w->s.seven = kn_alloc_aligned(dim, 1);
    w->v = kn_alloc_aligned(padded, sizeof *w->v);
    w->row = kn_alloc_aligned(padded, sizeof *w->row);
    w->rotated = kn_alloc_aligned(padded, sizeof *w->rotated);
    w->d = kn_alloc(cap, sizeof *w->d);
    w->list = kn_alloc(cap, sizeof *w->list);
    w->ids = kn_alloc(cap, sizeof *w->ids);
    w->left = kn_alloc(cap, sizeof *w->left);
    w->dead = kn_alloc(cap, 1);
    w->seven = kn_alloc_aligned(dim, 1);
    w->sevens = kn_alloc_aligned(TILE * dim, 1);
    w->dots = kn_alloc(cap, sizeof *w->dots);
    return w->w.visited && w->w.beam && w->s.planes && w->s.seven && w->v && w->row && w->rotated && w->d
                   && w->list && w->ids && w->left && w->dead && w->seven && w->sevens && w->dots
               ? KEN_OK
               : KEN_E_NOMEM;
}

/* Nearest by inner product is nearest by distance once every row has the same length: one more
 * coordinate makes it so, and queries have 0 there (Bachrach et al., RecSys 2014). */
static ken_status lengthen(builder *b, float **copy)
{
    const kn_rows *r = &b->g->rows;
    double most = 0, *square = kn_alloc(r->n, sizeof *square);
    b->ld = r->dim + 1;
    *copy = kn_alloc_aligned(r->n, b->ld * sizeof **copy);
    for (size_t i = 0; square && *copy && i < r->n; i++) {
        square[i] = 0;
        for (size_t j = 0; j < r->dim; j++)
            square[i] += (double)r->f32[i * r->dim + j] * (double)r->f32[i * r->dim + j];
        most = square[i] > most ? square[i] : most;
    }
    for (size_t i = 0; square && *copy && i < r->n; i++) {
        memcpy(*copy + i * b->ld, r->f32 + i * r->dim, r->dim * sizeof **copy);
        (*copy)[i * b->ld + r->dim] = (float)sqrt(most - square[i]);
    }
    const int ok = square && *copy;
    kn_free(square);
    b->base = *copy;
    return ok ? KEN_OK : KEN_E_NOMEM;
}

/* Rows of a source need not be read twice: evenly spread ones tell enough. */
static ken_status train_coder(builder *b, uint64_t seed)
{
    const kn_rows *r = &b->g->rows;
    const uint32_t dim = (uint32_t)b->ld;
    if (b->base)
        return kn_coder_train(&b->g->coder, b->base, r->n, b->ld, dim, seed, b->threads);
    const size_t n = r->n < SAMPLE ? r->n : SAMPLE;
    float *rows = kn_alloc_aligned(n ? n : 1, dim * sizeof *rows);
    if (!rows)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        r->source->row(r->source->cookie, r->ids[i * r->n / n], rows + i * dim);
    const ken_status st = kn_coder_train(&b->g->coder, rows, n, dim, dim, seed, b->threads);
    kn_free(rows);
    return st;
}

static ken_status start(builder *b, const kn_build *o)
{
    kn_graph *g = b->g;
    const size_t degree = 2 * g->m;
    ken_status st = train_coder(b, o->seed);
    if (!st)
        st = find_twins(b);
    if (st)
        return st;
    b->ef = o->ef_construction ? o->ef_construction : EF;
    b->cap = BATCH + b->ef + 2 * KN_MAX_DEGREE + CANDS;
    b->workers = kn_zalloc(b->threads, sizeof *b->workers);
    for (uint32_t i = 0; !st && b->workers && i < b->threads; i++)
        st = make_worker(b, &b->workers[i]);
    b->fill = kn_alloc(g->n + 1, 1);
    b->order = kn_alloc(g->n + 1, sizeof *b->order);
    b->cands = kn_alloc(BATCH, CANDS * sizeof *b->cands);
    b->n_cands = kn_alloc(BATCH, sizeof *b->n_cands);
    b->edges = kn_alloc(BATCH * degree, sizeof *b->edges);
    b->groups = kn_alloc(BATCH * degree + 1, sizeof *b->groups);
    b->rows = kn_alloc_aligned(BATCH, kn_byte_stride(g->coder.dim));
    if (!st
        && (!b->workers || !b->fill || !b->order || !b->cands || !b->n_cands || !b->edges
            || !b->groups || !b->rows))
        st = KEN_E_NOMEM;
    if (!st)
        st = make_codes(b);
    return st ? st : make_layers(g);
}

static void finish(builder *b, float *copy)
{
    for (uint32_t i = 0; b->workers && i < b->threads; i++)
        free_worker(&b->workers[i]);
    void *const all[] = { b->workers, b->factor, b->norm,  b->fill,   b->order, b->cands,
                          b->n_cands, b->edges,  b->groups, b->rows, copy };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kn_free(all[i]);
}

ken_status kn_graph_build(kn_graph *g, const kn_rows *rows, uint32_t m, const kn_build *o)
{
    *g = (kn_graph){ .rows = *rows, .m = m };
    builder b = { .g = g, .base = rows->f32, .ld = rows->dim };
    float *copy = NULL;
    uint64_t total = 0;
    b.threads = o->threads ? o->threads : 1;
    ken_status st = rows->metric == KN_METRIC_DOT ? lengthen(&b, &copy) : KEN_OK;
    if (!st)
        st = start(&b, o);
    for (uint32_t l = 0; l < g->layers; l++)
        total += 2 * (uint64_t)g->layer[l].n;
    kn_meter_start(&b.meter, "link", "vectors", total, o->progress, o->cookie);
    for (uint32_t l = g->layers; !st && l-- > 0;)
        if (g->layer[l].n)
            st = build_layer(&b, l);
    if (!st)
        kn_meter_end(&b.meter);
    finish(&b, copy);
    if (st)
        kn_graph_release(g);
    return st;
}
