/* toy.c - the photograph kernel of kernels/toy.inc at level avx512. */
#include "kernels/levels.h"

#ifndef __AVX512F__
#error "kernels/avx512 must be built with its own flags; see KERNEL_FLAGS in the Makefile"
#endif
#include <immintrin.h>

#define VSQRT(x) ((vf)_mm512_sqrt_ps((__m512)(x)))
#define TOY_ROWS toy_rows_avx512
#include "kernels/toy.inc"

void kn_toy_avx512(kn_kernels *k)
{
    k->toy_rows = toy_rows_avx512;
}
