/*
 * graph.h - a network that can be trained: forward, backward, and all its numbers in one block.
 *
 * A graph is a list of operations over values, built once for a largest batch; nothing is allocated
 * by a step.  Maps and matrix inputs are bf16 or f32 as the math says; the residual stream of
 * transformers, normalisations, statistics, sums and the weights themselves are f32.
 * Results don't depend on the number of threads.  One graph, one caller at a time.
 */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include "nn/config.h"
#include "nn/weights.h"

typedef struct kn_graph kn_graph;

/* A tensor of the model file (format.h), somewhere in the block of weights. */
typedef struct kn_param {
    char name[48];
    uint32_t rank;
    uint64_t shape[3];
    size_t at, len; /* place in kn_graph_weights() and kn_graph_gradients() */
    int decay;      /* weight decay is for matrices: not for biases, norms, positions, statistics */
    int frozen;     /* no gradient: kn_graph_freeze, and running statistics */
    int statistic;  /* running mean or variance, kept by the forward pass */
} kn_param;

typedef struct kn_graph_options {
    uint32_t batch;    /* samples of a step at most */
    uint32_t tokens;   /* text: ids of all texts of a batch together, at most */
    kn_math math;      /* KN_MATH_F32 or KN_MATH_BF16 */
    uint32_t threads;  /* at most; 0: one per processor */
    uint64_t seed;     /* of the initial weights, and of dropping */
    float drop;        /* chance to drop an element inside transformer branches */
    float drop_path;   /* chance to drop the last block's branch for a sample; less for earlier ones */
    int text;          /* 1: the text network, 0: the image network */
    int relevance;     /* 1: for kn_graph_relevance alone: weights are zeros until they are loaded, and
                          have no gradients */
} kn_graph_options;

KEN_CALL ken_status kn_graph_new(kn_graph **out, const kn_net_config *c, const kn_graph_options *o);
void kn_graph_free(kn_graph *g); /* NULL is fine */

/* All weights, and a gradient for each; what the optimiser changes.  kn_graph_changed() after it. */
float *kn_graph_weights(kn_graph *g, size_t *n);
float *kn_graph_gradients(kn_graph *g);
const kn_param *kn_graph_params(const kn_graph *g, size_t *n);
void kn_graph_changed(kn_graph *g);
/* Parameters whose names begin with one of the comma-separated prefixes get no gradient; returns how
 * many.  Norms within them use their running statistics. */
size_t kn_graph_freeze(kn_graph *g, const char *prefixes);

/* Features (n, dim) of n samples, valid until the next forward pass.  train: batch statistics and
 * dropping by (seed, step); else as inference does it. */
KEN_CALL ken_status kn_graph_images(kn_graph *g, const uint8_t *pixels, size_t n, int train,
                                    uint64_t step, const float **out);
/* ids: all texts one behind the other, lens[i] of text i; each ends with the pooled one.
 * KEN_E_LIMIT, KEN_E_INVALID for an id outside the vocabulary. */
KEN_CALL ken_status kn_graph_texts(kn_graph *g, const int32_t *ids, const size_t *lens, size_t n,
                                   int train, uint64_t step, const float **out);
/* Adds the gradients of the weights for the last forward pass (train), given d loss / d features. */
void kn_graph_backward(kn_graph *g, const float *dout);
void kn_graph_zero_gradients(kn_graph *g);
/* Of the last forward pass of a vision transformer, what each patch has to do with a target that has the
 * gradient dout (n, dim) to the features: heat (n, patches) >= 0, over the last `layers` layers (0: all).
 * Chefer, Gur and Wolf, "Generic attention-model explainability", 2021: R = I, then layer by layer
 * R += mean over heads of max(0, A d target / d A) R; the class token's row. */
void kn_graph_relevance(kn_graph *g, const float *dout, uint32_t layers, float *heat);

uint32_t kn_graph_dim(const kn_graph *g);
double kn_graph_macs(const kn_graph *g); /* multiply-adds of one sample's forward pass (images) */

/* The file's tensors in place of the initial ones; those that the file lacks stay, *kept of them.
 * The file may be packed and folded: its batch norms take their statistics from the first training
 * batch, without a change of what the network computes (of bf16 files: but for their rounding).
 * KEN_E_FORMAT: a shape or type that does not fit. KEN_E_MODEL: no model of ken's. */
KEN_CALL ken_status kn_graph_load(kn_graph *g, const kn_weights *w, size_t *kept);
/* Tensors for a model file, layout rows, unfolded; weights: (all) instead of the graph's own, or
 * NULL. */
KEN_CALL ken_status kn_graph_declare(const kn_graph *g, kn_writer *w);
KEN_CALL ken_status kn_graph_write(const kn_graph *g, kn_writer *w, const float *weights);

#endif
