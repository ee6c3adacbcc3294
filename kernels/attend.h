/*
 * attend.h - the loops of attention around a level's matrix product.
 *
 * Scores and outputs are products of small matrices, so a level brings the core of its gemm.c, and
 * besides how keys and values become panels and what happens to a row of scores.
 */
#ifndef KERNELS_ATTEND_H
#define KERNELS_ATTEND_H

#include "kernels/product.h"

typedef struct kn_attend {
    const kn_core *core;
    kn_type type; /* of the core's panels and of the rows that core->pack takes */
    /* as core->pack, but takes the type of the queries */
    void (*pack_query)(const void *from, size_t n, void *to, size_t stride);
    /* Panels of head h, of W = K (kv_rows, dim) and of W = V^T (dim, kv_rows); their k axes have
     * kn_panel_k() rows */
    void (*pack_keys)(const kn_attention *a, uint32_t h, void *panels);
    void (*pack_values)(const kn_attention *a, uint32_t h, void *panels);
    /* exp(score - greatest) of the first n scores (which lie in tiles so many columns wide, stride
     * floats apart) after bias is added, zero up to `padded`, as type; returns their sum */
    float (*weigh)(const float *scores, size_t columns, size_t stride, const float *bias, size_t n,
                   size_t padded, void *out);
    /* n elements of sum / total to out[at …], of the type of a.out */
    void (*store)(const float *sum, float total, size_t n, void *out, size_t at);
} kn_attend;

void kn_attend_heads(const kn_attend *l, const kn_attention *a);

#endif
