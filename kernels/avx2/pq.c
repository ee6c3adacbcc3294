/*
 * pq.c - codes of product quantisers, 8 centroids or 32 vectors at a time.
 *
 * Lanes are centroids, so that each sum keeps level c's order of additions; multiplications and
 * additions stay apart for the same reason.  The 4-bit scan looks 16 codes up in one register
 * (Andre, Kermarrec, Le Scouarnec: "Quicker ADC", 2019), its blocks as faiss has them.
 */
#include "kernels/avx2/vec.h"

#include "kernels/lanes/lanes.h"
#include "kernels/levels.h"

enum { WIDE = 4, PAIRS = 128 }; /* PAIRS of pieces: 256 * 255 still fits 16 bits */

/* Centroids j .. j + 8 n - 1 of a piece. */
INLINE void l2_at(const float *c, size_t k, size_t dsub, const float *x, const int n,
                         __m256 *sum)
{
    KN_UNROLL
    for (int i = 0; i < n; i++)
        sum[i] = _mm256_setzero_ps();
    for (size_t t = 0; t < dsub; t++, c += k) {
        const __m256 v = _mm256_set1_ps(x[t]);
        KN_UNROLL
        for (int i = 0; i < n; i++) {
            const __m256 d = _mm256_sub_ps(v, _mm256_loadu_ps(c + 8 * i));
            sum[i] = _mm256_add_ps(sum[i], _mm256_mul_ps(d, d));
        }
    }
}

INLINE void dot_at(const float *c, size_t k, size_t dsub, const float *x, const int n,
                          __m256 *sum)
{
    KN_UNROLL
    for (int i = 0; i < n; i++)
        sum[i] = _mm256_setzero_ps();
    for (size_t t = 0; t < dsub; t++, c += k) {
        const __m256 v = _mm256_set1_ps(x[t]);
        KN_UNROLL
        for (int i = 0; i < n; i++)
            sum[i] = _mm256_add_ps(sum[i], _mm256_mul_ps(v, _mm256_loadu_ps(c + 8 * i)));
    }
}

/* The k values of one piece. */
INLINE void piece(const float *c, size_t k, size_t dsub, const float *x, const int l2,
                         float *out)
{
    __m256 sum[WIDE];
    size_t j = 0;
    for (; j + 8 * WIDE <= k; j += 8 * WIDE) {
        if (l2)
            l2_at(c + j, k, dsub, x, WIDE, sum);
        else
            dot_at(c + j, k, dsub, x, WIDE, sum);
        KN_UNROLL
        for (int i = 0; i < WIDE; i++)
            _mm256_storeu_ps(out + j + 8 * i, sum[i]);
    }
    for (; j < k; j += 16) {
        if (l2)
            l2_at(c + j, k, dsub, x, 2, sum);
        else
            dot_at(c + j, k, dsub, x, 2, sum);
        _mm256_storeu_ps(out + j, sum[0]);
        _mm256_storeu_ps(out + j + 8, sum[1]);
    }
}

static void pq_l2(const kn_pq_space *s, const float *x, float *out)
{
    for (size_t i = 0; i < s->m; i++)
        piece(s->centroids + i * s->dsub * s->k, s->k, s->dsub, x + i * s->dsub, 1, out + i * s->k);
}

static void pq_dot(const kn_pq_space *s, const float *x, float *out)
{
    for (size_t i = 0; i < s->m; i++)
        piece(s->centroids + i * s->dsub * s->k, s->k, s->dsub, x + i * s->dsub, 0, out + i * s->k);
}

/* The least of all lanes, in all lanes. */
INLINE __m256 least(__m256 x)
{
    x = _mm256_min_ps(x, _mm256_permute2f128_ps(x, x, 1));
    x = _mm256_min_ps(x, _mm256_permute_ps(x, 0x4e));
    return _mm256_min_ps(x, _mm256_permute_ps(x, 0xb1));
}

INLINE unsigned equal(__m256 a, __m256 b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}

INLINE uint8_t nearest16(const float *c, size_t dsub, const float *x)
{
    __m256 d[2];
    l2_at(c, 16, dsub, x, 2, d);
    const __m256 m = least(_mm256_min_ps(d[0], d[1]));
    return (uint8_t)__builtin_ctz(equal(d[0], m) | equal(d[1], m) << 8 | 1u << 31);
}

static uint8_t nearest(const float *c, size_t k, size_t dsub, const float *x)
{
    float d[256];
    piece(c, k, dsub, x, 1, d);
    __m256 m = _mm256_loadu_ps(d);
    for (size_t j = 8; j < k; j += 8)
        m = _mm256_min_ps(m, _mm256_loadu_ps(d + j));
    m = least(m);
    for (size_t j = 0; j < k; j += 8) {
        const unsigned e = equal(_mm256_loadu_ps(d + j), m);
        if (e)
            return (uint8_t)(j + (unsigned)__builtin_ctz(e));
    }
    return 0;
}

static void pq_nearest(const kn_pq_space *s, const float *x, uint8_t *out)
{
    const float *c = s->centroids;
    for (size_t i = 0; i < s->m; i++, c += s->dsub * s->k, x += s->dsub)
        out[i] = s->k == 16 ? nearest16(c, s->dsub, x) : nearest(c, s->k, s->dsub, x);
}

/* What a pair of pieces adds: even bytes of a lookup in the low, odd ones in the high halves. */
INLINE void look_up(const uint8_t *codes, __m256i lut, __m256i acc[4])
{
    const __m256i low = _mm256_set1_epi8(15), c = _mm256_loadu_si256((const __m256i *)codes);
    const __m256i a = _mm256_shuffle_epi8(lut, _mm256_and_si256(c, low));
    const __m256i b =
        _mm256_shuffle_epi8(lut, _mm256_and_si256(_mm256_srli_epi16(c, 4), low));
    acc[0] = _mm256_add_epi16(acc[0], a); /* and 256 times the odd ones, taken off at the end */
    acc[1] = _mm256_add_epi16(acc[1], _mm256_srli_epi16(a, 8));
    acc[2] = _mm256_add_epi16(acc[2], b);
    acc[3] = _mm256_add_epi16(acc[3], _mm256_srli_epi16(b, 8));
}

/* 16 vectors: both pieces of the pairs together. */
INLINE __m256i both(__m256i even, __m256i odd)
{
    even = _mm256_sub_epi16(even, _mm256_slli_epi16(odd, 8));
    return _mm256_add_epi16(_mm256_permute2x128_si256(even, odd, 0x20),
                            _mm256_permute2x128_si256(even, odd, 0x31));
}

INLINE unsigned within(__m256i low, __m256i high, __m256i limit)
{
    const __m256i a = _mm256_cmpeq_epi16(_mm256_min_epu16(low, limit), low);
    const __m256i b = _mm256_cmpeq_epi16(_mm256_min_epu16(high, limit), high);
    return (unsigned)_mm256_movemask_epi8(
        _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8));
}

/* `n` blocks at once share each lookup table. */
INLINE void scan(const uint8_t *codes, size_t m2, const uint8_t *lut, __m256i limit,
                        const int n, uint16_t *sums, uint32_t *hits)
{
    __m256i total[4] = { 0 };
    for (size_t p = 0; p < m2 / 2; p += PAIRS) {
        const size_t end = m2 / 2 - p < PAIRS ? m2 / 2 : p + PAIRS;
        __m256i acc[8];
        KN_UNROLL
        for (int i = 0; i < 8; i++)
            acc[i] = _mm256_setzero_si256();
        for (size_t i = p; i < end; i++) {
            const __m256i t = _mm256_loadu_si256((const __m256i *)(lut + 32 * i));
            KN_UNROLL
            for (int b = 0; b < n; b++)
                look_up(codes + (size_t)b * 16 * m2 + 32 * i, t, acc + 4 * b);
        }
        KN_UNROLL
        for (int i = 0; i < 2 * n; i++) {
            const __m256i s = both(acc[2 * i], acc[2 * i + 1]);
            total[i] = _mm256_adds_epu16(total[i], s);
        }
    }
    KN_UNROLL
    for (int i = 0; i < 2 * n; i++)
        _mm256_storeu_si256((__m256i *)(sums + 16 * i), total[i]);
    KN_UNROLL
    for (int b = 0; b < n; b++)
        hits[b] = within(total[2 * b], total[2 * b + 1], limit);
}

static void pq4_scan(const uint8_t *codes, size_t blocks, size_t m2, const uint8_t *lut,
                     uint16_t limit, uint16_t *sums, uint32_t *hits)
{
    const __m256i most = _mm256_set1_epi16((short)limit);
    size_t b = 0;
    for (; m2 && b + 2 <= blocks; b += 2)
        scan(codes + 16 * m2 * b, m2, lut, most, 2, sums + 32 * b, hits + b);
    for (; m2 && b < blocks; b++)
        scan(codes + 16 * m2 * b, m2, lut, most, 1, sums + 32 * b, hits + b);
    for (; b < blocks; b++) { /* no pieces at all */
        memset(sums + 32 * b, 0, 64);
        hits[b] = ~0u;
    }
}

void kn_pq_avx2(kn_kernels *k)
{
    k->pq_l2 = pq_l2;
    k->pq_dot = pq_dot;
    k->pq_nearest = pq_nearest;
    k->pq4_scan = pq4_scan;
}
