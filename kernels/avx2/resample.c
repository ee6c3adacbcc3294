/*
 * resample.c - Pillow's passes, exactly; see avx512/resample.c for how 22-bit weights meet a 16-bit
 * multiplier.  Eight pixels a step across, sixteen bytes a step down.
 */
#include "kernels/levels.h"

#include <immintrin.h>
#include <string.h>

enum { PRECISION = 22, LOW = 12, STEP = 8, ROWS = 4 };

static uint8_t clip8(int32_t x)
{
    x >>= PRECISION;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* ---- horizontal ---- */

/* Sixteen-bit halves of eight weights: hi in the lower lane, lo in the upper one. */
static inline __m256i load_taps(const int32_t *coeff, uint32_t n)
{
    int32_t c[STEP] = { 0 };
    memcpy(c, coeff, n * sizeof *c);
    const __m256i w = _mm256_loadu_si256((const __m256i *)c);
    const __m256i both = _mm256_packs_epi32(_mm256_srai_epi32(w, LOW),
                                            _mm256_and_si256(w, _mm256_set1_epi32((1 << LOW) - 1)));
    return _mm256_permute4x64_epi64(both, 0xd8); /* packing works in lanes */
}

static inline void add_pixels(__m256i x, __m256i taps, __m256i *hi, __m256i *lo)
{
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const __m256i a = _mm256_shuffle_epi8(x, first), b = _mm256_shuffle_epi8(x, second);
#define AT(i, j) _mm256_permutevar8x32_epi32(taps, _mm256_setr_epi32(i, i, i, i, j, j, j, j))
    *hi = _mm256_add_epi32(
        *hi, _mm256_add_epi32(_mm256_madd_epi16(a, AT(0, 2)), _mm256_madd_epi16(b, AT(1, 3))));
    *lo = _mm256_add_epi32(
        *lo, _mm256_add_epi32(_mm256_madd_epi16(a, AT(4, 6)), _mm256_madd_epi16(b, AT(5, 7))));
#undef AT
}

/* Eight pixels, four in each lane; 28 bytes are read. */
static inline __m256i eight_pixels(const uint8_t *p)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                   _mm_loadu_si128((const __m128i *)(p + 12)), 1);
}

static inline void store_pixel(uint8_t *out, __m256i hi, __m256i lo)
{
    const __m256i s = _mm256_add_epi32(_mm256_slli_epi32(hi, LOW), lo);
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    q = _mm_srai_epi32(_mm_add_epi32(q, _mm_set1_epi32(1 << (PRECISION - 1))), PRECISION);
    q = _mm_packus_epi16(_mm_packs_epi32(q, q), q);
    const int32_t rgb = _mm_cvtsi128_si32(q);
    memcpy(out, &rgb, 3);
}

/* Output pixel x of rows y .. y + ROWS - 1 (clamped to the last: computed twice, stored the same). */
static void pixel_rows(const kn_resample *r, uint32_t x, uint32_t y)
{
    enum { READ = 28 };
    const uint32_t n = r->count[x];
    const uint8_t *in[ROWS];
    __m256i hi[ROWS], lo[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = y + i < r->height ? y + i : r->height - 1;
        in[i] = r->in + row * r->in_stride + 3 * (size_t)r->first[x];
        hi[i] = lo[i] = _mm256_setzero_si256();
    }
    for (uint32_t k = 0; k < n; k += STEP) {
        const uint32_t some = n - k < STEP ? n - k : STEP;
        const __m256i taps = load_taps(r->coeff + (size_t)x * r->taps + k, some);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < ROWS; i++, in[i - 1] += 3 * STEP) {
            uint8_t edge[READ] = { 0 };
            const uint8_t *p = in[i];
            if (k + STEP + 2 > n) { /* the last ones: nothing behind them is read */
                memcpy(edge, p, 3 * (size_t)some);
                p = edge;
            }
            add_pixels(eight_pixels(p), taps, &hi[i], &lo[i]);
        }
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = y + i < r->height ? y + i : r->height - 1;
        store_pixel(r->out + row * r->out_stride + 3 * (size_t)x, hi[i], lo[i]);
    }
}

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

/* ---- vertical ---- */

static inline __m256i pair(int32_t a, int32_t b)
{
    return _mm256_set1_epi32((int32_t)((uint32_t)(a & 0xffff) | (uint32_t)b << 16));
}

static inline __m256i load16(const uint8_t *p, size_t n)
{
    uint8_t edge[16] = { 0 };
    if (n < 16) {
        memcpy(edge, p, n);
        p = edge;
    }
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline __m256i finish(__m256i hi, __m256i lo)
{
    const __m256i s = _mm256_add_epi32(_mm256_slli_epi32(hi, LOW), lo);
    return _mm256_srai_epi32(_mm256_add_epi32(s, _mm256_set1_epi32(1 << (PRECISION - 1))),
                             PRECISION);
}

/* n <= 16 bytes of output row y from x on */
static void strip(const kn_resample *r, uint32_t y, size_t x, size_t n)
{
    const int32_t *c = r->coeff + (size_t)y * r->taps, mask = (1 << LOW) - 1;
    const uint8_t *in = r->in + r->first[y] * r->in_stride + x;
    const __m256i zero = _mm256_setzero_si256();
    __m256i hi0 = zero, hi1 = zero, lo0 = zero, lo1 = zero;
    for (uint32_t k = 0; k < r->count[y]; k += 2, in += 2 * r->in_stride) {
        const int last = k + 1 == r->count[y];
        const __m256i a = load16(in, n), b = last ? zero : load16(in + r->in_stride, n);
        const int32_t c0 = c[k], c1 = last ? 0 : c[k + 1];
        const __m256i p = _mm256_unpacklo_epi16(a, b), q = _mm256_unpackhi_epi16(a, b);
        const __m256i hi = pair(c0 >> LOW, c1 >> LOW), lo = pair(c0 & mask, c1 & mask);
        hi0 = _mm256_add_epi32(hi0, _mm256_madd_epi16(p, hi));
        hi1 = _mm256_add_epi32(hi1, _mm256_madd_epi16(q, hi));
        lo0 = _mm256_add_epi32(lo0, _mm256_madd_epi16(p, lo));
        lo1 = _mm256_add_epi32(lo1, _mm256_madd_epi16(q, lo));
    }
    const __m256i y16 = _mm256_packs_epi32(finish(hi0, lo0), finish(hi1, lo1));
    const __m128i y8 =
        _mm_packus_epi16(_mm256_castsi256_si128(y16), _mm256_extracti128_si256(y16, 1));
    if (n == 16)
        _mm_storeu_si128((__m128i *)(r->out + y * r->out_stride + x), y8);
    else
        memcpy(r->out + y * r->out_stride + x, &y8, n);
}

static void resample_v(const kn_resample *r)
{
    const size_t bytes = (size_t)r->width * r->channels;
    for (uint32_t y = 0; y < r->height; y++)
        for (size_t x = 0; x < bytes; x += 16)
            strip(r, y, x, bytes - x < 16 ? bytes - x : 16);
}

void kn_resample_avx2(kn_kernels *k)
{
    k->resample_h = resample_h;
    k->resample_v = resample_v;
}
