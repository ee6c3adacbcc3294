/* init.c - what level avx2 puts into the table. */
#include "kernels/kernels.h"

void kn_kernels_init_avx2(kn_kernels *k)
{
    (void)k;
}
