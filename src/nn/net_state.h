/*
 * net_state.h - what an open network holds; for net.c (opening) and run.c (running) alone.
 */
#ifndef NN_NET_STATE_H
#define NN_NET_STATE_H

#include "nn/net.h"
#include "nn/resnet.h"
#include "nn/tower.h"
#include "nn/vit.h"

struct kn_net {
    kn_weights *weights; /* the mapped file; NULL for a random network */
    kn_owned owned;      /* what opening has packed */
    kn_net_config config;
    kn_crew crew;
    ken_model_info info; /* strings: literals, or the mapping's */
    char fingerprint[33];
    kn_lut lut;
    kn_vit vit;          /* the one that config.image names */
    kn_resnet resnet;
    kn_tower tower;
    kn_mat head;         /* n is 0 where there is none */
    kn_tokenizer *tokenizer;
    char **labels;       /* (info.labels) or NULL */
    int has_score[2];    /* image-image, text-image */
    float score[2][2], logit_scale;
    kn_work_pool *pool;  /* locks itself */
};

#endif
