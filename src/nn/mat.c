/*
 * mat.c - one product, split over threads.
 *
 * A product is cut into a grid of row and column pieces: columns first, because then each thread
 * reads its own share of the weights, which is what one picture or one text waits for; rows when
 * there are more threads than columns to share.  The kernels promise the same bits for any cut.
 */
#include "nn/mat.h"

#include "base/parallel.h"

#include <assert.h>
#include <string.h>

/* Pieces worth a thread: four panels are the widest register tile, 16 rows an AMX one. */
enum { COLUMNS = 4 * KN_PANEL, ROWS = 16 };

kn_mat kn_mat_part(const kn_mat *m, size_t n0, size_t n)
{
    const size_t bytes = kn_panel_bytes(n0, m->k, m->type); /* of the panels before */
    kn_mat part = *m;
    assert(n0 % KN_PANEL == 0 && n0 + n <= m->n);
    part.n = n;
    part.w = (const unsigned char *)m->w + bytes;
    if (m->w_lo)
        part.w_lo = (const unsigned char *)m->w_lo + bytes;
    if (m->bias)
        part.bias = m->bias + n0;
    return part;
}

typedef struct crew_loop {
    kn_piece_fn fn;
    void *cookie;
} crew_loop;

static ken_status run_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const crew_loop *l = cookie;
    l->fn(begin, end, worker, l->cookie);
    return KEN_OK;
}

void kn_crew_run(const kn_crew *crew, size_t n, size_t grain, kn_piece_fn fn, void *cookie)
{
    crew_loop l = { fn, cookie };
    if (crew->threads <= 1) {
        if (n)
            fn(0, n, 0, cookie);
        return;
    }
    const ken_status st = kn_parallel(n, grain, crew->threads, run_piece, &l);
    assert(!st); /* no piece fails */
    (void)st;
}

void kn_crew_round(const kn_crew *crew, const float *in, size_t n, void *out)
{
    if (crew->type == KN_BF16)
        crew->k->f32_to_bf16(in, out, n);
    else
        memmove(out, in, n * sizeof *in);
}

/* A product, or the convolution around it, cut into rows x columns pieces. */
typedef struct grid {
    const kn_crew *crew;
    const kn_mat *m;
    kn_conv c;
    int is_conv;
    size_t row_pieces, column_pieces;
} grid;

static void set_columns(kn_gemm *g, const kn_mat *m, size_t n0, size_t n)
{
    const kn_mat part = kn_mat_part(m, n0, n);
    g->n = n;
    g->k = m->k;
    g->w = part.w;
    g->w_lo = part.w_lo;
    g->w_type = part.type;
    g->bias = part.bias;
    g->c = kn_at(g->c, g->c_type, n0);
    if (g->residual)
        g->residual = kn_at_const(g->residual, g->residual_type, n0);
}

static void set_rows(kn_gemm *g, size_t m0, size_t m)
{
    g->m = m;
    g->a = kn_at_const(g->a, g->math == KN_MATH_BF16 ? KN_BF16 : KN_F32, m0 * g->lda);
    g->c = kn_at(g->c, g->c_type, m0 * g->ldc);
    if (g->residual)
        g->residual = kn_at_const(g->residual, g->residual_type, m0 * g->ldr);
}

/* Border i of `pieces` pieces of 0..n-1, at multiples of `grain`. */
static size_t border(size_t n, size_t grain, size_t pieces, size_t i)
{
    const size_t at = (n + grain - 1) / grain * i / pieces * grain;
    return at < n ? at : n;
}

static void grid_piece(const grid *t, size_t i)
{
    const size_t col = i % t->column_pieces, row = i / t->column_pieces;
    const size_t n0 = border(t->m->n, COLUMNS, t->column_pieces, col);
    const size_t n1 = border(t->m->n, COLUMNS, t->column_pieces, col + 1);
    const size_t m0 = border(t->c.g.m, ROWS, t->row_pieces, row);
    const size_t m1 = border(t->c.g.m, ROWS, t->row_pieces, row + 1);
    kn_conv c = t->c;
    if (n0 == n1 || m0 == m1)
        return;
    set_columns(&c.g, t->m, n0, n1 - n0);
    if (t->is_conv) {
        t->crew->k->conv(&c, m0, m1);
        return;
    }
    set_rows(&c.g, m0, m1 - m0);
    t->crew->k->gemm(&c.g);
}

static void grid_pieces(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    (void)worker;
    for (size_t i = begin; i < end; i++)
        grid_piece(cookie, i);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void run_grid(const kn_crew *crew, const kn_mat *m, const kn_conv *c, int is_conv)
{
    const size_t columns = (m->n + COLUMNS - 1) / COLUMNS, rows = (c->g.m + ROWS - 1) / ROWS;
    grid t = { crew, m, *c, is_conv, 1, 1 };
    t.c.g.math = crew->math;
    if (is_conv && rows > 2 * columns) { /* many pixels, few channels */
        t.row_pieces = least(rows, crew->threads);
    } else {
        t.column_pieces = least(columns, crew->threads);
        t.row_pieces = least(rows, crew->threads / t.column_pieces);
    }
    kn_crew_run(crew, t.row_pieces * t.column_pieces, 1, grid_pieces, &t);
}

void kn_mat_mul(const kn_crew *crew, const kn_mat *m, kn_gemm g)
{
    const kn_conv c = { .g = g };
    if (g.m)
        run_grid(crew, m, &c, 0);
}

void kn_mat_conv(const kn_crew *crew, const kn_mat *m, kn_conv c)
{
    if (c.g.m)
        run_grid(crew, m, &c, 1);
}
