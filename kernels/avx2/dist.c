/* dist.c - how near two vectors are, eight floats at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/dist.h"
#include "kernels/levels.h"

void kn_dist_avx2(kn_kernels *k)
{
    k->dot_f32 = dot_f32;
    k->l2sq_f32 = l2sq_f32;
    k->dot_f16 = dot_f16;
    k->dot_i8 = dot_i8;
    k->dots_f32 = dots_f32;
    k->dots_f16 = dots_f16;
    k->dots_batch_f32 = dots_batch_f32;
    k->dots_batch_f16 = dots_batch_f16;
    k->hamming = hamming;
}
