/* toy.c - the photograph kernel of kernels/toy.inc at level c. */
#include "kernels/levels.h"

#include <math.h>

/* Correctly rounded, as at every level. */
#define VSQRT(x) vsqrt(x)
typedef float vsqrt_v __attribute__((vector_size(64)));
static inline vsqrt_v vsqrt(vsqrt_v x)
{
    for (int i = 0; i < 16; i++)
        x[i] = sqrtf(x[i]);
    return x;
}

#define TOY_ROWS toy_rows_c
#include "kernels/toy.inc"

void kn_toy_c(kn_kernels *k)
{
    k->toy_rows = toy_rows_c;
}
