/* batch.c - batch normalisation of maps. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/batch.h"
#include "kernels/levels.h"

void kn_batch_avx2(kn_kernels *k)
{
    put_batch(k);
}
