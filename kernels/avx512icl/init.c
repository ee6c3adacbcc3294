/* init.c - what level avx512icl puts into the table. */
#include "kernels/kernels.h"

void kn_kernels_init_avx512icl(kn_kernels *k)
{
    (void)k;
}
