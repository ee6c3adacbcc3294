/*
 * resample.c - Pillow's passes with VPDPBUSD, exactly.
 *
 * A weight is taken as c0 + 256 c1 + 65536 c2 with three signed bytes, which holds for weights below
 * 1.98 (Pillow's stay below 1.3).  Four taps of a channel are one 32-bit lane, so each of the
 * three sums takes 64 products an instruction; they are put together at the end.  All is modulo 2^32 and
 * the true sum fits.
 */
#include "kernels/levels.h"

#include <immintrin.h>
#include <string.h>

enum { PRECISION = 22, ROWS = 4, TAPS = 20, BLOCKS = 16, QUADS = 64 };

/* Sixteen weights to their three digits, as 32-bit numbers. */
static inline void digits(__m512i c, __m512i d[3])
{
    for (int i = 0; i < 3; i++) {
        d[i] = _mm512_srai_epi32(_mm512_slli_epi32(c, 24), 24);
        c = _mm512_srai_epi32(_mm512_sub_epi32(c, d[i]), 8);
    }
}

/* ---- horizontal: twenty pixels of RGB a step ---- */

/* Digits of up to twenty weights: lane 3 g + channel holds those of taps 4 g .. 4 g + 3. */
static inline void load_block(const int32_t *coeff, uint32_t n, __m512i block[3])
{
    const __m512i spread = _mm512_set_epi32(5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0);
    __m512i head[3], tail[3];
    digits(_mm512_maskz_loadu_epi32((__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff), coeff), head);
    digits(_mm512_maskz_loadu_epi32((__mmask16)(n > 16 ? (1u << (n - 16)) - 1 : 0),
                                    coeff + (n > 16 ? 16 : 0)),
           tail);
    for (int i = 0; i < 3; i++) {
        const __m256i both =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(head[i])),
                                    _mm512_cvtepi32_epi8(tail[i]), 1);
        block[i] = _mm512_permutexvar_epi32(spread, _mm512_castsi256_si512(both));
    }
}

/* Fills as many blocks as there is room for, from tap k on. */
static inline uint32_t load_blocks(const kn_resample *r, uint32_t x, uint32_t k,
                                   __m512i blocks[BLOCKS][3])
{
    uint32_t b = 0;
    for (; b < BLOCKS && k < r->count[x]; b++, k += TAPS) {
        const uint32_t left = r->count[x] - k;
        load_block(r->coeff + (size_t)x * r->taps + k, left < TAPS ? left : TAPS, blocks[b]);
    }
    return b;
}

typedef struct sums {
    __m512i s[ROWS][3];
} sums;

static inline void add_block(sums *s, const uint8_t *const in[ROWS], size_t at, __mmask64 bytes,
                             const __m512i w[3])
{
    /* byte 4 (3 g + channel) + j comes from pixel 4 g + j */
    const __m512i spread = _mm512_set_epi8(
        63, 63, 63, 63, 59, 56, 53, 50, 58, 55, 52, 49, 57, 54, 51, 48, 47, 44, 41, 38, 46, 43, 40,
        37, 45, 42, 39, 36, 35, 32, 29, 26, 34, 31, 28, 25, 33, 30, 27, 24, 23, 20, 17, 14, 22, 19,
        16, 13, 21, 18, 15, 12, 11, 8, 5, 2, 10, 7, 4, 1, 9, 6, 3, 0);
#pragma GCC unroll 4
    for (int i = 0; i < ROWS; i++) {
        const __m512i x =
            _mm512_permutexvar_epi8(spread, _mm512_maskz_loadu_epi8(bytes, in[i] + at));
        s->s[i][0] = _mm512_dpbusd_epi32(s->s[i][0], x, w[0]);
        s->s[i][1] = _mm512_dpbusd_epi32(s->s[i][1], x, w[1]);
        s->s[i][2] = _mm512_dpbusd_epi32(s->s[i][2], x, w[2]);
    }
}

/* The five groups of a row's lanes added up: red, green and blue in the lowest three. */
static inline __m128i add_groups(const __m512i s[3])
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i all = _mm512_add_epi32(_mm512_add_epi32(s[0], _mm512_slli_epi32(s[1], 8)),
                                         _mm512_slli_epi32(s[2], 16));
    const __m512i two = _mm512_add_epi32(all, _mm512_alignr_epi32(zero, all, 3));
    const __m512i four = _mm512_add_epi32(two, _mm512_alignr_epi32(zero, two, 6));
    return _mm_add_epi32(_mm512_castsi512_si128(four), _mm512_extracti32x4_epi32(all, 3));
}

static inline __m512i rounded(__m512i s)
{
    s = _mm512_srai_epi32(_mm512_add_epi32(s, _mm512_set1_epi32(1 << (PRECISION - 1))), PRECISION);
    return _mm512_max_epi32(s, _mm512_setzero_si512());
}

/* Output pixel x of rows y .. y + ROWS - 1 (clamped to the last: computed twice, stored the same). */
static inline void pixel_rows(const kn_resample *r, uint32_t x, uint32_t y,
                              __m512i blocks[BLOCKS][3], uint32_t n)
{
    const uint8_t *in[ROWS];
    sums s;
    memset(&s, 0, sizeof s);
    for (uint32_t i = 0; i < ROWS; i++)
        in[i] = r->in + (y + i < r->height ? y + i : r->height - 1) * r->in_stride +
                3 * (size_t)r->first[x];
    for (uint32_t k = 0; k < r->count[x];) {
        if (k) /* more than there is room for */
            n = load_blocks(r, x, k, blocks);
        for (uint32_t b = 0; b < n; b++, k += TAPS) {
            const uint32_t left = r->count[x] - k;
            const __mmask64 bytes =
                left < TAPS ? (1ull << (3 * left)) - 1 : (1ull << (3 * TAPS)) - 1;
            add_block(&s, in, 3 * (size_t)k, bytes, blocks[b]);
        }
    }
    __m512i all = _mm512_castsi128_si512(add_groups(s.s[0]));
    all = _mm512_inserti32x4(all, add_groups(s.s[1]), 1);
    all = _mm512_inserti32x4(all, add_groups(s.s[2]), 2);
    all = _mm512_inserti32x4(all, add_groups(s.s[3]), 3);
    uint8_t rgb[16];
    _mm_storeu_si128((__m128i *)rgb, _mm512_cvtusepi32_epi8(rounded(all)));
    for (uint32_t i = 0; i < ROWS; i++)
        memcpy(r->out + (y + i < r->height ? y + i : r->height - 1) * r->out_stride + 3 * (size_t)x,
               rgb + 4 * i, 3);
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
                sum >>= PRECISION;
                r->out[y * r->out_stride + (size_t)x * r->channels + c] =
                    (uint8_t)(sum < 0     ? 0
                              : sum > 255 ? 255
                                          : sum);
            }
}

static void resample_h(const kn_resample *r)
{
    __m512i blocks[BLOCKS][3];
    if (r->channels != 3) {
        any_channels(r);
        return;
    }
    for (uint32_t x = 0; x < r->width; x++) {
        const int once = r->count[x] <= BLOCKS * TAPS;
        uint32_t n = load_blocks(r, x, 0, blocks);
        for (uint32_t y = 0; y < r->height; y += ROWS) {
            if (y && !once)
                n = load_blocks(r, x, 0, blocks);
            pixel_rows(r, x, y, blocks, n);
        }
    }
}

/* ---- vertical: 64 bytes a step, four rows at a time ---- */

typedef int32_t quad[3]; /* digits of four weights, a byte each */

/* Fills as many as there is room for, from tap k on. */
static uint32_t load_quads(const kn_resample *r, uint32_t y, uint32_t k, quad quads[QUADS])
{
    uint32_t q = 0;
    for (; q < QUADS && k < r->count[y]; q++, k += 4) {
        const uint32_t left = r->count[y] - k;
        __m512i d[3];
        digits(_mm512_maskz_loadu_epi32((__mmask16)(left < 4 ? (1u << left) - 1 : 15),
                                        r->coeff + (size_t)y * r->taps + k),
               d);
        for (int i = 0; i < 3; i++)
            quads[q][i] = _mm_cvtsi128_si32(_mm512_cvtepi32_epi8(d[i]));
    }
    return q;
}

/* Four rows of 64 bytes: quarter i of each 128-bit lane, the four rows' bytes side by side. */
static inline void add_four(__m512i s[4][3], __m512i a, __m512i b, __m512i c, __m512i d,
                            const quad w)
{
    const __m512i ab[2] = { _mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b) };
    const __m512i cd[2] = { _mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d) };
    const __m512i w0 = _mm512_set1_epi32(w[0]), w1 = _mm512_set1_epi32(w[1]),
                  w2 = _mm512_set1_epi32(w[2]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512i x = i % 2 ? _mm512_unpackhi_epi16(ab[i / 2], cd[i / 2])
                                : _mm512_unpacklo_epi16(ab[i / 2], cd[i / 2]);
        s[i][0] = _mm512_dpbusd_epi32(s[i][0], x, w0);
        s[i][1] = _mm512_dpbusd_epi32(s[i][1], x, w1);
        s[i][2] = _mm512_dpbusd_epi32(s[i][2], x, w2);
    }
}

static inline __m512i combined(const __m512i s[3])
{
    return rounded(_mm512_add_epi32(_mm512_add_epi32(s[0], _mm512_slli_epi32(s[1], 8)),
                                    _mm512_slli_epi32(s[2], 16)));
}

/* Bytes x .. x + 63 of output row y, those that m says. */
static inline void strip(const kn_resample *r, uint32_t y, size_t x, __mmask64 m, quad quads[QUADS],
                         uint32_t n)
{
    const uint8_t *in = r->in + r->first[y] * r->in_stride + x;
    const size_t row = r->in_stride;
    __m512i s[4][3];
    memset(s, 0, sizeof s);
    for (uint32_t k = 0; k < r->count[y];) {
        if (k)
            n = load_quads(r, y, k, quads);
        for (uint32_t q = 0; q < n; q++, k += 4, in += 4 * row) {
            const uint32_t left = r->count[y] - k;
            const __m512i b = _mm512_maskz_loadu_epi8(left > 1 ? m : 0, in + (left > 1 ? row : 0));
            const __m512i c =
                _mm512_maskz_loadu_epi8(left > 2 ? m : 0, in + (left > 2 ? 2 * row : 0));
            const __m512i d =
                _mm512_maskz_loadu_epi8(left > 3 ? m : 0, in + (left > 3 ? 3 * row : 0));
            add_four(s, _mm512_maskz_loadu_epi8(m, in), b, c, d, quads[q]);
        }
    }
    const __m512i low = _mm512_packus_epi32(combined(s[0]), combined(s[1]));
    const __m512i high = _mm512_packus_epi32(combined(s[2]), combined(s[3]));
    /* above 255 is still below 32768: weights of 1.98 at most */
    _mm512_mask_storeu_epi8(r->out + y * r->out_stride + x, m, _mm512_packus_epi16(low, high));
}

static void resample_v(const kn_resample *r)
{
    const size_t bytes = (size_t)r->width * r->channels;
    quad quads[QUADS];
    for (uint32_t y = 0; y < r->height; y++) {
        const int once = r->count[y] <= 4 * QUADS;
        uint32_t n = load_quads(r, y, 0, quads);
        for (size_t x = 0; x < bytes; x += 64) {
            if (x && !once)
                n = load_quads(r, y, 0, quads);
            strip(r, y, x, bytes - x < 64 ? (1ull << (bytes - x)) - 1 : ~0ull, quads, n);
        }
    }
}

void kn_resample_avx512icl(kn_kernels *k)
{
    k->resample_h = resample_h;
    k->resample_v = resample_v;
}
