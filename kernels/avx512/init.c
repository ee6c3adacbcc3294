/* init.c - what level avx512 puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_avx512(kn_kernels *k)
{
    kn_gemm_avx512(k);
    kn_conv_avx512(k);
    kn_peak_avx512(k);
    kn_outer_avx512(k);
    kn_batch_avx512(k);
    kn_wino_avx512(k);
    kn_attention_avx512(k);
    kn_norm_avx512(k);
    kn_act_avx512(k);
    kn_pool_avx512(k);
    kn_dist_avx512(k);
    kn_convert_avx512(k);
    kn_resample_avx512(k);
    kn_toy_avx512(k);
}
