/* check_batch.c - kernels/<level>/batch.c, against the definitions in double. */
#include "product.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { CHANNELS = 75, ROWS = 40 };

/* Maps of one type, and numbers of each channel. */
typedef struct maps {
    kn_type type;
    size_t rows, c, n;
    void *x, *dy, *y;
    float *of[3]; /* (c) each */
} maps;

static double get(kn_type type, const void *p, size_t i)
{
    return (double)(type == KN_BF16 ? ck_from_bf16(((const uint16_t *)p)[i])
                                    : ((const float *)p)[i]);
}

static size_t size_of(kn_type type)
{
    return type == KN_BF16 ? 2 : 4;
}

/* Of what is stored: half a unit of the type. */
static double rounding(kn_type type, double x)
{
    return fabs(x) / (type == KN_BF16 ? 256 : 8388608);
}

static maps fill(ck *t, size_t rows, size_t c, kn_type type)
{
    maps m = { .type = type, .rows = rows, .c = c, .n = rows * c };
    m.x = product_random(t, m.n, type);
    m.dy = product_random(t, m.n, type);
    m.y = product_random(t, m.n, type);
    for (size_t i = 0; i < m.n; i++) /* the output of a relu: a third is 0, none is less */
        if (type == KN_BF16)
            ((uint16_t *)m.y)[i] = i % 3 ? ((const uint16_t *)m.y)[i] & 0x7fff : 0;
        else
            ((float *)m.y)[i] = i % 3 ? fabsf(((const float *)m.y)[i]) : 0;
    for (int i = 0; i < 3; i++)
        m.of[i] = product_random(t, c, KN_F32);
    return m;
}

static void *copy(ck *t, const maps *m, const void *x)
{
    void *to = ck_guarded(t, m->n * size_of(m->type));
    memcpy(to, x, m->n * size_of(m->type));
    return to;
}

static void moments(ck *t, const maps *m)
{
    float *sum = ck_guarded(t, m->c * 4), *square = ck_guarded(t, m->c * 4);
    const double eps = ((double)m->rows + 4) * (double)FLT_EPSILON;
    t->now.moments(m->x, m->type, m->rows, m->c, m->of[0], sum, square);
    for (size_t j = 0; j < m->c; j++) {
        double s = 0, q = 0, size = 0;
        for (size_t r = 0; r < m->rows; r++) {
            const double d = get(m->type, m->x, r * m->c + j) - (double)m->of[0][j];
            s += d;
            q += d * d;
            size += fabs(d);
        }
        ck_near(t, (double)sum[j], s, eps * size, "sum, rows=%zu c=%zu j=%zu", m->rows, m->c, j);
        ck_near(t, (double)square[j], q, eps * q, "square, rows=%zu c=%zu j=%zu", m->rows, m->c, j);
    }
}

/* residual, relu: both or neither of each; in place or not */
static void affine(ck *t, const maps *m)
{
    for (unsigned kind = 0; kind < 8; kind++) {
        const void *residual = kind & 1 ? m->dy : NULL;
        const int relu = kind >> 1 & 1;
        void *y = copy(t, m, kind & 4 ? m->x : m->dy);
        t->now.affine(kind & 4 ? y : m->x, m->type, m->rows, m->c, m->of[0], m->of[1], residual, relu, y);
        for (size_t i = 0; i < m->n; i++) {
            const double x = get(m->type, m->x, i), scale = (double)m->of[0][i % m->c];
            const double rest = residual ? get(m->type, residual, i) : 0;
            const double want = x * scale + (double)m->of[1][i % m->c] + rest;
            const double shown = relu && want < 0 ? 0 : want;
            ck_near(t, get(m->type, y, i), shown, 3 * (double)FLT_EPSILON * 3 + rounding(m->type, want),
                    "kind %u rows=%zu c=%zu i=%zu", kind, m->rows, m->c, i);
        }
    }
}

static double passed(const maps *m, const void *y, size_t i)
{
    return !y || get(m->type, y, i) > 0 ? get(m->type, m->dy, i) : 0;
}

static void sums_once(ck *t, const maps *m, const void *y)
{
    float *sum = ck_guarded(t, m->c * 4), *moment = ck_guarded(t, m->c * 4);
    const double eps = ((double)m->rows + 4) * (double)FLT_EPSILON;
    t->now.affine_sums(m->dy, y, m->x, m->type, m->rows, m->c, m->of[0], sum, moment);
    for (size_t j = 0; j < m->c; j++) {
        double s = 0, p = 0, s_size = 0, p_size = 0;
        for (size_t r = 0; r < m->rows; r++) {
            const double g = passed(m, y, r * m->c + j);
            const double d = get(m->type, m->x, r * m->c + j) - (double)m->of[0][j];
            s += g;
            p += g * d;
            s_size += fabs(g);
            p_size += fabs(g * d);
        }
        ck_near(t, (double)sum[j], s, eps * s_size, "sum, rows=%zu c=%zu j=%zu", m->rows, m->c, j);
        ck_near(t, (double)moment[j], p, eps * p_size, "product, rows=%zu c=%zu", m->rows, m->c);
    }
}

static void affine_sums(ck *t, const maps *m)
{
    sums_once(t, m, NULL);
    sums_once(t, m, m->y);
}

/* dres: none, written, added to; dx apart or in the place of dy; with relu and without */
static void affine_grad(ck *t, const maps *m)
{
    for (unsigned kind = 0; kind < 12; kind++) {
        const void *y = kind / 6 ? m->y : NULL;
        const int add = kind % 3 == 2, apart = kind / 3 % 2;
        void *before = product_random(t, m->n, m->type), *dres = kind % 3 ? copy(t, m, before) : NULL;
        void *dy = copy(t, m, m->dy), *dx = apart ? copy(t, m, m->dy) : dy;
        t->now.affine_grad(dy, y, m->x, m->type, m->rows, m->c, m->of[0], m->of[1], m->of[2], dx, dres,
                           add);
        for (size_t i = 0; i < m->n; i++) {
            const double g = passed(m, y, i), b = (double)m->of[1][i % m->c];
            const double want = (double)m->of[0][i % m->c] * g + b * get(m->type, m->x, i) +
                                (double)m->of[2][i % m->c];
            ck_near(t, get(m->type, dx, i), want, 9 * (double)FLT_EPSILON + rounding(m->type, want),
                    "dx, kind %u rows=%zu c=%zu i=%zu", kind, m->rows, m->c, i);
            const double res = g + (add ? get(m->type, before, i) : 0);
            if (dres)
                ck_near(t, get(m->type, dres, i), res, (double)FLT_EPSILON + rounding(m->type, res),
                        "dres, kind %u rows=%zu c=%zu i=%zu", kind, m->rows, m->c, i);
        }
    }
}

static void sum_rows(ck *t, const maps *m)
{
    const float *rows[ROWS];
    for (unsigned add = 0; add < 2; add++) {
        const size_t count = m->rows % 10;
        const void *before = product_random(t, m->c, m->type);
        void *out = ck_guarded(t, m->c * size_of(m->type));
        memcpy(out, before, m->c * size_of(m->type));
        for (size_t r = 0; r < count; r++)
            rows[r] = product_random(t, m->c, KN_F32);
        t->now.sum_rows(rows, count, m->c, m->type, out, (int)add);
        for (size_t j = 0; j < m->c; j++) {
            double want = add ? get(m->type, before, j) : 0;
            for (size_t r = 0; r < count; r++)
                want += (double)rows[r][j];
            ck_near(t, get(m->type, out, j), want,
                    ((double)count + 1) * 10 * (double)FLT_EPSILON + rounding(m->type, want),
                    "count=%zu add=%u c=%zu j=%zu", count, add, m->c, j);
        }
    }
}

static void bench(ck *t, kn_type type, const char *label)
{
    const maps m = fill(t, 784, 64, type);
    float *s = ck_guarded(t, 64 * 4), *q = ck_guarded(t, 64 * 4), *a = m.of[0];
    void *out = copy(t, &m, m.x);
    const float *rows[9] = { a, a, a, a, a, a, a, a, a };
    if (!strcmp(t->kernel, "moments"))
        CK_BENCH(t, label, (t->ref.moments(m.x, type, 784, 64, a, s, q), 0),
                 (t->now.moments(m.x, type, 784, 64, a, s, q), 0));
    if (!strcmp(t->kernel, "affine"))
        CK_BENCH(t, label, (t->ref.affine(m.x, type, 784, 64, a, a, m.y, 1, out), 0),
                 (t->now.affine(m.x, type, 784, 64, a, a, m.y, 1, out), 0));
    if (!strcmp(t->kernel, "affine_sums"))
        CK_BENCH(t, label, (t->ref.affine_sums(m.dy, m.y, m.x, type, 784, 64, a, s, q), 0),
                 (t->now.affine_sums(m.dy, m.y, m.x, type, 784, 64, a, s, q), 0));
    if (!strcmp(t->kernel, "affine_grad"))
        CK_BENCH(t, label, (t->ref.affine_grad(m.dy, m.y, m.x, type, 784, 64, a, a, a, out, NULL, 0), 0),
                 (t->now.affine_grad(m.dy, m.y, m.x, type, 784, 64, a, a, a, out, NULL, 0), 0));
    if (!strcmp(t->kernel, "sum_rows"))
        CK_BENCH(t, label, (t->ref.sum_rows(rows, 9, 64, type, out, 0), 0),
                 (t->now.sum_rows(rows, 9, 64, type, out, 0), 0));
    ck_release(t);
}

static void each(ck *t, void (*fn)(ck *, const maps *))
{
    for (size_t c = 1; c <= CHANNELS; c += c < 20 ? 1 : 11)
        for (int i = 0; i < 4; i++) {
            const maps m = fill(t, 1 + ck_rand() % ROWS, c, i % 2 ? KN_BF16 : KN_F32);
            fn(t, &m);
            ck_release(t);
        }
    bench(t, KN_F32, "f32");
    bench(t, KN_BF16, "bf16");
}

void check_batch(ck *t)
{
    if (CK_BEGIN(t, moments))
        each(t, moments);
    if (CK_BEGIN(t, affine))
        each(t, affine);
    if (CK_BEGIN(t, affine_sums))
        each(t, affine_sums);
    if (CK_BEGIN(t, affine_grad))
        each(t, affine_grad);
    if (CK_BEGIN(t, sum_rows))
        each(t, sum_rows);
}
