/* convert.c - between f32 and its 16-bit forms, four floats at a time. */
#include "kernels/neon/vec.h"

#include "kernels/lanes/convert.h"
#include "kernels/levels.h"

void kn_convert_neon(kn_kernels *k)
{
    put_convert(k);
}
