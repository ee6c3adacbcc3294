/*
 * graph.h - the graph behind HNSW: layers of nodes over compact codes.
 *
 * A node stands for all rows that are equal.  Layer 0 has every node, a layer above it each node that
 * its id's hash raises so far, one in m.  A node's row of links in a layer is
 *
 *     degree ids u32 | degree factors f16 | degree squared norms f16 (L2 alone)
 *
 * with what the 1-bit estimates of the neighbours need beside their codes, so that a hop reads the row
 * and one code for each neighbour.  Unused links lead to the node itself.  Below KN_BITS_MIN_DIM
 * dimensions bits say too little: the rows of bytes are walked over, and a row of links is ids alone.
 */
#ifndef INDEX_GRAPH_H
#define INDEX_GRAPH_H

#include "index/code.h"
#include "index/index.h"

enum { KN_LAYERS = 8, KN_BITS_MIN_DIM = 128, KN_MAX_DEGREE = 128 };

typedef struct kn_layer {
    uint32_t n, degree;
    size_t row_bytes;
    const uint8_t *links;  /* (n, row_bytes) ids are positions in this layer */
    const uint32_t *nodes; /* (n) ascending; NULL: position i is node i */
    const uint32_t *down;  /* (n) positions in the layer below; NULL in layer 0 */
} kn_layer;

typedef struct kn_graph {
    kn_rows rows;
    kn_coder coder;        /* of dim, or dim + 1 for the inner product */
    uint32_t m, n, layers; /* n: nodes */
    kn_layer layer[KN_LAYERS];
    uint64_t unreachable;
    uint32_t trained;      /* nodes when the coder was trained */
    const uint32_t *slots; /* (n) the first row of a node */
    const uint32_t *twins; /* (rows.n) the next equal row, or KN_NO_ROW */
    const uint8_t *bits;   /* (n, padded / 8) or NULL */
    const int8_t *bytes;   /* (n, stride); NULL in a file over a source, whose rows decide at once */
    size_t stride;
    void *owned[4 + 3 * KN_LAYERS]; /* what kn_free gets */
    size_t n_owned;
} kn_graph;

#define KN_NO_ROW UINT32_MAX

static inline const uint32_t *kn_links(const kn_layer *l, uint32_t at)
{
    return (const void *)(l->links + at * l->row_bytes);
}
static inline uint32_t kn_node_at(const kn_layer *l, uint32_t at)
{
    return l->nodes ? l->nodes[at] : at;
}

/* A query, as the codes want it. */
typedef struct kn_seeker {
    uint8_t *planes, *seven;
    float step, seven_step;
    const float *query; /* as it was asked, where there are no bytes, … */
    float along;        /* … and its inner product with the centre */
} kn_seeker;
/* v: (padded) in the space of y; scratch (padded). */
void kn_seeker_set(const kn_graph *g, kn_seeker *s, const float *v, float *scratch);

/* What a walk needs beside the graph: one part of a scratch memory. */
typedef struct kn_walk_space {
    uint64_t *visited; /* (n + 63) / 64 */
    uint32_t hidden;   /* a node of layer 0 that is not met, + 1; 0: none */
    uint64_t *beam;    /* (ef + 1) keys, best first: an ordered float, then the position */
} kn_walk_space;
/* Best first from `start`: the at most ef nearest of what was met, by estimate, in w->beam.  Returns
 * how many. */
size_t kn_walk_layer(const kn_graph *g, const kn_layer *l, const kn_seeker *s, uint32_t start,
                     size_t ef, kn_walk_space *w);
/* From the top down to layer 0's nearest position. */
uint32_t kn_descend(const kn_graph *g, uint32_t to_layer, const kn_seeker *s, kn_walk_space *w);
static inline uint32_t kn_beam_at(uint64_t key)
{
    return (uint32_t)key & 0x7fffffff;
}

/* Nodes, codes and layers of rows; owned by g. */
KEN_CALL ken_status kn_graph_build(kn_graph *g, const kn_rows *rows, uint32_t m, const kn_build *b);
/* The same by changing `old`, which stays as it is: rows of which gone has no bit, in their order, come
 * first among `rows`, then new ones.  The same changes give the same graph at any number of threads.
 * Where little would be kept, all is built. */
KEN_CALL ken_status kn_graph_change(kn_graph *g, const kn_graph *old, const uint64_t *gone,
                                    const kn_rows *rows, const kn_build *b);
void kn_graph_release(kn_graph *g);

#endif
