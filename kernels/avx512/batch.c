/* batch.c - batch normalisation of maps. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/batch.h"
#include "kernels/levels.h"

void kn_batch_avx512(kn_kernels *k)
{
    put_batch(k);
}
