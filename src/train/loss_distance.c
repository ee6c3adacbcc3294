/*
 * loss_distance.c - all distances of a batch, and the way back.
 *
 * |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, one matrix product, loses digits when a and b are near each
 * other and far from the origin, which is how an untrained network's embeddings lie.  Distances do
 * not change when all vectors move, so the mean of the batch is taken off first; pairs that are
 * still near compared with their lengths are subtracted directly, forward and backward.
 *
 * With d = sqrt(d^2 + 1e-12) the gradient (a - b) / d is right everywhere, and 0 where a = b.
 * From t = dL/dv: A = (t + t^T) dv/d(d^2) * 2, dz_i = sum_j A_ij (z_i - z_j).
 */
#include "train/loss_state.h"

#include "kernels/kernels.h"

#include <math.h>

#define NEAR 0.01f /* of |a|^2 + |b|^2 */
#define EPS 1e-12f

typedef struct dist_loop {
    const float *square;
    const float *v;
    float *out;
    size_t n;
    int squared;
} dist_loop;

/* Squares of the centred vectors' lengths, and the vectors. */
static ken_status centre(kn_loss *l, const float *z, size_t n)
{
    const size_t d = l->c.dim;
    float *c = kn_loss_room(l, ROOM_CENTRED, n * d, sizeof *c);
    float *square = kn_loss_room(l, ROOM_SQUARE, n, sizeof *square);
    double *mean = kn_loss_room(l, ROOM_MEAN, d, sizeof *mean);
    if (!c || !square || !mean)
        return KEN_E_NOMEM;
    for (size_t j = 0; j < d; j++)
        mean[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            mean[j] += (double)z[i * d + j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            c[i * d + j] = z[i * d + j] - (float)(mean[j] / (double)n);
    for (size_t i = 0; i < n; i++)
        square[i] = kn_kernels_get()->dot_f32(c + i * d, c + i * d, d);
    return KEN_OK;
}

/* Products to squared distances. */
static void distance_rows(size_t begin, size_t end, void *cookie)
{
    const dist_loop *p = cookie;
    for (size_t i = begin; i < end; i++) {
        float *row = p->out + i * p->n;
        for (size_t j = 0; j < p->n; j++) {
            const float d = p->square[i] + p->square[j] - 2 * row[j];
            row[j] = d > 0 ? d : 0;
        }
        row[i] = 0;
    }
}

static void root_rows(size_t begin, size_t end, void *cookie)
{
    const dist_loop *p = cookie;
    for (size_t i = begin * p->n; i < end * p->n; i++)
        p->out[i] = sqrtf(p->out[i] + EPS);
}

static int near(const dist_loop *p, size_t i, size_t j)
{
    return p->out[i * p->n + j] <= NEAR * (p->square[i] + p->square[j]);
}

/* The near pairs, by subtraction; they are listed for the way back: (i, j) …, ended by (n, n). */
static ken_status direct(kn_loss *l, const dist_loop *p)
{
    const float *c = l->room[ROOM_CENTRED].p;
    const size_t d = l->c.dim, n = p->n;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            count += (size_t)near(p, i, j);
    uint32_t *list = kn_loss_room(l, ROOM_LIST, count + 1, 2 * sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (near(p, i, j)) {
                p->out[i * n + j] = kn_kernels_get()->l2sq_f32(c + i * d, c + j * d, d);
                p->out[j * n + i] = p->out[i * n + j];
                *list++ = (uint32_t)i;
                *list++ = (uint32_t)j;
            }
    *list++ = (uint32_t)n;
    *list = (uint32_t)n;
    return KEN_OK;
}

ken_status kn_loss_distances(kn_loss *l, const float *z, size_t n, int squared, float *v)
{
    ken_status st = centre(l, z, n);
    if (st)
        return st;
    const float *c = l->room[ROOM_CENTRED].p;
    dist_loop p = { .square = l->room[ROOM_SQUARE].p, .out = v, .n = n };
    st = kn_loss_abt(l, c, n, l->c.dim, c, n, v);
    if (!st)
        st = kn_loss_rows(l, n, distance_rows, &p);
    if (!st)
        st = direct(l, &p);
    return st || squared ? st : kn_loss_rows(l, n, root_rows, &p);
}

/* ---- backward ---- */

static void symmetric(const dist_loop *p)
{
    const size_t n = p->n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            const float slope = p->squared ? 2 : 1 / p->v[i * n + j];
            const float a = i == j ? 0 : (p->out[i * n + j] + p->out[j * n + i]) * slope;
            p->out[i * n + j] = p->out[j * n + i] = a;
        }
}

typedef struct pull_loop {
    const float *a, *c;
    size_t n, d;
    float *dz; /* holds A c */
} pull_loop;

static void pull_rows(size_t begin, size_t end, void *cookie)
{
    const pull_loop *p = cookie;
    for (size_t i = begin; i < end; i++) {
        double sum = 0;
        for (size_t j = 0; j < p->n; j++)
            sum += (double)p->a[i * p->n + j];
        for (size_t k = 0; k < p->d; k++)
            p->dz[i * p->d + k] = (float)sum * p->c[i * p->d + k] - p->dz[i * p->d + k];
    }
}

/* The near pairs leave A, their factors go to f; returns how many. */
static size_t take_near(const uint32_t *pair, float *a, size_t n, float *f)
{
    size_t count = 0;
    for (; *pair < n; pair += 2) {
        const size_t i = pair[0], j = pair[1];
        f[count++] = a[i * n + j];
        a[i * n + j] = a[j * n + i] = 0;
    }
    return count;
}

static void pull_near(const pull_loop *p, const uint32_t *pair, const float *f, size_t count)
{
    for (size_t m = 0; m < count; m++) {
        const size_t i = pair[2 * m] * p->d, j = pair[2 * m + 1] * p->d;
        for (size_t k = 0; f[m] != 0 && k < p->d; k++) {
            const float step = f[m] * (p->c[i + k] - p->c[j + k]);
            p->dz[i + k] += step;
            p->dz[j + k] -= step;
        }
    }
}

ken_status kn_loss_distances_back(kn_loss *l, const float *v, int squared, float *t, size_t n,
                                  float *dz)
{
    const uint32_t *pairs = l->room[ROOM_LIST].p;
    const dist_loop s = { .v = v, .out = t, .n = n, .squared = squared };
    pull_loop p = { t, l->room[ROOM_CENTRED].p, n, l->c.dim, dz };
    float *f = kn_loss_room(l, ROOM_FACTORS, l->room[ROOM_LIST].bytes / sizeof *pairs, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    symmetric(&s);
    const size_t near_pairs = take_near(pairs, t, n, f);
    ken_status st = kn_loss_ab(l, t, n, n, p.c, p.d, dz);
    if (!st)
        st = kn_loss_rows(l, n, pull_rows, &p);
    if (!st)
        pull_near(&p, pairs, f, near_pairs);
    return st;
}

/* ---- what a report says of them ---- */

typedef struct spread_loop {
    const float *v;
    int products, squared;
    const uint32_t *labels;
    size_t n;
    row_sum *rows; /* loss, terms: of the same label; active, tried: of others */
} spread_loop;

static double distance_of(const spread_loop *s, size_t i, size_t j)
{
    const float *row = s->v + i * s->n;
    double d = (double)row[j];
    if (s->products)
        d = (double)row[i] + (double)s->v[j * s->n + j] - 2 * d;
    return s->products || s->squared ? sqrt(d > 0 ? d : 0) : d;
}

static void spread_rows(size_t begin, size_t end, void *cookie)
{
    const spread_loop *s = cookie;
    for (size_t i = begin; i < end; i++) {
        row_sum sum = { 0 };
        for (size_t j = 0; j < s->n; j++) {
            const double d = distance_of(s, i, j);
            if (s->labels[i] != s->labels[j]) {
                sum.active += d;
                sum.tried++;
            } else if (i != j) {
                sum.loss += d;
                sum.terms++;
            }
        }
        s->rows[i] = sum;
    }
}

ken_status kn_loss_spread(kn_loss *l, const float *v, int products, int squared,
                          const uint32_t *labels, size_t n, kn_loss_report *r)
{
    spread_loop s = {
        v, products, squared, labels, n, kn_loss_room(l, ROOM_ROWS, n, sizeof *s.rows)
    };
    const ken_status st = s.rows ? kn_loss_rows(l, n, spread_rows, &s) : KEN_E_NOMEM;
    if (st)
        return st;
    const row_sum t = kn_loss_total(s.rows, n);
    r->positive = t.terms > 0 ? t.loss / t.terms : 0;
    r->negative = t.tried > 0 ? t.active / t.tried : 0;
    return KEN_OK;
}
