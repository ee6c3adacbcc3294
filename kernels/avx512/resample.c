/*
 * resample.c - Pillow's passes, exactly.
 *
 * Weights have 22 bits, too many for the 16-bit multiplier, so each is taken as 4096 hi + lo with
 * 0 <= lo < 4096; the two sums are put together at the end.  All is modulo 2^32 and the true sum
 * fits, so the result is that of the definition.
 */
#include "kernels/levels.h"

#include <immintrin.h>

enum { PRECISION = 22, LOW = 12, ROWS = 4 };

static uint8_t clip8(int32_t x)
{
    x >>= PRECISION;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* ---- horizontal: sixteen pixels of RGB a step, four rows side by side ---- */

/* Weights of sixteen taps as pairs: `even` multiplies pixels 0 1, 4 5 … `odd` pixels 2 3, 6 7 … */
typedef struct taps {
    __m512i hi_even, hi_odd, lo_even, lo_odd;
} taps;

static inline taps load_taps(const int32_t *coeff, uint32_t n)
{
    const __mmask16 m = (__mmask16)((1u << n) - 1);
    const __m512i even = _mm512_set_epi32(6, 6, 6, 6, 4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0);
    const __m512i odd = _mm512_set_epi32(7, 7, 7, 7, 5, 5, 5, 5, 3, 3, 3, 3, 1, 1, 1, 1);
    const __m512i c = _mm512_maskz_loadu_epi32(m, coeff);
    const __m512i hi = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_srai_epi32(c, LOW)));
    const __m512i lo = _mm512_castsi256_si512(
        _mm512_cvtepi32_epi16(_mm512_and_si512(c, _mm512_set1_epi32((1 << LOW) - 1))));
    return (taps){ _mm512_permutexvar_epi32(even, hi), _mm512_permutexvar_epi32(odd, hi),
                   _mm512_permutexvar_epi32(even, lo), _mm512_permutexvar_epi32(odd, lo) };
}

/* Add up to sixteen pixels at p, of which `bytes` may be read. */
static inline void add_pixels(const uint8_t *p, __mmask64 bytes, const taps *t, __m512i *hi,
                              __m512i *lo)
{
    /* each 128-bit lane gets four pixels; then pairs of pixels as 16-bit numbers, channel by channel */
    const __m512i spread = _mm512_set_epi32(12, 11, 10, 9, 9, 8, 7, 6, 6, 5, 4, 3, 3, 2, 1, 0);
    const __m512i first = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m512i second = _mm512_broadcast_i32x4(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const __m512i x = _mm512_permutexvar_epi32(spread, _mm512_maskz_loadu_epi8(bytes, p));
    const __m512i a = _mm512_shuffle_epi8(x, first), b = _mm512_shuffle_epi8(x, second);
    *hi = _mm512_add_epi32(
        *hi, _mm512_add_epi32(_mm512_madd_epi16(a, t->hi_even), _mm512_madd_epi16(b, t->hi_odd)));
    *lo = _mm512_add_epi32(
        *lo, _mm512_add_epi32(_mm512_madd_epi16(a, t->lo_even), _mm512_madd_epi16(b, t->lo_odd)));
}

static inline void store_pixel(uint8_t *out, __m512i hi, __m512i lo)
{
    const __m512i s = _mm512_add_epi32(_mm512_slli_epi32(hi, LOW), lo);
    const __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
    q = _mm_srai_epi32(_mm_add_epi32(q, _mm_set1_epi32(1 << (PRECISION - 1))), PRECISION);
    q = _mm_packus_epi16(_mm_packs_epi32(q, q), q);
    _mm_mask_storeu_epi8(out, 7, q);
}

/* Output pixel x of rows y .. y + ROWS - 1 (clamped to the last: computed twice, stored the same). */
static void pixel_rows(const kn_resample *r, uint32_t x, uint32_t y)
{
    __m512i hi[ROWS], lo[ROWS];
    const uint8_t *in[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = y + i < r->height ? y + i : r->height - 1;
        in[i] = r->in + row * r->in_stride + 3 * (size_t)r->first[x];
        hi[i] = lo[i] = _mm512_setzero_si512();
    }
    for (uint32_t k = 0; k < r->count[x]; k += 16) {
        const uint32_t n = r->count[x] - k < 16 ? r->count[x] - k : 16;
        const taps t = load_taps(r->coeff + (size_t)x * r->taps + k, n);
        const __mmask64 bytes = (1ull << (3 * n)) - 1;
#pragma GCC unroll 4
        for (uint32_t i = 0; i < ROWS; i++)
            add_pixels(in[i] + 3 * (size_t)k, bytes, &t, &hi[i], &lo[i]);
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = y + i < r->height ? y + i : r->height - 1;
        store_pixel(r->out + row * r->out_stride + 3 * (size_t)x, hi[i], lo[i]);
    }
}

/* One or four channels: not on any hot path. */
static void any_channels(const kn_resample *r)
{
    for (uint32_t y = 0; y < r->height; y++)
        for (uint32_t x = 0; x < r->width; x++)
            for (uint32_t c = 0; c < r->channels; c++) {
                const uint8_t *in =
                    r->in + y * r->in_stride + (size_t)r->first[x] * r->channels + c;
                int32_t sum = 1 << (PRECISION - 1);
                for (uint32_t k = 0; k < r->count[x]; k++)
                    sum += in[(size_t)k * r->channels] * r->coeff[(size_t)x * r->taps + k];
                r->out[y * r->out_stride + (size_t)x * r->channels + c] = clip8(sum);
            }
}

static void resample_h(const kn_resample *r)
{
    if (r->channels != 3) {
        any_channels(r);
        return;
    }
    for (uint32_t y = 0; y < r->height; y += ROWS)
        for (uint32_t x = 0; x < r->width; x++)
            pixel_rows(r, x, y);
}

/* ---- vertical: 32 bytes a step, two rows at a time ---- */

/* Two weights as one 32-bit number of two halves. */
static inline __m512i pair(int32_t a, int32_t b)
{
    return _mm512_set1_epi32((int32_t)((uint32_t)(a & 0xffff) | (uint32_t)b << 16));
}

typedef struct sums {
    __m512i hi0, hi1, lo0, lo1;
} sums;

static inline void add_rows(sums *s, __m512i a, __m512i b, __m512i hi, __m512i lo)
{
    const __m512i p = _mm512_unpacklo_epi16(a, b), q = _mm512_unpackhi_epi16(a, b);
    s->hi0 = _mm512_add_epi32(s->hi0, _mm512_madd_epi16(p, hi));
    s->hi1 = _mm512_add_epi32(s->hi1, _mm512_madd_epi16(q, hi));
    s->lo0 = _mm512_add_epi32(s->lo0, _mm512_madd_epi16(p, lo));
    s->lo1 = _mm512_add_epi32(s->lo1, _mm512_madd_epi16(q, lo));
}

static inline __m512i finish(__m512i hi, __m512i lo)
{
    const __m512i s = _mm512_add_epi32(_mm512_slli_epi32(hi, LOW), lo);
    return _mm512_srai_epi32(_mm512_add_epi32(s, _mm512_set1_epi32(1 << (PRECISION - 1))),
                             PRECISION);
}

/* Bytes x .. x + 31 of output row y, those that m says. */
static void strip(const kn_resample *r, uint32_t y, size_t x, __mmask32 m)
{
    const int32_t *c = r->coeff + (size_t)y * r->taps;
    const uint8_t *in = r->in + r->first[y] * r->in_stride + x;
    const uint32_t n = r->count[y];
    const __m512i zero = _mm512_setzero_si512();
    sums s = { zero, zero, zero, zero };
    uint32_t k = 0;
    for (; k + 2 <= n; k += 2, in += 2 * r->in_stride) {
        const __m512i a = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(m, in));
        const __m512i b = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(m, in + r->in_stride));
        const int32_t mask = (1 << LOW) - 1;
        add_rows(&s, a, b, pair(c[k] >> LOW, c[k + 1] >> LOW), pair(c[k] & mask, c[k + 1] & mask));
    }
    if (k < n)
        add_rows(&s, _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(m, in)), zero,
                 pair(c[k] >> LOW, 0), pair(c[k] & ((1 << LOW) - 1), 0));
    const __m512i y16 = _mm512_packs_epi32(finish(s.hi0, s.lo0), finish(s.hi1, s.lo1));
    _mm256_mask_storeu_epi8(r->out + y * r->out_stride + x, m,
                            _mm512_cvtusepi16_epi8(_mm512_max_epi16(y16, zero)));
}

static void resample_v(const kn_resample *r)
{
    const size_t bytes = (size_t)r->width * r->channels;
    for (uint32_t y = 0; y < r->height; y++)
        for (size_t x = 0; x < bytes; x += 32)
            strip(r, y, x, bytes - x < 32 ? (1u << (bytes - x)) - 1 : ~0u);
}

void kn_resample_avx512(kn_kernels *k)
{
    k->resample_h = resample_h;
    k->resample_v = resample_v;
}
