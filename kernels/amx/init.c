/* init.c - what level amx puts into the table. */
#include "kernels/kernels.h"

void kn_kernels_init_amx(kn_kernels *k)
{
    (void)k;
}
