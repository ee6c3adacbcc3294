/* check_convert.c - kernels/<level>/convert.c: exact, for every 16-bit value and for f32 of all sizes. */
#include "checkkern.h"

#include <string.h>

enum { ALL = 65536 };

static float any_float(void)
{
    const uint32_t u = ck_rand() ^ ck_rand() << 16; /* every exponent, infinities and NaNs too */
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static int is_nan16(uint16_t h, kn_type type)
{
    return (h & 0x7fff) > (type == KN_BF16 ? 0x7f80 : 0x7c00);
}

static void narrow(ck *t, kn_type type, size_t n)
{
    float *in = ck_guarded(t, n * 4);
    uint16_t *out = ck_guarded(t, n * 2);
    for (size_t i = 0; i < n; i++) {
        in[i] = any_float();
        if (i % 4 == 1) /* half way between two neighbours of the target */
            in[i] = type == KN_BF16
                        ? ck_from_bf16((uint16_t)ck_rand()) * 1.00390625f
                        : (float)((double)ck_from_f16((uint16_t)ck_rand()) * (1 + 1.0 / 2048));
        if (i % 4 == 2)
            in[i] = (float)(int)(ck_rand() % 2000) * 1e-7f; /* f16's subnormals */
    }
    if (type == KN_BF16)
        t->now.f32_to_bf16(in, out, n);
    else
        t->now.f32_to_f16(in, out, n);
    for (size_t i = 0; i < n; i++) {
        const uint16_t want =
            type == KN_BF16 ? ck_to_bf16((double)in[i]) : ck_to_f16((double)in[i]);
        if (in[i] != in[i])
            ck_near(t, is_nan16(out[i], type), 1, 0, "NaN stays NaN, n=%zu", n);
        else
            ck_near(t, out[i], want, 0, "x=%a n=%zu", (double)in[i], n);
    }
    ck_release(t);
}

/* The last n of all 16-bit values. */
static void widen(ck *t, kn_type type, size_t n)
{
    uint16_t *in = ck_guarded(t, n * 2);
    float *out = ck_guarded(t, n * 4);
    for (size_t i = 0; i < n; i++)
        in[i] = (uint16_t)(ALL - n + i);
    if (type == KN_BF16)
        t->now.bf16_to_f32(in, out, n);
    else
        t->now.f16_to_f32(in, out, n);
    for (size_t i = 0; i < n; i++) {
        const float want = type == KN_BF16 ? ck_from_bf16(in[i]) : ck_from_f16(in[i]);
        ck_near(t, (double)out[i], (double)want, 0, "bits %04x", in[i]);
    }
    ck_release(t);
}

static void bench(ck *t)
{
    float *x = ck_guarded(t, 4096 * 4);
    uint16_t *h = ck_guarded(t, 4096 * 2);
    ck_fill(x, 4096);
    if (!strcmp(t->kernel, "f32_to_bf16"))
        CK_BENCH(t, "n=4096", t->ref.f32_to_bf16(x, h, 4096), t->now.f32_to_bf16(x, h, 4096));
    if (!strcmp(t->kernel, "f32_to_f16"))
        CK_BENCH(t, "n=4096", t->ref.f32_to_f16(x, h, 4096), t->now.f32_to_f16(x, h, 4096));
    if (!strcmp(t->kernel, "bf16_to_f32"))
        CK_BENCH(t, "n=4096", t->ref.bf16_to_f32(h, x, 4096), t->now.bf16_to_f32(h, x, 4096));
    if (!strcmp(t->kernel, "f16_to_f32"))
        CK_BENCH(t, "n=4096", t->ref.f16_to_f32(h, x, 4096), t->now.f16_to_f32(h, x, 4096));
    ck_release(t);
}

static void check_narrow(ck *t, kn_type type)
{
    for (size_t n = 0; n < 200; n++)
        narrow(t, type, n < 100 ? n : n * 20);
    bench(t);
}

static void check_widen(ck *t, kn_type type)
{
    for (size_t n = 0; n < 70; n++)
        widen(t, type, n);
    widen(t, type, ALL);
    bench(t);
}

void check_convert(ck *t)
{
    if (CK_BEGIN(t, f32_to_bf16))
        check_narrow(t, KN_BF16);
    if (CK_BEGIN(t, f32_to_f16))
        check_narrow(t, KN_F16);
    if (CK_BEGIN(t, bf16_to_f32))
        check_widen(t, KN_BF16);
    if (CK_BEGIN(t, f16_to_f32))
        check_widen(t, KN_F16);
}
