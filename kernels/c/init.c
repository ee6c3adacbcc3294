/* init.c - what level c puts into the table. */
#include "kernels/kernels.h"

void kn_kernels_init_c(kn_kernels *k)
{
    (void)k;
}
