/* init.c - what level avx512bf16 puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_avx512bf16(kn_kernels *k)
{
    kn_gemm_avx512bf16(k);
    kn_conv_avx512bf16(k);
    kn_peak_avx512bf16(k);
    kn_outer_avx512bf16(k);
    kn_attention_avx512bf16(k);
}
