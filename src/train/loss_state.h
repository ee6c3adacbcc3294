/*
 * loss_state.h - what the files loss_*.c share; nobody else includes it.
 */
#ifndef TRAIN_LOSS_STATE_H
#define TRAIN_LOSS_STATE_H

#include "train/loss.h"

/* Scratch that grows, one piece a purpose. */
enum {
    ROOM_Z,      /* (n, dim) unit vectors or a copy of e */
    ROOM_LENGTH, /* (n) of the raw embeddings */
    ROOM_Z2,     /* the second of two: teacher, texts, proxies */
    ROOM_LENGTH2,
    ROOM_DZ,
    ROOM_DZ2,
    ROOM_CENTRED, /* (n, dim) minus their mean */
    ROOM_SQUARE,  /* (n) squared lengths of those */
    ROOM_S,       /* (n, n) or (n, classes): cosines, distances or logits */
    ROOM_G,       /* the same size: gradient of the loss for each */
    ROOM_G2,
    ROOM_PANELS,
    ROOM_TURNED,
    ROOM_TURNED2, /* of products */
    ROOM_ROWS,    /* per row results, see loss.c */
    ROOM_MEAN,    /* (dim) doubles: of the batch */
    ROOM_LIST,
    ROOM_FACTORS, /* pairs of near rows, and their weights */
    ROOMS
};

/* What auto mining and the watch remember: doubles, so that a checkpoint can hold them. */
typedef struct watch {
    double runs, active, stage;       /* stage: a kn_mining in force */
    double fast, slow, stuck, warned; /* distances; runs in a row that look collapsed */
} watch;

/* A row's contribution, summed in order by the caller. */
typedef struct row_sum {
    double loss, terms, active, tried; /* terms: what the loss is averaged over */
} row_sum;

struct kn_loss {
    kn_loss_config c;
    kn_mining mining; /* in force */
    float *w, *g;     /* weights of its own and their gradient, (count) */
    size_t count;
    watch watch;
    struct {
        void *p;
        size_t bytes;
    } room[ROOMS];
};

/* At least n elements of `size` bytes, at a multiple of 64, contents undefined; NULL: out of
 * memory.  Asking again may move it. */
void *kn_loss_room(kn_loss *l, int which, size_t n, size_t size);

/* loss_product.c: c (m, n) = a (m, k) b^T for b (n, k); a b for b (k, n); a^T b for a (k, m). */
KEN_CALL ken_status kn_loss_abt(kn_loss *l, const float *a, size_t m, size_t k, const float *b,
                                size_t n, float *c);
KEN_CALL ken_status kn_loss_ab(kn_loss *l, const float *a, size_t m, size_t k, const float *b,
                               size_t n, float *c);
KEN_CALL ken_status kn_loss_atb(kn_loss *l, const float *a, size_t k, size_t m, const float *b,
                                size_t n, float *c);
/* Rows 0 … n - 1 spread over the threads. */
typedef void kn_loss_rows_fn(size_t begin, size_t end, void *cookie);
KEN_CALL ken_status kn_loss_rows(const kn_loss *l, size_t n, kn_loss_rows_fn *fn, void *cookie);

/* Unit vectors z = e / max(|e|, 1e-12) (n, d) and the lengths |e|; and dL/de from dL/dz. */
KEN_CALL ken_status kn_loss_unit(const kn_loss *l, const float *e, size_t n, size_t d, float *z,
                                 float *length);
KEN_CALL ken_status kn_loss_unit_back(const kn_loss *l, const float *z, const float *length,
                                      const float *dz, size_t n, size_t d, float *de);

/* loss_distance.c: v (n, n) distances, squared or not, of z (n, dim); and dz from t = dL/dv. */
KEN_CALL ken_status kn_loss_distances(kn_loss *l, const float *z, size_t n, int squared, float *v);
KEN_CALL ken_status kn_loss_distances_back(kn_loss *l, const float *v, int squared, float *t,
                                           size_t n, float *dz);
/* r->positive and ->negative from distances, or from the products of all rows if `products`. */
KEN_CALL ken_status kn_loss_spread(kn_loss *l, const float *v, int products, int squared,
                                   const uint32_t *labels, size_t n, kn_loss_report *r);

/* Rows' results, added in order. */
row_sum kn_loss_total(const row_sum *rows, size_t n);

/* The kinds.  z (n, dim) are the vectors the loss is defined on; dz is overwritten. */
typedef struct batch {
    const float *z;
    const uint32_t *labels;
    size_t n;
    float *dz;
} batch;
typedef ken_status kn_loss_kind_fn(kn_loss *l, const batch *b, kn_loss_report *r);
kn_loss_kind_fn kn_loss_metric;   /* loss_metric.c: triplet, contrastive */
kn_loss_kind_fn kn_loss_contrast; /* loss_contrast.c: infonce, supcon */
kn_loss_kind_fn kn_loss_proto;    /* loss_proto.c */
kn_loss_kind_fn kn_loss_softmax, kn_loss_cosine, kn_loss_proxies; /* loss_class.c */
/* Logits x (k) to the gradient of their cross entropy, which is returned; whether another than
 * `target` was the largest. */
double kn_loss_entropy(float *x, size_t k, size_t target, float smoothing, int *wrong);
/* loss_pairs.c; u and v are unit vectors */
KEN_CALL ken_status kn_loss_clip(kn_loss *l, const float *u, const float *v, size_t n,
                                 const uint32_t *groups, float *du, float *dv, kn_loss_report *r);
KEN_CALL ken_status kn_loss_distill(kn_loss *l, const float *u, const float *v, size_t n, float *du,
                                    kn_loss_report *r);

/* loss_watch.c: after each run; may change l->mining and set r->collapsed and r->reason. */
void kn_loss_watch(kn_loss *l, kn_loss_report *r);

#endif
