/* core.h - the level's micro-kernels, for gemm.c and conv.c and for the levels above. */
#ifndef KERNELS_AVX512_CORE_H
#define KERNELS_AVX512_CORE_H

#include "kernels/product.h"

/* The core for the math and the types of g. */
const kn_core *kn_core_avx512(const kn_gemm *g);

/* As kn_kernels.attention. */
void kn_attend_avx512(const kn_attention *a);

/* As kn_kernels.peak. */
double kn_peak_f32_avx512(size_t rounds);

#endif
