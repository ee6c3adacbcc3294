/* core.h - the level's micro-kernels, for gemm.c and conv.c. */
#ifndef KERNELS_AMX_CORE_H
#define KERNELS_AMX_CORE_H

#include "kernels/product.h"

/* The core for the math and the types of g; NULL: the math is not for tiles, take level
 * avx512bf16's.  Its micro-kernels run between tile_begin() and tile_release(). */
const kn_core *kn_core_amx(const kn_gemm *g);

#endif
