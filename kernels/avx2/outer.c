/* outer.c - the gradient of weights, with the level's micro-kernels. */
#include "kernels/avx2/vec.h"

#include "kernels/avx2/core.h"
#include "kernels/levels.h"

#define OUTER_CORE kn_core_avx2
#include "kernels/lanes/outer.h"

void kn_outer_avx2(kn_kernels *k)
{
    k->turn = turn;
    k->wgrad = outer_wgrad;
}
