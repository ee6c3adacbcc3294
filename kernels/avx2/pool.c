/* pool.c - pooling, eight channels at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/pool.h"
#include "kernels/levels.h"

void kn_pool_avx2(kn_kernels *k)
{
    put_pool(k);
}
