/* emulate.h - the tile unit in plain C: LDTILECFG, TILELOADD, TILESTORED, TDPBF16PS. */
#ifndef KERNELS_AMX_EMULATE_H
#define KERNELS_AMX_EMULATE_H

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8 };

static _Thread_local struct {
    tile_config config; /* palette 0: not configured */
    uint8_t data[TILES][TILE_ROWS][TILE_BYTES];
} unit;

static void need(int ok)
{
    if (!ok)
        abort(); /* #UD or #GP */
}

static inline void tile_release(void)
{
    memset(&unit, 0, sizeof unit);
}

static inline void tile_configure(const tile_config *c)
{
    tile_release();
    need(c->palette == 1 && c->start_row == 0);
    for (int i = 0; i < 14; i++)
        need(c->reserved[i] == 0);
    for (int t = 0; t < 16; t++) {
        need(c->rows[t] <= TILE_ROWS && c->bytes[t] <= TILE_BYTES && c->bytes[t] % 4 == 0);
        need(t < TILES ? (c->rows[t] == 0) == (c->bytes[t] == 0) : !c->rows[t] && !c->bytes[t]);
    }
    unit.config = *c;
}

static inline void tile_zero(int t)
{
    need(unit.config.palette == 1 && unit.config.rows[t] > 0);
    memset(unit.data[t], 0, sizeof unit.data[t]);
}

static inline void tile_load(int t, const void *from, size_t stride)
{
    tile_zero(t);
    for (size_t r = 0; r < unit.config.rows[t]; r++)
        memcpy(unit.data[t][r], (const char *)from + r * stride, unit.config.bytes[t]);
}

static inline void tile_store(int t, void *to, size_t stride)
{
    need(unit.config.palette == 1 && unit.config.rows[t] > 0);
    for (size_t r = 0; r < unit.config.rows[t]; r++)
        memcpy((char *)to + r * stride, unit.data[t][r], unit.config.bytes[t]);
}

/* Subnormals are zero, going in and coming out. */
static inline float flush(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

static inline float bf16_at(const uint8_t *row, size_t i)
{
    uint16_t h;
    memcpy(&h, row + 2 * i, sizeof h);
    const uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return flush(x);
}

/* One row of c: products of even and of odd k are summed apart, from zero; their sum then goes
 * to what is there. */
static inline void multiply_row(uint8_t *c, const uint8_t *a, int b, size_t pairs, size_t columns)
{
    float sum[2 * TILE_BYTES / 4] = { 0 };
    for (size_t k = 0; k < pairs; k++)
        for (size_t i = 0; i < 2 * columns; i++)
            sum[i] = flush(fmaf(bf16_at(a, 2 * k + i % 2), bf16_at(unit.data[b][k], i), sum[i]));
    for (size_t n = 0; n < columns; n++) {
        float x;
        memcpy(&x, c + 4 * n, sizeof x);
        x = flush(flush(x) + flush(sum[2 * n] + sum[2 * n + 1]));
        memcpy(c + 4 * n, &x, sizeof x);
    }
}

static inline void tile_multiply(int c, int a, int b)
{
    const tile_config *f = &unit.config;
    need(f->palette == 1 && a != b && a != c && b != c);
    need(f->rows[c] == f->rows[a] && f->bytes[c] == f->bytes[b] && f->bytes[a] / 4 == f->rows[b]);
    for (size_t r = 0; r < f->rows[c]; r++)
        multiply_row(unit.data[c][r], unit.data[a][r], b, f->bytes[a] / 4, f->bytes[c] / 4);
}

#endif
