/* act.c - activation functions in place, sixteen floats at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/act.h"
#include "kernels/levels.h"

void kn_act_avx512(kn_kernels *k)
{
    put_act(k);
}
