/*
 * graph_link.c - linking nodes of a layer, in batches.
 *
 * A batch of nodes looks for neighbours in the graph as it was before it, and among itself by products
 * of bytes; the candidates are pruned (an edge goes if a kept neighbour is nearer to its end than the
 * node itself), then each new edge is offered to its other end.  Every step writes only what belongs
 * to one node and reads only what the step before has finished, in whole numbers or in one fixed
 * order of float operations, so neither threads nor the CPU level can change the outcome (the batches
 * of Dobson et al., "ParlayANN", PPoPP 2024).
 */
#include "index/graph_builder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AMONG = 16 }; /* candidates from a node's own batch */

/* ---- distances ------------------------------------------------------------------ */

const int8_t *kn_builder_row(const kn_builder *b, uint32_t node)
{
    return b->g->bytes + node * b->g->stride;
}

void kn_builder_distances(const kn_builder *b, const uint8_t *seven, const kn_byte_tail *t,
                      const uint32_t *nodes, size_t n, int32_t *dots, float *out)
{
    const size_t dim = b->g->coder.dim;
    kn_kernels_get()->dots_u7i8(seven, b->g->bytes, b->g->stride, nodes, n, kn_byte_padded(dim),
                                dots);
    for (size_t i = 0; i < n; i++) {
        const kn_byte_tail *u = kn_byte_tail_of(kn_builder_row(b, nodes[i]), dim);
        const float twice = (float)(4 * (dots[i] - 64 * u->sum) + u->sum);
        const float d = t->norm2 + u->norm2 - t->scale * u->scale * twice;
        out[i] = d > 0 ? d : 0;
    }
}

static int nearer(const void *a, const void *b)
{
    const kn_cand *x = a, *y = b;
    if (x->d != y->d)
        return x->d < y->d ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* ---- pruning -------------------------------------------------------------------- */

size_t kn_builder_prune(const kn_builder *b, kn_worker *w, kn_cand *list, size_t n, size_t most, size_t least)
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
        kn_code_seven_of(kn_builder_row(b, node), b->g->coder.dim, w->seven);
        kn_builder_distances(b, w->seven, kn_byte_tail_of(kn_builder_row(b, node), b->g->coder.dim),
                             w->ids, left, w->dots, w->d);
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

void kn_builder_put_link(const kn_builder *b, uint32_t at, size_t k, uint32_t to)
{
    uint32_t *ids = (uint32_t *)(b->links + at * b->l->row_bytes);
    uint16_t *factors = (uint16_t *)(ids + b->l->degree);
    ids[k] = to;
    if (b->g->bits)
        factors[k] = b->factor[kn_node_at(b->l, to)];
    if (b->g->bits && b->g->rows.metric == KN_METRIC_L2)
        factors[b->l->degree + k] = b->norm[kn_node_at(b->l, to)];
}

void kn_builder_put_row(const kn_builder *b, uint32_t at, const kn_cand *list, size_t n)
{
    for (size_t k = 0; k < b->l->degree; k++)
        kn_builder_put_link(b, at, k, k < n ? list[k].at : at);
    b->fill[at] = (uint8_t)n;
}

/* ---- a batch ---------------------------------------------------------------------- */

static size_t add_links(const kn_builder *b, kn_worker *w, uint32_t at, kn_cand *list, size_t n)
{
    const uint32_t *ids = kn_links(b->l, at), node = kn_node_at(b->l, at);
    const size_t fill = b->fill[at];
    for (size_t k = 0; k < fill; k++)
        w->ids[k] = kn_node_at(b->l, ids[k]);
    kn_code_seven_of(kn_builder_row(b, node), b->g->coder.dim, w->seven);
    kn_builder_distances(b, w->seven, kn_byte_tail_of(kn_builder_row(b, node), b->g->coder.dim),
                         w->ids, fill, w->dots, w->d);
    for (size_t k = 0; k < fill; k++)
        list[n++] = (kn_cand){ w->d[k], ids[k] };
    return n;
}

size_t kn_builder_tidy(kn_cand *list, size_t n, size_t most)
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

const float *kn_builder_whole(const kn_builder *b, kn_worker *w, size_t node)
{
    const uint32_t slot = b->g->slots[node];
    return b->base ? b->base + slot * b->ld : kn_rows_at(&b->g->rows, slot, w->row);
}

static void seek(const kn_builder *b, kn_worker *w, uint32_t node)
{
    kn_graph *g = b->g;
    kn_coder_centre(&g->coder, kn_builder_whole(b, w, node), g->rows.metric == KN_METRIC_L2, w->v);
    kn_seeker_set(g, &w->s, w->v, w->rotated);
}

static ken_status find_items(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const kn_builder *b = cookie;
    const kn_graph *g = b->g;
    kn_worker *w = &b->workers[worker_number];
    const uint32_t layer = (uint32_t)(b->l - g->layer);
    const int from_top = layer + 1 < g->layers && b->done >= g->layer[layer + 1].n && !b->low;
    for (size_t i = begin; i < end; i++) {
        const uint32_t at = b->items[i], node = kn_node_at(b->l, at);
        kn_cand *list = w->list;
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
        kn_code_seven_of(kn_builder_row(b, node), g->coder.dim, w->seven);
        kn_builder_distances(b, w->seven, kn_byte_tail_of(kn_builder_row(b, node), g->coder.dim),
                             w->ids, m, w->dots, w->d);
        for (size_t k = 0; k < m; k++)
            list[k].d = w->d[k];
        if (b->again)
            m = add_links(b, w, at, list, m);
        m = kn_builder_tidy(list, m, KN_CANDS - AMONG);
        memcpy(b->cands + i * KN_CANDS, list, m * sizeof *list);
        b->n_cands[i] = (uint32_t)m;
    }
    return KEN_OK;
}

/* A heap with the farthest in front would do as well; AMONG is small. */
static void keep_near(kn_cand *best, size_t *n, kn_cand e)
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

/* KN_TILE items among the whole batch. */
static void find_tile(const kn_builder *b, kn_worker *w, size_t first, size_t q)
{
    const size_t dim = b->g->coder.dim, padded = kn_byte_padded(dim), stride = b->g->stride;
    kn_cand best[KN_TILE][AMONG];
    size_t n[KN_TILE] = { 0 };
    for (size_t i = 0; i < q; i++)
        kn_code_seven_of(b->rows + (first + i) * stride, dim, w->sevens + i * padded);
    for (size_t r = 0; r < b->n; r += KN_TILE_ROWS) {
        const size_t m = b->n - r < KN_TILE_ROWS ? b->n - r : KN_TILE_ROWS;
        kn_kernels_get()->products_u7i8(w->sevens, padded, q, b->rows + r * stride, stride, m,
                                        padded, w->dots, KN_TILE_ROWS);
        for (size_t i = 0; i < q; i++) {
            const kn_byte_tail *t = kn_byte_tail_of(b->rows + (first + i) * stride, dim);
            float worst = n[i] < AMONG ? INFINITY : best[i][AMONG - 1].d;
            for (size_t j = 0; j < m; j++) {
                const kn_byte_tail *u = kn_byte_tail_of(b->rows + (r + j) * stride, dim);
                const int32_t twice = 4 * (w->dots[i * KN_TILE_ROWS + j] - 64 * u->sum) + u->sum;
                float d = t->norm2 + u->norm2 - t->scale * u->scale * (float)twice;
                d = d > 0 ? d : 0;
                if (d <= worst && r + j != first + i) {
                    keep_near(best[i], &n[i], (kn_cand){ d, b->items[r + j] });
                    worst = n[i] < AMONG ? INFINITY : best[i][AMONG - 1].d;
                }
            }
        }
    }
    for (size_t i = 0; i < q; i++) {
        memcpy(b->cands + (first + i) * KN_CANDS + b->n_cands[first + i], best[i],
               n[i] * sizeof(kn_cand));
        b->n_cands[first + i] += (uint32_t)n[i];
    }
}

static ken_status find_among(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const kn_builder *b = cookie;
    for (size_t i = begin; i < end; i += KN_TILE)
        find_tile(b, &b->workers[worker_number], i, end - i < KN_TILE ? end - i : KN_TILE);
    return KEN_OK;
}

static ken_status link_items(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const kn_builder *b = cookie;
    kn_worker *w = &b->workers[worker_number];
    for (size_t i = begin; i < end; i++) {
        kn_cand *list = b->cands + i * KN_CANDS;
        size_t n = kn_builder_tidy(list, b->n_cands[i], KN_CANDS);
        n = kn_builder_prune(b, w, list, n, b->l->degree, b->dense ? b->l->degree * 3 / 4 : 0);
        b->n_cands[i] = (uint32_t)n;
        kn_builder_put_row(b, b->items[i], list, n);
    }
    return KEN_OK;
}

static int edge_order(const void *a, const void *b)
{
    const kn_edge *x = a, *y = b;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->d != y->d)
        return x->d < y->d ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

/* What is new to a node: into its free links, or pruned together with the old ones, so far that
 * there is room for the next few (faiss calls it headroom). */
static void link_back(const kn_builder *b, kn_worker *w, const kn_edge *e, size_t n)
{
    const uint32_t at = e->to, degree = b->l->degree, *ids = kn_links(b->l, at);
    const size_t fill = b->fill[at];
    kn_cand *list = w->list;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < fill && ids[k] != e[i].from)
            k++;
        if (k == fill)
            list[m++] = (kn_cand){ e[i].d, e[i].from };
    }
    if (fill + m <= degree) {
        for (size_t i = 0; i < m; i++)
            kn_builder_put_link(b, at, fill + i, list[i].at);
        b->fill[at] = (uint8_t)(fill + m);
        return;
    }
    m = kn_builder_tidy(list, add_links(b, w, at, list, m), KN_CANDS);
    m = kn_builder_prune(b, w, list, m, b->dense ? degree : degree * 3 / 4, b->dense ? degree : 0);
    kn_builder_put_row(b, at, list, m);
}

static ken_status link_groups(size_t begin, size_t end, uint32_t worker_number, void *cookie)
{
    const kn_builder *b = cookie;
    for (size_t i = begin; i < end; i++)
        link_back(b, &b->workers[worker_number], b->edges + b->groups[i],
                  b->groups[i + 1] - b->groups[i]);
    return KEN_OK;
}

static void sort_edges(kn_builder *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        for (size_t k = 0; k < b->n_cands[i]; k++) {
            const kn_cand *c = &b->cands[i * KN_CANDS + k];
            b->edges[n++] = (kn_edge){ c->at, b->items[i], c->d };
        }
    qsort(b->edges, n, sizeof *b->edges, edge_order);
    b->n_groups = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || b->edges[i].to != b->edges[i - 1].to)
            b->groups[b->n_groups++] = i;
    b->groups[b->n_groups] = n;
}

ken_status kn_builder_batch(kn_builder *b, size_t first, size_t n)
{
    b->items = b->order + first;
    b->n = n;
    ken_status st = kn_parallel(n, 1, b->threads, find_items, b);
    for (size_t i = 0; !b->again && i < n; i++)
        memcpy(b->rows + i * b->g->stride, kn_builder_row(b, kn_node_at(b->l, b->items[i])),
               b->g->stride);
    if (!st && !b->again)
        st = kn_parallel(n, KN_TILE, b->threads, find_among, b);
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
    const kn_builder *b;
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
    const kn_builder *b = r->b;
    const uint32_t *ids = kn_links(b->l, from), degree = b->l->degree;
    uint32_t k = b->fill[from];
    if (r->parent[from] == KN_NO_ROW)
        return 0;
    if (k == degree)
        for (; k-- > 0 && r->parent[ids[k]] == from;)
            continue;
    if (k >= degree) /* none: k has wrapped */
        return 0;
    kn_builder_put_link(b, from, k, at);
    b->fill[from] += b->fill[from] == k;
    r->parent[at] = from;
    r->queue[r->len++] = at;
    return 1;
}

ken_status kn_builder_connect(kn_builder *b)
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
