/* dist.c - how near two vectors are, four floats at a time. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/dist.h"
#include "kernels/levels.h"

void kn_dist_neon(kn_kernels *k)
{
    put_dist(k);
}
