/* norm.c - normalisations of one row, eight floats at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/norm.h"
#include "kernels/levels.h"

void kn_norm_avx2(kn_kernels *k)
{
    put_norm(k);
}
