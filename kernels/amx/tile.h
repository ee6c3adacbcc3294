/*
 * tile.h - the tile unit: eight tiles of 16 rows of 64 bytes.
 *
 * Tile numbers are constants.  With KN_AMX_EMULATE the same names are a model of the unit in C, by
 * the operation sections of Intel's Software Developer's Manual, for machines that have none; it
 * aborts where the unit would fault.
 */
#ifndef KERNELS_AMX_TILE_H
#define KERNELS_AMX_TILE_H

#include <stdint.h>

enum { TILE_ROWS = 16, TILE_BYTES = 64 };

/* What LDTILECFG reads. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} tile_config;

#ifndef KN_AMX_EMULATE
#include <immintrin.h>

/* Some compilers' tile loads don't tell that they read memory: stores before them must be done. */
#define TILE_FENCE __asm__ volatile("" ::: "memory")
#define tile_configure(config) _tile_loadconfig(config)
#define tile_release() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, from, stride)                                                                 \
    do {                                                                                           \
        TILE_FENCE;                                                                                \
        _tile_loadd(t, from, stride);                                                              \
    } while (0)
#define tile_store(t, to, stride)                                                                  \
    do {                                                                                           \
        _tile_stored(t, to, stride);                                                               \
        TILE_FENCE;                                                                                \
    } while (0)
/* c += a b, a of bf16 pairs, b of rows that are pairs of k */
#define tile_multiply(c, a, b) _tile_dpbf16ps(c, a, b)
#else
#include "kernels/amx/emulate.h"
#endif

/* All tiles at full size. */
static inline void tile_begin(void)
{
    tile_config c = { .palette = 1 };
    for (int t = 0; t < 8; t++) {
        c.bytes[t] = TILE_BYTES;
        c.rows[t] = TILE_ROWS;
    }
    tile_configure(&c);
}

#endif
