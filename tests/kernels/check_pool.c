/* check_pool.c - kernels/<level>/pool.c, against the definitions in double. */
#include "checkkern.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct map {
    kn_type type;
    uint32_t h, w, c;
    void *data;
} map;

static double get(kn_type type, const void *p, size_t i)
{
    return (double)(type == KN_BF16 ? ck_from_bf16(((const uint16_t *)p)[i])
                                    : ((const float *)p)[i]);
}

static map random_map(ck *t, kn_type type, uint32_t h, uint32_t w, uint32_t c)
{
    const size_t n = (size_t)h * w * c;
    float *f = ck_guarded(t, n * 4);
    uint16_t *b = ck_guarded(t, n * 2);
    ck_fill(f, n);
    for (size_t i = 0; i < n; i++)
        b[i] = ck_to_bf16((double)f[i]);
    return (map){ type, h, w, c, type == KN_BF16 ? (void *)b : (void *)f };
}

/* kind 0: maximum with padding, 1: mean without */
static void window(ck *t, const map *m, uint32_t k, uint32_t s, uint32_t p, int kind)
{
    const uint32_t oh = (m->h + 2 * p - k) / s + 1, ow = (m->w + 2 * p - k) / s + 1;
    const size_t n = (size_t)oh * ow * m->c;
    void *out = ck_guarded(t, n * (m->type == KN_BF16 ? 2 : 4));
    if (kind)
        t->now.avgpool(m->data, m->type, m->h, m->w, m->c, k, out);
    else
        t->now.maxpool(m->data, m->type, m->h, m->w, m->c, k, s, p, out);
    for (size_t i = 0; i < n; i++) {
        double most = -1e300, sum = 0;
        for (uint32_t e = 0; e < k * k; e++) {
            const long y = (long)(i / m->c / ow * s + e / k) - (long)p,
                       x = (long)(i / m->c % ow * s + e % k) - (long)p;
            if (y < 0 || x < 0 || y >= (long)m->h || x >= (long)m->w)
                continue;
            const double v =
                get(m->type, m->data, ((size_t)y * m->w + (size_t)x) * m->c + i % m->c);
            most = v > most ? v : most;
            sum += v / (k * k);
        }
        const double bound =
            kind ? (k * k + 2) * FLT_EPSILON + (m->type == KN_BF16 ? fabs(sum) / 256 : 0) : 0;
        ck_near(t, get(m->type, out, i), kind ? sum : most, bound, "%ux%ux%u k=%u s=%u p=%u i=%zu",
                m->h, m->w, m->c, k, s, p, i);
    }
}

/* The first of a window's greatest pixels in scan order, or SIZE_MAX in the padding's corner. */
static size_t winner(const map *m, size_t oy, size_t ox, uint32_t k, uint32_t s, uint32_t p, size_t ch)
{
    size_t best = SIZE_MAX;
    for (uint32_t e = 0; e < k * k; e++) {
        const long y = (long)(oy * s + e / k) - (long)p, x = (long)(ox * s + e % k) - (long)p;
        if (y < 0 || x < 0 || y >= (long)m->h || x >= (long)m->w)
            continue;
        const size_t at = ((size_t)y * m->w + (size_t)x) * m->c + ch;
        if (best == SIZE_MAX || get(m->type, m->data, at) > get(m->type, m->data, best))
            best = at;
    }
    return best;
}

static void max_grad(ck *t, const map *m, uint32_t k, uint32_t s, uint32_t p)
{
    const uint32_t oh = (m->h + 2 * p - k) / s + 1, ow = (m->w + 2 * p - k) / s + 1;
    const map dy = random_map(t, m->type, oh, ow, m->c), before = random_map(t, m->type, m->h, m->w, m->c);
    const size_t n = (size_t)m->h * m->w * m->c, bytes = n * (m->type == KN_BF16 ? 2 : 4);
    double *want = ck_guarded(t, n * sizeof *want), *size = ck_guarded(t, n * sizeof *size);
    void *dx = ck_guarded(t, bytes);
    memcpy(dx, before.data, bytes);
    for (size_t i = 0; i < n; i++) {
        want[i] = get(m->type, before.data, i);
        size[i] = fabs(want[i]);
    }
    for (size_t i = 0; i < (size_t)oh * ow * m->c; i++) {
        const size_t at = winner(m, i / m->c / ow, i / m->c % ow, k, s, p, i % m->c);
        want[at] += get(m->type, dy.data, i);
        size[at] += fabs(get(m->type, dy.data, i));
    }
    t->now.maxpool_grad(m->data, dy.data, m->type, m->h, m->w, m->c, k, s, p, dx);
    for (size_t i = 0; i < n; i++) /* each sum is rounded to the type; k x k windows at most */
        ck_near(t, get(m->type, dx, i), want[i],
                size[i] * (m->type == KN_BF16 ? k * k / 256.0 : k * k * (double)FLT_EPSILON),
                "%ux%ux%u k=%u s=%u p=%u i=%zu", m->h, m->w, m->c, k, s, p, i);
}

/* Few values, so that many windows have several greatest ones. */
static void coarse(const map *m)
{
    for (size_t i = 0; i < (size_t)m->h * m->w * m->c; i++) {
        const float x = (float)(ck_rand() % 5) - 3;
        if (m->type == KN_BF16)
            ((uint16_t *)m->data)[i] = ck_to_bf16((double)x);
        else
            ((float *)m->data)[i] = x;
    }
}

static void check_max_grad(ck *t, const map *m)
{
    max_grad(t, m, 3, 2, 1);
    coarse(m);
    max_grad(t, m, 3, 2, 1);
    max_grad(t, m, 2, 2, 0);
    max_grad(t, m, 3, 1, 1);
}

static void mean(ck *t, const map *m)
{
    const size_t n = (size_t)m->h * m->w;
    float *out = ck_guarded(t, m->c * 4);
    t->now.meanpool(m->data, m->type, n, m->c, out);
    for (uint32_t c = 0; c < m->c; c++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += get(m->type, m->data, i * m->c + c) / (double)n;
        ck_near(t, (double)out[c], sum, (double)(n + 2) * FLT_EPSILON, "n=%zu c=%u", n, c);
    }
}

static void each(ck *t, void (*fn)(ck *, const map *))
{
    for (uint32_t i = 0; i < 40; i++) {
        const map m = random_map(t, i % 2 ? KN_BF16 : KN_F32, 3 + ck_rand() % 9, 3 + ck_rand() % 9,
                                 1 + i * (i % 5 == 0 ? 7 : 1));
        fn(t, &m);
        ck_release(t);
    }
}

static void check_max(ck *t, const map *m)
{
    window(t, m, 3, 2, 1, 0);
    window(t, m, 2, 2, 0, 0);
}

static void check_avg(ck *t, const map *m)
{
    window(t, m, 2, 2, 0, 1);
    window(t, m, 3, 3, 0, 1);
}

/* What ResNet-50 and the attention pool of CLIP's ask for. */
static void bench(ck *t, kn_type type)
{
    const map m = random_map(t, type, 112, 112, 64);
    void *out = ck_guarded(t, (size_t)56 * 56 * 64 * 4);
    const char *label = type == KN_BF16 ? "bf16" : "f32";
    if (!strcmp(t->kernel, "maxpool"))
        CK_BENCH(t, label, t->ref.maxpool(m.data, type, 112, 112, 64, 3, 2, 1, out),
                 t->now.maxpool(m.data, type, 112, 112, 64, 3, 2, 1, out));
    if (!strcmp(t->kernel, "maxpool_grad")) {
        const map dx = random_map(t, type, 112, 112, 64);
        CK_BENCH(t, label, (t->ref.maxpool_grad(m.data, out, type, 112, 112, 64, 3, 2, 1, dx.data), 0),
                 (t->now.maxpool_grad(m.data, out, type, 112, 112, 64, 3, 2, 1, dx.data), 0));
    }
    if (!strcmp(t->kernel, "avgpool"))
        CK_BENCH(t, label, t->ref.avgpool(m.data, type, 112, 112, 64, 2, out),
                 t->now.avgpool(m.data, type, 112, 112, 64, 2, out));
    if (!strcmp(t->kernel, "meanpool"))
        CK_BENCH(t, label, t->ref.meanpool(m.data, type, 49, 2048, out),
                 t->now.meanpool(m.data, type, 49, 2048, out));
    ck_release(t);
}

static void check_each(ck *t, void (*fn)(ck *, const map *))
{
    each(t, fn);
    bench(t, KN_F32);
    bench(t, KN_BF16);
}

void check_pool(ck *t)
{
    if (CK_BEGIN(t, maxpool))
        check_each(t, check_max);
    if (CK_BEGIN(t, maxpool_grad))
        check_each(t, check_max_grad);
    if (CK_BEGIN(t, avgpool))
        check_each(t, check_avg);
    if (CK_BEGIN(t, meanpool))
        check_each(t, mean);
}
