/*
 * mat.h - matrices ready for one arithmetic, and who multiplies with them.
 */
#ifndef NN_MAT_H
#define NN_MAT_H

#include "kernels/kernels.h"

/* How a network computes; threads is 1 inside a loop that is already spread. */
typedef struct kn_crew {
    const kn_kernels *k;
    kn_math math;
    kn_type type;     /* of matrix inputs: KN_BF16 for KN_MATH_BF16, else KN_F32 */
    uint32_t threads;
} kn_crew;

/* Weights (n, k) as panels; borrowed, from the mapped file or from what opening has packed. */
typedef struct kn_mat {
    size_t n, k;
    const void *w, *w_lo;
    kn_type type;
    const float *bias; /* (n) or NULL */
} kn_mat;

static inline size_t kn_type_bytes(kn_type t)
{
    return t == KN_F32 ? sizeof(float) : t == KN_I8 ? 1 : 2;
}

/* Elements of type t behind p. */
static inline void *kn_at(void *p, kn_type t, size_t n)
{
    return (unsigned char *)p + n * kn_type_bytes(t);
}
static inline const void *kn_at_const(const void *p, kn_type t, size_t n)
{
    return (const unsigned char *)p + n * kn_type_bytes(t);
}

/* Rows n0 .. n0+n-1 of m; n0 is a multiple of KN_PANEL. */
kn_mat kn_mat_part(const kn_mat *m, size_t n0, size_t n);

/* g with everything but the matrix filled in: c = act(a m^T + bias + residual), by all threads of
 * the crew.  a is of crew->type. */
void kn_mat_mul(const kn_crew *crew, const kn_mat *m, kn_gemm g);
/* The same of a convolution; c.g.m is set. */
void kn_mat_conv(const kn_crew *crew, const kn_mat *m, kn_conv c);

/* fn over pieces of 0..n-1 whose borders are multiples of grain, by all threads; cannot fail. */
typedef void (*kn_piece_fn)(size_t begin, size_t end, uint32_t worker, void *cookie);
void kn_crew_run(const kn_crew *crew, size_t n, size_t grain, kn_piece_fn fn, void *cookie);

/* n floats as the crew's matrix inputs: copied or rounded. */
void kn_crew_round(const kn_crew *crew, const float *in, size_t n, void *out);

#endif
