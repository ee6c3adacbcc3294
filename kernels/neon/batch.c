/* batch.c - batch normalisation of maps. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/batch.h"
#include "kernels/levels.h"

void kn_batch_neon(kn_kernels *k)
{
    put_batch(k);
}
