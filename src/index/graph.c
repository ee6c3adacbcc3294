/* graph.c - walking: the loop that answers queries, and that finds neighbours while building. */
#include "index/graph.h"

#include "base/alloc.h"

#include <string.h>

enum { UPPER_EF = 8 };
#define CHECKED 0x80000000u /* a key whose node has been looked around */

void kn_graph_release(kn_graph *g)
{
    for (size_t i = 0; i < g->n_owned; i++)
        kn_free(g->owned[i]);
    kn_coder_release(&g->coder);
    *g = (kn_graph){ 0 };
}

void kn_seeker_set(const kn_graph *g, kn_seeker *s, const float *v, float *scratch)
{
    s->seven_step = kn_code_seven(v, g->coder.dim, s->seven);
    if (!g->bits)
        return;
    memcpy(scratch, v, g->coder.padded * sizeof *v);
    kn_coder_rotate(&g->coder, scratch);
    s->step = kn_code_planes(scratch, g->coder.padded, s->planes);
}

/* Floats in the order of unsigned numbers, a position behind. */
static uint64_t key_of(float distance, uint32_t at)
{
    uint32_t b;
    memcpy(&b, &distance, sizeof b);
    b ^= (uint32_t)-(int32_t)(b >> 31) | 0x80000000u;
    return (uint64_t)b << 32 | at;
}

static float distance_of(uint64_t key)
{
    uint32_t b = (uint32_t)(key >> 32);
    float distance;
    b ^= (b >> 31 ? 0x80000000u : 0xffffffffu);
    memcpy(&distance, &b, sizeof b);
    return distance;
}

/* The links of a node that were not met before. */
typedef struct hop {
    uint32_t n, at[KN_MAX_DEGREE], node[KN_MAX_DEGREE];
    uint16_t factor[KN_MAX_DEGREE], norm[KN_MAX_DEGREE];
    float distance[KN_MAX_DEGREE];
} hop;

static void prefetch_row(const kn_layer *l, uint32_t at)
{
    const uint8_t *p = l->links + at * l->row_bytes;
    for (size_t i = 0; i < l->row_bytes; i += 64)
        __builtin_prefetch(p + i);
}

static void prefetch_code(const kn_graph *g, uint32_t node)
{
    const size_t bytes = g->coder.padded / 8;
    if (!g->bits)
        for (size_t i = 0; i < g->stride; i += 64)
            __builtin_prefetch(g->bytes + node * g->stride + i);
    else
        for (size_t i = 0; i < bytes; i += 64)
            __builtin_prefetch(g->bits + node * bytes + i);
}

/* Whatever the file holds, no position leads out of the layer. */
static void look_around(const kn_graph *g, const kn_layer *l, uint32_t from, uint64_t *visited,
                        hop *h)
{
    const uint32_t *ids = kn_links(l, from);
    const uint16_t *factors = (const void *)(ids + l->degree), *norms = factors + l->degree;
    const int l2 = g->rows.metric == KN_METRIC_L2 && g->bits;
    uint32_t n = 0;
    for (uint32_t k = 0; k < l->degree; k++) {
        const uint32_t at = ids[k] < l->n ? ids[k] : from;
        const uint64_t bit = 1ull << at % 64, word = visited[at / 64];
        visited[at / 64] = word | bit;
        h->at[n] = at;
        h->node[n] = kn_node_at(l, at);
        if (g->bits)
            h->factor[n] = factors[k];
        if (l2)
            h->norm[n] = norms[k];
        prefetch_code(g, h->node[n]);
        n += !(word & bit);
    }
    h->n = n;
}

/* Smaller is nearer: minus the inner product, or the squared distance less what is the query's. */
static void estimate(const kn_graph *g, const kn_seeker *s, hop *h)
{
    const kn_kernels *k = kn_kernels_get();
    const int l2 = g->rows.metric == KN_METRIC_L2;
    if (g->bits) {
        float norms[KN_MAX_DEGREE];
        k->code_estimate(s->planes, g->bits, g->coder.padded / 8, h->node, h->factor, h->n,
                         7.5f * (float)g->coder.padded, h->distance);
        if (l2)
            k->f16_to_f32(h->norm, norms, h->n);
        for (uint32_t i = 0; i < h->n; i++)
            h->distance[i] = l2 ? norms[i] - 2 * s->step * h->distance[i]
                                : -s->step * h->distance[i];
        return;
    }
    int32_t dots[KN_MAX_DEGREE];
    k->dots_u7i8(s->seven, g->bytes, g->stride, h->node, h->n, kn_byte_padded(g->coder.dim), dots);
    for (uint32_t i = 0; i < h->n; i++) {
        const kn_byte_tail *t = kn_byte_tail_of(g->bytes + h->node[i] * g->stride, g->coder.dim);
        const float e = t->scale * s->seven_step * kn_byte_dot(dots[i], t);
        h->distance[i] = l2 ? t->norm2 - 2 * e : -e;
    }
}

typedef struct beam {
    uint64_t *keys;
    size_t n, ef, next; /* next: the first that is not checked, or n */
    float worst;        /* nothing farther gets in */
} beam;

static void insert(beam *b, float distance, uint32_t at)
{
    const uint64_t key = key_of(distance, at);
    size_t first = 0;
    for (size_t len = b->n; len > 1;) { /* branch-free: the first key that is not less */
        const size_t half = len / 2;
        first += b->keys[first + half - 1] < key ? half : 0;
        len -= half;
    }
    first += b->n > 0 && b->keys[first] < key;
    if (first == b->ef)
        return;
    b->n += b->n < b->ef;
    memmove(b->keys + first + 1, b->keys + first, (b->n - 1 - first) * sizeof key);
    b->keys[first] = key;
    b->next = first < b->next ? first : b->next;
    if (b->n == b->ef)
        b->worst = distance_of(b->keys[b->n - 1]);
}

static void next_unchecked(beam *b)
{
    while (b->next < b->n && (b->keys[b->next] & CHECKED))
        b->next++;
}

/* Of the one node that no row of links told of. */
static float distance_to(const kn_graph *g, const kn_seeker *s, uint32_t node)
{
    if (!g->bytes) {
        const uint32_t slot = g->slots[node] < g->rows.n ? g->slots[node] : 0;
        return g->coder.scale * (s->along - kn_rows_raw(&g->rows, slot, s->query));
    }
    const int8_t *row = g->bytes + node * g->stride;
    const kn_byte_tail *t = kn_byte_tail_of(row, g->coder.dim);
    int32_t dot;
    kn_kernels_get()->dots_u7i8(s->seven, row, g->stride, NULL, 1, kn_byte_padded(g->coder.dim),
                                &dot);
    const float e = t->scale * s->seven_step * kn_byte_dot(dot, t);
    return g->rows.metric == KN_METRIC_L2 ? t->norm2 - 2 * e : -e;
}

size_t kn_walk_layer(const kn_graph *g, const kn_layer *l, const kn_seeker *s, uint32_t start,
                     size_t ef, kn_walk_space *w)
{
    hop h;
    beam b = { .keys = w->beam, .ef = ef, .worst = __builtin_inff() };
    memset(w->visited, 0, (l->n + 63) / 64 * sizeof *w->visited);
    w->visited[start / 64] |= 1ull << start % 64;
    if (w->hidden && !l->nodes)
        w->visited[(w->hidden - 1) / 64] |= 1ull << (w->hidden - 1) % 64;
    insert(&b, distance_to(g, s, kn_node_at(l, start)), start);
    while (b.next < b.n) {
        const uint32_t from = kn_beam_at(b.keys[b.next]);
        b.keys[b.next++] |= CHECKED;
        next_unchecked(&b);
        if (b.next < b.n)
            prefetch_row(l, kn_beam_at(b.keys[b.next]));
        look_around(g, l, from, w->visited, &h);
        estimate(g, s, &h);
        for (uint32_t i = 0; i < h.n; i++)
            if (h.distance[i] < b.worst)
                insert(&b, h.distance[i], h.at[i]);
        next_unchecked(&b);
        if (b.next < b.n)
            prefetch_row(l, kn_beam_at(b.keys[b.next]));
    }
    return b.n;
}

uint32_t kn_descend(const kn_graph *g, uint32_t to_layer, const kn_seeker *s, kn_walk_space *w)
{
    uint32_t at = 0;
    for (uint32_t l = g->layers - 1; l > to_layer; l--) {
        kn_walk_layer(g, &g->layer[l], s, at, UPPER_EF, w);
        at = g->layer[l].down[kn_beam_at(w->beam[0])];
    }
    return at;
}
