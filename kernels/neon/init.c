/* init.c - what level neon puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_neon(kn_kernels *k)
{
    kn_batch_neon(k);
    kn_wino_neon(k);
    kn_norm_neon(k);
    kn_act_neon(k);
    kn_pool_neon(k);
    kn_dist_neon(k);
    kn_convert_neon(k);
}
