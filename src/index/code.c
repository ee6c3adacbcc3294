/* code.c - see code.h.  Loops are written in fours of plain C: one order of operations everywhere. */
#include "index/code.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/rand.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 4096, ROUNDS = 4 };
static const float LEAST = 1e-30f; /* below it a vector counts as zero */

/* Four floats at any alignment. */
typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* ---- training ---- */

typedef struct sums {
    const float *rows;
    size_t n, ld, dim;
    const float *centre; /* NULL: sum the rows; else their squared distance from it */
    double *out;         /* (blocks, dim) or (blocks) */
} sums;

static ken_status sum_blocks(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const sums *s = cookie;
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        const size_t last = (b + 1) * BLOCK < s->n ? (b + 1) * BLOCK : s->n;
        for (size_t i = b * BLOCK; i < last; i++) {
            const float *x = s->rows + i * s->ld;
            double d = 0;
            for (size_t j = 0; j < s->dim; j++)
                if (s->centre)
                    d += ((double)x[j] - (double)s->centre[j]) * ((double)x[j] - (double)s->centre[j]);
                else
                    s->out[b * s->dim + j] += (double)x[j];
            if (s->centre)
                s->out[b] += d;
        }
    }
    return KEN_OK;
}

static ken_status train(kn_coder *c, sums *s, uint32_t threads)
{
    const size_t blocks = (s->n + BLOCK - 1) / BLOCK;
    s->out = kn_zalloc(blocks ? blocks : 1, s->dim * sizeof *s->out);
    if (!s->out)
        return KEN_E_NOMEM;
    ken_status st = kn_parallel(blocks, 1, threads, sum_blocks, s);
    for (size_t j = 0; !st && j < s->dim; j++) {
        double sum = 0;
        for (size_t b = 0; b < blocks; b++)
            sum += s->out[b * s->dim + j];
        c->centre[j] = s->n ? (float)(sum / (double)s->n) : 0;
    }
    s->centre = c->centre;
    memset(s->out, 0, blocks * sizeof *s->out);
    if (!st)
        st = kn_parallel(blocks, 1, threads, sum_blocks, s);
    double sum = 0;
    for (size_t b = 0; b < blocks; b++)
        sum += s->out[b];
    sum = s->n ? sum / (double)s->n : 0;
    c->scale = sum > 1e-37 && sum < 1e37 ? (float)(1 / sqrt(sum)) : 1;
    kn_free(s->out);
    return st;
}

static ken_status init(kn_coder *c, uint32_t dim, uint64_t seed)
{
    kn_rand r = kn_rand_at(seed, 0x726f74617465); /* "rotate" */
    *c = (kn_coder){ .dim = dim, .padded = (dim + 63) / 64 * 64, .seed = seed, .scale = 1 };
    if (!dim || dim > KN_CODE_MAX_DIM)
        return kn_fail(KEN_E_UNSUPPORTED, "codes of dimension %u: at most %d", dim, KN_CODE_MAX_DIM);
    c->centre = kn_zalloc(dim, sizeof *c->centre);
    c->signs = kn_alloc_aligned((size_t)ROUNDS * c->padded, sizeof *c->signs);
    if (!c->centre || !c->signs) {
        kn_coder_release(c);
        return KEN_E_NOMEM;
    }
    for (size_t i = 0; i < (size_t)ROUNDS * c->padded; i += 32) {
        const uint32_t bits = kn_rand_u32(&r);
        for (size_t j = 0; j < 32; j++)
            c->signs[i + j] = (bits >> j & 1) << 31;
    }
    return KEN_OK;
}

ken_status kn_coder_train(kn_coder *c, const float *rows, size_t n, size_t ld, uint32_t dim,
                          uint64_t seed, uint32_t threads)
{
    sums s = { .rows = rows, .n = n, .ld = ld, .dim = dim };
    ken_status st = init(c, dim, seed);
    if (!st && (st = train(c, &s, threads ? threads : 1)) != KEN_OK)
        kn_coder_release(c);
    return st;
}

ken_status kn_coder_restore(kn_coder *c, uint32_t dim, uint64_t seed, float scale,
                            const float *centre)
{
    ken_status st = init(c, dim, seed);
    if (st)
        return st;
    memcpy(c->centre, centre, dim * sizeof *centre);
    c->scale = scale;
    return KEN_OK;
}

void kn_coder_release(kn_coder *c)
{
    kn_free(c->centre);
    kn_free(c->signs);
    *c = (kn_coder){ 0 };
}

/* ---- the rotation ---- */

void kn_coder_centre(const kn_coder *c, const float *x, int centred, float *y)
{
    for (size_t j = 0; j < c->dim; j++)
        y[j] = centred ? (x[j] - c->centre[j]) * c->scale : x[j];
    memset(y + c->dim, 0, (c->padded - c->dim) * sizeof *y);
}

static void flip(float *x, const uint32_t *signs, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        uint32_t b;
        memcpy(&b, &x[j], sizeof b);
        b ^= signs[j];
        memcpy(&x[j], &b, sizeof b);
    }
}

static void pair(float *a, float *b, size_t n)
{
    for (size_t j = 0; j < n; j += 4) {
        quad *p = (quad *)(a + j), *q = (quad *)(b + j);
        const quad x = *p, y = *q;
        *p = x + y;
        *q = x - y;
    }
}

/* The fast Hadamard transform, n a power of two and at least 64, not scaled. */
static void hadamard(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        const float a = x[i] + x[i + 1], b = x[i] - x[i + 1];
        const float c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
        x[i] = a + c;
        x[i + 1] = b + d;
        x[i + 2] = a - c;
        x[i + 3] = b - d;
    }
    for (size_t h = 4; h < n; h *= 2)
        for (size_t i = 0; i < n; i += 2 * h)
            pair(x + i, x + i + h, h);
}

static void times(float *x, size_t n, float f)
{
    for (size_t j = 0; j < n; j += 4)
        *(quad *)(x + j) *= f;
}

/* A power of two takes three rounds; another length four, each over the first or the last power of two
 * of it and then over both halves (the walk of Kac), so that every input reaches every output. */
void kn_coder_rotate(const kn_coder *c, float *y)
{
    const size_t n = c->padded;
    size_t power = 64;
    while (power * 2 <= n)
        power *= 2;
    for (size_t r = 0; r < (power == n ? ROUNDS - 1 : ROUNDS); r++) {
        float *part = r % 2 ? y + (n - power) : y;
        flip(y, c->signs + r * n, n);
        hadamard(part, power);
        times(part, power, 1 / sqrtf((float)power));
        if (power < n) {
            pair(y, y + n / 2, n / 2);
            times(y, n, 0.70710678f);
        }
    }
}

/* ---- bits ---- */

float kn_code_bits(const float *r, size_t padded, uint8_t *bits, float *norm2)
{
    quad sum = { 0 }, square = { 0 };
    for (size_t i = 0; i < padded; i += 8) {
        unsigned byte = 0;
        for (size_t j = 0; j < 8; j++)
            byte |= (unsigned)(r[i + j] > 0) << j;
        bits[i / 8] = (uint8_t)byte;
        for (size_t j = 0; j < 8; j += 4) {
            const quad x = { r[i + j], r[i + j + 1], r[i + j + 2], r[i + j + 3] };
            const quad a = { fabsf(x[0]), fabsf(x[1]), fabsf(x[2]), fabsf(x[3]) };
            sum += a;
            square += x * x;
        }
    }
    const float l1 = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    *norm2 = (square[0] + square[1]) + (square[2] + square[3]);
    return l1 > 0 ? *norm2 / l1 : 0;
}

/* Bit k of each of eight bytes, as a byte. */
static uint8_t gather(uint64_t bytes, int k)
{
    return (uint8_t)(((bytes >> k & 0x0101010101010101u) * 0x0102040810204080u) >> 56);
}

static float greatest(const float *x, size_t n)
{
    float most = 0;
    for (size_t j = 0; j < n; j++)
        most = fabsf(x[j]) > most ? fabsf(x[j]) : most;
    return most;
}

float kn_code_planes(const float *r, size_t padded, uint8_t *planes)
{
    const float most = greatest(r, padded), step = most / 7.5f,
                inverse = most > LEAST ? 7.5f / most : 0;
    for (size_t i = 0; i < padded; i += 8) {
        uint64_t bytes = 0;
        for (size_t j = 0; j < 8; j++) {
            const int u = (int)(r[i + j] * inverse + 8.0f); /* 0.5 .. 15.5 */
            bytes |= (uint64_t)(u > 15 ? 15 : u < 0 ? 0 : u) << 8 * j;
        }
        for (int k = 0; k < KN_PLANES; k++)
            planes[(size_t)k * padded / 8 + i / 8] = gather(bytes, k);
    }
    return step;
}

/* ---- bytes ---- */

void kn_code_bytes(const float *y, size_t dim, int8_t *row)
{
    const float most = greatest(y, dim), inverse = most > LEAST ? 127 / most : 0;
    kn_byte_tail tail = { .scale = most / 127 };
    memset(row, 0, kn_byte_stride(dim));
    for (size_t j = 0; j < dim; j++) {
        row[j] = (int8_t)lrintf(y[j] * inverse);
        tail.sum += row[j];
        tail.norm2 += y[j] * y[j];
    }
    memcpy(row + kn_byte_padded(dim), &tail, sizeof tail);
}

float kn_code_seven(const float *v, size_t dim, uint8_t *out)
{
    const float most = greatest(v, dim), inverse = most > LEAST ? 63 / most : 0;
    for (size_t j = 0; j < dim; j++)
        out[j] = (uint8_t)(64 + lrintf(v[j] * inverse));
    memset(out + dim, 64, kn_byte_padded(dim) - dim);
    return most / 63;
}

void kn_code_seven_of(const int8_t *row, size_t dim, uint8_t *out)
{
    for (size_t j = 0; j < kn_byte_padded(dim); j += 8) {
        uint64_t x;
        memcpy(&x, row + j, 8);
        x = (x ^ 0x8080808080808080u) >> 1 & 0x7f7f7f7f7f7f7f7fu; /* half, rounded down, and 64 */
        memcpy(out + j, &x, 8);
    }
}
