/* gemm.c - matrix product with VDPBF16PS: a lane's sum takes two bf16 products at once.
 *
 * The tiles are those of level avx512 with pairs of columns in the place of columns.  bf16x3 needs
 * the hi and the lo parts of two panels in registers, and so has two rows less; f32 is level
 * avx512's. */
#include "kernels/avx512bf16/core.h"
#include "kernels/avx512/core.h"
#include "kernels/avx512/finish.h"
#include "kernels/avx512bf16/rows.h"
#include "kernels/levels.h"

enum { ROWS = 14, ROWS_X3 = 12, PAIRS = BLOCK / 2 };

#define INLINE __attribute__((always_inline)) static inline

/* A pair of columns of one row of a, in every lane. */
INLINE __m512bh pair_of(const uint32_t *row, size_t pair)
{
    return (__m512bh)_mm512_set1_epi32((int)row[pair]);
}

INLINE __m512bh weights(const void *panel, size_t pair)
{
    return (__m512bh)_mm512_load_si512((const __m512i *)panel + pair);
}

/* sum += pair `at` of a block of a times pair k + at of the panels. */
INLINE void step(__m512 *sum, const uint32_t *a, const kn_tile *t, size_t k, size_t at,
                 const size_t rows, const size_t panels)
{
    __m512bh w[KN_TILE_PANELS];
    KN_UNROLL
    for (size_t p = 0; p < panels; p++)
        w[p] = weights(t->w[p], k + at);
    KN_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const __m512bh x = pair_of(a + r * PAIRS, at);
        KN_UNROLL
        for (size_t p = 0; p < panels; p++)
            sum[r * panels + p] = _mm512_dpbf16_ps(sum[r * panels + p], x, w[p]);
    }
}

/* The same of hi and lo parts: hi hi + hi lo + lo hi; without `paired` weights have no lo part. */
INLINE void step_x3(__m512 *sum, const uint32_t *a, const kn_tile *t, size_t k, size_t at,
                    int paired, const size_t rows, const size_t panels)
{
    __m512bh hi[KN_TILE_PANELS], lo[KN_TILE_PANELS];
    KN_UNROLL
    for (size_t p = 0; p < panels; p++) {
        hi[p] = weights(t->w[p], k + at);
        lo[p] = paired ? weights(t->w_lo[p], k + at) : hi[p];
    }
    KN_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const __m512bh x = pair_of(a + 2 * r * PAIRS, at), x_lo = pair_of(a + (2 * r + 1) * PAIRS, at);
        KN_UNROLL
        for (size_t p = 0; p < panels; p++) {
            __m512 *s = &sum[r * panels + p];
            *s = _mm512_dpbf16_ps(*s, x, hi[p]);
            *s = paired ? _mm512_dpbf16_ps(*s, x, lo[p]) : *s;
            *s = _mm512_dpbf16_ps(*s, x_lo, hi[p]);
        }
    }
}

typedef enum product_kind {
    ONE,   /* bf16 */
    THREE, /* bf16x3 */
    TWO    /* bf16x3 with weights that have no lo parts */
} product_kind;

INLINE void multiply_pair(__m512 *sum, const uint32_t *a, const kn_tile *t, size_t k, size_t at,
                          product_kind kind, const size_t rows, const size_t panels)
{
    if (kind == ONE)
        step(sum, a, t, k, at, rows, panels);
    else
        step_x3(sum, a, t, k, at, kind == THREE, rows, panels);
}

/* What is fetched ahead while the block of pairs at k is multiplied. */
INLINE void fetch_ahead(const kn_tile *t, product_kind kind, size_t k, const size_t panels)
{
    if (k * 64 >= t->ahead_bytes)
        return;
    for (size_t at = t->ahead_at; at < PAIRS; at += t->ahead_by)
        KN_UNROLL
        for (size_t p = 0; p < panels; p++) {
            _mm_prefetch((const char *)t->w[p] + t->ahead + (k + at) * 64, _MM_HINT_T1);
            if (kind == THREE)
                _mm_prefetch((const char *)t->w_lo[p] + t->ahead + (k + at) * 64, _MM_HINT_T1);
        }
}

/* k counts pairs here; the odd column at the end has a zero beside it in a and in the panels. */
INLINE void multiply(const kn_tile *t, product_kind kind, const size_t rows, const size_t panels)
{
    const __mmask16 waiting = t->fresh ? 0 : 0xffff; /* sums of the columns before */
    __m512 sum[ROWS * 2];
    const uint32_t *a = t->a;
    const size_t pairs = (t->k + 1) / 2;
    size_t k = 0;
    KN_UNROLL
    for (size_t i = 0; i < rows * panels; i++)
        sum[i] = _mm512_maskz_load_ps(waiting, t->sum + i * 16);
    for (; k + PAIRS <= pairs; k += PAIRS, a += rows * PAIRS * (kind == ONE ? 1 : 2)) {
        fetch_ahead(t, kind, k, panels);
        for (size_t at = 0; at < PAIRS; at += 2) {
            multiply_pair(sum, a, t, k, at, kind, rows, panels);
            multiply_pair(sum, a, t, k, at + 1, kind, rows, panels);
        }
    }
    for (size_t at = 0; k + at < pairs; at++)
        multiply_pair(sum, a, t, k, at, kind, rows, panels);
    KN_UNROLL
    for (size_t i = 0; i < rows * panels; i++)
        _mm512_store_ps(t->sum + i * 16, sum[i]);
}

#define TILE(kind, rows, panels)                                                                   \
    static void multiply_##kind##_##rows(const kn_tile *t)                                         \
    {                                                                                              \
        multiply(t, kind, rows, panels);                                                           \
    }
TILE(ONE, 1, 8)
TILE(ONE, 2, 8)
TILE(ONE, 3, 8)
TILE(ONE, 4, 4)
TILE(ONE, 5, 4)
TILE(ONE, 6, 4)
TILE(ONE, 7, 2)
TILE(ONE, 8, 2)
TILE(ONE, 9, 2)
TILE(ONE, 10, 2)
TILE(ONE, 11, 2)
TILE(ONE, 12, 2)
TILE(ONE, 13, 2)
TILE(ONE, 14, 2)
static kn_multiply *const multiply_ONE[] = {
    NULL,           multiply_ONE_1,  multiply_ONE_2,  multiply_ONE_3,  multiply_ONE_4,
    multiply_ONE_5, multiply_ONE_6,  multiply_ONE_7,  multiply_ONE_8,  multiply_ONE_9,
    multiply_ONE_10, multiply_ONE_11, multiply_ONE_12, multiply_ONE_13, multiply_ONE_14,
};
/* Tiles of 7 rows and more take 2 panels, as all do where a chunk has several. */
static const uint8_t panels_of[] = { 0, 8, 8, 8, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2 };

#define TILES_X3(kind)                                                                             \
    TILE(kind, 1, 8)                                                                               \
    TILE(kind, 2, 8)                                                                               \
    TILE(kind, 3, 4)                                                                               \
    TILE(kind, 4, 4)                                                                               \
    TILE(kind, 5, 4)                                                                               \
    TILE(kind, 6, 2)                                                                               \
    TILE(kind, 7, 2)                                                                               \
    TILE(kind, 8, 2)                                                                               \
    TILE(kind, 9, 2)                                                                               \
    TILE(kind, 10, 2)                                                                              \
    TILE(kind, 11, 2)                                                                              \
    TILE(kind, 12, 2)                                                                              \
    static kn_multiply *const multiply_##kind[] = {                                                \
        NULL,                 multiply_##kind##_1,  multiply_##kind##_2, multiply_##kind##_3,      \
        multiply_##kind##_4,  multiply_##kind##_5,  multiply_##kind##_6, multiply_##kind##_7,      \
        multiply_##kind##_8,  multiply_##kind##_9,  multiply_##kind##_10, multiply_##kind##_11,    \
        multiply_##kind##_12,                                                                      \
    };
TILES_X3(THREE)
TILES_X3(TWO)
static const uint8_t panels_x3[] = { 0, 8, 8, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2 };

static const kn_core bf16 = {
    .k_step = BLOCK, .row_bytes = 64, .rows = ROWS, .row_unit = 1, .ahead_rows = 12,
    .multiply = multiply_ONE, .panels = panels_of, .pack = pack_bf16, .finish = finish,
};

#define CORE_X3(kind)                                                                              \
    {                                                                                              \
        .k_step = BLOCK, .row_bytes = 128, .rows = ROWS_X3, .row_unit = 1, .ahead_rows = 6,        \
        .multiply = multiply_##kind, .panels = panels_x3, .pack = pack_split, .finish = finish,    \
    }
static const kn_core three = CORE_X3(THREE), two = CORE_X3(TWO);

const kn_core *kn_core_avx512bf16(const kn_gemm *g)
{
    if (g->math == KN_MATH_BF16)
        return &bf16;
    if (g->math == KN_MATH_BF16X3)
        return g->w_lo ? &three : &two;
    return kn_core_avx512(g);
}

static void gemm(const kn_gemm *g)
{
    kn_product(kn_core_avx512bf16(g), g);
}

void kn_gemm_avx512bf16(kn_kernels *k)
{
    k->gemm = gemm;
}
