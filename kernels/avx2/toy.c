/* toy.c - the photograph kernel of kernels/toy.inc at level avx2. */
#include "kernels/levels.h"

#ifndef __AVX2__
#error "kernels/avx2 must be built with its own flags; see KERNEL_FLAGS in the Makefile"
#endif
#include <immintrin.h>
#include <string.h>

#define VSQRT(x) vsqrt(x)
typedef float vsqrt_v __attribute__((vector_size(64)));
static inline vsqrt_v vsqrt(vsqrt_v x)
{
    __m256 half[2];
    memcpy(half, &x, sizeof x);
    half[0] = _mm256_sqrt_ps(half[0]);
    half[1] = _mm256_sqrt_ps(half[1]);
    memcpy(&x, half, sizeof x);
    return x;
}

#define TOY_ROWS toy_rows_avx2
#include "kernels/toy.inc"

void kn_toy_avx2(kn_kernels *k)
{
    k->toy_rows = toy_rows_avx2;
}
