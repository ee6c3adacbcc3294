/* outer.h - what outer.c asks of a level: blocks of dy turned, rows of x laid into panels. */
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

static void panel_f32(const void *row0, const void *row1, void *panel)
{
    (void)row1;
    for (size_t i = 0; i < KN_PANEL; i += VL)
        v_store((float *)panel + i, v_load((const float *)row0 + i));
}

static void panel_bf16(const void *row0, const void *row1, void *panel)
{
    v_pairs(row0, row1, panel);
}

INLINE kn_outer outer_with(const kn_core *core, kn_math math)
{
    return math == KN_MATH_BF16 ? (kn_outer){ core, transpose_bf16, panel_bf16 }
                                : (kn_outer){ core, transpose_f32, panel_f32 };
}

#endif
