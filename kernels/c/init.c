/* init.c - what level c puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_c(kn_kernels *k)
{
    kn_gemm_c(k);
    kn_conv_c(k);
    kn_pack_c(k);
    kn_peak_c(k);
    kn_outer_c(k);
    kn_batch_c(k);
    kn_wino_c(k);
    kn_attention_c(k);
    kn_norm_c(k);
    kn_act_c(k);
    kn_pool_c(k);
    kn_dist_c(k);
    kn_pq_c(k);
    kn_code_c(k);
    kn_convert_c(k);
    kn_resample_c(k);
    kn_toy_c(k);
}
