/* product.c - the oracle that check_gemm.c and check_conv.c share. */
#include "product.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const math_names[] = { "f32", "bf16", "bf16x3" };
static const char *const type_names[] = { "f32", "bf16", "f16", "i8" };
static const char *const act_names[] = { "none", "relu", "quickgelu", "gelu" };

void product_kind(kn_gemm *g, unsigned kind)
{
    static const struct {
        kn_math math;
        kn_type w;
    } maths[] = { { KN_MATH_F32, KN_F32 },  { KN_MATH_BF16, KN_BF16 }, { KN_MATH_BF16X3, KN_BF16 },
                  { KN_MATH_F32, KN_BF16 }, { KN_MATH_F32, KN_F16 },   { KN_MATH_F32, KN_F32 } };
    g->math = maths[kind % 6].math;
    g->w_type = maths[kind % 6].w;
    g->act = (kn_act)(kind / 6 % 4);
    g->c_type = ck_rand() >> 16 & 1 ? KN_BF16 : KN_F32;
    g->residual_type = ck_rand() >> 16 & 1 ? KN_BF16 : KN_F32;
}

const char *product_name(const kn_gemm *g)
{
    static char text[200];
    snprintf(text, sizeof text, "%s w=%s%s c=%s%s%s%s act=%s m=%zu n=%zu k=%zu lda=%zu ldc=%zu",
             math_names[g->math], type_names[g->w_type], g->w_lo ? "+lo" : "",
             type_names[g->c_type], g->bias ? " bias" : "",
             !g->residual          ? ""
             : g->residual == g->c ? " residual=c "
                                   : " residual=",
             g->residual ? type_names[g->residual_type] : "", act_names[g->act], g->m, g->n, g->k,
             g->lda, g->ldc);
    return text;
}

static size_t size_of(kn_type type)
{
    return type == KN_F32 ? 4 : 2;
}

size_t product_a_size(const kn_gemm *g)
{
    return g->math == KN_MATH_BF16 ? 2 : 4;
}

static void store(void *p, size_t i, kn_type type, double x)
{
    if (type == KN_F32)
        ((float *)p)[i] = (float)x;
    else
        ((uint16_t *)p)[i] = type == KN_BF16 ? ck_to_bf16(x) : ck_to_f16(x);
}

static double load(const void *p, size_t i, kn_type type)
{
    if (type == KN_F32)
        return ((const float *)p)[i];
    const uint16_t h = ((const uint16_t *)p)[i];
    return type == KN_BF16 ? ck_from_bf16(h) : ck_from_f16(h);
}

void *product_random(ck *t, size_t n, kn_type type)
{
    void *p = ck_guarded(t, n * size_of(type));
    for (size_t i = 0; i < n; i++) {
        float x;
        ck_fill(&x, 1);
        store(p, i, type, x);
    }
    return p;
}

static double hi(double x)
{
    return ck_from_bf16(ck_to_bf16(x));
}

/* Panels by the text of kernels.h: element (p, k, j) or (p, k, j, e) is W[16p + j][k or 2k + e]. */
static void *panels(ck *t, const product *p, kn_type type, bool lo)
{
    const size_t n = p->g.n, k = p->g.k, kp = kn_panel_k(k, type), pair = type == KN_BF16 ? 2 : 1;
    const size_t count = (n + 15) / 16 * 16 * kp;
    void *out = ck_guarded(t, count * size_of(type));
    for (size_t i = 0; i < count; i++) {
        const size_t e = i % pair, j = i / pair % 16, col = i / pair / 16 % (kp / pair) * pair + e;
        const size_t row = i / (16 * kp) * 16 + j;
        const double x = row < n && col < k ? p->w[row * k + col] : 0;
        store(out, i, type, lo ? x - hi(x) : x);
    }
    return out;
}

void product_fill(ck *t, product *p, size_t ldc)
{
    kn_gemm *g = &p->g;
    const size_t c_count = (g->m - 1) * ldc + g->n;
    float *w = ck_guarded(t, g->n * g->k * sizeof *w);
    ck_fill(w, g->n * g->k);
    p->w = w;
    g->w = panels(t, p, g->w_type, false);
    g->w_lo = g->math == KN_MATH_BF16X3 && ck_rand() % 4 ? panels(t, p, KN_BF16, true) : NULL;
    g->bias = ck_rand() % 4 ? product_random(t, g->n, KN_F32) : NULL;
    g->ldc = ldc;
    g->c = product_random(t, c_count, g->c_type);
    p->c_bytes = c_count * size_of(g->c_type);
    p->c_before = ck_guarded(t, p->c_bytes);
    memcpy(p->c_before, g->c, p->c_bytes);
    switch (ck_rand() % 3) {
    case 0:
        g->residual = p->residual = NULL;
        break;
    case 1: /* in place */
        g->residual_type = g->c_type;
        g->residual = g->c;
        p->residual = p->c_before;
        g->ldr = ldc;
        break;
    default:
        g->ldr = g->n + 3;
        g->residual = p->residual = product_random(t, (g->m - 1) * g->ldr + g->n, g->residual_type);
    }
}

void product_add(const product *p, product_sum *s, size_t a_index, size_t column, size_t k)
{
    const kn_gemm *g = &p->g;
    const double a = load(g->a, a_index, g->math == KN_MATH_BF16 ? KN_BF16 : KN_F32);
    const double full = p->w[column * g->k + k];
    double w;
    if (g->w_type == KN_F32)
        w = full;
    else if (g->w_type == KN_F16)
        w = ck_from_f16(ck_to_f16(full));
    else
        w = hi(full);
    if (g->math == KN_MATH_BF16X3) {
        const double w_lo = g->w_lo ? hi(full - w) : 0;
        s->lost += fabs(hi(a - hi(a)) * w_lo) + fabs(a - hi(a) - hi(a - hi(a))) * fabs(w + w_lo);
        w += w_lo;
    }
    s->sum += a * w;
    s->size += fabs(a * w);
}

static double activation(double x, kn_act act)
{
    switch (act) {
    case KN_ACT_RELU:
        return x > 0 ? x : 0;
    case KN_ACT_QUICKGELU:
        return x / (1 + exp(-1.702 * x));
    case KN_ACT_GELU:
        return x / 2 * erfc(-x / sqrt(2));
    default:
        return x;
    }
}

void product_check(ck *t, const product *p, size_t row, size_t column, const product_sum *s)
{
    const kn_gemm *g = &p->g;
    const double bias = g->bias ? g->bias[column] : 0;
    const double rest =
        g->residual ? load(p->residual, row * g->ldr + column, g->residual_type) : 0;
    const double x = s->sum + bias + rest, y = activation(x, g->act);
    const double terms = (double)g->k * (g->math == KN_MATH_BF16X3 ? 3 : 1);
    const double size = s->size + fabs(bias) + fabs(rest);
    double tolerance = (terms + 4) * (double)FLT_EPSILON * size + s->lost;
    if (g->act == KN_ACT_QUICKGELU || g->act == KN_ACT_GELU) /* their slope is at most 1.13 */
        tolerance = 1.13 * tolerance + 2e-7 * fmax(1, fabs(x));
    if (g->c_type == KN_BF16)
        tolerance += (fabs(y) + tolerance) / 256;
    ck_near(t, load(g->c, row * g->ldc + column, g->c_type), y, tolerance, "%s at (%zu, %zu)",
            product_name(g), row, column);
}

void product_check_gaps(ck *t, const product *p)
{
    const size_t size = size_of(p->g.c_type), gap = (p->g.ldc - p->g.n) * size;
    for (size_t i = 0; i + 1 < p->g.m; i++) {
        const size_t at = (i * p->g.ldc + p->g.n) * size;
        ck_equal(t, (const char *)p->g.c + at, (const char *)p->c_before + at, gap,
                 "%s: gap behind row %zu", product_name(&p->g), i);
    }
}
