/*
 * hnsw.c - the kind HNSW: answering from the graph, and its sections in the file.
 *
 * A query walks the graph over 1-bit codes; all that it ends up with is compared again by bytes, the
 * best few of that by their whole rows.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "index/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    EF = 160,
    MAX_EF = 1 << 16,
    AHEAD = 16 /* rows that are asked for before they are needed */
};

/* ---- searching ------------------------------------------------------------------ */

typedef struct finding { /* what a search uses of its scratch memory */
    kn_walk_space w;
    kn_seeker s;
    float *v, *rotated;
    uint32_t *node;
    int32_t *dots;
    kn_near *best; /* (rerank) by bytes; id: the node */
} finding;

static size_t room_for(const kn_graph *g, size_t ef, size_t rerank, unsigned char *p, finding *f)
{
    size_t at = 0;
    const size_t padded = g->coder.padded;
#define PLACE(field, bytes)                                                                        \
    do {                                                                                           \
        if (p)                                                                                     \
            f->field = (void *)(p + at);                                                           \
        at += ((bytes) + 63) / 64 * 64;                                                            \
    } while (0)
    PLACE(w.visited, ((size_t)g->n + 63) / 64 * 8);
    PLACE(w.beam, (ef + 64) * sizeof *f->w.beam);
    PLACE(s.planes, KN_PLANES * padded / 8);
    PLACE(s.seven, kn_byte_padded(g->coder.dim));
    PLACE(v, padded * sizeof *f->v);
    PLACE(rotated, padded * sizeof *f->rotated);
    PLACE(node, (ef + 64) * sizeof *f->node);
    PLACE(dots, (ef + 64) * sizeof *f->dots);
    PLACE(best, rerank * sizeof *f->best);
#undef PLACE
    return at;
}

static void prepare(const kn_graph *g, finding *f, const float *query)
{
    if (g->rows.metric == KN_METRIC_L2)
        kn_coder_centre(&g->coder, query, 1, f->v);
    else {
        memset(f->v, 0, g->coder.padded * sizeof *f->v); /* also the coordinate that rows have more */
        memcpy(f->v, query, g->rows.dim * sizeof *f->v);
    }
    kn_seeker_set(g, &f->s, f->v, f->rotated);
    if (!g->bytes) {
        double along = 0;
        for (size_t j = 0; j < g->rows.dim; j++)
            along += (double)g->coder.centre[j] * (double)query[j];
        f->s.query = query;
        f->s.along = (float)along;
    }
}

static int any_allowed(const kn_graph *g, const kn_find *p, uint32_t node)
{
    uint32_t slot = g->slots[node];
    for (size_t i = 0; i < g->rows.n && slot < g->rows.n; i++, slot = g->twins[slot])
        if (kn_find_allows(p, slot))
            return 1;
    return 0;
}

static void prefetch(const kn_graph *g, uint32_t node)
{
    for (size_t i = 0; i < g->stride; i += 64)
        __builtin_prefetch(g->bytes + node * g->stride + i);
}

/* The nodes in f->node (n) by bytes: the best `rerank` into f->best.  Returns how many. */
static size_t by_bytes(const kn_graph *g, finding *f, size_t n, size_t rerank)
{
    const size_t dim = g->coder.dim;
    kn_topk best;
    kn_topk_init(&best, f->best, rerank);
    for (size_t i = 0; i < n && i < AHEAD; i++)
        prefetch(g, f->node[i]);
    for (size_t i = 0; i < n; i += AHEAD / 2) {
        const size_t m = n - i < AHEAD / 2 ? n - i : AHEAD / 2;
        for (size_t j = i + AHEAD; j < n && j < i + AHEAD + AHEAD / 2; j++)
            prefetch(g, f->node[j]);
        kn_kernels_get()->dots_u7i8(f->s.seven, g->bytes, g->stride, f->node + i, m,
                                    kn_byte_padded(dim), f->dots);
        for (size_t j = 0; j < m; j++) {
            const kn_byte_tail *t =
                kn_byte_tail_of(g->bytes + f->node[i + j] * g->stride, dim);
            const float e = t->scale * f->s.seven_step * kn_byte_dot(f->dots[j], t);
            kn_topk_offer(&best, f->node[i + j],
                          g->rows.metric == KN_METRIC_L2 ? 2 * e - t->norm2 : e);
        }
    }
    kn_topk_sort(&best);
    return best.len;
}

/* Without bytes, whole rows decide on all that is kept in sight: the best `rerank` by bits. */
static size_t by_bits(finding *f, size_t n, size_t rerank)
{
    const size_t m = n < rerank ? n : rerank;
    for (size_t i = 0; i < m; i++)
        f->best[i].id = f->node[i];
    return m;
}

static void prefetch_row(const kn_graph *g, const finding *f, size_t i, size_t n)
{
    const kn_source *s = g->rows.source;
    const uint32_t slot = i < n ? g->slots[f->best[i].id] : KN_NO_ROW;
    if (s && slot < g->rows.n)
        s->prefetch(s->cookie, g->rows.ids[slot]);
}

/* The whole rows decide; equal rows all have the same score. */
static void by_rows(const kn_graph *g, const finding *f, size_t n, const float *query,
                    const kn_find *p, kn_topk *top)
{
    const kn_rows *r = &g->rows;
    for (size_t i = 0; i < AHEAD / 2; i++)
        prefetch_row(g, f, i, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = g->slots[f->best[i].id];
        prefetch_row(g, f, i + AHEAD / 2, n);
        if (slot >= r->n)
            continue;
        const float raw = kn_rows_raw(r, slot, query);
        for (size_t j = 0; j < r->n && slot < r->n; j++, slot = g->twins[slot])
            if (kn_find_allows(p, slot))
                kn_topk_offer(top, r->ids[slot], raw);
    }
}

/* The node of a slot, unless there are copies of it. */
static void hide(const kn_graph *g, finding *f, size_t slot)
{
    uint32_t low = 0, high = g->n;
    f->w.hidden = 0;
    while (slot && low < high) { /* slots ascend */
        const uint32_t mid = low + (high - low) / 2;
        if (g->slots[mid] == slot - 1 && g->twins[slot - 1] == KN_NO_ROW)
            f->w.hidden = mid + 1;
        if (g->slots[mid] < slot - 1)
            low = mid + 1;
        else
            high = mid;
    }
}

static void search_one(const kn_graph *g, finding *f, const float *query, const kn_find *p,
                       size_t ef, size_t rerank, kn_topk *top)
{
    size_t m = 0;
    prepare(g, f, query);
    hide(g, f, p->hide);
    uint32_t start = kn_descend(g, 0, &f->s, &f->w);
    if (start + 1 == f->w.hidden) /* it stands in an upper layer, too */
        start = kn_node_at(&g->layer[g->layers - 1], 0);
    const size_t n = kn_walk_layer(g, &g->layer[0], &f->s, start, ef, &f->w);
    for (size_t i = 0; i < n; i++) {
        const uint32_t node = kn_beam_at(f->w.beam[i]);
        if (!p->allowed || any_allowed(g, p, node))
            f->node[m++] = node;
    }
    by_rows(g, f, g->bytes ? by_bytes(g, f, m, rerank) : by_bits(f, m, rerank), query, p, top);
}

/* Few may be answered: all of them are compared. */
static void search_allowed(const kn_graph *g, const float *query, const kn_find *p, kn_topk *top)
{
    const kn_rows *r = &g->rows;
    for (size_t w = 0; w < (r->n + 63) / 64; w++)
        for (uint64_t left = p->allowed[w]; left; left &= left - 1) {
            const size_t slot = w * 64 + (size_t)__builtin_ctzll(left);
            if (slot < r->n)
                kn_topk_offer(top, r->ids[slot], kn_rows_raw(r, slot, query));
        }
}

/* How many of the nearest `ef` are wanted when only some may be answered; 0: look at those alone. */
static size_t widen(const kn_graph *g, const kn_find *p, size_t ef)
{
    if (!p->allowed || !p->n_allowed)
        return p->allowed ? 0 : ef;
    const double factor = (double)g->rows.n / (double)p->n_allowed;
    /* five rows are compared in the time that one more in sight takes */
    return (double)p->n_allowed < 5 * factor * (double)ef || factor > 32
               ? 0
               : (size_t)((double)ef * factor);
}

static ken_status search(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top)
{
    const kn_graph *g = state;
    finding f = { .w = { 0 } };
    size_t ef = p->ef ? p->ef : EF, rerank = p->rerank ? p->rerank : p->k + p->k * 3 / 5 + 8;
    ef = widen(g, p, ef < p->k ? p->k : ef);
    rerank = rerank < p->k ? p->k : rerank;
    rerank = g->bytes || p->rerank ? rerank : rerank > ef ? rerank : ef;
    if (!ef || !g->n) {
        for (size_t q = 0; g->n && q < nq; q++)
            search_allowed(g, queries + q * g->rows.dim, p, &top[q]);
        return KEN_OK;
    }
    ef = ef > MAX_EF ? MAX_EF : ef > g->n ? g->n : ef;
    ef = ef < rerank && rerank < g->n ? rerank : ef;
    rerank = rerank > ef ? ef : rerank;
    unsigned char *room = kn_scratch_room(scratch, room_for(g, ef, rerank, NULL, &f));
    if (!room)
        return KEN_E_NOMEM;
    room_for(g, ef, rerank, room, &f);
    for (size_t q = 0; q < nq; q++) {
        const float *query = queries + q * g->rows.dim;
        search_one(g, &f, query, p, ef, rerank, &top[q]);
        if (p->allowed && top[q].len < top[q].k && top[q].len < p->n_allowed) {
            /* the walk met too few: whoever can be answered is */
            kn_topk_init(&top[q], top[q].heap, top[q].k);
            search_allowed(g, query, p, &top[q]);
        }
    }
    return KEN_OK;
}

/* ---- building ------------------------------------------------------------------- */

static void release(void *state)
{
    if (!state)
        return;
    kn_graph_release(state);
    kn_free(state);
}

static ken_status build(void **state, const kn_rows *rows, const kn_spec *spec, const kn_build *b)
{
    kn_graph *g = kn_zalloc(1, sizeof *g);
    if (!g)
        return KEN_E_NOMEM;
    ken_status st = kn_graph_build(g, rows, spec->m, b);
    if (st)
        kn_free(g);
    else
        *state = g;
    return st;
}

static ken_status change(void **next, const void *state, const uint64_t *gone, const kn_rows *rows,
                         const kn_build *b)
{
    kn_graph *g = kn_zalloc(1, sizeof *g);
    if (!g)
        return KEN_E_NOMEM;
    ken_status st = kn_graph_change(g, state, gone, rows, b);
    if (st)
        kn_free(g);
    else
        *next = g;
    return st;
}

/* ---- sections --------------------------------------------------------------------- */

typedef struct head { /* section "graph" */
    uint64_t seed, unreachable;
    float scale;
    uint32_t m, n, layers, coder_dim, trained; /* trained 0: in files before there was this number */
    uint32_t layer_n[KN_LAYERS];
} head;
_Static_assert(sizeof(head) == 72, "its layout is in files");

static const char *name_of(char buf[KN_SECTION_NAME], const char *what, uint32_t layer)
{
    snprintf(buf, KN_SECTION_NAME, "%s.%u", what, layer % KN_LAYERS);
    return buf;
}

static ken_status save(const void *state, kn_index_writer *w)
{
    const kn_graph *g = state;
    char name[KN_SECTION_NAME];
    head h = { .seed = g->coder.seed,
               .unreachable = g->unreachable,
               .scale = g->coder.scale,
               .m = g->m,
               .n = g->n,
               .layers = g->layers,
               .coder_dim = g->coder.dim,
               .trained = g->trained };
    for (uint32_t l = 0; l < g->layers; l++)
        h.layer_n[l] = g->layer[l].n;
    ken_status st = kn_index_writer_put(w, "graph", &h, sizeof h);
    if (!st)
        st = kn_index_writer_put(w, "centre", g->coder.centre, g->coder.dim * sizeof(float));
    if (!st)
        st = kn_index_writer_put(w, "slots", g->slots, g->n * sizeof *g->slots);
    if (!st)
        st = kn_index_writer_put(w, "twins", g->twins, g->rows.n * sizeof *g->twins);
    if (!st && g->bits)
        st = kn_index_writer_put(w, "bits", g->bits, g->n * (size_t)g->coder.padded / 8);
    for (uint32_t i = 0; !st && i < g->layers; i++) {
        const kn_layer *l = &g->layer[i];
        st = kn_index_writer_put(w, name_of(name, "links", i), l->links, l->n * l->row_bytes);
        if (!st && i)
            st = kn_index_writer_put(w, name_of(name, "nodes", i), l->nodes, l->n * sizeof(uint32_t));
        if (!st && i)
            st = kn_index_writer_put(w, name_of(name, "down", i), l->down, l->n * sizeof(uint32_t));
    }
    if (st || (g->rows.source && g->bits))
        return st;
    return kn_index_writer_put(w, "bytes", g->bytes, g->n * g->stride);
}

static ken_status all_below(const uint32_t *x, size_t n, uint32_t end, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] >= end)
            return kn_fail(KEN_E_CORRUPT, "section %s: number %zu is out of range", name, i);
    return KEN_OK;
}

static ken_status open_layer(kn_graph *g, const kn_index_file *f, uint32_t i, uint32_t n)
{
    kn_layer *l = &g->layer[i];
    char name[KN_SECTION_NAME];
    const void *p = NULL;
    const uint32_t degree = i ? g->m : 2 * g->m;
    *l = (kn_layer){ .n = n, .degree = degree };
    l->row_bytes = degree * (4 + (g->bits ? g->rows.metric == KN_METRIC_L2 ? 4u : 2u : 0u));
    ken_status st = kn_index_file_get(f, name_of(name, "links", i), n, l->row_bytes, &p);
    l->links = p;
    if (st || !i)
        return st;
    st = kn_index_file_get(f, name_of(name, "nodes", i), n, sizeof(uint32_t), &p);
    l->nodes = p;
    if (!st)
        st = all_below(l->nodes, n, g->n, name);
    if (!st)
        st = kn_index_file_get(f, name_of(name, "down", i), n, sizeof(uint32_t), &p);
    l->down = p;
    return st ? st : all_below(l->down, n, g->layer[i - 1].n, name);
}

static ken_status open_sections(kn_graph *g, const kn_index_file *f, const head *h)
{
    const void *p = NULL;
    ken_status st = kn_index_file_get(f, "centre", h->coder_dim, sizeof(float), &p);
    if (!st)
        st = kn_coder_restore(&g->coder, h->coder_dim, h->seed, h->scale, p);
    if (st)
        return st;
    g->stride = kn_byte_stride(g->coder.dim);
    st = kn_index_file_get(f, "slots", g->n, sizeof(uint32_t), &p);
    g->slots = p;
    if (!st)
        st = kn_index_file_get(f, "twins", g->rows.n, sizeof(uint32_t), &p);
    g->twins = p;
    if (!st && !(g->rows.source && g->coder.dim >= KN_BITS_MIN_DIM)) {
        st = kn_index_file_get(f, "bytes", g->n, g->stride, &p);
        g->bytes = p;
    }
    if (!st && g->coder.dim >= KN_BITS_MIN_DIM) {
        st = kn_index_file_get(f, "bits", g->n, g->coder.padded / 8, &p);
        g->bits = p;
    }
    for (uint32_t i = 0; !st && i < h->layers; i++)
        st = open_layer(g, f, i, h->layer_n[i]);
    return st;
}

static ken_status check_head(const head *h, const kn_rows *rows, const kn_spec *spec)
{
    const uint32_t dim = rows->dim + (rows->metric == KN_METRIC_DOT);
    int ok = h->m == spec->m && h->n <= rows->n && (h->n || !rows->n) && h->layers
             && h->layers <= KN_LAYERS && h->coder_dim == dim && h->layer_n[0] == h->n
             && h->scale > 0 && isfinite(h->scale);
    for (uint32_t l = 1; ok && l < h->layers; l++)
        ok = h->layer_n[l] && h->layer_n[l] <= h->layer_n[l - 1];
    return ok ? KEN_OK : kn_fail(KEN_E_CORRUPT, "section graph: a number is out of range");
}

static ken_status open_it(void **state, const kn_rows *rows, const kn_spec *spec,
                          const kn_index_file *f)
{
    head h;
    const void *p = NULL;
    ken_status st = kn_index_file_get(f, "graph", 1, sizeof h, &p);
    if (!st) {
        memcpy(&h, p, sizeof h);
        st = check_head(&h, rows, spec);
    }
    kn_graph *g = st ? NULL : kn_zalloc(1, sizeof *g);
    if (!g)
        return st ? st : KEN_E_NOMEM;
    g->rows = *rows;
    g->m = h.m;
    g->n = h.n;
    g->layers = h.layers;
    g->unreachable = h.unreachable;
    g->trained = h.trained ? h.trained : h.n;
    st = open_sections(g, f, &h);
    if (st)
        release(g);
    else
        *state = g;
    return st;
}

/* ---- telling and checking ------------------------------------------------------------ */

static void info(const void *state, kn_kind_info *out)
{
    const kn_graph *g = state;
    *out = (kn_kind_info){ .unreachable = g->unreachable, .ef = EF, .rerank = 24 };
    for (uint32_t l = 0; l < g->layers; l++)
        out->bytes_hot += g->layer[l].n * (g->layer[l].row_bytes + (l ? 8u : 0u));
    out->bytes_hot += g->n * (g->bits ? (size_t)g->coder.padded / 8 : g->stride);
}

/* Each row is in one chain, once. */
static ken_status check_chains(const kn_graph *g, uint8_t *seen, ken_problem_fn fn, void *cookie)
{
    size_t n = 0;
    memset(seen, 0, g->rows.n);
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t s = g->slots[i]; s != KN_NO_ROW; s = g->twins[s]) {
            if (s >= g->rows.n || seen[s])
                return kn_index_complain(fn, cookie, "twins", "a row is out of range or in two chains");
            seen[s] = 1;
            n++;
        }
    return n == g->rows.n ? KEN_OK : kn_index_complain(fn, cookie, "twins", "a row is in no chain");
}

/* From the entry's place in a layer to all of it. */
static ken_status check_layer(const kn_graph *g, uint32_t i, uint32_t from, uint32_t *queue,
                              uint8_t *seen, ken_problem_fn fn, void *cookie)
{
    const kn_layer *l = &g->layer[i];
    char name[KN_SECTION_NAME];
    uint32_t next = 0, len = 0;
    memset(seen, 0, l->n);
    seen[from] = 1;
    queue[len++] = from;
    for (; next < len; next++)
        for (uint32_t k = 0; k < l->degree; k++) {
            const uint32_t to = kn_links(l, queue[next])[k];
            if (to >= l->n)
                return kn_index_complain(fn, cookie, name_of(name, "links", i), "a link leads nowhere");
            if (!seen[to]) {
                seen[to] = 1;
                queue[len++] = to;
            }
        }
    return len == l->n ? KEN_OK
                       : kn_index_complain(fn, cookie, name_of(name, "links", i),
                                  "not every node is within reach");
}

static ken_status check(const void *state, ken_problem_fn fn, void *cookie)
{
    const kn_graph *g = state;
    ken_status st = KEN_OK, bad;
    uint32_t at = 0;
    if (!g->n)
        return KEN_OK;
    uint8_t *seen = kn_alloc(g->rows.n, 1);
    uint32_t *queue = kn_alloc(g->n, sizeof *queue);
    if (!seen || !queue)
        st = KEN_E_NOMEM;
    else {
        st = check_chains(g, seen, fn, cookie);
        for (uint32_t l = g->layers; l-- > 0;) {
            bad = check_layer(g, l, at, queue, seen, fn, cookie);
            st = bad ? bad : st;
            at = l ? g->layer[l].down[at] : 0;
        }
    }
    kn_free(seen);
    kn_free(queue);
    return st;
}

const kn_kind kn_kind_hnsw = { .build = build,
                               .open = open_it,
                               .save = save,
                               .release = release,
                               .change = change,
                               .search = search,
                               .info = info,
                               .check = check,
                               .outside = 1 };
