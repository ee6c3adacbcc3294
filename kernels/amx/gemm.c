/* gemm.c - matrix product with tiles: 16 rows by 16 columns of sums, 32 columns of a at a time.
 *
 * Four tiles hold sums: 2 by 2, so that four products come from four loads, or 1 by 4 where there
 * are no more than 16 rows.  Every tile has its full 16 rows; those past the end hold whatever lay
 * in the scratch, and their sums go nowhere.  bf16x3 goes through hi and lo parts of both factors:
 * 12 products for 10 loads.  f32 stays with level avx512. */
#include "kernels/amx/core.h"
#include "kernels/amx/tile.h"
#include "kernels/avx512/finish.h"
#include "kernels/avx512bf16/core.h"
#include "kernels/avx512bf16/rows.h"
#include "kernels/levels.h"

enum { ROWS = 2 * TILE_ROWS, PANEL_TILE = 1024, AHEAD_ROWS = 64 };

/* Tiles 0 to 3 are sums; 4 and 5 rows of a; 6 and 7 weights. */

#define INLINE __attribute__((always_inline)) static inline

typedef enum product_kind {
    ONE,   /* bf16 */
    THREE, /* bf16x3 */
    TWO    /* bf16x3 with weights that have no lo parts */
} product_kind;

static const char *weights(const kn_tile *t, size_t p, size_t block)
{
    return (const char *)t->w[p] + block * PANEL_TILE;
}

static const char *weights_lo(const kn_tile *t, size_t p, size_t block)
{
    return (const char *)t->w_lo[p] + block * PANEL_TILE;
}

/* What is fetched ahead while a block is multiplied. */
static void fetch_ahead(const kn_tile *t, product_kind kind, size_t block)
{
    if (block * PANEL_TILE >= t->ahead_bytes)
        return;
    for (size_t at = t->ahead_at * 64; at < PANEL_TILE; at += t->ahead_by * 64)
        for (size_t p = 0; p < t->panels; p++) {
            _mm_prefetch(weights(t, p, block) + t->ahead + at, _MM_HINT_T1);
            if (kind == THREE)
                _mm_prefetch(weights_lo(t, p, block) + t->ahead + at, _MM_HINT_T1);
        }
}

/* ---- two tiles of rows, two panels ------------------------------------------------ */

INLINE void products_2x2(void)
{
    tile_multiply(0, 4, 6);
    tile_multiply(1, 4, 7);
    tile_multiply(2, 5, 6);
    tile_multiply(3, 5, 7);
}

INLINE void load_rows_2(const char *a, size_t stride)
{
    tile_load(4, a, stride);
    tile_load(5, a + TILE_ROWS * stride, stride);
}

INLINE void block_2x2(const kn_tile *t, product_kind kind, const char *a, size_t block)
{
    const size_t stride = kind == ONE ? 64 : 128;
    load_rows_2(a, stride);
    tile_load(6, weights(t, 0, block), 64);
    tile_load(7, weights(t, 1, block), 64);
    products_2x2();
    if (kind == THREE) {
        tile_load(6, weights_lo(t, 0, block), 64);
        tile_load(7, weights_lo(t, 1, block), 64);
        products_2x2();
        tile_load(6, weights(t, 0, block), 64);
        tile_load(7, weights(t, 1, block), 64);
    }
    if (kind != ONE) {
        load_rows_2(a + 64, stride);
        products_2x2();
    }
}

INLINE void multiply_2x2(const kn_tile *t, product_kind kind)
{
    const size_t blocks = (t->k + BLOCK - 1) / BLOCK, row = 2 * KN_PANEL * 4;
    const char *a = t->a;
    char *sum = (char *)t->sum, *below = sum + TILE_ROWS * row;
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    if (!t->fresh) {
        tile_load(0, sum, row);
        tile_load(1, sum + 64, row);
        tile_load(2, below, row);
        tile_load(3, below + 64, row);
    }
    for (size_t b = 0; b < blocks; b++, a += ROWS * (kind == ONE ? 64 : 128)) {
        fetch_ahead(t, kind, b);
        block_2x2(t, kind, a, b);
    }
    tile_store(0, sum, row);
    tile_store(1, sum + 64, row);
    tile_store(2, below, row);
    tile_store(3, below + 64, row);
}

/* ---- one tile of rows, two or four panels -------------------------------------------- */

/* The products of tile `a` with the weights of each panel. */
INLINE void products_1x4(const kn_tile *t, size_t block, int lo)
{
    const size_t p2 = t->panels > 2 ? 2 : 0;
    tile_load(6, lo ? weights_lo(t, 0, block) : weights(t, 0, block), 64);
    tile_load(7, lo ? weights_lo(t, 1, block) : weights(t, 1, block), 64);
    tile_multiply(0, 4, 6);
    tile_multiply(1, 4, 7);
    if (p2 == 0)
        return;
    tile_load(6, lo ? weights_lo(t, 2, block) : weights(t, 2, block), 64);
    tile_load(7, lo ? weights_lo(t, 3, block) : weights(t, 3, block), 64);
    tile_multiply(2, 4, 6);
    tile_multiply(3, 4, 7);
}

INLINE void block_1x4(const kn_tile *t, product_kind kind, const char *a, size_t block)
{
    const size_t stride = kind == ONE ? 64 : 128;
    tile_load(4, a, stride);
    products_1x4(t, block, 0);
    if (kind == THREE)
        products_1x4(t, block, 1);
    if (kind != ONE) {
        tile_load(4, a + 64, stride);
        products_1x4(t, block, 0);
    }
}

INLINE void multiply_1x4(const kn_tile *t, product_kind kind)
{
    const size_t blocks = (t->k + BLOCK - 1) / BLOCK, row = t->panels * KN_PANEL * 4;
    const char *a = t->a;
    char *sum = (char *)t->sum;
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    if (!t->fresh) {
        tile_load(0, sum, row);
        tile_load(1, sum + 64, row);
        if (t->panels > 2) {
            tile_load(2, sum + 128, row);
            tile_load(3, sum + 192, row);
        }
    }
    for (size_t b = 0; b < blocks; b++, a += TILE_ROWS * (kind == ONE ? 64 : 128)) {
        fetch_ahead(t, kind, b);
        block_1x4(t, kind, a, b);
    }
    tile_store(0, sum, row);
    tile_store(1, sum + 64, row);
    if (t->panels > 2) {
        tile_store(2, sum + 128, row);
        tile_store(3, sum + 192, row);
    }
}

/* ---- cores ------------------------------------------------------------------------- */

#define X4(f) f, f, f, f
#define X16(f) X4(f), X4(f), X4(f), X4(f)
#define TILES_OF(kind)                                                                             \
    static void multiply_low_##kind(const kn_tile *t)                                              \
    {                                                                                              \
        multiply_1x4(t, kind);                                                                     \
    }                                                                                              \
    static void multiply_high_##kind(const kn_tile *t)                                             \
    {                                                                                              \
        multiply_2x2(t, kind);                                                                     \
    }                                                                                              \
    static kn_multiply *const multiply_##kind[] = { NULL, X16(multiply_low_##kind),                \
                                                    X16(multiply_high_##kind) };
TILES_OF(ONE)
TILES_OF(THREE)
TILES_OF(TWO)
static const uint8_t panels_of[] = { 0, X16(4), X16(2) };

#define CORE(kind, bytes, packer)                                                                  \
    {                                                                                              \
        .k_step = BLOCK, .row_bytes = bytes, .rows = ROWS, .row_unit = TILE_ROWS,                  \
        .ahead_rows = AHEAD_ROWS, .multiply = multiply_##kind, .panels = panels_of,                \
        .pack = packer, .finish = finish                                                           \
    }
static const kn_core one = CORE(ONE, 64, pack_bf16), three = CORE(THREE, 128, pack_split),
                     two = CORE(TWO, 128, pack_split);

const kn_core *kn_core_amx(const kn_gemm *g)
{
    if (g->math == KN_MATH_BF16)
        return &one;
    if (g->math == KN_MATH_BF16X3)
        return g->w_lo ? &three : &two;
    return NULL;
}

static void gemm(const kn_gemm *g)
{
    const kn_core *core = kn_core_amx(g);
    if (!core) {
        kn_product(kn_core_avx512bf16(g), g);
        return;
    }
    tile_begin();
    kn_product(core, g);
    tile_release();
}

void kn_gemm_amx(kn_kernels *k)
{
    k->gemm = gemm;
}
