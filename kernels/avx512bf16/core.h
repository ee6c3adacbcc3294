/* core.h - the level's micro-kernels, for gemm.c and conv.c. */
#ifndef KERNELS_AVX512BF16_CORE_H
#define KERNELS_AVX512BF16_CORE_H

#include "kernels/product.h"

/* The core for the math and the types of g. */
const kn_core *kn_core_avx512bf16(const kn_gemm *g);

#endif
