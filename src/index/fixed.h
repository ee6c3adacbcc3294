/* fixed.h - matrix products whose every element is one sum in one order, multiplications and
 * additions apart: the same bits at every CPU level, at a quarter of the speed of kernels' gemm. */
#ifndef INDEX_FIXED_H
#define INDEX_FIXED_H

#include "ken.h"

/* out (n, columns), not x: x (n, depth) times b (depth, columns), or times the transpose of
 * b (columns, depth). */
KEN_CALL ken_status kn_fixed_product(const float *x, size_t n, size_t depth, const float *b,
                               size_t columns, int transposed, uint32_t threads, float *out);

#endif
