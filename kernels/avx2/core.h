/* core.h - the level's micro-kernels, for gemm.c and conv.c. */
#ifndef KERNELS_AVX2_CORE_H
#define KERNELS_AVX2_CORE_H

#include "kernels/product.h"

/* The core for the math and the types of g. */
const kn_core *kn_core_avx2(const kn_gemm *g);

#endif
