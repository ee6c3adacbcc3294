/* check_resample.c - kernels/<level>/resample.c: integers, so equal to sums in 64 bits. */
#include "checkkern.h"

#include <string.h>

typedef struct trial {
    kn_resample r;
    size_t out_bytes;
    uint8_t *in, *out;
    uint32_t span; /* inputs along the axis */
} trial;

/* n outputs along the axis of `span` inputs, at most `taps` each; weights sum to about one. */
static void axis(ck *t, trial *tr, uint32_t n, uint32_t span, uint32_t taps)
{
    uint32_t *first = ck_guarded(t, n * 4), *count = ck_guarded(t, n * 4);
    int32_t *coeff = ck_guarded(t, (size_t)n * taps * 4);
    memset(coeff, 0, (size_t)n * taps * 4);
    for (uint32_t i = 0; i < n; i++) {
        count[i] = 1 + ck_rand() % (taps < span ? taps : span);
        first[i] = i + 1 == n ? span - count[i] : ck_rand() % (span - count[i] + 1);
        for (uint32_t k = 0; k < count[i]; k++)
            coeff[(size_t)i * taps + k] =
                (int32_t)(ck_rand() % ((29u << 22) / 10)) / (int32_t)count[i] -
                (1 << 22) / (int32_t)count[i];
    }
    tr->r.first = first;
    tr->r.count = count;
    tr->r.coeff = coeff;
    tr->r.taps = taps;
    tr->span = span;
}

static void check_bytes(ck *t, const trial *tr, int vertical)
{
    const kn_resample *r = &tr->r;
    for (uint32_t y = 0; y < r->height; y++)
        for (uint32_t x = 0; x < r->width * r->channels; x++) {
            const uint32_t at = vertical ? y : x / r->channels;
            int64_t sum = 1 << 21;
            for (uint32_t k = 0; k < r->count[at]; k++) {
                const size_t row = vertical ? r->first[at] + k : y;
                const size_t col =
                    vertical ? x : (size_t)(r->first[at] + k) * r->channels + x % r->channels;
                sum +=
                    (int64_t)r->in[row * r->in_stride + col] * r->coeff[(size_t)at * r->taps + k];
            }
            sum >>= 22;
            sum = sum < 0 ? 0 : sum > 255 ? 255 : sum;
            ck_near(t, r->out[y * r->out_stride + x], (double)sum, 0, "%ux%ux%u taps %u at %u,%u",
                    r->width, r->height, r->channels, r->taps, x, y);
        }
}

static void once(ck *t, int vertical, uint32_t w, uint32_t h, uint32_t span, uint32_t taps,
                 uint32_t channels)
{
    trial tr = { .r = { .width = w, .height = h, .channels = channels } };
    axis(t, &tr, vertical ? h : w, span, taps);
    const size_t row = (size_t)(vertical ? w : span) * channels, rows = vertical ? span : h;
    tr.r.in_stride = row + ck_rand() % 4;
    tr.r.out_stride = (size_t)w * channels + ck_rand() % 4;
    uint8_t *in = ck_guarded(t, (rows - 1) * tr.r.in_stride + row);
    ck_fill_bytes(in, (rows - 1) * tr.r.in_stride + row);
    tr.r.in = in;
    tr.r.out = ck_guarded(t, (h - 1) * tr.r.out_stride + (size_t)w * channels);
    (vertical ? t->now.resample_v : t->now.resample_h)(&tr.r);
    check_bytes(t, &tr, vertical);
    ck_release(t);
}

static void shapes(ck *t, int vertical)
{
    static const uint32_t channels[] = { 3, 3, 1, 4 };
    for (uint32_t i = 1; i < 150; i++)
        once(t, vertical, 1 + ck_rand() % 40, 1 + ck_rand() % 9, 1 + i % 70, 1 + i % 67,
             channels[i % 4]);
    once(t, vertical, 50, 7, 300, 60, 3);
    once(t, vertical, 25, 9, 900, 700, 3);
}

static void bench(ck *t, int vertical)
{
    trial tr = { .r = { .width = 299, .height = vertical ? 224 : 16, .channels = 3 } };
    const uint32_t span = vertical ? 3000 : 4000;
    axis(t, &tr, vertical ? 224 : 299, span, 55);
    tr.r.in_stride = 3 * (size_t)(vertical ? 299 : 4000);
    tr.r.out_stride = 3 * 299;
    const size_t bytes = tr.r.in_stride * (vertical ? 3000 : 16);
    uint8_t *in = ck_guarded(t, bytes);
    ck_fill_bytes(in, bytes);
    tr.r.in = in;
    tr.r.out = ck_guarded(t, tr.r.out_stride * 224);
    if (vertical)
        CK_BENCH(t, "3000 to 224 rows of 299", (t->ref.resample_v(&tr.r), 0),
                 (t->now.resample_v(&tr.r), 0));
    else
        CK_BENCH(t, "16 rows, 4000 to 299", (t->ref.resample_h(&tr.r), 0),
                 (t->now.resample_h(&tr.r), 0));
    ck_release(t);
}

void check_resample(ck *t)
{
    if (CK_BEGIN(t, resample_h)) {
        shapes(t, 0);
        if (t->bench)
            bench(t, 0);
    }
    if (CK_BEGIN(t, resample_v)) {
        shapes(t, 1);
        if (t->bench)
            bench(t, 1);
    }
    if (CK_BEGIN(t, rgb_to_planes)) {
        uint8_t *rgb = ck_guarded(t, 3 * 77);
        float *table = ck_guarded(t, 3 * 256 * 4), *out = ck_guarded(t, (2 * 100 + 77) * 4);
        ck_fill_bytes(rgb, 3 * 77);
        ck_fill(table, 3 * 256);
        t->now.rgb_to_planes(rgb, 77, table, out, 100);
        for (size_t i = 0; i < 3 * 77; i++)
            ck_near(t, (double)out[i % 3 * 100 + i / 3], (double)table[256 * (i % 3) + rgb[i]], 0,
                    "i=%zu", i);
        ck_release(t);
    }
}
