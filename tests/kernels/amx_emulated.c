/* amx_emulated.c - level amx on a model of the tile unit, for machines without one. */
#include "checkkern.h"

#if defined(__x86_64__)
#define KN_AMX_EMULATE
#define kn_core_amx kn_core_amx_emulated
#define kn_gemm_amx kn_gemm_amx_emulated
#define kn_conv_amx kn_conv_amx_emulated
#define kn_attention_amx kn_attention_amx_emulated
#define kn_outer_amx kn_outer_amx_emulated

#include "kernels/amx/gemm.c"

#include "kernels/amx/conv.c"

#include "kernels/amx/attention.c"

#include "kernels/amx/outer.c"

void ck_init_amx_emulated(kn_kernels *k)
{
    kn_gemm_amx_emulated(k);
    kn_conv_amx_emulated(k);
    kn_attention_amx_emulated(k);
    kn_outer_amx_emulated(k);
}
#endif
