/*
 * attention.c - sixteen keys or columns at a time, six queries at a time.
 *
 * For each head the keys are turned once into panels of 64 columns (dim rows), so that scores are
 * a product with 6 x 4 accumulators; the values are used as they lie (f32) or widened once (bf16).
 * A score is one chain over ascending dim, an output one chain over ascending keys; keys that a
 * causal row does not see weigh 0, which changes no sum: so a row's bits depend on itself alone.
 */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

#include <math.h>

enum { ROWS = 6, COLUMNS = 64, MAX_DIM = 128 };

typedef struct head {
    const kn_attention *a;
    uint32_t h;
    float *panels; /* (keys / 64, dim, 64) */
    const float *v; /* (keys, dim), rows ldv apart */
    size_t ldv;
    float *p;      /* (ROWS, keys rounded up to 64) */
    size_t ldp;
} head;

static __m512 load_row(const void *x, kn_type type, size_t at, __mmask16 m)
{
    if (type == KN_BF16)
        return v_from_bf16(_mm256_maskz_loadu_epi16(m, (const uint16_t *)x + at));
    return _mm512_maskz_loadu_ps(m, (const float *)x + at);
}

/* In place: register i becomes column i.  Pairs, then fours, then 128-bit quarters. */
static inline void transpose16(__m512 r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        const __m512 a = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88), b = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        const __m512 c = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88),
                     d = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
        t[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        t[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        t[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        r[i] = t[i];
}

/* Keys j0 .. j0+15 of the head into their panel; keys beyond the last are zero. */
static void pack_keys(const head *s, uint32_t j0)
{
    const kn_attention *a = s->a;
    float *out = s->panels + (size_t)(j0 / COLUMNS) * a->dim * COLUMNS + j0 % COLUMNS;
    for (uint32_t d = 0; d < a->dim; d += 16) {
        const uint32_t n = a->dim - d < 16 ? a->dim - d : 16;
        __m512 r[16];
        for (uint32_t i = 0; i < 16; i++)
            r[i] = j0 + i < a->kv_rows ? load_row(a->k, a->type, (j0 + i) * a->ldkv + s->h * a->dim + d, lanes(n))
                                       : _mm512_setzero_ps();
        transpose16(r);
        for (uint32_t i = 0; i < n; i++)
            _mm512_storeu_ps(out + (size_t)(d + i) * COLUMNS, r[i]);
    }
}

static void widen_values(const head *s, float *out)
{
    const kn_attention *a = s->a;
    for (uint32_t j = 0; j < a->kv_rows; j++)
        for (uint32_t d = 0; d < a->dim; d += 16) {
            const __mmask16 m = lanes(a->dim - d < 16 ? a->dim - d : 16);
            _mm512_mask_storeu_ps(out + (size_t)j * s->ldv + d, m,
                                  load_row(a->v, a->type, j * a->ldkv + s->h * a->dim + d, m));
        }
}

#define EACH6(M) M(0) M(1) M(2) M(3) M(4) M(5)
#define EACH1(M) M(0)

#define START(r) __m512 r##a = zero, r##b = zero, r##c = zero, r##d = zero;
#define ZEROS(r) START(s##r)
#define SCORE(r)                                                                                   \
    x = _mm512_set1_ps(q[r * MAX_DIM + d]);                                                        \
    s##r##a = _mm512_fmadd_ps(x, k0, s##r##a);                                                     \
    s##r##b = _mm512_fmadd_ps(x, k1, s##r##b);                                                     \
    s##r##c = _mm512_fmadd_ps(x, k2, s##r##c);                                                     \
    s##r##d = _mm512_fmadd_ps(x, k3, s##r##d);
#define KEEP(r)                                                                                    \
    _mm512_storeu_ps(p + r * ldp, s##r##a);                                                        \
    _mm512_storeu_ps(p + r * ldp + 16, s##r##b);                                                   \
    _mm512_storeu_ps(p + r * ldp + 32, s##r##c);                                                   \
    _mm512_storeu_ps(p + r * ldp + 48, s##r##d);

/* Scores of the rows q (each, dim) with one panel of 64 keys. */
#define SCORES(name, EACH)                                                                         \
    static void name(const float *q, const float *panel, uint32_t dim, float *p, size_t ldp)       \
    {                                                                                              \
        const __m512 zero = _mm512_setzero_ps();                                                   \
        EACH(ZEROS)                                                                                \
        for (uint32_t d = 0; d < dim; d++, panel += COLUMNS) {                                     \
            const __m512 k0 = _mm512_loadu_ps(panel), k1 = _mm512_loadu_ps(panel + 16),            \
                         k2 = _mm512_loadu_ps(panel + 32), k3 = _mm512_loadu_ps(panel + 48);       \
            __m512 x;                                                                              \
            EACH(SCORE)                                                                            \
        }                                                                                          \
        EACH(KEEP)                                                                                 \
    }
SCORES(scores6, EACH6)
SCORES(scores1, EACH1)

#define WEIGH(r)                                                                                   \
    x = _mm512_set1_ps(p[r * ldp + j]);                                                            \
    s##r##a = _mm512_fmadd_ps(x, v0, s##r##a);                                                     \
    s##r##b = _mm512_fmadd_ps(x, v1, s##r##b);                                                     \
    s##r##c = _mm512_fmadd_ps(x, v2, s##r##c);                                                     \
    s##r##d = _mm512_fmadd_ps(x, v3, s##r##d);
#define GIVE(r)                                                                                    \
    _mm512_storeu_ps(out + r * COLUMNS, s##r##a);                                                  \
    _mm512_storeu_ps(out + r * COLUMNS + 16, s##r##b);                                             \
    _mm512_storeu_ps(out + r * COLUMNS + 32, s##r##c);                                             \
    _mm512_storeu_ps(out + r * COLUMNS + 48, s##r##d);

/* out (each, 64) = p (each, n) v (n, 64); columns beyond `width` read as zero. */
#define WEIGHTED(name, EACH)                                                                       \
    static void name(const float *p, size_t ldp, const float *v, size_t ldv, size_t n,             \
                     uint32_t width, float *out)                                                   \
    {                                                                                              \
        const __m512 zero = _mm512_setzero_ps();                                                   \
        const __mmask16 m0 = part(width, 0), m1 = part(width, 16), m2 = part(width, 32),           \
                        m3 = part(width, 48);                                                      \
        EACH(ZEROS)                                                                                \
        for (size_t j = 0; j < n; j++, v += ldv) {                                                 \
            const __m512 v0 = _mm512_maskz_loadu_ps(m0, v),                                        \
                         v1 = _mm512_maskz_loadu_ps(m1, v + 16),                                   \
                         v2 = _mm512_maskz_loadu_ps(m2, v + 32),                                   \
                         v3 = _mm512_maskz_loadu_ps(m3, v + 48);                                   \
            __m512 x;                                                                              \
            EACH(WEIGH)                                                                            \
        }                                                                                          \
        EACH(GIVE)                                                                                 \
    }

static inline __mmask16 part(uint32_t width, uint32_t from)
{
    return width <= from ? 0 : lanes(width - from < 16 ? width - from : 16);
}

WEIGHTED(weighted6, EACH6)
WEIGHTED(weighted1, EACH1)

/* exp(p - max) in place over the first n, zero up to `padded`; returns the sum. */
static float exponentials(float *p, const float *bias, size_t n, size_t padded)
{
    __m512 most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (size_t j = 0; j < n; j += 16) {
        const __mmask16 m = lanes(n - j < 16 ? n - j : 16);
        __m512 s = _mm512_maskz_loadu_ps(m, p + j);
        if (bias) {
            s = _mm512_add_ps(s, _mm512_maskz_loadu_ps(m, bias + j));
            _mm512_mask_storeu_ps(p + j, m, s);
        }
        most = _mm512_mask_max_ps(most, m, most, s);
    }
    const __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (size_t j = 0; j < padded; j += 16) {
        const __mmask16 m = n <= j ? 0 : lanes(n - j < 16 ? n - j : 16);
        const __m512 e = _mm512_maskz_mov_ps(m, v_exp(_mm512_sub_ps(_mm512_loadu_ps(p + j), top)));
        _mm512_storeu_ps(p + j, e);
        sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

static void store_row(const kn_attention *a, size_t at, const float *x, uint32_t n, float scale)
{
    for (uint32_t d = 0; d < n; d += 16) {
        const __mmask16 m = part(n, d);
        const __m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + d), _mm512_set1_ps(scale));
        if (a->type == KN_BF16)
            _mm256_mask_storeu_epi16((uint16_t *)a->out + at + d, m, v_to_bf16(y));
        else
            _mm512_mask_storeu_ps((float *)a->out + at + d, m, y);
    }
}

static size_t keys_seen(const kn_attention *a, uint32_t i)
{
    return a->causal ? (size_t)i + 1 + a->kv_rows - a->q_rows : a->kv_rows;
}

/* Queries i .. i+rows-1, rows being 6 or 1. */
static void attend(const head *s, uint32_t i, uint32_t rows)
{
    const kn_attention *a = s->a;
    float q[ROWS * MAX_DIM], out[ROWS * COLUMNS], scale[ROWS];
    const size_t most = keys_seen(a, i + rows - 1), padded = (most + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t d = 0; d < a->dim; d += 16)
            _mm512_storeu_ps(q + r * MAX_DIM + d,
                             load_row(a->q, a->type, (i + r) * a->ldq + s->h * a->dim + d, part(a->dim, d)));
    for (size_t j = 0; j < padded; j += COLUMNS)
        (rows == ROWS ? scores6 : scores1)(q, s->panels + j * a->dim, a->dim, s->p + j, s->ldp);
    for (uint32_t r = 0; r < rows; r++)
        scale[r] = 1 / exponentials(s->p + r * s->ldp, a->bias, keys_seen(a, i + r), padded);
    for (uint32_t d = 0; d < a->dim; d += COLUMNS) {
        const uint32_t width = a->dim - d < COLUMNS ? a->dim - d : COLUMNS;
        (rows == ROWS ? weighted6 : weighted1)(s->p, s->ldp, s->v + d, s->ldv, most, width, out);
        for (uint32_t r = 0; r < rows; r++)
            store_row(a, (i + r) * a->ldo + s->h * a->dim + d, out + r * COLUMNS, width, scale[r]);
    }
}

static void attention(const kn_attention *a)
{
    const size_t padded = ((size_t)a->kv_rows + COLUMNS - 1) / COLUMNS * COLUMNS;
    float *values = a->scratch + padded * a->dim;
    head s = { .a = a, .panels = a->scratch, .ldp = padded };
    s.p = values + (a->type == KN_BF16 ? (size_t)a->kv_rows * a->dim : 0);
    for (s.h = 0; s.h < a->heads; s.h++) {
        for (uint32_t j = 0; j < padded; j += 16)
            pack_keys(&s, j);
        s.ldv = a->type == KN_BF16 ? a->dim : a->ldkv;
        s.v = a->type == KN_BF16 ? values : (const float *)a->v + s.h * a->dim;
        if (a->type == KN_BF16)
            widen_values(&s, values);
        uint32_t i = 0;
        for (; i + ROWS <= a->q_rows; i += ROWS)
            attend(&s, i, ROWS);
        for (; i < a->q_rows; i++)
            attend(&s, i, 1);
    }
}

void kn_attention_avx512(kn_kernels *k)
{
    k->attention = attention;
}
