/* trie.c - a list of edges, found through a hash table of their numbers, half full at most. */
#include "text/trie.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

static ken_status add_node(kn_trie *t)
{
    uint32_t *ids = kn_room(t->ids, t->nodes, &t->node_cap, sizeof(*ids));
    if (!ids)
        return KEN_E_NOMEM;
    t->ids = ids;
    ids[t->nodes++] = KN_NO_VALUE;
    return KEN_OK;
}

ken_status kn_trie_init(kn_trie *t)
{
    *t = (kn_trie){ .row_count = 1024 };
    t->rows = kn_zalloc(t->row_count, sizeof(*t->rows));
    return t->rows ? add_node(t) : KEN_E_NOMEM;
}

void kn_trie_release(kn_trie *t)
{
    kn_free(t->edges);
    kn_free(t->ids);
    kn_free(t->rows);
    *t = (kn_trie){ 0 };
}

/* The row of edge (a, b), or the empty one where it belongs. */
static size_t row_of(const kn_trie *t, uint32_t a, uint32_t b)
{
    size_t row = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u >> 32 & (t->row_count - 1);
    for (; t->rows[row]; row = (row + 1) & (t->row_count - 1)) {
        const kn_entry *e = &t->edges[t->rows[row] - 1];
        if (e->a == a && e->b == b)
            break;
    }
    return row;
}

uint32_t kn_trie_walk(const kn_trie *t, uint32_t from, const uint32_t *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t row = row_of(t, from, c[i]);
        if (!t->rows[row])
            return KN_NO_VALUE;
        from = t->edges[t->rows[row] - 1].value;
    }
    return from;
}

static ken_status grow_rows(kn_trie *t)
{
    uint32_t *rows = kn_zalloc(2 * t->row_count, sizeof(*rows));
    if (!rows)
        return KEN_E_NOMEM;
    kn_free(t->rows);
    t->rows = rows;
    t->row_count *= 2;
    for (size_t i = 0; i < t->edge_count; i++)
        t->rows[row_of(t, t->edges[i].a, t->edges[i].b)] = (uint32_t)i + 1;
    return KEN_OK;
}

static ken_status add_edge(kn_trie *t, uint32_t a, uint32_t b)
{
    ken_status st = add_node(t);
    if (!st && 2 * (t->edge_count + 1) > t->row_count)
        st = grow_rows(t);
    if (st)
        return st;
    kn_entry *edges = kn_room(t->edges, t->edge_count, &t->edge_cap, sizeof(*edges));
    if (!edges)
        return KEN_E_NOMEM;
    t->edges = edges;
    edges[t->edge_count] = (kn_entry){ a, b, (uint32_t)t->nodes - 1 };
    t->rows[row_of(t, a, b)] = (uint32_t)++t->edge_count;
    return KEN_OK;
}

ken_status kn_trie_add(kn_trie *t, uint32_t from, const uint32_t *c, size_t n, uint32_t *node)
{
    enum { MOST = (1 << KN_KEY_BITS) - 2 };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++) {
        uint32_t to = kn_trie_walk(t, from, c + i, 1);
        if (to == KN_NO_VALUE && t->nodes >= MOST)
            st = kn_fail(KEN_E_LIMIT, "vocabulary is too large");
        else if (to == KN_NO_VALUE)
            st = add_edge(t, from, c[i]);
        from = to == KN_NO_VALUE ? (uint32_t)t->nodes - 1 : to;
    }
    *node = from;
    return st;
}
