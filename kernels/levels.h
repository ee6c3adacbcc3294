/* levels.h - what each folder's init.c calls: kn_FAMILY_LEVEL puts the kernels of one file into the
 * table.  A level that has no such file has no such function. */
#ifndef KERNELS_LEVELS_H
#define KERNELS_LEVELS_H

#include "kernels/kernels.h"

#define KN_FAMILIES(level)                                                                         \
    void kn_gemm_##level(kn_kernels *k);                                                           \
    void kn_conv_##level(kn_kernels *k);                                                           \
    void kn_pack_##level(kn_kernels *k);                                                           \
    void kn_peak_##level(kn_kernels *k);                                                           \
    void kn_outer_##level(kn_kernels *k);                                                          \
    void kn_batch_##level(kn_kernels *k);                                                          \
    void kn_wino_##level(kn_kernels *k);                                                           \
    void kn_attention_##level(kn_kernels *k);                                                      \
    void kn_norm_##level(kn_kernels *k);                                                           \
    void kn_act_##level(kn_kernels *k);                                                            \
    void kn_pool_##level(kn_kernels *k);                                                           \
    void kn_dist_##level(kn_kernels *k);                                                           \
    void kn_pq_##level(kn_kernels *k);                                                             \
    void kn_code_##level(kn_kernels *k);                                                           \
    void kn_convert_##level(kn_kernels *k);                                                        \
    void kn_resample_##level(kn_kernels *k);                                                       \
    void kn_toy_##level(kn_kernels *k);

KN_FAMILIES(c)
KN_FAMILIES(avx2)
KN_FAMILIES(avx512)
KN_FAMILIES(avx512icl)
KN_FAMILIES(avx512bf16)
KN_FAMILIES(amx)
KN_FAMILIES(neon)

#endif
