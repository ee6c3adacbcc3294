/* outer.c - the gradient of weights from a level's micro-kernels.
 *
 *   for some pieces: up to 256 rows and so many columns of dw that their sums stay in L2
 *     for chunks of 256 output pixels         whose dy stays in L2, too
 *       for blocks of 32 columns
 *         the two panels of x's rows          stay in L1 …
 *         for tiles of dw's rows              … and serve every tile
 *
 * A sum runs over all pixels in their order, whatever the piece, so threads may share the pieces as
 * they like. */
#include "kernels/outer.h"
#include "kernels/window.h"

#include <stdalign.h>
#include <string.h>

enum {
    BLOCK_COLUMNS = KN_WGRAD_COLUMNS,
    PANELS = BLOCK_COLUMNS / KN_PANEL,
    SUM_FLOATS = 32 * 1024
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pieces(size_t n, size_t unit)
{
    return (n + unit - 1) / unit;
}

size_t kn_turned_bytes(size_t m, size_t n)
{
    return pieces(m, KN_TURN_ROWS) * KN_TURN_ROWS * pieces(n, KN_PANEL) * KN_PANEL * sizeof(float);
}

size_t kn_wgrad_pieces(size_t n, size_t k)
{
    return pieces(n, KN_WGRAD_ROWS) * pieces(k, BLOCK_COLUMNS);
}

static size_t size_of(kn_math math)
{
    return math == KN_MATH_BF16 ? 2 : sizeof(float);
}

/* A group of dw's rows and its tiles. */
typedef struct group {
    const kn_core *core;
    size_t first, rows; /* of dw */
    size_t units, tiles;
} group;

static group group_at(const kn_core *core, size_t n, size_t i)
{
    group g = { .core = core, .first = i * KN_WGRAD_ROWS };
    g.rows = least(KN_WGRAD_ROWS, n - g.first);
    g.units = pieces(g.rows, core->row_unit);
    g.tiles = pieces(g.units, core->rows / core->row_unit);
    return g;
}

/* Rows that the tiles before t have room for, and the first row of t. */
static size_t room_before(const group *g, size_t t)
{
    return g->units * t / g->tiles * g->core->row_unit;
}

static size_t tile_row(const group *g, size_t t)
{
    return least(room_before(g, t), g->rows);
}

static size_t room_bytes(const group *g, size_t room)
{
    return room * g->core->row_bytes * (KN_TURN_ROWS / g->core->k_step);
}

/* Bytes of one chunk in `turned`, and where group i lies in it. */
static size_t chunk_bytes(const kn_core *core, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i * KN_WGRAD_ROWS < n; i++) {
        const group g = group_at(core, n, i);
        bytes += room_bytes(&g, g.units * core->row_unit);
    }
    return bytes;
}

static size_t group_before(const kn_core *core, size_t i)
{
    const group full = group_at(core, KN_WGRAD_ROWS, 0);
    return i * room_bytes(&full, full.units * core->row_unit);
}

/* ---- dy ---- */

static void turn_tile(const kn_outer *o, const group *g, size_t t, const char *dy, size_t ldy,
                      size_t pixels, size_t size, char *to)
{
    alignas(64) char turned[KN_PANEL * KN_TURN_ROWS * sizeof(float)];
    const size_t end = tile_row(g, t + 1);
    const size_t stride = (room_before(g, t + 1) - room_before(g, t)) * g->core->row_bytes;
    for (size_t r = tile_row(g, t); r < end; r += KN_PANEL) {
        const size_t n = least(KN_PANEL, end - r);
        o->transpose(dy + (g->first + r) * size, ldy, pixels, n, turned);
        for (size_t i = 0; i < n; i++, to += g->core->row_bytes)
            g->core->pack(turned + i * KN_TURN_ROWS * size, pixels, to, stride);
    }
}

void kn_outer_turn(const kn_outer *o, kn_math math, const void *dy, size_t ldy, size_t m, size_t n,
                   size_t c0, size_t c1, void *turned)
{
    const size_t size = size_of(math), bytes = chunk_bytes(o->core, n);
    for (size_t c = c0; c < c1; c++) {
        const size_t first = c * KN_TURN_ROWS, pixels = least(KN_TURN_ROWS, m - first);
        const char *from = (const char *)dy + first * ldy * size;
        char *to = (char *)turned + c * bytes;
        for (size_t i = 0; i * KN_WGRAD_ROWS < n; i++) {
            const group g = group_at(o->core, n, i);
            for (size_t t = 0; t < g.tiles; t++)
                turn_tile(o, &g, t, from, ldy, pixels, size,
                          to + group_before(o->core, i) + room_bytes(&g, room_before(&g, t)));
        }
    }
}

/* ---- x ---- */

/* Rows from `count` on are zero up to a whole tile of AMX. */
static void make_panels(const kn_outer *o, const kn_conv *c, kn_window *at, size_t k,
                        size_t columns, size_t count, void *room, char *panels)
{
    alignas(64) static const char zeros[BLOCK_COLUMNS * sizeof(float)];
    const void *rows[KN_TURN_ROWS];
    /* rows of the whole width are read where they lie: nothing is behind them that is read */
    kn_window_rows(c, at, k, columns, count, columns == BLOCK_COLUMNS, rows, room);
    for (; count % KN_PANEL_K; count++)
        rows[count] = zeros;
    o->to_panels(rows, count, panels, KN_TURN_ROWS * KN_PANEL * size_of(c->g.math));
}

/* ---- dw ---- */

/* Pieces of one group of rows whose sums fit into the scratch. */
typedef struct place {
    const kn_outer *o;
    const kn_wgrad *w;
    group g;
    size_t k0, columns; /* of dw */
    size_t stride;      /* columns of a tile's sums: a block's, fewer, or, repeated, more */
    size_t wide;        /* of a block with all its tiles */
    float *sums;        /* of each block */
    void *room;
    char *panels;
} place;

static size_t room_of(const group *g)
{
    return g->units * g->core->row_unit;
}

static float *sums_at(const place *p, size_t tile, size_t block, size_t column)
{
    return p->sums + (block * p->wide + column) * room_of(&p->g) + room_before(&p->g, tile) * p->stride;
}

/* The block whose panels are made. */
static void multiply_block(const place *p, const char *turned, size_t block, size_t pixels, int fresh)
{
    const kn_core *core = p->g.core;
    const size_t panel_bytes = KN_TURN_ROWS * KN_PANEL * size_of(p->w->c.g.math);
    for (size_t c = 0; c < BLOCK_COLUMNS; c += p->stride) {
        kn_tile tile = { .k = pixels, .panels = p->stride / KN_PANEL, .ahead_by = 1, .fresh = fresh };
        for (size_t i = 0; i < tile.panels; i++)
            tile.w[i] = p->panels + least(c / KN_PANEL + i, PANELS - 1) * panel_bytes;
        for (size_t t = 0; t < p->g.tiles; t++) {
            tile.a = turned + room_bytes(&p->g, room_before(&p->g, t));
            tile.sum = sums_at(p, t, block, c);
            core->multiply[tile_row(&p->g, t + 1) - tile_row(&p->g, t)](&tile);
        }
    }
}

static void store_row(const float *sum, size_t n, int add, float *out)
{
    if (add)
        for (size_t i = 0; i < n; i++)
            out[i] += sum[i];
    else
        memcpy(out, sum, n * sizeof *out);
}

static void store_sums(const place *p)
{
    const size_t ld = p->w->c.g.k, wide = least(p->stride, BLOCK_COLUMNS);
    for (size_t t = 0; t < p->g.tiles; t++) {
        const size_t first = tile_row(&p->g, t), end = tile_row(&p->g, t + 1);
        for (size_t c = 0; c < p->columns; c += wide) {
            const float *sum = sums_at(p, t, c / BLOCK_COLUMNS, c % BLOCK_COLUMNS);
            for (size_t r = first; r < end; r++, sum += p->stride)
                store_row(sum, least(wide, p->columns - c), p->w->add,
                          p->w->dw + (p->g.first + r) * ld + p->k0 + c);
        }
    }
}

/* Pixel by pixel from the first; a chunk's turned rows serve all blocks of columns. */
static void sum_up(const place *p)
{
    const kn_conv *c = &p->w->c;
    const size_t bytes = chunk_bytes(p->o->core, c->g.n);
    const char *turned = (const char *)p->w->turned + group_before(p->o->core, p->g.first / KN_WGRAD_ROWS);
    kn_window from = kn_window_at(c, 0);
    for (size_t m = 0; m < c->g.m; m += KN_TURN_ROWS, turned += bytes) {
        const size_t pixels = least(KN_TURN_ROWS, c->g.m - m);
        kn_window at = from;
        for (size_t k = 0; k < p->columns; k += BLOCK_COLUMNS) {
            at = from;
            make_panels(p->o, c, &at, p->k0 + k, least(BLOCK_COLUMNS, p->columns - k), pixels, p->room,
                        p->panels);
            multiply_block(p, turned, k / BLOCK_COLUMNS, pixels, m == 0);
        }
        from = at;
    }
}

void kn_outer_wgrad(const kn_outer *o, const kn_wgrad *w, size_t p0, size_t p1)
{
    const size_t n = w->c.g.n, k = w->c.g.k, blocks = pieces(k, BLOCK_COLUMNS);
    alignas(64) char panels[PANELS * KN_TURN_ROWS * KN_PANEL * sizeof(float)];
    alignas(64) float sums[SUM_FLOATS];
    alignas(64) float room[KN_TURN_ROWS * KN_WINDOW_ROOM];
    place p = { .o = o, .w = w, .sums = sums, .room = room, .panels = panels };
    memset(room, 0, sizeof room); /* columns behind the last: whatever, but numbers */
    for (size_t count; p0 < p1; p0 += count) {
        p.g = group_at(o->core, n, p0 / blocks);
        const size_t largest = least(pieces(p.g.units, p.g.tiles) * o->core->row_unit, p.g.rows);
        p.stride = (size_t)o->core->panels[largest] * KN_PANEL;
        p.wide = pieces(BLOCK_COLUMNS, p.stride) * p.stride;
        count = least(SUM_FLOATS / (room_of(&p.g) * p.wide), least(p1 - p0, blocks - p0 % blocks));
        p.k0 = p0 % blocks * BLOCK_COLUMNS;
        p.columns = least(count * BLOCK_COLUMNS, k - p.k0);
        sum_up(&p);
        store_sums(&p);
    }
}
