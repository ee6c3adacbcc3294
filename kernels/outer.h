/* outer.h - the loops around a level's micro-kernels for the gradient of weights.
 *
 * dw (n, k) = dy^T x: the k axis of this product is the output pixels.  `turn` brings dy's columns
 * into the blocks that the core packs rows of a into; the rows that the convolution reads become
 * panels as they come, two rows side by side where the panels are bf16. */
#ifndef KERNELS_OUTER_H
#define KERNELS_OUTER_H

#include "kernels/product.h"

typedef struct kn_outer {
    const kn_core *core;
    /* rows x columns elements (columns <= KN_PANEL), rows ld apart, to columns that are KN_TURN_ROWS
     * elements apart */
    void (*transpose)(const void *from, size_t ld, size_t rows, size_t columns, void *to);
    /* the rows (count of them, a multiple of KN_PANEL_K), KN_WGRAD_COLUMNS elements each, to panels
     * that are panel_bytes apart */
    void (*to_panels)(const void *const *rows, size_t count, void *panels, size_t panel_bytes);
} kn_outer;

void kn_outer_turn(const kn_outer *o, kn_math math, const void *dy, size_t ldy, size_t m, size_t n,
                   size_t c0, size_t c1, void *turned);
void kn_outer_wgrad(const kn_outer *o, const kn_wgrad *w, size_t p0, size_t p1);

#endif
