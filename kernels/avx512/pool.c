/* pool.c - pooling of pictures whose channels lie together, sixteen channels at a time. */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

#include <math.h>

static inline __m512 load(const void *p, kn_type type, size_t i, __mmask16 m)
{
    if (type == KN_BF16)
        return v_from_bf16(_mm256_maskz_loadu_epi16(m, (const uint16_t *)p + i));
    return _mm512_maskz_loadu_ps(m, (const float *)p + i);
}

static inline void store(void *p, kn_type type, size_t i, __mmask16 m, __m512 x)
{
    if (type == KN_BF16)
        _mm256_mask_storeu_epi16((uint16_t *)p + i, m, v_to_bf16(x));
    else
        _mm512_mask_storeu_ps((float *)p + i, m, x);
}

static inline __mmask16 rest(uint32_t n, uint32_t i)
{
    return n - i < 16 ? lanes(n - i) : 0xffff;
}

static void maxpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    uint32_t s, uint32_t p, void *out)
{
    const uint32_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
    for (uint32_t i = 0; i < oh * ow; i++) {
        const uint32_t top = i / ow * s, left = i % ow * s;
        const uint32_t y0 = top < p ? p : top, y1 = top + k < h + p ? top + k : h + p;
        const uint32_t x0 = left < p ? p : left, x1 = left + k < w + p ? left + k : w + p;
        for (uint32_t ch = 0; ch < c; ch += 16) {
            const __mmask16 m = rest(c, ch);
            __m512 most = _mm512_set1_ps(-INFINITY);
            for (uint32_t y = y0; y < y1; y++)
                for (uint32_t x = x0; x < x1; x++)
                    most = _mm512_max_ps(most, load(in, type, ((size_t)(y - p) * w + x - p) * c + ch, m));
            store(out, type, (size_t)i * c + ch, m, most);
        }
    }
}

static void avgpool(const void *in, kn_type type, uint32_t h, uint32_t w, uint32_t c, uint32_t k,
                    void *out)
{
    const uint32_t oh = h / k, ow = w / k;
    const __m512 n = _mm512_set1_ps((float)(k * k));
    for (uint32_t i = 0; i < oh * ow; i++) {
        const size_t top = (size_t)(i / ow) * k, left = (size_t)(i % ow) * k;
        for (uint32_t ch = 0; ch < c; ch += 16) {
            const __mmask16 m = rest(c, ch);
            __m512 sum = _mm512_setzero_ps();
            for (size_t y = top; y < top + k; y++)
                for (size_t x = left; x < left + k; x++)
                    sum = _mm512_add_ps(sum, load(in, type, (y * w + x) * c + ch, m));
            store(out, type, (size_t)i * c + ch, m, _mm512_div_ps(sum, n));
        }
    }
}

static void meanpool(const void *in, kn_type type, size_t n, uint32_t c, float *out)
{
    for (uint32_t ch = 0; ch < c; ch += 16) {
        const __mmask16 m = rest(c, ch);
        __m512 sum = _mm512_setzero_ps();
        for (size_t i = 0; i < n; i++)
            sum = _mm512_add_ps(sum, load(in, type, i * c + ch, m));
        _mm512_mask_storeu_ps(out + ch, m, _mm512_div_ps(sum, _mm512_set1_ps((float)n)));
    }
}

void kn_pool_avx512(kn_kernels *k)
{
    k->maxpool = maxpool;
    k->avgpool = avgpool;
    k->meanpool = meanpool;
}
