/* outer.c - the gradient of weights, with the level's micro-kernels. */
#include "kernels/avx512/vec.h"

#include "kernels/avx512bf16/core.h"
#include "kernels/levels.h"

#define OUTER_CORE kn_core_avx512bf16
#include "kernels/lanes/outer.h"

void kn_outer_avx512bf16(kn_kernels *k)
{
    k->turn = turn;
    k->wgrad = outer_wgrad;
}
