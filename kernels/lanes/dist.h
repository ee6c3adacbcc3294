/*
 * dist.h - how near two vectors are, a vector of lanes at a time.
 *
 * Every inner product has one order of additions, whether it is asked for alone, among the rows of
 * one query or in a table: blocks of 2 VL elements, the first half of each into one chain, the
 * second into another; the end likewise.  Two chains are the compromise: a single product has less
 * latency to wait for than with one, and a tile of 4 queries by 3 rows fits the registers, which
 * it would not with four.
 */
#ifndef KERNELS_LANES_DIST_H
#define KERNELS_LANES_DIST_H

#include "kernels/lanes/lanes.h"

#include <string.h>

enum {
    QUERIES = V_REGISTERS == 32 ? 4 : 2, /* of a tile … */
    ROWS = 3,                            /* … whose sums, rows and a query fill the registers */
    QUERY_BYTES = 16 << 10,              /* queries that stay in L1 */
    ROW_BYTES = 256 << 10                /* rows that stay in L2 while all queries pass */
};

/* Elements i .. i+n-1 of numbers of the type, as f32. */
INLINE vf widen(const void *p, kn_type type, size_t i, size_t n)
{
    switch (type) {
    case KN_F16:
        return n >= VL ? v_load_f16((const uint16_t *)p + i)
                       : v_load_f16_some((const uint16_t *)p + i, n);
    case KN_I8:
        return n >= VL ? v_load_i8((const int8_t *)p + i)
                       : v_load_i8_some((const int8_t *)p + i, n);
    default:
        return load_as(p, KN_F32, i, n);
    }
}

/* One chain's share of a block: n elements from i on. */
INLINE void step(vf *sum, const float *a, const void *b, kn_type type, size_t ld, size_t i,
                 size_t n, const size_t queries, const size_t rows)
{
    vf y[ROWS];
    KN_UNROLL
    for (size_t r = 0; r < rows; r++)
        y[r] = widen(b, type, r * ld + i, n);
    KN_UNROLL
    for (size_t r = 0; r < rows && queries > 1; r++)
        y[r] = v_keep(y[r]);
    KN_UNROLL
    for (size_t q = 0; q < queries; q++) {
        vf x = load_as(a, KN_F32, q * ld + i, n);
        x = rows > 1 ? v_keep(x) : x;
        KN_UNROLL
        for (size_t r = 0; r < rows; r++)
            sum[q * rows + r] = v_fma(x, y[r], sum[q * rows + r]);
    }
}

/* The sums of one query. */
INLINE void put(const vf *even, const vf *odd, float *out, const size_t rows)
{
    vf s[4];
    float sums[4];
    KN_UNROLL
    for (size_t r = 0; r < 4; r++)
        s[r] = v_add(even[r < rows ? r : 0], odd[r < rows ? r : 0]);
    if (rows > 1)
        v_sum4(s, sums);
    else
        sums[0] = v_sum(s[0]);
    memcpy(out, sums, rows * sizeof *out);
}

/* out (queries, rows), rows ldo apart, of queries and rows of n elements. */
INLINE void tile(const float *a, const void *b, kn_type type, size_t n, float *out, size_t ldo,
                 const size_t queries, const size_t rows)
{
    vf even[QUERIES * ROWS], odd[QUERIES * ROWS];
    size_t i = 0;
    KN_UNROLL
    for (size_t s = 0; s < queries * rows; s++)
        even[s] = odd[s] = v_set(0);
    for (; i + 2 * VL <= n; i += 2 * VL) {
        step(even, a, b, type, n, i, VL, queries, rows);
        step(odd, a, b, type, n, i + VL, VL, queries, rows);
    }
    if (i + VL <= n) {
        step(even, a, b, type, n, i, VL, queries, rows);
        i += VL;
        if (i < n)
            step(odd, a, b, type, n, i, n - i, queries, rows);
    } else if (i < n)
        step(even, a, b, type, n, i, n - i, queries, rows);
    KN_UNROLL
    for (size_t q = 0; q < queries; q++)
        put(even + q * rows, odd + q * rows, out + q * ldo, rows);
}

static float dot_f32(const float *a, const float *b, size_t n)
{
    float out;
    tile(a, b, KN_F32, n, &out, 1, 1, 1);
    return out;
}

static float dot_f16(const float *a, const uint16_t *b, size_t n)
{
    float out;
    tile(a, b, KN_F16, n, &out, 1, 1, 1);
    return out;
}

static float dot_i8(const float *a, const int8_t *b, size_t n)
{
    float out;
    tile(a, b, KN_I8, n, &out, 1, 1, 1);
    return out;
}

INLINE vf square(vf sum, const float *a, const float *b, size_t i, size_t n)
{
    const vf d = v_sub(load_as(a, KN_F32, i, n), load_as(b, KN_F32, i, n));
    return v_fma(d, d, sum);
}

static float l2sq_f32(const float *a, const float *b, size_t n)
{
    vf s0 = v_set(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        s0 = square(s0, a, b, i, VL);
        s1 = square(s1, a, b, i + VL, VL);
        s2 = square(s2, a, b, i + 2 * VL, VL);
        s3 = square(s3, a, b, i + 3 * VL, VL);
    }
    for (; i < n; i += VL)
        s0 = square(s0, a, b, i, n - i);
    return v_sum(v_add(v_add(s0, s1), v_add(s2, s3)));
}

/* ---- tables -------------------------------------------------------------------- */

INLINE size_t type_size(kn_type type)
{
    return type == KN_F16 ? 2 : 4;
}

/* All queries with a few rows. */
INLINE void column(const float *a, size_t q, const void *b, kn_type type, size_t n, float *out,
                   size_t ldo, const size_t rows)
{
    for (; q >= QUERIES; q -= QUERIES, a += QUERIES * n, out += QUERIES * ldo)
        tile(a, b, type, n, out, ldo, QUERIES, rows);
    for (; q >= 2; q -= 2, a += 2 * n, out += 2 * ldo)
        tile(a, b, type, n, out, ldo, 2, rows);
    if (q > 0)
        tile(a, b, type, n, out, ldo, 1, rows);
}

/* Queries that L1 holds, with rows of any number. */
INLINE void block(const float *a, size_t q, const void *b, kn_type type, size_t m, size_t n,
                  float *out, size_t ldo)
{
    const char *row = b;
    const size_t bytes = n * type_size(type);
    for (; m >= ROWS; m -= ROWS, row += ROWS * bytes, out += ROWS)
        column(a, q, row, type, n, out, ldo, ROWS);
    for (; m > 0; m--, row += bytes, out++)
        column(a, q, row, type, n, out, ldo, 1);
}

static size_t multiple(size_t bytes, size_t each, size_t unit)
{
    const size_t n = bytes / (each + 1) / unit * unit;
    return n ? n : unit;
}

INLINE void table(const float *a, size_t q, const void *b, kn_type type, size_t m, size_t n,
                  float *out, size_t ldo)
{
    const size_t bytes = n * type_size(type);
    const size_t q_step = multiple(QUERY_BYTES, n * sizeof(float), QUERIES);
    const size_t m_step = multiple(ROW_BYTES, bytes, ROWS);
    for (size_t r = 0; r < m; r += m_step)
        for (size_t i = 0; i < q; i += q_step)
            block(a + i * n, q - i < q_step ? q - i : q_step, (const char *)b + r * bytes, type,
                  m - r < m_step ? m - r : m_step, n, out + i * ldo + r, ldo);
}

static void dots_batch_f32(const float *queries, size_t q, const float *rows, size_t m, size_t n,
                           float *out, size_t ldo)
{
    table(queries, q, rows, KN_F32, m, n, out, ldo);
}

static void dots_batch_f16(const float *queries, size_t q, const uint16_t *rows, size_t m, size_t n,
                           float *out, size_t ldo)
{
    table(queries, q, rows, KN_F16, m, n, out, ldo);
}

static void dots_f32(const float *a, const float *rows, size_t m, size_t n, float *out)
{
    dots_batch_f32(a, 1, rows, m, n, out, m);
}

static void dots_f16(const float *a, const uint16_t *rows, size_t m, size_t n, float *out)
{
    dots_batch_f16(a, 1, rows, m, n, out, m);
}

static uint32_t hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t bits = 0, x = 0, y = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        bits += (uint64_t)__builtin_popcountll(x ^ y);
    }
    x = y = 0;
    memcpy(&x, a + i, n - i);
    memcpy(&y, b + i, n - i);
    return (uint32_t)(bits + (uint64_t)__builtin_popcountll(x ^ y));
}

/* What this file gives a level's table. */
static void put_dist(kn_kernels *k)
{
    k->dot_f32 = dot_f32;
    k->l2sq_f32 = l2sq_f32;
    k->dot_f16 = dot_f16;
    k->dot_i8 = dot_i8;
    k->dots_f32 = dots_f32;
    k->dots_f16 = dots_f16;
    k->dots_batch_f32 = dots_batch_f32;
    k->dots_batch_f16 = dots_batch_f16;
    k->hamming = hamming;
}

#endif
