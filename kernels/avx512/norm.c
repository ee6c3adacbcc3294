/* norm.c - normalisations of one row, sixteen floats at a time.
 *
 * Sums run in four chains of sixteen lanes, which keeps the error of a row of thousands near that
 * of a pairwise sum. */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

#include <math.h>

static inline __mmask16 rest(size_t n, size_t i)
{
    return n - i < 16 ? lanes(n - i) : 0xffff;
}

/* Sum of (x - minus)^power over n; power 1 or 2. */
static inline float sum(const float *x, size_t n, float minus, int power)
{
    const __m512 away = _mm512_set1_ps(minus);
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
#define TERM(s, at)                                                                                \
    {                                                                                              \
        const __m512 d = _mm512_sub_ps(_mm512_loadu_ps(x + (at)), away);                           \
        s = power == 1 ? _mm512_add_ps(s, d) : _mm512_fmadd_ps(d, d, s);                           \
    }
    for (; i + 64 <= n; i += 64) {
        TERM(s0, i)
        TERM(s1, i + 16)
        TERM(s2, i + 32)
        TERM(s3, i + 48)
    }
#undef TERM
    for (; i < n; i += 16) {
        const __mmask16 m = rest(n, i);
        const __m512 d = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, x + i), away);
        s0 = power == 1 ? _mm512_add_ps(s0, d) : _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

static void layernorm(const float *x, size_t n, const float *gamma, const float *beta, float eps,
                      void *out, kn_type out_type)
{
    const float mean = sum(x, n, 0, 1) / (float)n;
    const float scale = 1 / sqrtf(sum(x, n, mean, 2) / (float)n + eps);
    const __m512 m = _mm512_set1_ps(mean), s = _mm512_set1_ps(scale);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = rest(n, i);
        __m512 y = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), m), s);
        if (gamma)
            y = _mm512_mul_ps(y, _mm512_maskz_loadu_ps(k, gamma + i));
        if (beta)
            y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(k, beta + i));
        if (out_type == KN_BF16)
            _mm256_mask_storeu_epi16((uint16_t *)out + i, k, v_to_bf16(y));
        else
            _mm512_mask_storeu_ps((float *)out + i, k, y);
    }
}

static void softmax(float *x, size_t n)
{
    __m512 most = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = rest(n, i);
        most = _mm512_mask_max_ps(most, m, most, _mm512_maskz_loadu_ps(m, x + i));
    }
    const __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = rest(n, i);
        const __m512 e = v_exp(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), top));
        total = _mm512_mask_add_ps(total, m, total, e);
        _mm512_mask_storeu_ps(x + i, m, e);
    }
    const __m512 all = _mm512_set1_ps(_mm512_reduce_add_ps(total));
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = rest(n, i);
        _mm512_mask_storeu_ps(x + i, m, _mm512_div_ps(_mm512_maskz_loadu_ps(m, x + i), all));
    }
}

static float l2_normalize(float *x, size_t n)
{
    const float norm = sqrtf(sum(x, n, 0, 2));
    const __m512 by = _mm512_set1_ps(norm);
    for (size_t i = 0; i < n && norm > 0; i += 16) {
        const __mmask16 m = rest(n, i);
        _mm512_mask_storeu_ps(x + i, m, _mm512_div_ps(_mm512_maskz_loadu_ps(m, x + i), by));
    }
    return norm;
}

void kn_norm_avx512(kn_kernels *k)
{
    k->layernorm = layernorm;
    k->softmax = softmax;
    k->l2_normalize = l2_normalize;
}
