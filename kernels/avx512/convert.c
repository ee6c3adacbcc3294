/* convert.c - between f32 and its 16-bit forms. */
#include "kernels/levels.h"

#include "kernels/avx512/math.h"

#define EACH(i, m) for (size_t i = 0, m; i < n && (m = n - i < 16 ? lanes(n - i) : 0xffff, 1); i += 16)

static void f32_to_bf16(const float *in, uint16_t *out, size_t n)
{
    EACH(i, m)
    _mm256_mask_storeu_epi16(out + i, (__mmask16)m, v_to_bf16(_mm512_maskz_loadu_ps((__mmask16)m, in + i)));
}

static void bf16_to_f32(const uint16_t *in, float *out, size_t n)
{
    EACH(i, m)
    _mm512_mask_storeu_ps(out + i, (__mmask16)m, v_from_bf16(_mm256_maskz_loadu_epi16((__mmask16)m, in + i)));
}

static void f32_to_f16(const float *in, uint16_t *out, size_t n)
{
    EACH(i, m)
    {
        const __m512 x = _mm512_maskz_loadu_ps((__mmask16)m, in + i);
        __m256i h = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        /* one NaN for all, as level c gives it: the hardware keeps upper bits of the payload */
        const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        const __m256i sign = _mm256_and_si256(h, _mm256_set1_epi16((short)0x8000));
        h = _mm256_mask_blend_epi16(nan, h, _mm256_or_si256(sign, _mm256_set1_epi16(0x7e00)));
        _mm256_mask_storeu_epi16(out + i, (__mmask16)m, h);
    }
}

static void f16_to_f32(const uint16_t *in, float *out, size_t n)
{
    EACH(i, m)
    _mm512_mask_storeu_ps(out + i, (__mmask16)m,
                          _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)m, in + i)));
}

void kn_convert_avx512(kn_kernels *k)
{
    k->f32_to_bf16 = f32_to_bf16;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f16_to_f32 = f16_to_f32;
}
