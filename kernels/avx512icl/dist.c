/* dist.c - differing bits, 512 at a time. */
#include "kernels/levels.h"

#include <immintrin.h>

static uint32_t hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 m = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        const __m512i x =
            _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, a + i), _mm512_maskz_loadu_epi8(m, b + i));
        sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
    }
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}

void kn_dist_avx512icl(kn_kernels *k)
{
    k->hamming = hamming;
}
