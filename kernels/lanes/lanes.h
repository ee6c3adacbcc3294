/*
 * lanes.h - kernels written once for vectors of any width.
 *
 * A level that takes part has a vec.h with this vocabulary; its FAMILY.c includes vec.h, then
 * lanes/FAMILY.h, and puts into the table what it wants.  "some" handles the first n lanes,
 * n <= VL: it reads zeros into the others and touches no memory of theirs.
 *
 *   vf, VL, V_REGISTERS            the vector, its floats, how many the processor names
 *   v_set  v_load[_some]  v_store[_some]
 *   v_load_TYPE[_some]             bf16, f16, i8 to f32
 *   v_store_TYPE[_some]            bf16, f16, to nearest even
 *   v_add  v_sub  v_mul  v_div  v_fma (a b + c)
 *   v_max                          the second where either is NaN
 *   v_where_positive(x, y)         y where x > 0, else 0
 *   v_where_equal(x, y, z)         z where x == y, else 0
 *   v_first(n, x, other)           lanes of x, from the n-th on of other
 *   v_keep(x)                      x, in a register from here on
 *   v_sum  v_greatest              of all lanes
 *   v_sum4(x, out)                 four times v_sum, to the bit
 *   v_transpose                    VL vectors
 *   v_pairs(even, odd, to, next)   32 elements of two rows of 16 bits, one beside the other, the
 *                                  first 16 and the rest apart
 *   v_exp  v_activation
 *   v_tail(v_tail_at(x), &e)       the upper tail of the normal distribution at |x|; e^(-x^2 / 2)
 *   v_weight(x)                    e^x where that is a normal number, else 0
 */
#ifndef KERNELS_LANES_LANES_H
#define KERNELS_LANES_LANES_H

#include "kernels/product.h" /* KN_UNROLL */

#define INLINE __attribute__((always_inline)) static inline

/* Elements i .. i+n-1 of an array of the type; type is a constant where this is inlined. */
INLINE vf load_as(const void *p, kn_type type, size_t i, size_t n)
{
    if (type == KN_BF16)
        return n >= VL ? v_load_bf16((const uint16_t *)p + i)
                       : v_load_bf16_some((const uint16_t *)p + i, n);
    return n >= VL ? v_load((const float *)p + i) : v_load_some((const float *)p + i, n);
}

INLINE void store_as(void *p, kn_type type, size_t i, size_t n, vf x)
{
    if (type == KN_BF16 && n >= VL)
        v_store_bf16((uint16_t *)p + i, x);
    else if (type == KN_BF16)
        v_store_bf16_some((uint16_t *)p + i, n, x);
    else if (n >= VL)
        v_store((float *)p + i, x);
    else
        v_store_some((float *)p + i, n, x);
}

#endif
