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

#include <stdalign.h>
#include <string.h>

enum {
    A_BYTES = 192 << 10,    /* packed rows of a chunk */
    SUM_FLOATS = 14 << 10,  /* partial sums of a chunk */
    CHUNK_TILES = 4,        /* tiles of rows in a chunk */
    CUT_TILES = 4,          /* the same where k is cut */
    GATHER = 512            /* columns gathered at a time where channels don't fill blocks */
};

typedef struct job {
    const kn_core *core;
    const kn_gemm *g;
    const kn_conv *conv;          /* NULL: rows of a are rows of the product */
    size_t row0, rows;            /* the chunk of rows … */
    size_t tiles, units;          /* … in so many tiles and so many row units */
    size_t k_chunk, k_chunks;
    size_t column_chunk, tile_columns;
    unsigned char *a;             /* A_BYTES */
    float *sums;                  /* SUM_FLOATS */
} job;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pieces(size_t n, size_t unit)
{
    return (n + unit - 1) / unit;
}

static size_t a_size(const kn_gemm *g)
{
    return g->math == KN_MATH_BF16 ? 2 : 4;
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

/* ---- rows of a convolution ---------------------------------------------- */

/* Where the kernel's corner lies for one output pixel. */
typedef struct corner {
    size_t image;
    int64_t y, x;
} corner;

static corner corner_of(const kn_conv *c, size_t m)
{
    const size_t image = m / ((size_t)c->oh * c->ow), at = m % ((size_t)c->oh * c->ow);
    return (corner){ image, (int64_t)(at / c->ow * c->stride) - c->pad,
                     (int64_t)(at % c->ow * c->stride) - c->pad };
}

/* The columns from k on that lie one behind the other in the input (*from), or that are all zero
 * (NULL): how many, at most `most`. */
static size_t run(const kn_conv *c, corner at, size_t k, size_t most, const char **from)
{
    const uint32_t tap = (uint32_t)k / c->cin, channel = (uint32_t)k % c->cin;
    const uint32_t y = tap / c->kw, x = tap % c->kw;
    const int64_t iy = at.y + (int64_t)y * c->dilation, ix = at.x + (int64_t)x * c->dilation;
    const int joined = c->dilation == 1 && c->g.lda == c->cin; /* taps of a row are neighbours */
    int64_t taps = 1;
    *from = NULL;
    if (iy < 0 || iy >= c->h)
        taps = c->kw - x;
    else if (ix >= 0 && ix < c->w) {
        const size_t pixel = (at.image * c->h + (size_t)iy) * c->w + (size_t)ix;
        *from = (const char *)c->g.a + (pixel * c->g.lda + channel) * a_size(&c->g);
        if (joined)
            taps = c->w - ix < c->kw - x ? c->w - ix : c->kw - x;
    }
    return least((size_t)taps * c->cin - channel, most);
}

/* Channels fill whole blocks: runs go straight into them. */
static void pack_runs(const job *j, corner at, size_t k, size_t n, unsigned char *to, size_t stride)
{
    const char *from;
    for (size_t i = 0, got; i < n; i += got) {
        got = run(j->conv, at, k + i, n - i, &from);
        j->core->pack(from, got, to + i / j->core->k_step * stride, stride);
    }
}

/* Any number of channels: gather a stretch of columns first. */
static void pack_gathered(const job *j, corner at, size_t k, size_t n, unsigned char *to,
                          size_t stride)
{
    const size_t size = a_size(j->g);
    char row[GATHER * 4];
    const char *from;
    for (size_t i = 0; i < n; i += GATHER) {
        const size_t len = least(GATHER, n - i);
        for (size_t d = 0, got; d < len; d += got) {
            got = run(j->conv, at, k + i + d, len - d, &from);
            if (from)
                memcpy(row + d * size, from, got * size);
            else
                memset(row + d * size, 0, got * size);
        }
        j->core->pack(row, len, to + i / j->core->k_step * stride, stride);
    }
}

/* ---- a chunk ---------------------------------------------------------------- */

static void pack_row(const job *j, size_t row, size_t k, size_t n, unsigned char *to, size_t stride)
{
    const kn_gemm *g = j->g;
    if (!j->conv)
        j->core->pack((const char *)g->a + (row * g->lda + k) * a_size(g), n, to, stride);
    else if (j->conv->cin % j->core->k_step == 0)
        pack_runs(j, corner_of(j->conv, row), k, n, to, stride);
    else
        pack_gathered(j, corner_of(j->conv, row), k, n, to, stride);
}

/* Packed blocks of a tile begin behind those of the tiles before it. */
static size_t packed_at(const job *j, size_t tile)
{
    const size_t room = j->units * tile / j->tiles * j->core->row_unit;
    return room * j->core->row_bytes * pieces(j->k_chunk, j->core->k_step);
}

static void pack_chunk(const job *j, size_t k, size_t n)
{
    for (size_t t = 0; t < j->tiles; t++) {
        const size_t first = tile_row(j, t), rows = tile_row(j, t + 1) - first;
        const size_t stride = tile_room(j, t) * j->core->row_bytes;
        unsigned char *to = j->a + packed_at(j, t);
        for (size_t r = 0; r < rows; r++)
            pack_row(j, j->row0 + first + r, k, n, to + r * j->core->row_bytes, stride);
    }
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

/* While one column of tiles is multiplied, the next one's panels come into L2.  Only where there is
 * more to multiply than to read, else the hardware's prefetcher has the bandwidth to itself. */
static void set_ahead(const job *j, kn_tile *tile, size_t column)
{
    const kn_gemm *g = j->g;
    if (j->rows < j->core->ahead_rows || column + j->tile_columns >= g->n)
        return;
    tile->ahead = kn_panel_bytes(j->tile_columns, g->k, g->w_type);
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
        tile.sum = j->k_chunks > 1 ? sums + j->units * t / j->tiles * j->core->row_unit * stride
                                   : j->sums;
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
    const size_t most = A_BYTES / (room * core->row_bytes) * core->k_step / KN_PANEL_K * KN_PANEL_K;
    j->k_chunks = g->k > most ? pieces(g->k, most) : 1;
    j->k_chunk = pieces(pieces(g->k, j->k_chunks), KN_PANEL_K) * KN_PANEL_K;
    const size_t largest = least(pieces(j->units, j->tiles) * core->row_unit, j->rows);
    j->tile_columns = core->panels[largest] * KN_PANEL;
    j->column_chunk = j->k_chunks > 1 ? SUM_FLOATS / room / j->tile_columns * j->tile_columns
                                      : pieces(g->n, j->tile_columns) * j->tile_columns;
}

/* Rows of a chunk: as many tiles as fit with all of k, so that sums need not wait; if not even two
 * fit, k is cut, and a few tiles make up for reading the sums again. */
static size_t chunk_rows(const kn_core *core, const kn_gemm *g)
{
    const size_t tile = core->rows * core->row_bytes * (pieces(g->k, core->k_step) + 1);
    const size_t fit = A_BYTES / tile;
    return core->rows * (fit < 2 ? CUT_TILES : least(fit, CHUNK_TILES));
}

static void product(const kn_core *core, const kn_gemm *g, const kn_conv *conv, size_t m0, size_t m1)
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
