/* product.h - the oracle that check_gemm.c and check_conv.c share. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "checkkern.h"

/* A product with everything that its oracle needs to know. */
typedef struct product {
    kn_gemm g;
    const float *w;       /* (n, k) the weights before they became panels */
    const void *residual; /* (m, n) a copy of the residual, which the product may overwrite */
    void *c_before;       /* what c held before the product ran */
    size_t c_bytes;
} product;

/* The next of a list of varied products: math, stored types, epilogue.  Sizes and a are the
 * caller's. */
enum { PRODUCT_KINDS = 24 };
void product_kind(kn_gemm *g, unsigned kind);
const char *product_name(const kn_gemm *g); /* static buffer */

size_t product_a_size(const kn_gemm *g); /* bytes of an element of a */
void *product_random(ck *t, size_t n, kn_type type);

/* Once math, types, m, n and k are set: weights, bias, residual and c, guarded. */
void product_fill(ck *t, product *p, size_t ldc);

/* The sum of one element of c. */
typedef struct product_sum {
    double sum, size, lost; /* of the terms, of their magnitudes, of what bf16x3 leaves out */
} product_sum;
void product_add(const product *p, product_sum *s, size_t a_index, size_t column, size_t k);
void product_check(ck *t, const product *p, size_t row, size_t column, const product_sum *s);

/* Nothing between the rows of c was written. */
void product_check_gaps(ck *t, const product *p);

#endif
