/*
 * loss_pairs.c - losses on pairs of vectors: pictures and words, a network and its teacher.
 *
 *   clip     logits t u_i.v_j, t = e^w with w <= ln 100; the mean of the cross entropies of rows
 *            and of columns (Radford et al., 2021).  Rows of one group share the target evenly.
 *   distill  T = 0: 1 - u_i.v_i.  T > 0: the cosines of each row with the other rows, over T, as a
 *            distribution: KL(teacher || network), mean over rows (relational: the two may have
 *            different dimensions; Fang et al., "SEED", 2021)
 */
#include "train/loss_state.h"

#include <math.h>
#include <string.h>

/* ---- clip ---- */

typedef struct clip {
    const uint32_t *groups;
    size_t n;
    float heat, share;
    const float *s;
    float *g;
    row_sum *rows;
} clip;

static int partners(const clip *c, size_t i, size_t j)
{
    return i == j || (c->groups && c->groups[i] == c->groups[j]);
}

/* The gradient for the logits of row i into g, over 2n. */
static row_sum clip_row(const clip *c, size_t i)
{
    const float *s = c->s + i * c->n;
    float *g = c->g + i * c->n, most = -INFINITY, right = -INFINITY, wrong = -INFINITY;
    double total = 0, positive = 0, count = 0;
    for (size_t j = 0; j < c->n; j++) {
        if (partners(c, i, j)) {
            right = fmaxf(right, s[j] * c->heat);
            positive += (double)(s[j] * c->heat);
            count++;
        } else {
            wrong = fmaxf(wrong, s[j] * c->heat);
        }
    }
    most = fmaxf(right, wrong);
    for (size_t j = 0; j < c->n; j++) {
        g[j] = expf(s[j] * c->heat - most);
        total += (double)g[j];
    }
    for (size_t j = 0; j < c->n; j++)
        g[j] = (float)((double)g[j] / total - (partners(c, i, j) ? 1 / count : 0)) * c->share;
    return (row_sum){ .loss = log(total) + (double)most - positive / count,
                      .terms = 1,
                      .active = wrong >= right,
                      .tried = 1 };
}

static void clip_rows(size_t begin, size_t end, void *cookie)
{
    const clip *c = cookie;
    for (size_t i = begin; i < end; i++)
        c->rows[i] = clip_row(c, i);
}

/* Distances of partners and of others. */
static void clip_spread(const clip *c, kn_loss_report *r)
{
    double sum[2] = { 0 }, count[2] = { 0 };
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < c->n; j++) {
            const int own = partners(c, i, j);
            sum[own] += sqrt(fmax(2 - 2 * (double)c->s[i * c->n + j], 0));
            count[own]++;
        }
    r->positive = count[1] > 0 ? sum[1] / count[1] : 0;
    r->negative = count[0] > 0 ? sum[0] / count[0] : 0;
}

/* One direction: s = u v^T, its gradient into g. */
static ken_status one_way(kn_loss *l, clip *c, const float *u, const float *v, float *s, float *g,
                          row_sum *sum)
{
    ken_status st = kn_loss_abt(l, u, c->n, l->c.dim, v, c->n, s);
    c->s = s;
    c->g = g;
    if (!st)
        st = kn_loss_rows(l, c->n, clip_rows, c);
    if (!st)
        *sum = kn_loss_total(c->rows, c->n);
    return st;
}

/* Both gradients into g, times t; returns dL/dw. */
static double join(const clip *c, const float *s, float *g, const float *back)
{
    double dw = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < c->n; j++) {
            float *x = &g[i * c->n + j];
            *x = (*x + back[j * c->n + i]) * c->heat;
            dw += (double)*x * (double)s[i * c->n + j];
        }
    return dw;
}

ken_status kn_loss_clip(kn_loss *l, const float *u, const float *v, size_t n,
                        const uint32_t *groups, float *du, float *dv, kn_loss_report *r)
{
    const float most = logf(100);
    l->w[0] = l->w[0] > most ? most : l->w[0];
    clip c = { .groups = groups, .n = n, .heat = expf(l->w[0]), .share = 1 / (2 * (float)n) };
    float *s = kn_loss_room(l, ROOM_S, 2 * n * n, sizeof *s);
    float *g = kn_loss_room(l, ROOM_G, n * n, sizeof *g);
    float *back = kn_loss_room(l, ROOM_G2, n * n, sizeof *back);
    row_sum rows, columns;
    c.rows = kn_loss_room(l, ROOM_ROWS, n, sizeof *c.rows);
    if (!s || !g || !back || !c.rows)
        return KEN_E_NOMEM;
    ken_status st = one_way(l, &c, v, u, s + n * n, back, &columns);
    if (!st)
        st = one_way(l, &c, u, v, s, g, &rows);
    if (st)
        return st;
    r->loss = (rows.loss + columns.loss) / (2 * (double)n);
    r->active = (rows.active + columns.active) / (2 * (double)n);
    clip_spread(&c, r);
    l->g[0] = (float)join(&c, s, g, back);
    st = kn_loss_ab(l, g, n, n, v, l->c.dim, du);
    return st ? st : kn_loss_atb(l, g, n, n, u, l->c.dim, dv);
}

/* ---- distill ---- */

/* The cosine kind: each row's own teacher should also be its nearest. */
static ken_status match(kn_loss *l, const float *u, const float *v, size_t n, float *du,
                        kn_loss_report *r)
{
    const size_t d = l->c.dim;
    float *s = kn_loss_room(l, ROOM_S, n * n, sizeof *s);
    const clip c = { .n = n, .s = s };
    const ken_status st = s ? kn_loss_abt(l, u, n, d, v, n, s) : KEN_E_NOMEM;
    if (st)
        return st;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t j = 1; j < n; j++)
            best = s[i * n + j] > s[i * n + best] ? j : best;
        r->loss += (1 - (double)s[i * n + i]) / (double)n;
        r->active += best != i;
    }
    r->active /= (double)n;
    clip_spread(&c, r);
    for (size_t i = 0; i < n * d; i++)
        du[i] = -v[i] / (float)n;
    return KEN_OK;
}

typedef struct relation {
    size_t n;
    float heat;
    const float *s; /* cosines of the network's vectors … */
    float *p;       /* … of the teacher's; becomes the gradient for s, over n */
    row_sum *rows;
} relation;

/* log sum exp over the others of a row, and the nearest. */
static double log_total(const relation *c, const float *s, size_t i, size_t *best)
{
    double most = -INFINITY, total = 0;
    for (size_t j = 0; j < c->n; j++)
        if (j != i && (double)s[j] > most) {
            most = (double)s[j];
            *best = j;
        }
    for (size_t j = 0; j < c->n; j++)
        if (j != i)
            total += exp(((double)s[j] - most) * (double)c->heat);
    return log(total) + most * (double)c->heat;
}

static void relation_rows(size_t begin, size_t end, void *cookie)
{
    const relation *c = cookie;
    for (size_t i = begin; i < end; i++) {
        const float *s = c->s + i * c->n;
        float *t = c->p + i * c->n;
        size_t mine = i, theirs = i;
        const double ls = log_total(c, s, i, &mine), lt = log_total(c, t, i, &theirs);
        row_sum sum = { .terms = 1, .tried = 1, .active = mine != theirs };
        for (size_t j = 0; j < c->n; j++) {
            const double xs = (double)s[j] * (double)c->heat - ls;
            const double xt = (double)t[j] * (double)c->heat - lt;
            if (j != i)
                sum.loss += exp(xt) * (xt - xs);
            t[j] = j == i ? 0 : (float)((exp(xs) - exp(xt)) * (double)c->heat / (double)c->n);
        }
        c->rows[i] = sum;
    }
}

static ken_status relate(kn_loss *l, const float *u, const float *v, size_t n, float *du,
                         kn_loss_report *r)
{
    const size_t teacher = l->c.teacher_dim ? l->c.teacher_dim : l->c.dim;
    float *s = kn_loss_room(l, ROOM_S, n * n, sizeof *s);
    relation c = { .n = n, .heat = 1 / l->c.temperature, .s = s };
    c.p = kn_loss_room(l, ROOM_G, n * n, sizeof *c.p);
    c.rows = kn_loss_room(l, ROOM_ROWS, n, sizeof *c.rows);
    if (!s || !c.p || !c.rows)
        return KEN_E_NOMEM;
    ken_status st = kn_loss_abt(l, u, n, l->c.dim, u, n, s);
    if (!st)
        st = kn_loss_abt(l, v, n, teacher, v, n, c.p);
    if (!st)
        st = kn_loss_rows(l, n, relation_rows, &c);
    if (st)
        return st;
    const row_sum sum = kn_loss_total(c.rows, n);
    r->loss = sum.loss / (double)n;
    r->active = sum.active / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            c.p[i * n + j] = c.p[j * n + i] = c.p[i * n + j] + c.p[j * n + i];
    return kn_loss_ab(l, c.p, n, n, u, l->c.dim, du);
}

ken_status kn_loss_distill(kn_loss *l, const float *u, const float *v, size_t n, float *du,
                           kn_loss_report *r)
{
    if (!(l->c.temperature > 0))
        return match(l, u, v, n, du, r);
    if (n > 1)
        return relate(l, u, v, n, du, r);
    memset(du, 0, l->c.dim * sizeof *du);
    return KEN_OK;
}
