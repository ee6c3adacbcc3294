/* norm.c - normalisations of one row, four floats at a time. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/norm.h"
#include "kernels/levels.h"

void kn_norm_neon(kn_kernels *k)
{
    put_norm(k);
}
