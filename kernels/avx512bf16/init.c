/* init.c - what level avx512bf16 puts into the table. */
#include "kernels/kernels.h"

void kn_kernels_init_avx512bf16(kn_kernels *k)
{
    (void)k;
}
