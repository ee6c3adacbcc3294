/* convert.c - between f32 and its 16-bit forms, eight floats at a time. */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/convert.h"
#include "kernels/levels.h"

void kn_convert_avx2(kn_kernels *k)
{
    put_convert(k);
}
