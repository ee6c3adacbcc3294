/* check_norm.c - kernels/<level>/norm.c and act.c, against the formulas in double. */
#include "product.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX = 150 };

static void layernorm_once(ck *t, size_t n, kn_type type, int plain)
{
    float *x = ck_guarded(t, n * 4), *g = ck_guarded(t, n * 4), *b = ck_guarded(t, n * 4);
    void *out = ck_guarded(t, n * (type == KN_BF16 ? 2 : 4));
    double mean = 0, var = 0;
    ck_fill(x, n);
    ck_fill(g, n);
    ck_fill(b, n);
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] * 3 + 1;
        mean += (double)x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    t->now.layernorm(x, n, plain ? NULL : g, plain ? NULL : b, 1e-5f, out, type);
    for (size_t i = 0; i < n; i++) {
        const double scale = 1 / sqrt(var + (double)1e-5f), gain = plain ? 1 : (double)g[i];
        const double move = ((double)x[i] - mean) * scale * gain;
        const double want = move + (plain ? 0 : (double)b[i]);
        const double got =
            (double)(type == KN_BF16 ? ck_from_bf16(((uint16_t *)out)[i]) : ((float *)out)[i]);
        /* a float passes at most n / 16 + 40 additions on its way into a sum: so far the mean
         * (of numbers up to 4) is off, and half as much, relatively, the scale */
        const double steps = (double)n / 16 + 40;
        const double bound = FLT_EPSILON * (4 * steps * scale * fabs(gain) +
                                            fabs(move) * (steps / 2 + 8) + fabs(want));
        ck_near(t, got, want, bound + (type == KN_BF16 ? fabs(want) / 256 : 0),
                "n=%zu i=%zu type %d", n, i, type);
    }
    if (type == KN_F32) { /* in place */
        float *again = ck_guarded(t, n * 4);
        memcpy(again, x, n * 4);
        t->now.layernorm(again, n, plain ? NULL : g, plain ? NULL : b, 1e-5f, again, type);
        ck_equal(t, again, out, n * 4, "in place, n=%zu", n);
    }
    ck_release(t);
}

static void softmax_once(ck *t, size_t n)
{
    float *x = ck_guarded(t, n * 4), *before = ck_guarded(t, n * 4);
    double most = -1e300, sum = 0;
    ck_fill(x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] *= 20;
        most = (double)x[i] > most ? (double)x[i] : most;
    }
    memcpy(before, x, n * 4);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    t->now.softmax(x, n);
    for (size_t i = 0; i < n; i++) {
        const double want = exp((double)before[i] - most) / sum;
        ck_near(t, (double)x[i], want, want * ((double)n + 48) * FLT_EPSILON + 1e-37, "n=%zu i=%zu",
                n, i);
    }
    ck_release(t);
}

static void l2_once(ck *t, size_t n)
{
    float *x = ck_guarded(t, n * 4), *before = ck_guarded(t, n * 4);
    double sum = 0;
    ck_fill(x, n);
    memcpy(before, x, n * 4);
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    const double norm = sqrt(sum);
    ck_near(t, (double)t->now.l2_normalize(x, n), norm, 16 * FLT_EPSILON * norm, "norm n=%zu", n);
    for (size_t i = 0; i < n; i++)
        ck_near(t, (double)x[i], (double)before[i] / norm, 32 * FLT_EPSILON, "n=%zu i=%zu", n, i);
    memset(x, 0, n * 4);
    ck_near(t, (double)t->now.l2_normalize(x, n), 0, 0, "zero n=%zu", n);
    for (size_t i = 0; i < n; i++)
        ck_near(t, (double)x[i], 0, 0, "zero stays, n=%zu", n);
    ck_release(t);
}

static double exact(double x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return x > 0 ? x : 0;
    case KN_ACT_QUICKGELU:
        return x / (1 + exp(-1.702 * x));
    case KN_ACT_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    default:
        return x;
    }
}

static void activate_once(ck *t, size_t n, kn_act act)
{
    float *x = ck_guarded(t, n * 4), *before = ck_guarded(t, n * 4);
    ck_fill(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] *= i % 3 ? 4 : 12;
    memcpy(before, x, n * 4);
    t->now.activate(x, n, act);
    for (size_t i = 0; i < n; i++) {
        const double want = exact((double)before[i], act);
        /* 1.702 as a float, and exp's argument rounded, cost |x| 2^-24 of the result each */
        const double bound = fabs(want) * (8 + 4 * fabs((double)before[i])) * FLT_EPSILON + 1e-30;
        ck_near(t, (double)x[i], want, act == KN_ACT_GELU ? fmax(bound, 2e-7 * fabs(want)) : bound,
                "act %d x=%g", act, (double)before[i]);
    }
    ck_release(t);
}

/* Zeros, numbers so small or large that parts of the formulas leave f32, and NaN. */
static void activate_extremes(ck *t)
{
    static const float x[] = { 0, -0.0f, 1e-30f, -1e-30f, 14, -14, 88, -88, 1e30f, -1e30f, 5, -5 };
    enum { N = sizeof x / sizeof *x };
    for (kn_act act = KN_ACT_NONE; act <= KN_ACT_GELU; act++)
        for (size_t shift = 0; shift < N; shift++) {
            float *y = ck_guarded(t, (N + 1) * 4);
            for (size_t i = 0; i < N; i++)
                y[i] = x[(i + shift) % N];
            y[N] = NAN;
            t->now.activate(y, N + 1, act);
            for (size_t i = 0; i < N; i++) {
                const double in = (double)x[(i + shift) % N], want = exact(in, act);
                ck_near(t, (double)y[i], want, 2e-5 * fabs(want) + 1e-36, "act %d x=%g", act, in);
            }
            if (act != KN_ACT_RELU)
                ck_near(t, (double)y[N], NAN, 0, "act %d NaN", act);
            ck_release(t);
        }
}

/* Scores of -infinity weigh nothing. */
static void softmax_masked(ck *t, size_t n)
{
    float *x = ck_guarded(t, n * 4), *some = ck_guarded(t, n * 4);
    size_t m = 0;
    ck_fill(x, n);
    for (size_t i = 0; i < n; i++)
        if (i % 3 == n % 3)
            x[i] = -INFINITY;
        else
            some[m++] = x[i];
    t->now.softmax(x, n);
    t->now.softmax(some, m);
    for (size_t i = 0, j = 0; i < n; i++)
        if (i % 3 == n % 3)
            ck_near(t, (double)x[i], 0, 0, "masked, n=%zu i=%zu", n, i);
        else {
            ck_near(t, (double)x[i], (double)some[j], 2 * (double)n * FLT_EPSILON, "beside masked");
            j++;
        }
    ck_release(t);
}

/* dx = r (g - mean(g) - x^ mean(g x^)), g = gamma dy, x^ = (x - mean) r: Ba, Kiros and Hinton 2016. */
static void layernorm_grad_once(ck *t, size_t n, kn_type type, int plain)
{
    float *x = product_random(t, n, KN_F32), *gamma = product_random(t, n, KN_F32), *out[3], *before[3];
    const void *dy = product_random(t, n, type);
    double mean = 0, var = 0, sum = 0, along = 0, size = 0;
    for (int i = 0; i < 3; i++) {
        before[i] = product_random(t, n, KN_F32);
        out[i] = ck_guarded(t, n * 4);
        memcpy(out[i], before[i], n * 4);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] * 3 + 1;
        mean += (double)x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    const double r = 1 / sqrt(var + (double)1e-5f);
    t->now.layernorm_grad(dy, type, x, n, plain ? NULL : gamma, 1e-5f, out[0], out[1], out[2]);
#define DY(i) (double)(type == KN_BF16 ? ck_from_bf16(((const uint16_t *)dy)[i]) : ((const float *)dy)[i])
#define HAT(i) (((double)x[i] - mean) * r)
    for (size_t i = 0; i < n; i++) {
        const double g = DY(i) * (plain ? 1 : (double)gamma[i]);
        sum += g / (double)n;
        along += g * HAT(i) / (double)n;
        size += (fabs(g) + fabs(g * HAT(i))) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double d = DY(i), g = d * (plain ? 1 : (double)gamma[i]), hat = HAT(i);
        const double want[3] = { r * (g - sum - hat * along), d * hat, d };
        /* as in layernorm_once, the mean and the scale are off by so many roundings */
        const double steps = (double)n / 16 + 40, scale[3] = { r * (1 + fabs(hat)) * (fabs(g) + size + r),
                                                             fabs(d) * (r + fabs(hat)), fabs(d) };
        for (int o = 0; o < 3; o++)
            ck_near(t, (double)out[o][i], want[o] + (double)before[o][i],
                    (double)FLT_EPSILON * (4 * steps * scale[o] + 2), "%s n=%zu i=%zu type %d",
                    o == 0 ? "dx" : o == 1 ? "dgamma" : "dbeta", n, i, type);
    }
#undef DY
#undef HAT
    ck_release(t);
}

static void softmax_grad_once(ck *t, size_t n)
{
    float *p = product_random(t, n, KN_F32), *before = product_random(t, n, KN_F32);
    float *dp = ck_guarded(t, n * 4);
    double dot = 0, size = 0;
    memcpy(dp, before, n * 4);
    for (size_t i = 0; i < n; i++) {
        p[i] = fabsf(p[i]) / (float)n;
        dot += (double)p[i] * (double)before[i];
        size += (double)p[i] * fabs((double)before[i]);
    }
    t->now.softmax_grad(p, dp, n);
    for (size_t i = 0; i < n; i++) {
        const double want = (double)p[i] * ((double)before[i] - dot);
        ck_near(t, (double)dp[i], want,
                (double)p[i] * (double)FLT_EPSILON * (((double)n + 4) * size + 2 * fabs((double)before[i])),
                "n=%zu i=%zu", n, i);
    }
    ck_release(t);
}

static double slope(double x, kn_act act)
{
    const double s = 1 / (1 + exp(-1.702 * x));
    switch (act) {
    case KN_ACT_RELU:
        return x > 0;
    case KN_ACT_QUICKGELU:
        return s + 1.702 * x * s * (1 - s);
    case KN_ACT_GELU:
        return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143267794 * exp(-x * x / 2);
    default:
        return 1;
    }
}

static void activate_grad_once(ck *t, size_t n, kn_act act, float most)
{
    float *x = product_random(t, n, KN_F32), *before = product_random(t, n, KN_F32);
    float *dy = ck_guarded(t, n * 4);
    memcpy(dy, before, n * 4);
    for (size_t i = 0; i < n; i++)
        x[i] = i % 11 ? x[i] * most : 0;
    t->now.activate_grad(x, dy, n, act);
    for (size_t i = 0; i < n; i++) { /* the slope is at most 1.13, the sum of two such numbers */
        const double want = (double)before[i] * slope((double)x[i], act);
        ck_near(t, (double)dy[i], want, 4e-7 * fabs((double)before[i]), "act %d x=%g", act, (double)x[i]);
    }
    ck_release(t);
}

static void bench_grad(ck *t)
{
    float *x = product_random(t, 768, KN_F32), *y = product_random(t, 768, KN_F32);
    float *z = product_random(t, 768, KN_F32), *d = product_random(t, 768, KN_F32);
    if (!strcmp(t->kernel, "layernorm_grad"))
        CK_BENCH(t, "n=768", (t->ref.layernorm_grad(x, KN_F32, x, 768, x, 1e-5f, y, z, d), 0),
                 (t->now.layernorm_grad(x, KN_F32, x, 768, x, 1e-5f, y, z, d), 0));
    if (!strcmp(t->kernel, "softmax_grad"))
        CK_BENCH(t, "n=768", (t->ref.softmax_grad(x, y, 768), 0), (t->now.softmax_grad(x, y, 768), 0));
    if (!strcmp(t->kernel, "activate_grad"))
        CK_BENCH(t, "GELU n=768", (t->ref.activate_grad(x, y, 768, KN_ACT_GELU), 0),
                 (t->now.activate_grad(x, y, 768, KN_ACT_GELU), 0));
    ck_release(t);
}

static void check_gradients(ck *t)
{
    if (CK_BEGIN(t, layernorm_grad)) {
        for (size_t n = 2; n < MAX; n++)
            layernorm_grad_once(t, n, n % 2 ? KN_F32 : KN_BF16, n % 3 == 0);
        layernorm_grad_once(t, 768, KN_BF16, 0);
        bench_grad(t);
    }
    if (CK_BEGIN(t, softmax_grad)) {
        for (size_t n = 1; n < MAX; n++)
            softmax_grad_once(t, n);
        bench_grad(t);
    }
    if (CK_BEGIN(t, activate_grad)) {
        for (size_t n = 1; n < MAX; n++)
            activate_grad_once(t, n, (kn_act)(n % 4), n % 3 ? 4 : 30);
        activate_grad_once(t, 5000, KN_ACT_GELU, 6);
        activate_grad_once(t, 5000, KN_ACT_QUICKGELU, 6);
        activate_grad_once(t, 500, KN_ACT_GELU, 1e4f);
        bench_grad(t);
    }
}

static void bench(ck *t)
{
    float *x = ck_guarded(t, 768 * 4), *y = ck_guarded(t, 768 * 4);
    ck_fill(x, 768);
    if (!strcmp(t->kernel, "layernorm"))
        CK_BENCH(t, "n=768", t->ref.layernorm(x, 768, x, x, 1e-5f, y, KN_F32),
                 t->now.layernorm(x, 768, x, x, 1e-5f, y, KN_F32));
    if (!strcmp(t->kernel, "softmax"))
        CK_BENCH(t, "n=768", t->ref.softmax(x, 768), t->now.softmax(x, 768));
    if (!strcmp(t->kernel, "l2_normalize"))
        CK_BENCH(t, "n=768", t->ref.l2_normalize(x, 768), t->now.l2_normalize(x, 768));
    if (!strcmp(t->kernel, "activate")) {
        CK_BENCH(t, "GELU n=768", t->ref.activate(x, 768, KN_ACT_GELU),
                 t->now.activate(x, 768, KN_ACT_GELU));
        ck_fill(x, 768);
        CK_BENCH(t, "QuickGELU n=768", t->ref.activate(x, 768, KN_ACT_QUICKGELU),
                 t->now.activate(x, 768, KN_ACT_QUICKGELU));
    }
    ck_release(t);
}

static void check_layernorm(ck *t)
{
    for (size_t n = 1; n < MAX; n++)
        layernorm_once(t, n, n % 2 ? KN_F32 : KN_BF16, n % 3 == 0);
    layernorm_once(t, 768, KN_F32, 0);
    layernorm_once(t, 1280, KN_BF16, 0);
    bench(t);
}

void check_norm(ck *t)
{
    if (CK_BEGIN(t, layernorm))
        check_layernorm(t);
    if (CK_BEGIN(t, softmax)) {
        for (size_t n = 1; n < MAX; n++)
            softmax_once(t, n);
        for (size_t n = 2; n < MAX; n++)
            softmax_masked(t, n);
        bench(t);
    }
    if (CK_BEGIN(t, l2_normalize)) {
        for (size_t n = 1; n < MAX * 6; n += n < 70 ? 1 : 37)
            l2_once(t, n);
        bench(t);
    }
    if (CK_BEGIN(t, activate)) {
        for (size_t n = 1; n < MAX; n++)
            activate_once(t, n, (kn_act)(n % 4));
        activate_extremes(t);
        bench(t);
    }
    check_gradients(t);
}
