/* fit.c - see fit.h. */
#include "engine/fit.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { STEPS = 100 };

/* ---- logistic regression ---- */

typedef struct regression {
    const double *x, *w;
    const unsigned char *y;
    size_t n, k;
    double ridge, total;
    double mean[KN_FIT_MAX], deviation[KN_FIT_MAX]; /* 0: the feature does not vary */
} regression;

static double weight_of(const regression *r, size_t i)
{
    return r->w ? r->w[i] : 1;
}

static void standardise(regression *r)
{
    r->total = 0;
    for (size_t i = 0; i < r->n; i++)
        r->total += weight_of(r, i);
    for (size_t j = 0; j < r->k; j++) {
        double sum = 0, squares = 0, size = 0;
        for (size_t i = 0; i < r->n; i++)
            sum += weight_of(r, i) * r->x[i * r->k + j];
        r->mean[j] = sum / r->total;
        for (size_t i = 0; i < r->n; i++) {
            const double d = r->x[i * r->k + j] - r->mean[j];
            squares += weight_of(r, i) * d * d;
            size = fmax(size, fabs(r->x[i * r->k + j]));
        }
        r->deviation[j] = sqrt(squares / r->total);
        if (r->deviation[j] <= 1e-12 * size)
            r->deviation[j] = 0;
    }
}

/* 1, then the standardised features. */
static void row_of(const regression *r, size_t i, double *row)
{
    row[0] = 1;
    for (size_t j = 0; j < r->k; j++)
        row[1 + j] = r->deviation[j] > 0
                         ? (r->x[i * r->k + j] - r->mean[j]) / r->deviation[j]
                         : 0;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Mean loss of the log odds z for y. */
static double loss_of(double z, int y)
{
    const double m = y ? -z : z;
    return m > 0 ? m + log1p(exp(-m)) : log1p(exp(m));
}

static double objective(const regression *r, const double *b)
{
    double sum = 0, row[1 + KN_FIT_MAX];
    for (size_t i = 0; i < r->n; i++) {
        row_of(r, i, row);
        sum += weight_of(r, i) * loss_of(dot(b, row, r->k + 1), r->y[i]);
    }
    return sum / r->total + r->ridge / 2 * dot(b + 1, b + 1, r->k);
}

/* Gradient g and Hessian h (m, m) of the objective at b. */
static void derive(const regression *r, const double *b, double *g, double *h)
{
    const size_t m = r->k + 1;
    double row[1 + KN_FIT_MAX];
    memset(g, 0, m * sizeof *g);
    memset(h, 0, m * m * sizeof *h);
    for (size_t i = 0; i < r->n; i++) {
        row_of(r, i, row);
        const double p = 1 / (1 + exp(-dot(b, row, m))), w = weight_of(r, i) / r->total;
        for (size_t a = 0; a < m; a++) {
            g[a] += w * (p - r->y[i]) * row[a];
            for (size_t c = 0; c < m; c++)
                h[a * m + c] += w * p * (1 - p) * row[a] * row[c];
        }
    }
    for (size_t a = 0; a < m; a++) {
        g[a] += a ? r->ridge * b[a] : 0;
        h[a * m + a] += (a ? r->ridge : 0) + 1e-12;
        if (a && r->deviation[a - 1] == 0)
            h[a * m + a] = 1;
    }
}

/* h x = g by elimination with pivots; g becomes x.  h is symmetric and positive. */
static void solve(double *h, double *g, size_t m)
{
    for (size_t c = 0; c < m; c++) {
        size_t best = c;
        for (size_t i = c + 1; i < m; i++)
            best = fabs(h[i * m + c]) > fabs(h[best * m + c]) ? i : best;
        for (size_t j = 0; j < m; j++) {
            const double t = h[c * m + j];
            h[c * m + j] = h[best * m + j];
            h[best * m + j] = t;
        }
        const double t = g[c];
        g[c] = g[best];
        g[best] = t;
        for (size_t i = c + 1; i < m; i++) {
            const double f = h[i * m + c] / h[c * m + c];
            for (size_t j = c; j < m; j++)
                h[i * m + j] -= f * h[c * m + j];
            g[i] -= f * g[c];
        }
    }
    for (size_t c = m; c-- > 0;) {
        for (size_t j = c + 1; j < m; j++)
            g[c] -= h[c * m + j] * g[j];
        g[c] /= h[c * m + c];
    }
}

/* Newton's steps, halved until the objective falls. */
static void descend(const regression *r, double *b)
{
    const size_t m = r->k + 1;
    double g[1 + KN_FIT_MAX], h[(1 + KN_FIT_MAX) * (1 + KN_FIT_MAX)], next[1 + KN_FIT_MAX];
    double now = objective(r, b);
    for (int step = 0; step < STEPS; step++) {
        double size = 1, then;
        derive(r, b, g, h);
        solve(h, g, m);
        do {
            for (size_t a = 0; a < m; a++)
                next[a] = b[a] - size * g[a];
            then = objective(r, next);
            size /= 2;
        } while (!(then <= now) && size > 1e-10);
        if (!(then <= now))
            return;
        memcpy(b, next, m * sizeof *b);
        if (now - then < 1e-15 * (1 + now))
            return;
        now = then;
    }
}

ken_status kn_fit_logistic(double *out, const double *x, const unsigned char *y, const double *w,
                           size_t n, size_t k, double ridge)
{
    regression r = { .x = x, .w = w, .y = y, .n = n, .k = k, .ridge = ridge };
    double b[1 + KN_FIT_MAX] = { 0 };
    size_t ones = 0;
    for (size_t i = 0; i < n; i++)
        ones += y[i];
    if (k > KN_FIT_MAX || !ones || ones == n)
        return kn_fail(KEN_E_INVALID, "%zu of %zu answers are right: nothing to tell them apart by",
                       ones, n);
    standardise(&r);
    descend(&r, b);
    out[0] = b[0];
    for (size_t j = 0; j < k; j++) {
        out[1 + j] = r.deviation[j] > 0 ? b[1 + j] / r.deviation[j] : 0;
        out[0] -= out[1 + j] * r.mean[j];
    }
    return KEN_OK;
}

/* ---- generalised Pareto ---- */

typedef struct excesses {
    const double *x;
    size_t n;
    double shape; /* at the last asked theta */
} excesses;

/* The log-likelihood along theta = shape / scale, whose best shape is the mean of log(1 + theta x). */
static double profile(excesses *e, double theta)
{
    double sum = 0;
    if (fabs(theta) < 1e-12) {
        for (size_t i = 0; i < e->n; i++)
            sum += e->x[i];
        e->shape = 0;
        return -log(sum / (double)e->n) - 1;
    }
    for (size_t i = 0; i < e->n; i++) {
        const double arm = 1 + theta * e->x[i];
        if (arm <= 0)
            return -INFINITY;
        sum += log(arm);
    }
    e->shape = sum / (double)e->n;
    const double scale = e->shape / theta;
    return scale > 0 ? -log(scale) - e->shape - 1 : -INFINITY;
}

/* Given the shape, the scale that is most likely: a root of a falling function. */
static double scale_for(const excesses *e, double shape, double largest)
{
    double low = shape < 0 ? -shape * largest * (1 + 1e-12) : 1e-12 * largest, high = largest * 1e6;
    for (int i = 0; i < 200; i++) {
        const double scale = sqrt(low * high);
        double sum = 0;
        for (size_t j = 0; j < e->n; j++)
            sum += e->x[j] / (scale + shape * e->x[j]);
        if ((1 + shape) * sum > (double)e->n)
            low = scale;
        else
            high = scale;
    }
    return sqrt(low * high);
}

ken_status kn_fit_pareto(double *shape, double *scale, const double *x, size_t n)
{
    excesses e = { .x = x, .n = n };
    double largest = 0, best = 0, most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, x[i]);
    if (n < 5 || !(largest > 0))
        return kn_fail(KEN_E_INVALID, "%zu scores do not make a tail", n);
    /* a grid of theta, dense at both ends, then golden section around its best */
    const double from = -1 / largest;
    double at[3] = { 0, 0, 0 };
    for (int i = 1; i < 400; i++) {
        const double t = i < 200 ? from * (1 - pow((double)i / 200, 3))
                                 : 1000 / largest * pow((double)(i - 200) / 200, 4);
        const double l = profile(&e, t);
        if (l > most) {
            most = l;
            best = t;
            at[0] = i < 200 ? from * (1 - pow((double)(i - 1) / 200, 3))
                            : i == 200 ? from * (1 - pow(199.0 / 200, 3))
                                       : 1000 / largest * pow((double)(i - 201) / 200, 4);
            at[2] = i < 199 ? from * (1 - pow((double)(i + 1) / 200, 3))
                            : 1000 / largest * pow((double)(i < 200 ? 1 : i - 199) / 200, 4);
        }
    }
    const double golden = (sqrt(5) - 1) / 2;
    double low = at[0], high = at[2];
    for (int i = 0; i < 100; i++) {
        const double a = high - golden * (high - low), b = low + golden * (high - low);
        if (profile(&e, a) > profile(&e, b))
            high = b;
        else
            low = a;
    }
    if (profile(&e, (low + high) / 2) > most)
        best = (low + high) / 2;
    (void)profile(&e, best);
    *shape = fmin(fmax(e.shape, -.5), .5);
    *scale = scale_for(&e, *shape, largest);
    return KEN_OK;
}
