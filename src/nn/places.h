/*
 * places.h - what of a picture's features comes from which of its places.
 *
 * Places are the pixels of a residual network's last map, or a transformer's patches: a grid over
 * what the network sees, row by row from the top left.
 */
#ifndef NN_PLACES_H
#define NN_PLACES_H

#include "nn/net.h"

typedef struct kn_grid {
    uint32_t hw[2];    /* rows, columns; 0 without an image network */
    float first, step; /* place i's middle is at first + i step, in pixels of what the network sees, down
                          and across: that of all it can be influenced by */
} kn_grid;
kn_grid kn_net_grid(const kn_net *net);
/* Whether features are sums over places: those of residual networks, not those of a class token. */
int kn_net_has_parts(const kn_net *net);

/* For each of n pictures, (H, W, 3) as kn_net_images wants them.  KEN_E_UNSUPPORTED where the network is
 * of the other kind.
 *
 * parts (n, places, dim): what each place adds to the features; their sum is what kn_net_images gives, up to
 * rounding. */
KEN_CALL ken_status kn_net_parts(const kn_net *net, const uint8_t *pixels, size_t n, float *parts);

/* Grad-CAM (Selvaraju et al. 2017) at the last map, of a target with the gradient dout (n, dim) to the
 * features: heat (n, places) = max(0, sum_c (mean over places of d target / d map_c) map_c). */
KEN_CALL ken_status kn_net_gradcam(const kn_net *net, const uint8_t *pixels, size_t n, const float *dout,
                                   float *heat);

/* Attention relevance of vision transformers (nn/graph.h), likewise, over the last `layers` layers (0: all).
 * Builds the network anew in f32 to go back through it: needs some three times the memory of its weights. */
KEN_CALL ken_status kn_net_relevance(const kn_net *net, const uint8_t *pixels, size_t n, const float *dout,
                                     uint32_t layers, float *heat);

#endif
