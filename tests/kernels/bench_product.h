/* bench_product.h - how fast products and convolutions of real networks are. */
#ifndef BENCH_PRODUCT_H
#define BENCH_PRODUCT_H

#include "checkkern.h"

/* With --bench, a line for each shape and math; else nothing. */
void bench_gemm(ck *t);
void bench_conv(ck *t);

#endif
