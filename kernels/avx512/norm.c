/* norm.c - normalisations of one row, sixteen floats at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/norm.h"
#include "kernels/levels.h"

void kn_norm_avx512(kn_kernels *k)
{
    put_norm(k);
}
