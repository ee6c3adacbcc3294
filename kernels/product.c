/* product.c - the loops around the micro-kernels.
 *
 *   for chunks of rows
 *     for chunks of columns           only if there are several chunks of k
 *       for chunks of k               pack the rows' share of it
 *         for tiles of columns        their panels come into L1 …
 *           for tiles of rows         … and serve every tile of the chunk
 *
 * Weights are read once for each chunk of rows, straight from where they lie; rows are copied into
 * blocks so that a micro-kernel finds what it needs at fixed distances, whatever the row stride
 * (a power of two would send a tile's rows to one set of the cache). */
#include "kernels/product.h"
#include "kernels/window.h"

#include <stdalign.h>

enum {
    A_BYTES = 192 << 10,   /* packed rows of a chunk */
    SUM_FLOATS = 40 << 10, /* partial sums of a chunk */
    CHUNK_TILES = 4,       /* tiles of rows in a chunk, if the core does not say */
    AHEAD_FEW = 8 << 10    /* bytes of a panel fetched ahead where rows are few */
};

typedef struct job {
    const kn_core *core;
    const kn_gemm *g;
    const kn_conv *conv; /* NULL: rows of a are rows of the product */
    size_t row0, rows;   /* the chunk of rows … */
    size_t tiles, units; /* … in so many tiles and so many row units */
    size_t k_chunk, k_chunks;
    size_t column_chunk, tile_columns;
    unsigned char *a; /* A_BYTES */
    float *sums;      /* SUM_FLOATS */
} job;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pieces(size_t n, size_t unit)
{
    return (n + unit - 1) / unit;
}

/* First row of tile t within the chunk.  Tiles differ by one unit at most. */
static size_t tile_row(const job *j, size_t t)
{
    return least(j->units * t / j->tiles * j->core->row_unit, j->rows);
}

/* Rows that the packed blocks of tile t have room for. */
static size_t tile_room(const job *j, size_t t)
{
    return (j->units * (t + 1) / j->tiles - j->units * t / j->tiles) * j->core->row_unit;
}

/* Packed blocks of a tile begin behind those of the tiles before it. */
static size_t packed_at(const job *j, size_t tile)
{
    const size_t room = j->units * tile / j->tiles * j->core->row_unit;
    return room * j->core->row_bytes * pieces(j->k_chunk, j->core->k_step);
}

/* Columns k .. k+n-1 of the rows of a tile. */
static void pack_tile(const job *j, size_t t, size_t k, size_t n)
{
    const kn_gemm *g = j->g;
    const size_t first = j->row0 + tile_row(j, t), end = j->row0 + tile_row(j, t + 1);
    const size_t stride = tile_room(j, t) * j->core->row_bytes;
    const size_t size = g->math == KN_MATH_BF16 ? 2 : 4;
    unsigned char *to = j->a + packed_at(j, t);
    if (!j->conv) {
        const char *from = (const char *)g->a + (first * g->lda + k) * size;
        for (size_t r = first; r < end; r++, to += j->core->row_bytes, from += g->lda * size)
            j->core->pack(from, n, to, stride);
        return;
    }
    kn_window at = kn_window_at(j->conv, first);
    for (size_t r = first; r < end; r++, to += j->core->row_bytes) {
        kn_window_pack(j->core, j->conv, &at, k, n, to, stride);
        kn_window_next(j->conv, &at);
    }
}

static void pack_chunk(const job *j, size_t k, size_t n)
{
    for (size_t t = 0; t < j->tiles; t++)
        pack_tile(j, t, k, n);
}

/* Panels from column n on.  Where the matrix has fewer, the last one stands in for the rest. */
static void set_panels(const job *j, kn_tile *tile, size_t column, size_t k)
{
    const kn_gemm *g = j->g;
    const size_t last = (g->n - 1) / KN_PANEL, size = g->w_type == KN_F32 ? 4 : 2;
    const size_t panel = kn_panel_k(g->k, g->w_type) * KN_PANEL * size;
    for (size_t p = 0; p < tile->panels; p++) {
        const size_t at = least(column / KN_PANEL + p, last) * panel + k * KN_PANEL * size;
        tile->w[p] = (const char *)g->w + at;
        tile->w_lo[p] = g->w_lo ? (const char *)g->w_lo + at : NULL;
    }
}

/* While one column of tiles is multiplied, the next one's panels come into L2; only the beginning
 * of each where there is more to read than to multiply: the hardware's prefetcher follows a panel
 * well once it knows it, and wants the bandwidth for itself. */
static void set_ahead(const job *j, kn_tile *tile, size_t column)
{
    const kn_gemm *g = j->g;
    if (column + j->tile_columns >= g->n)
        return;
    tile->ahead = kn_panel_bytes(j->tile_columns, g->k, g->w_type);
    tile->ahead_bytes = j->rows < j->core->ahead_rows ? AHEAD_FEW : SIZE_MAX;
    tile->ahead_by = j->tiles;
}

/* The results' cache lines, owned by the time that the sums are ready. */
static void fetch_results(const job *j, size_t row, size_t rows, size_t column, size_t columns)
{
    const size_t size = j->g->c_type == KN_F32 ? 4 : 2;
    for (size_t r = 0; r < rows; r++) {
        const char *c = (const char *)j->g->c + ((row + r) * j->g->ldc + column) * size;
        for (size_t i = 0; i < columns * size; i += 64)
            __builtin_prefetch(c + i, 1);
    }
}

/* Columns of one tile, rows of the whole chunk, n columns of a from k on. */
static void multiply_column(const job *j, size_t column, size_t k, size_t n, float *sums)
{
    const kn_gemm *g = j->g;
    const size_t stride = j->tile_columns, columns = least(stride, g->n - column);
    kn_tile tile = { .k = n, .panels = stride / KN_PANEL, .fresh = k == 0 };
    set_panels(j, &tile, column, k);
    set_ahead(j, &tile, column);
    for (size_t t = 0; t < j->tiles; t++) {
        const size_t first = tile_row(j, t), rows = tile_row(j, t + 1) - first;
        const int last = k + n == g->k;
        tile.a = j->a + packed_at(j, t);
        tile.ahead_at = t;
        tile.sum =
            j->k_chunks > 1 ? sums + j->units * t / j->tiles * j->core->row_unit * stride : j->sums;
        if (last)
            fetch_results(j, j->row0 + first, rows, column, columns);
        j->core->multiply[rows](&tile);
        if (last)
            j->core->finish(g, j->row0 + first, rows, column, columns, tile.sum, stride);
    }
}

static void multiply_chunk(const job *j)
{
    const kn_gemm *g = j->g;
    for (size_t c0 = 0; c0 < g->n; c0 += j->column_chunk)
        for (size_t i = 0; i < j->k_chunks; i++) {
            const size_t k = i * j->k_chunk, n = least(j->k_chunk, g->k - k);
            const size_t c1 = least(c0 + j->column_chunk, g->n);
            if (c0 == 0 || j->k_chunks > 1)
                pack_chunk(j, k, n);
            for (size_t c = c0; c < c1; c += j->tile_columns)
                multiply_column(j, c, k, n, j->sums + (c - c0) * j->units * j->core->row_unit);
        }
}

/* How far the chunk's k and columns reach before the scratch is full. */
static void plan_chunk(job *j)
{
    const kn_core *core = j->core;
    const kn_gemm *g = j->g;
    j->units = pieces(j->rows, core->row_unit);
    j->tiles = pieces(j->units, core->rows / core->row_unit);
    const size_t room = j->units * core->row_unit;
    const size_t fit = A_BYTES / (room * core->row_bytes) * core->k_step / KN_PANEL_K * KN_PANEL_K;
    const size_t most = core->panel_rows && j->tiles > 1 ? least(fit, core->panel_rows) : fit;
    j->k_chunks = g->k > most ? pieces(g->k, most) : 1;
    j->k_chunk = pieces(pieces(g->k, j->k_chunks), KN_PANEL_K) * KN_PANEL_K;
    const size_t largest = least(pieces(j->units, j->tiles) * core->row_unit, j->rows);
    j->tile_columns = core->panels[largest] * KN_PANEL;
    j->column_chunk = j->k_chunks > 1 ? SUM_FLOATS / room / j->tile_columns * j->tile_columns
                                      : pieces(g->n, j->tile_columns) * j->tile_columns;
}

/* Rows of a chunk: as many tiles as fit with all of k, or with the rows that stay in L1; if not even
 * two fit, k is cut, and a full chunk makes up for reading the sums again. */
static size_t chunk_rows(const kn_core *core, const kn_gemm *g)
{
    const size_t k = core->panel_rows ? least(g->k, core->panel_rows) : g->k;
    const size_t fit = A_BYTES / (core->rows * core->row_bytes * (pieces(k, core->k_step) + 1));
    const size_t most = core->tiles ? core->tiles : CHUNK_TILES;
    return core->rows * (fit < 2 ? most : least(fit, most));
}

static void product(const kn_core *core, const kn_gemm *g, const kn_conv *conv, size_t m0,
                    size_t m1)
{
    alignas(64) unsigned char a[A_BYTES];
    alignas(64) float sums[SUM_FLOATS];
    job j = { .core = core, .g = g, .conv = conv, .a = a, .sums = sums };
    const size_t chunks = pieces(m1 - m0, chunk_rows(core, g));
    if (g->n == 0)
        return;
    for (size_t i = 0; i < chunks; i++) {
        j.row0 = m0 + (m1 - m0) * i / chunks;
        j.rows = m0 + (m1 - m0) * (i + 1) / chunks - j.row0;
        plan_chunk(&j);
        multiply_chunk(&j);
    }
}

void kn_product(const kn_core *core, const kn_gemm *g)
{
    product(core, g, NULL, 0, g->m);
}

/* A 1x1 convolution with stride 1 is a product as it stands. */
void kn_product_conv(const kn_core *core, const kn_conv *c, size_t m0, size_t m1)
{
    const int plain = c->kh == 1 && c->kw == 1 && c->stride == 1 && c->pad == 0;
    product(core, &c->g, plain ? NULL : c, m0, m1);
}
