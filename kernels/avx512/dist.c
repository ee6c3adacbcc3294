/* dist.c - how near two vectors are, sixteen floats at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/dist.h"
#include "kernels/levels.h"

void kn_dist_avx512(kn_kernels *k)
{
    put_dist(k);
}
