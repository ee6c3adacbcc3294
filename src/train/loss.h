/*
 * loss.h - what a batch of embeddings costs, and which way each should move.
 *
 * A loss gets the raw embeddings of a batch, e (n, dim), and gives dL/de.  It normalises them
 * itself where the kind asks for it, mines the batch, and keeps the weights of its own that some
 * kinds have.  The formulas and their sources stand at the top of loss_*.c.
 *
 * Results do not depend on the number of threads.  A kn_loss belongs to one caller at a time.
 */
#ifndef TRAIN_LOSS_H
#define TRAIN_LOSS_H

#include "train/optim.h"

typedef enum kn_loss_kind {
    KN_LOSS_TRIPLET,
    KN_LOSS_CONTRASTIVE,
    KN_LOSS_INFONCE, /* NT-Xent: each positive pair against all negatives */
    KN_LOSS_SUPCON,
    KN_LOSS_PROTO,
    KN_LOSS_SOFTMAX, /* a linear classifier with bias */
    KN_LOSS_ARCFACE,
    KN_LOSS_COSFACE,
    KN_LOSS_PROXYANCHOR,
    KN_LOSS_CLIP,    /* pairs */
    KN_LOSS_DISTILL, /* pairs: the network's and a teacher's */
    KN_LOSS_KINDS
} kn_loss_kind;

typedef enum kn_mining {
    KN_MINING_ALL,
    KN_MINING_HARD,     /* each anchor's farthest positive and nearest negative */
    KN_MINING_SEMIHARD, /* triplet only: the nearest negative beyond the positive, else
                         * the farthest */
    KN_MINING_AUTO      /* all, then semi-hard, then hard, as the active fraction falls */
} kn_mining;

typedef struct kn_loss_config {
    kn_loss_kind kind;
    kn_mining mining;  /* triplet, contrastive; others have ALL only */
    float margin;      /* triplet; contrastive: of negatives; arcface, cosface, proxyanchor */
    float temperature; /* infonce, supcon; proto: divides the logits; clip: 1/e^w at the start;
                         * distill: 0 is 1 - cosine, else similarities are matched, see
                         * loss_pairs.c */
    int squared;       /* triplet: of squared distances.  contrastive: 1 Hadsell's, 0 hinges of d */
    int soft;          /* triplet: log(1 + exp(d_ap - d_an)) in place of the hinge */
    int normalize;     /* of unit vectors; always so where the kind is defined on cosines */
    float scale;       /* arcface, cosface, softmax: times the logits; proxyanchor: alpha */
    float label_smoothing; /* softmax, arcface, cosface, proto */
    uint32_t classes;      /* softmax, arcface, cosface, proxyanchor */
    uint32_t dim;          /* of an embedding */
    uint32_t teacher_dim;  /* distill: of a teacher's vector; 0: dim */
    uint32_t shots;        /* proto: how many rows of each class, the first ones, are its support */
    uint64_t seed;         /* of the weights of its own */
    uint32_t threads;      /* at most so many; 0 is 1 */
} kn_loss_config;

/* What the kind's paper or its usual implementation takes; dim, classes and seed are 0. */
kn_loss_config kn_loss_defaults(kn_loss_kind kind);
/* "triplet", "contrastive", …; "all", "hard", "semihard", "auto".  KEN_E_INVALID names the
 * choices. */
KEN_CALL ken_status kn_loss_named(kn_loss_kind *out, const char *name);
const char *kn_loss_name(kn_loss_kind kind);
KEN_CALL ken_status kn_mining_named(kn_mining *out, const char *name);
const char *kn_mining_name(kn_mining mining);
/* What the kind needs of a batch. */
int kn_loss_of_pairs(kn_loss_kind kind);   /* kn_loss_run_pairs, not kn_loss_run */
int kn_loss_of_classes(kn_loss_kind kind); /* config.classes; labels are below it */

typedef struct kn_loss_report {
    double loss;
    double active;   /* triplet, contrastive: share of the mined terms that are not satisfied; other
                       * kinds: share of rows whose nearest row, class or partner is a wrong one */
    double positive; /* mean distance of vectors of one label, as the loss sees them; 0 if none */
    double negative; /* … of different labels */
    double norm;     /* mean length of the raw embeddings */
    long bad;        /* first row with a number that is not finite, or -1; then loss is NaN, de 0 */
    kn_mining mining;   /* that was used: never AUTO */
    int collapsed;      /* all embeddings are drawing together; why is in `reason` */
    const char *reason; /* a sentence for people when the mining moved on or the run collapses, else
                         * NULL; constant text */
} kn_loss_report;

typedef struct kn_loss kn_loss;
/* KEN_E_INVALID: a setting that the kind does not have, or that makes no sense. */
KEN_CALL ken_status kn_loss_new(kn_loss **out, const kn_loss_config *c);
void kn_loss_free(kn_loss *l);

/* Loss and gradient of a batch: e (n, dim), labels (n) to de (n, dim).  A batch without a term
 * (no positives, no negatives, no queries) costs 0 and has gradient 0.  KEN_E_INVALID: a kind of
 * pairs, a label out of range, n = 0. */
KEN_CALL ken_status kn_loss_run(kn_loss *l, const float *e, const uint32_t *labels, size_t n,
                                float *de, kn_loss_report *r);
/* Of pairs u (n, dim), v (n, dim or teacher_dim) to du, dv.  clip: pairs of the same group are
 * positives of each other; groups NULL: each pair is its own.  distill: v is the teacher's, dv may
 * be NULL and is not touched, groups is ignored. */
KEN_CALL ken_status kn_loss_run_pairs(kn_loss *l, const float *u, const float *v, size_t n,
                                      const uint32_t *groups, float *du, float *dv,
                                      kn_loss_report *r);

/* Weights of its own: w and g (count) for the optimiser; g is overwritten by each run.  The first
 * classes * dim are vectors (classes, dim), which may decay; behind them softmax has its bias
 * (classes) and clip its logit scale (1), which must not.  count is 0 for the other kinds. */
void kn_loss_params(kn_loss *l, float **w, float **g, size_t *count);
/* The same as ranges for kn_optim_step, of a block in which they start at `at`; how many, <= 2. */
size_t kn_loss_ranges(const kn_loss *l, size_t at, kn_param_range out[2]);

/* What auto mining and the watch over collapse remember, for checkpoints: copy it out, and back
 * in. */
void kn_loss_state(kn_loss *l, double **state, size_t *count);

#endif
