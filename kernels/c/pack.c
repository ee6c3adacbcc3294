/* pack.c - weights into panels. */
#include "kernels/c/math.h"
#include "kernels/levels.h"

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Rows past n and columns past k are zero. */
static float weight(const float *w, size_t n, size_t k, size_t row, size_t column)
{
    return row < n && column < k ? w[row * k + column] : 0;
}

static void pack(const float *w, size_t n, size_t k, kn_type type, void *out)
{
    const size_t kp = kn_panel_k(k, type), step = type == KN_BF16 ? 2 : 1;
    float *f = out;
    uint16_t *h = out;
    for (size_t p = 0; p < n; p += KN_PANEL)
        for (size_t i = 0; i < kp; i += step)
            for (size_t j = 0; j < KN_PANEL; j++)
                for (size_t e = 0; e < step; e++) {
                    const float x = weight(w, n, k, p + j, i + e);
                    if (type == KN_F32)
                        *f++ = x;
                    else
                        *h++ = type == KN_BF16 ? to_bf16(x) : to_f16(x);
                }
}

/* Row `column` of the turned matrix's k axis is (tap, from), whose weight lies at tap's mirror. */
static void pack_turned(const float *w, size_t ld, size_t n, size_t k, size_t taps, kn_type type,
                        void *out)
{
    const size_t kp = kn_panel_k(k, type), step = type == KN_BF16 ? 2 : 1, from = k / taps;
    float *f = out;
    uint16_t *h = out;
    for (size_t p = 0; p < n; p += KN_PANEL)
        for (size_t i = 0; i < kp; i += step)
            for (size_t j = p; j < p + KN_PANEL; j++)
                for (size_t e = i; e < i + step; e++) {
                    const size_t tap = taps - 1 - e / from;
                    const float x = j < n && e < k ? w[(e % from * taps + tap) * ld + j] : 0;
                    if (type == KN_F32)
                        *f++ = x;
                    else
                        *h++ = type == KN_BF16 ? to_bf16(x) : to_f16(x);
                }
}

static void pack_lo(const float *w, size_t n, size_t k, void *out)
{
    uint16_t *h = out;
    const size_t kp = round_up(k, KN_PANEL_K);
    for (size_t p = 0; p < n; p += KN_PANEL)
        for (size_t i = 0; i < kp; i += 2)
            for (size_t j = 0; j < KN_PANEL; j++)
                for (size_t e = 0; e < 2; e++) {
                    const float x = weight(w, n, k, p + j, i + e);
                    *h++ = to_bf16(x - from_bf16(to_bf16(x)));
                }
}

void kn_pack_c(kn_kernels *k)
{
    k->pack = pack;
    k->pack_turned = pack_turned;
    k->pack_lo = pack_lo;
}
