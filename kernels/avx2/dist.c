/* dist.c - how near two vectors are, eight floats at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/dist.h"
#include "kernels/levels.h"

void kn_dist_avx2(kn_kernels *k)
{
    put_dist(k);
}
