/* window.h - what a convolution's kernel sees at one output pixel, as a row of a matrix product. */
#ifndef KERNELS_WINDOW_H
#define KERNELS_WINDOW_H

#include "kernels/product.h"

/* The output pixel, and where the window's corner lies in the input. */
typedef struct kn_window {
    size_t image;
    uint32_t oy, ox;
    int64_t y, x;
} kn_window;

/* At output pixel m; and at the one behind it. */
kn_window kn_window_at(const kn_conv *c, size_t m);
void kn_window_next(const kn_conv *c, kn_window *at);

/* Columns k .. k+n-1 of the row as it lies in the input, or, if it doesn't lie there in one piece,
 * brought together in room. */
const void *kn_window_row(const kn_conv *c, const kn_window *at, size_t k, size_t n, void *room);

/* Columns k .. k+n-1 of the rows of `count` output pixels, from *at on, which goes to the one behind
 * them: rows[i] as it lies in the input where `borrow` and it lies there in one piece, or is all zero
 * there; else brought together in its place in room, KN_WINDOW_ROOM elements a row.  n <= that. */
enum { KN_WINDOW_ROOM = 32 };
void kn_window_rows(const kn_conv *c, kn_window *at, size_t k, size_t n, size_t count, int borrow,
                    const void **rows, void *room);

/* Columns k .. k+n-1 of the row, k a multiple of the core's k_step, as kn_core.pack packs them. */
void kn_window_pack(const kn_core *core, const kn_conv *c, const kn_window *at, size_t k, size_t n,
                    void *to, size_t stride);

#endif
