/* code.c - compact codes of vectors: one bit, or eight, a dimension. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

enum { PLANES = 4 };

static uint32_t differing(const uint8_t *planes, const uint8_t *code, size_t bytes)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < PLANES; k++)
        for (size_t i = 0; i < bytes; i++)
            for (unsigned x = (unsigned)(planes[k * bytes + i] ^ code[i]); x; x &= x - 1)
                sum += 1u << k;
    return sum;
}

static void code_differ(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                        const uint32_t *slots, size_t m, uint32_t *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = differing(planes, codes + (slots ? slots[i] : i) * bytes, bytes);
}

static void code_estimate(const uint8_t *planes, const uint8_t *codes, size_t bytes,
                          const uint32_t *slots, const uint16_t *factors, size_t m, float base,
                          float *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = from_f16(factors[i])
                 * (base - (float)differing(planes, codes + slots[i] * bytes, bytes));
}

static int32_t dot(const uint8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void dots_u7i8(const uint8_t *a, const int8_t *rows, size_t ld, const uint32_t *slots,
                      size_t m, size_t n, int32_t *out)
{
    for (size_t i = 0; i < m; i++)
        out[i] = dot(a, rows + (slots ? slots[i] : i) * ld, n);
}

static void products_u7i8(const uint8_t *a, size_t lda, size_t q, const int8_t *b, size_t ldb,
                          size_t m, size_t n, int32_t *out, size_t ldo)
{
    for (size_t i = 0; i < q; i++)
        for (size_t j = 0; j < m; j++)
            out[i * ldo + j] = dot(a + i * lda, b + j * ldb, n);
}

void kn_code_c(kn_kernels *k)
{
    k->code_differ = code_differ;
    k->code_estimate = code_estimate;
    k->dots_u7i8 = dots_u7i8;
    k->products_u7i8 = products_u7i8;
}
