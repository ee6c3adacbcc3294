/*
 * code.h - compact codes of vectors: one bit a dimension, and one byte a dimension.
 *
 * A row x becomes y = (x - centre) scale, so that the mean of |y|^2 is 1.  Its bits are the signs of
 * R y, where R is a random rotation made of sign flips and Hadamard transforms; its bytes are y itself
 * in 255 steps.  From the bits, <y, v> is estimated by factor <sign(R y), R v>, factor =
 * |R y|^2 / |R y|_1, with an error of about sqrt((pi/2 - 1) / dim) |y| |v| (Gao and Long, "RaBitQ", SIGMOD
 * 2024); v is taken in 16 steps.  Every number of a code is made by one fixed sequence of IEEE operations, so
 * that the same rows give the same bytes on every machine.
 */
#ifndef INDEX_CODE_H
#define INDEX_CODE_H

#include "index/flat.h"

enum { KN_PLANES = 4, KN_CODE_MAX_DIM = 8192 };

typedef struct kn_coder {
    uint32_t dim;    /* of rows */
    uint32_t padded; /* dim rounded up to 64: bits of a code */
    uint64_t seed;   /* of the rotation */
    float scale;
    float *centre;   /* (dim) owned */
    uint32_t *signs; /* (4, padded) 0 or the sign bit, owned */
} kn_coder; /* all zero: none */

/* From n rows (n, dim), `ld` floats apart; the sums have one order at any number of threads. */
KEN_CALL ken_status kn_coder_train(kn_coder *c, const float *rows, size_t n, size_t ld,
                                   uint32_t dim, uint64_t seed, uint32_t threads);
/* The same again from what was kept of it: centre (dim) is copied. */
KEN_CALL ken_status kn_coder_restore(kn_coder *c, uint32_t dim, uint64_t seed, float scale,
                                     const float *centre);
void kn_coder_release(kn_coder *c);

/* y of a row; (padded) floats, zeros behind dim.  A query of an inner product is not centred: its
 * estimates are of <y, q>, which is scale <x, q> less what is the same for all rows. */
void kn_coder_centre(const kn_coder *c, const float *x, int centred, float *y);
/* R y, in place, (padded). */
void kn_coder_rotate(const kn_coder *c, float *y);

/* Signs of r = R y into padded / 8 bytes, bit j of byte i being dimension 8 i + j.  Returns the
 * factor, 0 of the zero vector; *norm2 is |y|^2. */
float kn_code_bits(const float *r, size_t padded, uint8_t *bits, float *norm2);
/* r = R v as planes of code_differ (KN_PLANES, padded / 8).  Returns the step: <R y, R v> is about
 * factor step (7.5 padded - differences). */
float kn_code_planes(const float *r, size_t padded, uint8_t *planes);

/* A row of bytes: kn_byte_padded() bytes of y / scale, to nearest, then a kn_byte_tail. */
typedef struct kn_byte_tail {
    float scale;
    int32_t sum;  /* of the bytes */
    float norm2;  /* |y|^2 */
    uint32_t zero;
} kn_byte_tail;
static inline size_t kn_byte_padded(size_t dim)
{
    return (dim + 31) / 32 * 32;
}
static inline size_t kn_byte_stride(size_t dim) /* whole cache lines */
{
    return (kn_byte_padded(dim) + sizeof(kn_byte_tail) + 63) / 64 * 64;
}
void kn_code_bytes(const float *y, size_t dim, int8_t *row);
static inline const kn_byte_tail *kn_byte_tail_of(const int8_t *row, size_t dim)
{
    return (const void *)(row + kn_byte_padded(dim));
}

/* dots_u7i8 without the 64 that was added to every byte of the query.  Unsigned in between: the sum of
 * a damaged file may be anything. */
static inline float kn_byte_dot(int32_t dot, const kn_byte_tail *t)
{
    return (float)(int32_t)((uint32_t)dot - 64u * (uint32_t)t->sum);
}

/* v as the other factor of dots_u7i8: (kn_byte_padded) numbers 0..127, 64 being zero.  Returns the
 * step: <y, v> is about scale step (dot - 64 sum). */
float kn_code_seven(const float *v, size_t dim, uint8_t *out);
/* The same from a row of bytes: <y, y'> is about scale scale' (2 (dot - 64 sum') + sum' / 2). */
void kn_code_seven_of(const int8_t *row, size_t dim, uint8_t *out);

#endif
