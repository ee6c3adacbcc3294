/* wino.c - tiles of Winograd's convolutions. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/wino.h"
#include "kernels/levels.h"

void kn_wino_avx512(kn_kernels *k)
{
    put_wino(k);
}
