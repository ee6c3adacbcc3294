/* wino.c - tiles of Winograd's convolutions. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/wino.h"
#include "kernels/levels.h"

void kn_wino_neon(kn_kernels *k)
{
    put_wino(k);
}
