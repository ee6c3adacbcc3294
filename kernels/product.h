/*
 * product.h - the loops around the micro-kernels of the faster levels.
 *
 * A level brings a core: how it packs rows of a, multiplies a tile and finishes its sums.  The
 * loops here cut a product into chunks whose packed rows and partial sums stay in the caches, and
 * call the core.  They choose only which tile is computed when: a sum is the same sequence of
 * operations over ascending k in any tile, and where k is cut it waits as f32, exactly.
 */
#ifndef KERNELS_PRODUCT_H
#define KERNELS_PRODUCT_H

#include "kernels/kernels.h"

/* Before a loop of constant length over an array of registers, which must not stay an array. */
#if defined(__clang__)
#define KN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define KN_UNROLL _Pragma("GCC unroll 32")
#endif

enum { KN_TILE_PANELS = 8 };

/* One call of a micro-kernel: sum (+)= packed rows times panels. */
typedef struct kn_tile {
    const void *a;                    /* packed rows, at their first block */
    size_t k;                         /* columns of a and rows of the panels */
    size_t panels;                    /* how many of w are to be multiplied */
    const void *w[KN_TILE_PANELS];    /* panels, at their first row */
    const void *w_lo[KN_TILE_PANELS]; /* the same of the lo parts, if there are any */
    /* Panels that come next lie ahead bytes behind these.  Of the cache lines in their first
     * ahead_bytes, those from ahead_at on, every ahead_by-th, are to be fetched. */
    size_t ahead, ahead_bytes, ahead_at, ahead_by;
    float *sum; /* (rows, panels * 16), at a multiple of 64 */
    int fresh;  /* the sums start at 0 instead of what sum holds */
} kn_tile;

typedef void kn_multiply(const kn_tile *t);

/* Rows of a are packed in blocks of k_step columns; a block holds the rows of a tile one behind
 * the other, row_bytes each, columns past the end zero. */
typedef struct kn_core {
    size_t k_step, row_bytes;
    size_t rows;       /* of a tile at most */
    size_t ahead_rows; /* so many rows keep a core busy while their next weights are fetched */
    size_t panel_rows; /* so many rows of a tile's panels stay in L1 while a chunk's tiles take turns … */
    size_t tiles;      /* … and so many tiles make a chunk worth it.  0: all rows, and the usual number */
    size_t row_unit;   /* a block holds a multiple of so many rows; the last ones may be unset */
    kn_multiply *const *multiply; /* [rows of a tile] */
    const uint8_t *panels;        /* [rows of the largest tile in a chunk] panels of its tiles */
    /* n elements of one row, or zeros if from is NULL, to blocks that are stride bytes apart */
    void (*pack)(const void *from, size_t n, void *to, size_t stride);
    /* bias, residual, activation and store of one tile; its sums' rows are stride apart */
    void (*finish)(const kn_gemm *g, size_t row, size_t rows, size_t column, size_t columns,
                   const float *sum, size_t stride);
} kn_core;

void kn_product(const kn_core *core, const kn_gemm *g);
void kn_product_conv(const kn_core *core, const kn_conv *c, size_t m0, size_t m1);

#endif
