/*
 * trunk.h - the transformer that pictures and texts share, over ragged batches.
 *
 * Rows of all sequences lie one behind the other, so that one product serves them all; only
 * attention looks at a sequence alone.  Of the last layer only the pooled rows are computed.
 */
#ifndef NN_TRUNK_H
#define NN_TRUNK_H

#include "nn/config.h"
#include "nn/load.h"
#include "nn/work.h"

typedef struct kn_norm {
    const float *w, *b;
} kn_norm;
KEN_CALL ken_status kn_load_norm(const kn_source *s, kn_norm *out, size_t n, const char *name);

typedef struct kn_layer {
    kn_norm ln1, ln2;
    kn_mat qkv, o, fc1, fc2;
} kn_layer;

typedef struct kn_trunk {
    kn_trunk_config c;
    int causal;
    int post_norm; /* BERT: norms follow the residual sums */
    kn_layer *layers; /* (c.layers), owned by the source's memory */
} kn_trunk;

/* Tensors PREFIX.N.*; out->c, causal and post_norm are set by the caller. */
KEN_CALL ken_status kn_trunk_load(const kn_source *s, kn_trunk *out, const char *prefix);

typedef struct kn_batch {
    size_t seqs;
    const size_t *first; /* (seqs + 1) row of each sequence's start, and the number of rows */
    const size_t *pool;  /* (seqs) the row wanted of each, ascending */
    size_t longest;      /* rows of the longest sequence */
} kn_batch;

/* Memory of one run. */
typedef struct kn_trunk_work {
    float *x;        /* (rows, width) the residual stream */
    void *h;         /* (rows, width) of the crew's type: inputs of products */
    void *big;       /* (rows, kn_trunk_big()) likewise: q k v, or the MLP's inside */
    float *scratch;  /* of attention, a part for each thread */
    size_t scratch_each;
} kn_trunk_work;
/* at_least: elements of a row of `big` that the caller needs for itself. */
void kn_trunk_plan(const kn_crew *crew, const kn_trunk *t, size_t rows, size_t longest,
                   size_t at_least, kn_arena *a, kn_trunk_work *w);

/* From w->x (rows, width), with post_norm normalised already, to the pooled rows of the last layer,
 * w->x (seqs, width), before any final norm. */
void kn_trunk_run(const kn_crew *crew, const kn_trunk *t, const kn_batch *b, kn_trunk_work *w);

/* out (rows, n) of out_type = LayerNorm of x (rows, n); out may be x. */
void kn_norm_rows(const kn_crew *crew, const kn_norm *norm, float eps, const float *x, size_t rows,
                  size_t n, void *out, kn_type out_type);

/* Multiply-adds that kn_trunk_run makes for one sequence. */
double kn_trunk_macs(const kn_trunk_config *c, double rows);

#endif
