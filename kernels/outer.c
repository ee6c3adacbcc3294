/* outer.c - the gradient of weights from a level's micro-kernels.
 *
 *   for a piece: up to 256 rows and 32 columns of dw, whose sums stay in the caches
 *     for chunks of 256 output pixels
 *       the two panels of x's rows            stay in L1 …
 *       for tiles of dw's rows                … and serve every tile
 *
 * A sum runs over all pixels in their order, whatever the piece, so threads may share the pieces as
 * they like. */
#include "kernels/outer.h"
#include "kernels/window.h"

#include <stdalign.h>
#include <string.h>

enum { BLOCK_COLUMNS = KN_WGRAD_COLUMNS, PANELS = BLOCK_COLUMNS / KN_PANEL };

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

/* Rows `count` on of the panels are zero up to a whole tile of AMX. */
static void make_panels(const kn_outer *o, const kn_conv *c, kn_window *at, size_t k,
                        size_t columns, size_t count, char *panels)
{
    const size_t size = size_of(c->g.math), step = c->g.math == KN_MATH_BF16 ? 2 : 1;
    const size_t row_bytes = KN_PANEL * step * size, panel_bytes = KN_TURN_ROWS * KN_PANEL * size;
    const size_t rows = pieces(count, KN_PANEL_K) * KN_PANEL_K;
    alignas(64) char room[2][BLOCK_COLUMNS * sizeof(float)] = { { 0 } };
    alignas(64) static const char zeros[BLOCK_COLUMNS * sizeof(float)];
    for (size_t i = 0; i < rows; i += step) {
        const char *row[2] = { zeros, zeros };
        for (size_t e = 0; e < step && i + e < count; e++, kn_window_next(c, at)) {
            row[e] = kn_window_row(c, at, k, columns, room[e]);
            if (columns < BLOCK_COLUMNS && row[e] != room[e])
                row[e] = memcpy(room[e], row[e], columns * size); /* nothing is read behind it */
        }
        for (size_t p = 0; p < PANELS; p++)
            o->to_panel(row[0] + p * KN_PANEL * size, row[1] + p * KN_PANEL * size,
                        panels + p * panel_bytes + i / step * row_bytes);
    }
}

/* ---- dw ---- */

typedef struct place {
    const kn_outer *o;
    const kn_wgrad *w;
    group g;
    size_t k0, columns; /* of dw */
    size_t stride;      /* columns of a tile's sums */
    float *sums;
} place;

static float *sums_at(const place *p, size_t tile, size_t column)
{
    const size_t room = p->g.units * p->g.core->row_unit;
    return p->sums + column * room + room_before(&p->g, tile) * p->stride;
}

static void multiply_chunk(const place *p, const char *turned, const char *panels, size_t pixels,
                           int fresh)
{
    const kn_core *core = p->g.core;
    const size_t panel_bytes = KN_TURN_ROWS * KN_PANEL * size_of(p->w->c.g.math);
    for (size_t c = 0; c < BLOCK_COLUMNS; c += p->stride) {
        kn_tile tile = { .k = pixels, .panels = p->stride / KN_PANEL, .ahead_by = 1, .fresh = fresh };
        for (size_t i = 0; i < tile.panels; i++)
            tile.w[i] = panels + least(c / KN_PANEL + i, PANELS - 1) * panel_bytes;
        for (size_t t = 0; t < p->g.tiles; t++) {
            tile.a = turned + room_bytes(&p->g, room_before(&p->g, t));
            tile.sum = sums_at(p, t, c);
            core->multiply[tile_row(&p->g, t + 1) - tile_row(&p->g, t)](&tile);
        }
    }
}

static void store_sums(const place *p)
{
    const size_t ld = p->w->c.g.k;
    for (size_t t = 0; t < p->g.tiles; t++)
        for (size_t r = tile_row(&p->g, t); r < tile_row(&p->g, t + 1); r++) {
            float *out = p->w->dw + (p->g.first + r) * ld + p->k0;
            for (size_t c = 0; c < p->columns; c++) {
                const size_t tile_at = c / p->stride * p->stride;
                const float *sum = sums_at(p, t, tile_at) + (r - tile_row(&p->g, t)) * p->stride;
                out[c] = p->w->add ? out[c] + sum[c - tile_at] : sum[c - tile_at];
            }
        }
}

void kn_outer_wgrad(const kn_outer *o, const kn_wgrad *w, size_t piece)
{
    const kn_conv *c = &w->c;
    const size_t blocks = pieces(c->g.k, BLOCK_COLUMNS), i = piece / blocks;
    alignas(64) char panels[PANELS * KN_TURN_ROWS * KN_PANEL * sizeof(float)];
    alignas(64) float sums[KN_WGRAD_ROWS * BLOCK_COLUMNS];
    place p = { .o = o, .w = w, .g = group_at(o->core, c->g.n, i), .k0 = piece % blocks * BLOCK_COLUMNS,
                .sums = sums };
    const size_t largest = least(pieces(p.g.units, p.g.tiles) * o->core->row_unit, p.g.rows);
    p.columns = least(BLOCK_COLUMNS, c->g.k - p.k0);
    p.stride = (size_t)o->core->panels[largest] * KN_PANEL;
    const size_t bytes = chunk_bytes(o->core, c->g.n);
    const char *turned = (const char *)w->turned + group_before(o->core, i);
    kn_window at = kn_window_at(c, 0);
    for (size_t m = 0; m < c->g.m; m += KN_TURN_ROWS, turned += bytes) {
        const size_t pixels = least(KN_TURN_ROWS, c->g.m - m);
        make_panels(o, c, &at, p.k0, p.columns, pixels, panels);
        multiply_chunk(&p, turned, panels, pixels, m == 0);
    }
    store_sums(&p);
}
