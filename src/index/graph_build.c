/*
 * graph_build.c - building the graph, layer by layer from the top.
 *
 * Each layer is linked in batches (graph_link.c), its nodes in a shuffled order; a second pass over all
 * of them does the same with the whole graph to look in.
 */
#include "index/graph_builder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/rand.h"
#include "index/idmap.h"

#include <math.h>
#include <string.h>

enum {
    EF = 96,       /* of the search for candidates */
    SAMPLE = 16384 /* rows of a source that train the coder */
};

ken_status kn_graph_own(kn_graph *g, void *p)
{
    if (!p)
        return KEN_E_NOMEM;
    g->owned[g->n_owned++] = p;
    return KEN_OK;
}

/* ---- a layer ----------------------------------------------------------------------- */

/* Those of the layer above first, then the others, each part shuffled. */
static void put_in_order(kn_builder *b, uint32_t layer)
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

ken_status kn_builder_layer(kn_builder *b, uint32_t layer)
{
    kn_layer *l = b->l = &b->g->layer[layer];
    ken_status st = kn_graph_own(b->g, b->links = kn_alloc_aligned(l->n, l->row_bytes));
    if (st)
        return st;
    l->links = b->links;
    put_in_order(b, layer);
    for (uint32_t at = 0; at < l->n; at++)
        kn_builder_put_row(b, at, NULL, 0);
    b->done = 0;
    for (b->again = 0; !st && b->again < 2; b->again++)
        for (size_t i = 0; !st && i < l->n;) {
            size_t n = l->n - i < KN_BATCH ? l->n - i : KN_BATCH;
            const uint32_t above = layer + 1 < b->g->layers ? b->g->layer[layer + 1].n : 0;
            if (!b->again && i && n > i)
                n = i; /* not more than there are already */
            if (!b->again && i < above && n > above - i)
                n = above - i; /* from then on searches begin at the top */
            b->dense = b->again;
            st = kn_builder_batch(b, i, n);
            i += n;
        }
    return st ? st : kn_builder_connect(b);
}

/* ---- nodes, codes, levels ------------------------------------------------------------ */

ken_status kn_builder_twins(kn_builder *b)
{
    kn_graph *g = b->g;
    const size_t n = g->rows.n, bytes = g->rows.dim * sizeof(float);
    uint32_t *slots = kn_alloc(n, sizeof *slots), *twins = kn_alloc(n, sizeof *twins);
    uint32_t *last = kn_alloc(n, sizeof *last);
    float *room = kn_alloc(2, bytes), *other = room + g->rows.dim;
    kn_idmap seen = { 0 };
    ken_status st = kn_graph_own(g, slots);
    if (!st)
        st = kn_graph_own(g, twins);
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

void kn_builder_encode(const kn_builder *b, kn_worker *w, size_t node, int bytes_alone)
{
    const kn_graph *g = b->g;
    float pair[2];
    kn_coder_centre(&g->coder, kn_builder_whole(b, w, node), 1, w->v);
    kn_code_bytes(w->v, g->coder.dim, (int8_t *)(uintptr_t)kn_builder_row(b, (uint32_t)node));
    if (!g->bits || bytes_alone)
        return;
    kn_coder_rotate(&g->coder, w->v);
    pair[0] = kn_code_bits(w->v, g->coder.padded,
                           (uint8_t *)(uintptr_t)g->bits + node * g->coder.padded / 8, &pair[1]);
    kn_kernels_get()->f32_to_f16(&pair[0], &b->factor[node], 1);
    kn_kernels_get()->f32_to_f16(&pair[1], &b->norm[node], 1);
}

static ken_status encode(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const kn_builder *b = cookie;
    for (size_t i = begin; i < end; i++)
        kn_builder_encode(b, &b->workers[worker], i, 0);
    return KEN_OK;
}

static ken_status code_room(kn_builder *b)
{
    kn_graph *g = b->g;
    void *bytes, *bits = NULL;
    g->stride = kn_byte_stride(g->coder.dim);
    ken_status st = kn_graph_own(g, bytes = kn_alloc_aligned(g->n, g->stride));
    if (!st && g->coder.dim >= KN_BITS_MIN_DIM)
        st = kn_graph_own(g, bits = kn_alloc_aligned(g->n, g->coder.padded / 8));
    g->bytes = bytes;
    g->bits = bits;
    b->factor = kn_alloc(g->n, sizeof *b->factor);
    b->norm = kn_alloc(g->n, sizeof *b->norm);
    return st ? st : b->factor && b->norm ? KEN_OK : KEN_E_NOMEM;
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
    ken_status st = kn_graph_own(g, nodes);
    if (st)
        kn_free(down);
    else
        st = kn_graph_own(g, down);
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

ken_status kn_builder_layers(kn_graph *g)
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

static void free_worker(kn_worker *w)
{
    void *const all[] = { w->w.visited, w->w.beam, w->s.planes, w->s.seven, w->v, w->row,
                          w->rotated,   w->d,      w->list,     w->ids,     w->left,
                          w->dead,      w->seven,  w->sevens,   w->dots };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kn_free(all[i]);
}

static ken_status make_worker(const kn_builder *b, kn_worker *w)
{
    const size_t padded = b->g->coder.padded, dim = kn_byte_padded(b->g->coder.dim);
    const size_t cap = b->cap > KN_TILE * KN_TILE_ROWS ? b->cap : KN_TILE * KN_TILE_ROWS;
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
    w->sevens = kn_alloc_aligned(KN_TILE * dim, 1);
    w->dots = kn_alloc(cap, sizeof *w->dots);
    return w->w.visited && w->w.beam && w->s.planes && w->s.seven && w->v && w->row && w->rotated && w->d
                   && w->list && w->ids && w->left && w->dead && w->seven && w->sevens && w->dots
               ? KEN_OK
               : KEN_E_NOMEM;
}

/* Nearest by inner product is nearest by distance once every row has the same length: one more
 * coordinate makes it so, and queries have 0 there (Bachrach et al., RecSys 2014). */
static ken_status lengthen(kn_builder *b, float **copy)
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
static ken_status train_coder(kn_builder *b, uint64_t seed)
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

ken_status kn_builder_begin(kn_builder *b, const kn_build *o)
{
    kn_graph *g = b->g;
    const size_t degree = 2 * g->m;
    ken_status st = KEN_OK;
    b->threads = o->threads ? o->threads : 1;
    b->ef = o->ef_construction ? o->ef_construction : EF;
    b->cap = KN_BATCH + b->ef + 2 * KN_MAX_DEGREE + KN_CANDS;
    b->workers = kn_zalloc(b->threads, sizeof *b->workers);
    for (uint32_t i = 0; !st && b->workers && i < b->threads; i++)
        st = make_worker(b, &b->workers[i]);
    b->fill = kn_alloc(g->n + 1, 1);
    b->order = kn_alloc(g->n + 1, sizeof *b->order);
    b->cands = kn_alloc(KN_BATCH, KN_CANDS * sizeof *b->cands);
    b->n_cands = kn_alloc(KN_BATCH, sizeof *b->n_cands);
    b->edges = kn_alloc(KN_BATCH * degree, sizeof *b->edges);
    b->groups = kn_alloc(KN_BATCH * degree + 1, sizeof *b->groups);
    b->rows = kn_alloc_aligned(KN_BATCH, kn_byte_stride(g->coder.dim));
    if (!st
        && (!b->workers || !b->fill || !b->order || !b->cands || !b->n_cands || !b->edges
            || !b->groups || !b->rows))
        st = KEN_E_NOMEM;
    return st ? st : code_room(b);
}

void kn_builder_end(kn_builder *b)
{
    for (uint32_t i = 0; b->workers && i < b->threads; i++)
        free_worker(&b->workers[i]);
    void *const all[] = { b->workers, b->factor, b->norm,   b->fill, b->order,
                          b->cands,   b->n_cands, b->edges, b->groups, b->rows };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kn_free(all[i]);
}

ken_status kn_graph_build(kn_graph *g, const kn_rows *rows, uint32_t m, const kn_build *o)
{
    *g = (kn_graph){ .rows = *rows, .m = m };
    kn_builder b = { .g = g, .base = rows->f32, .ld = rows->dim };
    float *copy = NULL;
    uint64_t total = 0;
    b.threads = o->threads ? o->threads : 1;
    ken_status st = rows->metric == KN_METRIC_DOT ? lengthen(&b, &copy) : KEN_OK;
    if (!st)
        st = train_coder(&b, o->seed);
    if (!st)
        st = kn_builder_twins(&b);
    if (!st)
        st = kn_builder_begin(&b, o);
    if (!st)
        st = kn_parallel(g->n, 256, b.threads, encode, &b);
    if (!st)
        st = kn_builder_layers(g);
    g->trained = g->n;
    for (uint32_t l = 0; l < g->layers; l++)
        total += 2 * (uint64_t)g->layer[l].n;
    kn_meter_start(&b.meter, "link", "vectors", total, o->progress, o->cookie);
    for (uint32_t l = g->layers; !st && l-- > 0;)
        if (g->layer[l].n)
            st = kn_builder_layer(&b, l);
    if (!st)
        kn_meter_end(&b.meter);
    kn_builder_end(&b);
    kn_free(copy);
    if (st)
        kn_graph_release(g);
    return st;
}
