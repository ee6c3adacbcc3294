/*
 * resnet.h - residual networks: torchvision's, the CIFAR ones, CLIP's with attention pooling.
 */
#ifndef NN_RESNET_H
#define NN_RESNET_H

#include "nn/config.h"
#include "nn/load.h"
#include "nn/lut.h"
#include "nn/work.h"

enum { KN_SLOTS = 3 }; /* maps alive at the same time */

typedef enum kn_step_kind {
    KN_STEP_CONV,
    KN_STEP_MAXPOOL,
    KN_STEP_AVGPOOL,
    KN_STEP_PAD /* option A: every second pixel, channels padded with zeros on both sides */
} kn_step_kind;

/* One pass over a map, from slot `in` to slot `out`. */
typedef struct kn_step {
    kn_step_kind kind;
    kn_mat mat;
    uint32_t h, w, c;    /* input */
    uint32_t oh, ow, oc; /* output */
    uint32_t side, stride, pad;
    int relu;
    int in, out, residual; /* slots; residual -1: none */
} kn_step;

typedef struct kn_resnet {
    kn_resnet_config c;
    kn_step *steps; /* (len) */
    size_t len, early;   /* steps before `early` run on one picture at a time */
    size_t early_slot[KN_SLOTS], slot[KN_SLOTS]; /* elements a picture of the largest map in each */
    int last;            /* slot of the last map … */
    uint32_t hw[2], channels; /* … its size … */
    float first, step; /* … and in pixels of the picture where the middle of what its first pixel sees lies,
                          and how far the next one is */
    kn_mat proj; /* of the mean pool; n is 0 where there is none */
    /* attention pool */
    const float *pos; /* (hw + 1, channels) */
    kn_mat q, k, v, o;
} kn_resnet;

KEN_CALL ken_status kn_resnet_load(const kn_source *s, const kn_resnet_config *c, kn_resnet *out);

size_t kn_resnet_bytes(const kn_crew *crew, const kn_resnet *r, size_t n);
/* n pictures (H, W, 3) to features (n, dim). */
void kn_resnet_run(const kn_crew *crew, const kn_resnet *r, const kn_lut *lut,
                   const uint8_t *pixels, size_t n, float *out, kn_arena a);

/* The last map of one picture, (h w, channels); as kn_resnet_run with n = 1. */
void kn_resnet_last_map(const kn_crew *crew, const kn_resnet *r, const kn_lut *lut, const uint8_t *pixels,
                   float *map, kn_arena a);

/* resnet_places.c: from the last map (h w, channels) of one picture to …
 * parts (h w, dim): what each place adds to the features, which are their sum; */
void kn_resnet_parts(const kn_crew *crew, const kn_resnet *r, const float *map, float *parts, kn_arena a);
/* dmap (h w, channels): the gradient, given that of the features (dim). */
void kn_resnet_map_grad(const kn_crew *crew, const kn_resnet *r, const float *map, const float *dout,
                        float *dmap, kn_arena a);
size_t kn_resnet_places_bytes(const kn_crew *crew, const kn_resnet *r); /* of either */

double kn_resnet_macs(const kn_resnet *r);

#endif
