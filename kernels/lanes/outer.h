/*
 * outer.h - what outer.c asks of a level: blocks of dy turned, rows of x laid into panels.
 *
 * Before including it a level defines OUTER_CORE, which of a product's description makes its micro-kernel.
 */
#ifndef KERNELS_LANES_OUTER_H
#define KERNELS_LANES_OUTER_H

#include "kernels/lanes/lanes.h"
#include "kernels/outer.h"

/* bf16 passes through f32 and back, which keeps every value. */
INLINE void transpose_as(const void *from, size_t ld, size_t rows, size_t columns, void *to,
                         kn_type type)
{
    for (size_t c = 0; c < columns; c += VL)
        for (size_t r = 0; r < rows; r += VL) {
            vf x[VL];
            KN_UNROLL
            for (size_t i = 0; i < VL; i++)
                x[i] = r + i < rows ? load_as(from, type, (r + i) * ld + c, columns - c) : v_set(0);
            v_transpose(x);
            KN_UNROLL
            for (size_t i = 0; i < VL; i++)
                if (c + i < columns)
                    store_as(to, type, (c + i) * KN_TURN_ROWS + r, VL, x[i]);
        }
}

static void transpose_f32(const void *from, size_t ld, size_t rows, size_t columns, void *to)
{
    transpose_as(from, ld, rows, columns, to, KN_F32);
}

static void transpose_bf16(const void *from, size_t ld, size_t rows, size_t columns, void *to)
{
    transpose_as(from, ld, rows, columns, to, KN_BF16);
}

static void panels_f32(const void *const *rows, size_t count, void *panels, size_t panel_bytes)
{
    float *to = panels, *next = to + panel_bytes / sizeof *to;
    for (size_t i = 0; i < count; i++)
        KN_UNROLL
        for (size_t j = 0; j < KN_PANEL; j += VL) {
            v_store(to + i * KN_PANEL + j, v_load((const float *)rows[i] + j));
            v_store(next + i * KN_PANEL + j, v_load((const float *)rows[i] + KN_PANEL + j));
        }
}

static void panels_bf16(const void *const *rows, size_t count, void *panels, size_t panel_bytes)
{
    uint16_t *to = panels, *next = to + panel_bytes / sizeof *to;
    for (size_t i = 0; i < count; i += 2)
        v_pairs(rows[i], rows[i + 1], to + i * KN_PANEL, next + i * KN_PANEL);
}

static kn_outer outer(kn_math math)
{
    const kn_gemm g = { .math = math, .w_type = math == KN_MATH_BF16 ? KN_BF16 : KN_F32 };
    const kn_core *core = OUTER_CORE(&g);
    return math == KN_MATH_BF16 ? (kn_outer){ core, transpose_bf16, panels_bf16 }
                                : (kn_outer){ core, transpose_f32, panels_f32 };
}

static void turn(kn_math math, const void *dy, size_t ldy, size_t m, size_t n, size_t c0, size_t c1,
                 void *turned)
{
    const kn_outer o = outer(math);
    kn_outer_turn(&o, math, dy, ldy, m, n, c0, c1, turned);
}

static void outer_wgrad(const kn_wgrad *w, size_t p0, size_t p1)
{
    const kn_outer o = outer(w->c.g.math);
    kn_outer_wgrad(&o, w, p0, p1);
}

#endif
