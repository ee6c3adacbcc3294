/* gemm.c - matrix product with 8-lane multiply-adds.
 *
 * A tile of 6 rows by one panel keeps 12 sums, 2 halves of a panel's row and one broadcast element
 * of a in the 16 registers.  Fewer rows take more panels at a time to keep enough sums in flight.
 *
 * bf16 weights hold two rows of a panel in 32-bit lanes: a shift gives the even one, a mask the
 * odd one.  The level has no bf16 arithmetic: the other maths are f32 products here. */
#include "kernels/avx2/core.h"
#include "kernels/avx2/finish.h"
#include "kernels/levels.h"

/* PANEL_ROWS rows of a panel are half of L1; CHUNK tiles of as many columns fill a part of L2. */
enum { ROWS = 6, BLOCK = 16, HALVES = 2, PANEL_ROWS = 256, CHUNK = 16 };

/* ---- packing of a: blocks of 16 floats --------------------------------------- */

__attribute__((always_inline)) static inline void pack(const void *from, kn_type type, size_t n,
                                                       char *to, size_t stride)
{
    for (size_t i = 0; i < n; i += BLOCK, to += stride)
        for (size_t j = i; j < i + BLOCK; j += 8) {
            const __m256 x = from && j < n ? load_lanes(from, type, j, n - j < 8 ? n - j : 8)
                                           : _mm256_setzero_ps();
            _mm256_store_ps((float *)(void *)to + (j - i), x);
        }
}

static void pack_f32(const void *from, size_t n, void *to, size_t stride)
{
    pack(from, KN_F32, n, to, stride);
}

static void pack_bf16(const void *from, size_t n, void *to, size_t stride)
{
    pack(from, KN_BF16, n, to, stride);
}

/* ---- micro-kernels ------------------------------------------------------------ */

#define INLINE __attribute__((always_inline)) static inline

/* How the weights of a tile are stored; PAIRED is bf16 with lo parts. */
typedef enum stored {
    F32,
    F16,
    BF16,
    PAIRED
} stored;

/* Eight columns, h = 0 or 1, of row k of a bf16 panel: the lower or upper half of a lane as the
 * row is even or odd, which is known at compile time. */
INLINE __m256 half(const void *panel, size_t k, size_t h, int odd)
{
    const __m256i pair = _mm256_load_si256((const __m256i *)panel + k / 2 * HALVES + h);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(pair, _mm256_set1_epi32((int)0xffff0000))
                                   : _mm256_slli_epi32(pair, 16));
}

/* The same of row k of panel p of any type. */
INLINE __m256 weights(const kn_tile *t, size_t p, stored type, size_t k, size_t h, int odd)
{
    switch (type) {
    case F32:
        return _mm256_load_ps((const float *)t->w[p] + k * KN_PANEL + h * 8);
    case F16:
        return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)t->w[p] + k * HALVES + h));
    case BF16:
        return half(t->w[p], k, h, odd);
    default: /* the sum is exact */
        return _mm256_add_ps(half(t->w[p], k, h, odd), half(t->w_lo[p], k, h, odd));
    }
}

/* sum += column `at` of a block of a times row k + at of the panels. */
INLINE void step(__m256 *sum, const float *a, const kn_tile *t, size_t k, size_t at, int odd,
                 stored type, const size_t rows, const size_t panels)
{
    const size_t halves = panels * HALVES;
    __m256 w[KN_TILE_PANELS];
    KN_UNROLL
    for (size_t p = 0; p < halves; p++)
        w[p] = weights(t, p / HALVES, type, k + at, p % HALVES, odd);
    KN_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const __m256 x = _mm256_broadcast_ss(a + r * BLOCK + at);
        KN_UNROLL
        for (size_t p = 0; p < halves; p++)
            sum[r * halves + p] = _mm256_fmadd_ps(x, w[p], sum[r * halves + p]);
    }
}

/* What is fetched ahead while the block at k is multiplied. */
INLINE void fetch_ahead(const kn_tile *t, stored type, size_t k, const size_t panels)
{
    const size_t row = KN_PANEL * (type == F32 ? 4 : 2);
    if (k * row >= t->ahead_bytes)
        return;
    for (size_t at = t->ahead_at * 64; at < BLOCK * row; at += t->ahead_by * 64)
        KN_UNROLL
        for (size_t p = 0; p < panels; p++)
            _mm_prefetch((const char *)t->w[p] + t->ahead + k * row + at, _MM_HINT_T1);
}

INLINE void multiply(const kn_tile *t, stored type, const size_t rows, const size_t panels)
{
    /* sums of the columns before, if any */
    const __m256 waiting = _mm256_castsi256_ps(_mm256_set1_epi32(t->fresh ? 0 : -1));
    __m256 sum[ROWS * HALVES];
    const float *a = t->a;
    size_t k = 0;
    KN_UNROLL
    for (size_t i = 0; i < rows * panels * HALVES; i++)
        sum[i] = _mm256_and_ps(waiting, _mm256_load_ps(t->sum + i * 8));
    for (; k + BLOCK <= t->k; k += BLOCK, a += rows * BLOCK) {
        fetch_ahead(t, type, k, panels);
        for (size_t at = 0; at < BLOCK; at += 2) {
            step(sum, a, t, k, at, 0, type, rows, panels);
            step(sum, a, t, k, at + 1, 1, type, rows, panels);
        }
    }
    for (size_t at = 0; k + at < t->k; at++)
        step(sum, a, t, k, at, at % 2, type, rows, panels);
    KN_UNROLL
    for (size_t i = 0; i < rows * panels * HALVES; i++)
        _mm256_store_ps(t->sum + i * 8, sum[i]);
}

#define TILE(type, rows, panels)                                                                   \
    static void multiply_##type##_##rows(const kn_tile *t)                                         \
    {                                                                                              \
        multiply(t, type, rows, panels);                                                           \
    }
#define TILES(type)                                                                                \
    TILE(type, 1, 4)                                                                               \
    TILE(type, 2, 2)                                                                               \
    TILE(type, 3, 1)                                                                               \
    TILE(type, 4, 1)                                                                               \
    TILE(type, 5, 1)                                                                               \
    TILE(type, 6, 1)                                                                               \
    static kn_multiply *const multiply_##type[] = {                                                \
        NULL,                multiply_##type##_1, multiply_##type##_2, multiply_##type##_3,        \
        multiply_##type##_4, multiply_##type##_5, multiply_##type##_6,                             \
    };
/* Tiles of 3 rows and more take one panel, as all do where a chunk has several. */
static const uint8_t panels_of[] = { 0, 4, 2, 1, 1, 1, 1 };
TILES(F32)
TILES(BF16)
TILES(F16)
TILES(PAIRED)

/* ---- cores --------------------------------------------------------------------- */

#define CORE(type, packer, most, ahead)                                                            \
    {                                                                                              \
        .k_step = BLOCK, .row_bytes = 64, .rows = most, .row_unit = 1, .ahead_rows = ahead,        \
        .panel_rows = PANEL_ROWS, .tiles = CHUNK, .multiply = multiply_##type,                     \
        .panels = panels_of, .pack = packer, .finish = finish                                      \
    }
/* bf16 weights need registers while they become f32: a row less. */
static const kn_core f32 = CORE(F32, pack_f32, 6, 7), f32_f16 = CORE(F16, pack_f32, 6, 6),
                     f32_bf16 = CORE(BF16, pack_f32, 5, 6),
                     f32_paired = CORE(PAIRED, pack_f32, 5, 12),
                     bf16 = CORE(BF16, pack_bf16, 5, 6);

const kn_core *kn_core_avx2(const kn_gemm *g)
{
    if (g->math == KN_MATH_BF16)
        return &bf16;
    if (g->w_type == KN_BF16)
        return g->math == KN_MATH_BF16X3 && g->w_lo ? &f32_paired : &f32_bf16;
    return g->w_type == KN_F32 ? &f32 : &f32_f16;
}

static void gemm(const kn_gemm *g)
{
    kn_product(kn_core_avx2(g), g);
}

void kn_gemm_avx2(kn_kernels *k)
{
    k->gemm = gemm;
}
