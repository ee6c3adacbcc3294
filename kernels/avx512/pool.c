/* pool.c - pooling, sixteen channels at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/pool.h"
#include "kernels/levels.h"

void kn_pool_avx512(kn_kernels *k)
{
    put_pool(k);
}
