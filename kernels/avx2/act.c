/* act.c - activation functions in place, eight floats at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/act.h"
#include "kernels/levels.h"

void kn_act_avx2(kn_kernels *k)
{
    put_act(k);
}
