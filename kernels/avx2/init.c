/* init.c - what level avx2 puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_avx2(kn_kernels *k)
{
    kn_resample_avx2(k);
    kn_gemm_avx2(k);
    kn_conv_avx2(k);
    kn_peak_avx2(k);
    kn_outer_avx2(k);
    kn_batch_avx2(k);
    kn_wino_avx2(k);
    kn_attention_avx2(k);
    kn_norm_avx2(k);
    kn_act_avx2(k);
    kn_pool_avx2(k);
    kn_dist_avx2(k);
    kn_pq_avx2(k);
    kn_code_avx2(k);
    kn_convert_avx2(k);
    kn_toy_avx2(k);
}
