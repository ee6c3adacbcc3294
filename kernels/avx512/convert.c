/* convert.c - between f32 and its 16-bit forms, sixteen floats at a time. */
#include "kernels/avx512/vec.h"

#include "kernels/lanes/convert.h"
#include "kernels/levels.h"

void kn_convert_avx512(kn_kernels *k)
{
    put_convert(k);
}
