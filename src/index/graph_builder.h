/*
 * graph_builder.h - what makes graphs: the parts that graph_build.c and graph_change.c share.
 *
 * Positions are those of the layer at work (b->l), nodes those of layer 0.  For graph*.c alone.
 */
#ifndef INDEX_GRAPH_BUILDER_H
#define INDEX_GRAPH_BUILDER_H

#include "base/progress.h"
#include "index/graph.h"

enum {
    KN_BATCH = 2048, /* nodes that are linked at once */
    KN_CANDS = 96,   /* candidates of a node, that are pruned */
    KN_TILE = 32, KN_TILE_ROWS = 64
};

typedef struct kn_cand {
    float d; /* squared distance */
    uint32_t at;
} kn_cand;

typedef struct kn_edge {
    uint32_t to, from;
    float d;
} kn_edge;

/* One thread's own. */
typedef struct kn_worker {
    kn_walk_space w;
    kn_seeker s;
    float *v, *rotated, *d, *row;
    kn_cand *list;
    uint32_t *ids, *left;
    uint8_t *dead, *seven, *sevens;
    int32_t *dots;
} kn_worker;

typedef struct kn_builder {
    kn_graph *g;
    const float *base; /* rows, or their copies with one more dimension, ld apart; NULL: of a source */
    size_t ld;
    uint16_t *factor, *norm; /* (nodes) f16 */
    uint32_t threads;
    size_t ef, cap; /* cap: of worker.list */
    kn_worker *workers;
    kn_meter meter;
    uint64_t told;

    kn_layer *l; /* the layer at work */
    uint8_t *links, *fill;
    uint32_t *order; /* positions, those of the layer above first */
    size_t done;     /* of order */
    int again;       /* the second pass */
    int dense;       /* rows of links are filled up; else kept short, with room for who is still to come */
    int low;         /* nodes of the layer above are not linked here yet: no search may come from there */

    const uint32_t *items; /* the batch: (n) of order */
    size_t n;
    kn_cand *cands;    /* (KN_BATCH, KN_CANDS) */
    uint32_t *n_cands; /* (KN_BATCH) */
    kn_edge *edges;    /* (KN_BATCH * degree) */
    size_t *groups, n_groups;
    int8_t *rows; /* (KN_BATCH, stride) */
} kn_builder;

/* ---- linking: graph_link.c ---- */

/* The whole row of a node, at b->ld floats apart or in w->row. */
const float *kn_builder_whole(const kn_builder *b, kn_worker *w, size_t node);
/* A node's row of bytes. */
const int8_t *kn_builder_row(const kn_builder *b, uint32_t node);
/* Squared distances of a row, given as sevens, from `n` rows of bytes; dots is room for (n). */
void kn_builder_distances(const kn_builder *b, const uint8_t *seven, const kn_byte_tail *t,
                          const uint32_t *nodes, size_t n, int32_t *dots, float *out);
/* Sorted, each once, at most `most`.  Returns how many. */
size_t kn_builder_tidy(kn_cand *list, size_t n, size_t most);
/* list (n), nearest first, no position twice: its front becomes what is kept, at most `most`; then,
 * up to `least`, the nearest of the others.  Returns how many. */
size_t kn_builder_prune(const kn_builder *b, kn_worker *w, kn_cand *list, size_t n, size_t most,
                        size_t least);
void kn_builder_put_link(const kn_builder *b, uint32_t at, size_t k, uint32_t to);
/* The first n links, and none behind them. */
void kn_builder_put_row(const kn_builder *b, uint32_t at, const kn_cand *list, size_t n);
/* Link n of b->order from `first` on, both ways. */
KEN_CALL ken_status kn_builder_batch(kn_builder *b, size_t first, size_t n);
/* From where the entry stands in this layer, along links, to all: a node that is not reached is linked
 * from the nearest of its own links that is. */
KEN_CALL ken_status kn_builder_connect(kn_builder *b);

/* ---- the whole: graph_build.c ---- */

/* p becomes the graph's; NULL is KEN_E_NOMEM. */
KEN_CALL ken_status kn_graph_own(kn_graph *g, void *p);
/* g->n, slots, twins: a node for all rows that are equal. */
KEN_CALL ken_status kn_builder_twins(kn_builder *b);
/* Room for all of the work on a graph whose coder and nodes are known: kn_builder_end() frees it. */
KEN_CALL ken_status kn_builder_begin(kn_builder *b, const kn_build *o);
void kn_builder_end(kn_builder *b);
/* Codes of a node: all of them, or its bytes alone. */
void kn_builder_encode(const kn_builder *b, kn_worker *w, size_t node, int bytes_alone);
/* Which nodes stand in which layer. */
KEN_CALL ken_status kn_builder_layers(kn_graph *g);
/* Link a layer from nothing. */
KEN_CALL ken_status kn_builder_layer(kn_builder *b, uint32_t layer);

#endif
