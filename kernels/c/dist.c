/* dist.c - how near two vectors are. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

#include <string.h>

static float dot_f32(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float l2sq_f32(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static float dot_f16(const float *a, const uint16_t *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * from_f16(b[i]);
    return sum;
}

static float dot_i8(const float *a, const int8_t *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * (float)b[i];
    return sum;
}

static void dots_f32(const float *a, const float *rows, size_t m, size_t n, float *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = dot_f32(a, rows + i * n, n);
}

static void dots_f16(const float *a, const uint16_t *rows, size_t m, size_t n, float *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = dot_f16(a, rows + i * n, n);
}

static void dots_batch_f32(const float *queries, size_t q, const float *rows, size_t m, size_t n,
                           float *out, size_t ldo)
{
    for (size_t i = 0; i < q; i++)
        dots_f32(queries + i * n, rows, m, n, out + i * ldo);
}

static void dots_batch_f16(const float *queries, size_t q, const uint16_t *rows, size_t m, size_t n,
                           float *out, size_t ldo)
{
    for (size_t i = 0; i < q; i++)
        dots_f16(queries + i * n, rows, m, n, out + i * ldo);
}

static uint32_t hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++)
        for (unsigned x = (unsigned)(a[i] ^ b[i]); x; x &= x - 1)
            bits++;
    return bits;
}

void kn_dist_c(kn_kernels *k)
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
