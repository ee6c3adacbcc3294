/* pool.c - pooling, four channels at a time. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/pool.h"
#include "kernels/levels.h"

void kn_pool_neon(kn_kernels *k)
{
    put_pool(k);
}
