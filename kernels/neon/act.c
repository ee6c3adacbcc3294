/* act.c - activation functions in place, four floats at a time. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/act.h"
#include "kernels/levels.h"

void kn_act_neon(kn_kernels *k)
{
    put_act(k);
}
