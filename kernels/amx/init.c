/* init.c - what level amx puts into the table. */
#include "kernels/levels.h"

void kn_kernels_init_amx(kn_kernels *k)
{
    kn_gemm_amx(k);
    kn_conv_amx(k);
    kn_peak_amx(k);
    kn_outer_amx(k);
    kn_attention_amx(k);
}
