/* gemm.c - matrix product with 16-lane multiply-adds.
 *
 * A tile of 14 rows by 2 panels keeps 28 sums, 2 rows of panels and one broadcast element of a in
 * the 32 registers: 28 multiply-adds for 16 loads.  Fewer rows take more panels at a time, so that
 * enough sums are in flight to hide the latency of a multiply-add, and enough panels to stream
 * weights at full bandwidth.
 *
 * bf16 weights hold two rows of a panel in 32-bit lanes: a shift gives the even one, a mask the
 * odd one.  The level has no bf16 arithmetic: the other maths are f32 products here. */
#include "kernels/avx512/core.h"
#include "kernels/avx512/finish.h"
#include "kernels/levels.h"

enum { ROWS = 14, BLOCK = 16 };

/* ---- packing of a: blocks of 16 floats --------------------------------------- */

static void pack_f32(const void *from, size_t n, void *to, size_t stride)
{
    const float *in = from;
    for (size_t i = 0; i < n; i += BLOCK, to = (char *)to + stride) {
        const __mmask16 m = lanes(n - i < BLOCK ? n - i : BLOCK);
        _mm512_store_ps(to, in ? _mm512_maskz_loadu_ps(m, in + i) : _mm512_setzero_ps());
    }
}

static void pack_bf16(const void *from, size_t n, void *to, size_t stride)
{
    const uint16_t *in = from;
    for (size_t i = 0; i < n; i += BLOCK, to = (char *)to + stride) {
        const __mmask16 m = lanes(n - i < BLOCK ? n - i : BLOCK);
        _mm512_store_ps(to, in ? load_lanes(in, KN_BF16, i, m) : _mm512_setzero_ps());
    }
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

/* A bf16 panel's element lies in the lower or upper half of a lane as its row is even or odd,
 * which is known at compile time. */
INLINE __m512 half(const void *panel, size_t k, int odd)
{
    const __m512i pair = _mm512_load_si512((const __m512i *)panel + k / 2);
    return _mm512_castsi512_ps(odd ? _mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000))
                                   : _mm512_slli_epi32(pair, 16));
}

/* Row k of panel p. */
INLINE __m512 weights(const kn_tile *t, size_t p, stored type, size_t k, int odd)
{
    switch (type) {
    case F32:
        return _mm512_load_ps((const float *)t->w[p] + k * KN_PANEL);
    case F16:
        return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)t->w[p] + k));
    case BF16:
        return half(t->w[p], k, odd);
    default: /* the sum is exact */
        return _mm512_add_ps(half(t->w[p], k, odd), half(t->w_lo[p], k, odd));
    }
}

/* sum += column `at` of a block of a times row k + at of the panels. */
INLINE void step(__m512 *sum, const float *a, const kn_tile *t, size_t k, size_t at, int odd,
                 stored type, const size_t rows, const size_t panels)
{
    __m512 w[KN_TILE_PANELS];
    KN_UNROLL
    for (size_t p = 0; p < panels; p++)
        w[p] = weights(t, p, type, k + at, odd);
    KN_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const __m512 x = _mm512_set1_ps(a[r * BLOCK + at]);
        KN_UNROLL
        for (size_t p = 0; p < panels; p++)
            sum[r * panels + p] = _mm512_fmadd_ps(x, w[p], sum[r * panels + p]);
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
    const __mmask16 waiting = t->fresh ? 0 : 0xffff; /* sums of the columns before */
    __m512 sum[ROWS * 2];
    const float *a = t->a;
    size_t k = 0;
    KN_UNROLL
    for (size_t i = 0; i < rows * panels; i++)
        sum[i] = _mm512_maskz_load_ps(waiting, t->sum + i * 16);
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
    for (size_t i = 0; i < rows * panels; i++)
        _mm512_store_ps(t->sum + i * 16, sum[i]);
}

#define TILE(type, rows, panels)                                                                   \
    static void multiply_##type##_##rows(const kn_tile *t)                                         \
    {                                                                                              \
        multiply(t, type, rows, panels);                                                           \
    }
#define TILES(type)                                                                                \
    TILE(type, 1, 8)                                                                               \
    TILE(type, 2, 8)                                                                               \
    TILE(type, 3, 8)                                                                               \
    TILE(type, 4, 4)                                                                               \
    TILE(type, 5, 4)                                                                               \
    TILE(type, 6, 4)                                                                               \
    TILE(type, 7, 2)                                                                               \
    TILE(type, 8, 2)                                                                               \
    TILE(type, 9, 2)                                                                               \
    TILE(type, 10, 2)                                                                              \
    TILE(type, 11, 2)                                                                              \
    TILE(type, 12, 2)                                                                              \
    TILE(type, 13, 2)                                                                              \
    TILE(type, 14, 2)                                                                              \
    static kn_multiply *const multiply_##type[] = {                                                \
        NULL,                  multiply_##type##_1,  multiply_##type##_2,  multiply_##type##_3,    \
        multiply_##type##_4,   multiply_##type##_5,  multiply_##type##_6,  multiply_##type##_7,    \
        multiply_##type##_8,   multiply_##type##_9,  multiply_##type##_10, multiply_##type##_11,   \
        multiply_##type##_12,  multiply_##type##_13, multiply_##type##_14,                         \
    };
/* Tiles of 7 rows and more take 2 panels, as all do where a chunk has several. */
static const uint8_t panels_of[] = { 0, 8, 8, 8, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2 };
TILES(F32)
TILES(BF16)
TILES(F16)
TILES(PAIRED)

/* ---- cores --------------------------------------------------------------------- */

#define CORE(type, packer, most, ahead)                                                            \
    {                                                                                              \
        .k_step = BLOCK, .row_bytes = 64, .rows = most, .row_unit = 1, .ahead_rows = ahead,        \
        .multiply = multiply_##type, .panels = panels_of, .pack = packer, .finish = finish         \
    }
/* 16-bit weights need registers while they become f32: a row less. */
static const kn_core f32 = CORE(F32, pack_f32, ROWS, 12), f32_f16 = CORE(F16, pack_f32, 13, 6),
                     f32_bf16 = CORE(BF16, pack_f32, 13, 6),
                     f32_paired = CORE(PAIRED, pack_f32, 13, 12),
                     bf16 = CORE(BF16, pack_bf16, 13, 6);

const kn_core *kn_core_avx512(const kn_gemm *g)
{
    if (g->math == KN_MATH_BF16)
        return &bf16;
    if (g->w_type == KN_BF16)
        return g->math == KN_MATH_BF16X3 && g->w_lo ? &f32_paired : &f32_bf16;
    return g->w_type == KN_F32 ? &f32 : &f32_f16;
}

static void gemm(const kn_gemm *g)
{
    kn_product(kn_core_avx512(g), g);
}

void kn_gemm_avx512(kn_kernels *k)
{
    k->gemm = gemm;
}
