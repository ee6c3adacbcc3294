/*
 * config.h - what a network looks like: read from a model file's metadata, or a published one.
 *
 * The metadata is untrusted: every number is bounded here, so that no product of two of them
 * overflows 64 bits and no later code checks them again.
 */
#ifndef NN_CONFIG_H
#define NN_CONFIG_H

#include "image/image.h"
#include "kernels/kernels.h"
#include "ken.h"

enum { KN_MAX_STAGES = 4 };

/* The transformer that pictures and texts share. */
typedef struct kn_trunk_config {
    uint32_t width, layers, heads, mlp; /* heads divides width; width / heads <= 128 */
    kn_act act;
    float eps; /* of every LayerNorm */
} kn_trunk_config;

typedef struct kn_vit_config {
    kn_trunk_config trunk;
    uint32_t patch;   /* side of a patch in pixels */
    uint32_t grid[2]; /* patches: rows, columns */
    int ln_pre;
    uint32_t dim;
} kn_vit_config;

typedef enum kn_stem {
    KN_STEM_IMAGENET, /* 7x7 stride 2, max-pool */
    KN_STEM_CIFAR,    /* one 3x3 */
    KN_STEM_CLIP,     /* three 3x3, average pool */
    KN_STEM_STRIDED   /* 7x7 stride 2 alone, for small pictures */
} kn_stem;

typedef struct kn_resnet_config {
    kn_stem stem;
    int bottleneck;
    int plain; /* a block is one 3x3 convolution of `width` channels and a max-pool; no stem */
    int pool_attention;
    int shortcut_pad; /* option A of the CIFAR networks, else a 1x1 convolution */
    uint32_t stages, layers[KN_MAX_STAGES];
    uint32_t width, heads, dim; /* heads: of the attention pool, else 0; dim: unlike the last stage's
                                   channels, there is a projection */
    uint32_t input[2];          /* height, width */
} kn_resnet_config;

typedef struct kn_text_config {
    kn_trunk_config trunk;
    int bert; /* post-norm, bidirectional, pooled at the first token; else CLIP's causal tower */
    uint32_t context, positions, vocab, dim;
    int32_t eot; /* CLIP: the id whose row is pooled */
} kn_text_config;

typedef enum kn_image_net {
    KN_NET_NONE,
    KN_NET_VIT,
    KN_NET_RESNET
} kn_image_net;

typedef struct kn_net_config {
    kn_image_net image;
    kn_vit_config vit;
    kn_resnet_config resnet;
    kn_prep prep; /* with an image network */
    int has_text;
    kn_text_config text;
} kn_net_config;

/* The three JSON values of format.h; image and preprocess come together, and text may be NULL, or
 * the other way round.  KEN_E_FORMAT names the member at fault. */
KEN_CALL ken_status kn_config_parse(kn_net_config *out, const char *image, const char *preprocess,
                                    const char *text);

/* The reverse: JSON texts that kn_free frees; NULL for a network that there is not. */
KEN_CALL ken_status kn_config_write(const kn_net_config *c, char **image, char **prep, char **text);

/* {"image-image":[a,b], …}: the pair of `kinds`.  1 and ab, or 0. */
int kn_config_scores(const char *json, const char *kinds, float ab[2]);

/* A JSON list of strings to *out (*n), one block that kn_free frees. */
KEN_CALL ken_status kn_config_labels(const char *json, char ***out, uint32_t *n);

/* A published architecture; 0 for an unknown name.  Names: ended by NULL. */
int kn_arch_find(kn_net_config *out, const char *name);
const char *const *kn_arch_names(void);

/* Channels that a stage's blocks put out, from 0, and the size of its map. */
uint32_t kn_resnet_channels(const kn_resnet_config *c, uint32_t stage);
void kn_resnet_map(const kn_resnet_config *c, uint32_t hw[2]); /* of the last stage */

#endif
