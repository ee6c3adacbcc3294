/* init.c - what level avx512icl puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_avx512icl(kn_kernels *k)
{
    kn_dist_avx512icl(k);
    kn_code_avx512icl(k);
    kn_resample_avx512icl(k);
}
