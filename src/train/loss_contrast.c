/*
 * loss_contrast.c - losses on the cosines s of all pairs of a batch, over a temperature T.
 *
 *   supcon   L_i = -1/|P_i| sum_{p in P_i} log( e^{s_ip/T} / sum_{a != i} e^{s_ia/T} ), mean over
 *            the rows that have positives (Khosla et al., 2020, L_out, without its factor of
 *            temperatures): dL_i/ds_ij = (q_ij - [j in P_i]/|P_i|) / T
 *   infonce  L_ip = -log( e^{s_ip/T} / (e^{s_ip/T} + sum_{n not in P_i} e^{s_in/T}) ), mean over
 *            positive pairs (NT-Xent, Chen et al., "SimCLR", 2020, for any number of positives as
 *            pytorch-metric-learning has it)
 *
 * The way back to the vectors: dz = (G + G^T) z for G = dL/ds.
 */
#include "train/loss_state.h"

#include <math.h>

typedef struct contrast {
    const uint32_t *labels;
    size_t n;
    const float *s;
    float *g;
    row_sum *rows;
    float heat; /* 1 / T */
    float scale;
} contrast;

/* Where a row stands: its largest logit and how many positives; whether a negative is the
 * nearest. */
typedef struct standing {
    float most, negative, positive;
    size_t positives;
} standing;

static standing look(const contrast *c, size_t i)
{
    standing t = { .most = -INFINITY, .negative = -INFINITY, .positive = -INFINITY };
    for (size_t j = 0; j < c->n; j++) {
        const float x = c->s[i * c->n + j] * c->heat;
        if (j == i)
            continue;
        if (c->labels[i] == c->labels[j]) {
            t.positives++;
            t.positive = fmaxf(t.positive, x);
        } else {
            t.negative = fmaxf(t.negative, x);
        }
    }
    t.most = fmaxf(t.positive, t.negative);
    return t;
}

static void clear_row(const contrast *c, size_t i)
{
    for (size_t j = 0; j < c->n; j++)
        c->g[i * c->n + j] = 0;
}

static void supcon_row(const contrast *c, size_t i, const standing *t, row_sum *sum)
{
    const float *s = c->s + i * c->n;
    float *g = c->g + i * c->n;
    double total = 0, positive = 0;
    for (size_t j = 0; j < c->n; j++) {
        const float x = s[j] * c->heat;
        g[j] = j == i ? 0 : expf(x - t->most);
        total += (double)g[j];
        if (j != i && c->labels[i] == c->labels[j])
            positive += (double)x;
    }
    const double share = 1 / (double)t->positives;
    for (size_t j = 0; j < c->n; j++) {
        const int same = j != i && c->labels[i] == c->labels[j];
        g[j] = (float)(((double)g[j] / total - (same ? share : 0)) * (double)c->heat);
    }
    sum->loss = log(total) + (double)t->most - positive * share;
    sum->terms = 1;
}

static void supcon_rows(size_t begin, size_t end, void *cookie)
{
    const contrast *c = cookie;
    for (size_t i = begin; i < end; i++) {
        const standing t = look(c, i);
        c->rows[i] = (row_sum){ 0 };
        if (t.positives) {
            supcon_row(c, i, &t, &c->rows[i]);
            c->rows[i].active = t.negative >= t.positive;
            c->rows[i].tried = 1;
        } else {
            clear_row(c, i);
        }
    }
}

/* Each positive p loses softplus(y), y = log sum_n e^{x_n} - x_p, and pulls by sigmoid(y). */
static void infonce_row(const contrast *c, size_t i, const standing *t, row_sum *sum)
{
    const float *s = c->s + i * c->n;
    float *g = c->g + i * c->n;
    double total = 0, pull = 0;
    for (size_t j = 0; j < c->n; j++) {
        const int other = c->labels[i] != c->labels[j];
        g[j] = other ? expf(s[j] * c->heat - t->negative) : 0;
        total += (double)g[j];
    }
    const double all = log(total) + (double)t->negative;
    for (size_t j = 0; j < c->n; j++) {
        if (j == i || c->labels[i] != c->labels[j])
            continue;
        const double y = all - (double)s[j] * (double)c->heat, e = exp(-fabs(y));
        const double sigmoid = y >= 0 ? 1 / (1 + e) : e / (1 + e);
        sum->loss += (y > 0 ? y : 0) + log1p(e);
        g[j] = (float)(-sigmoid * (double)c->heat);
        pull += sigmoid;
    }
    for (size_t j = 0; j < c->n; j++)
        if (c->labels[i] != c->labels[j])
            g[j] = (float)(pull * (double)g[j] / total * (double)c->heat);
}

static void infonce_rows(size_t begin, size_t end, void *cookie)
{
    const contrast *c = cookie;
    for (size_t i = begin; i < end; i++) {
        const standing t = look(c, i);
        c->rows[i] = (row_sum){ .terms = (double)t.positives,
                                .tried = t.positives > 0,
                                .active = t.positives > 0 && t.negative >= t.positive };
        if (t.positives && t.negative > -INFINITY)
            infonce_row(c, i, &t, &c->rows[i]);
        else
            clear_row(c, i); /* without negatives each positive costs log 1 */
    }
}

/* g becomes (G + G^T) scale. */
static void both_ways(const contrast *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = i; j < c->n; j++) {
            const float x = (c->g[i * c->n + j] + c->g[j * c->n + i]) * c->scale;
            c->g[i * c->n + j] = c->g[j * c->n + i] = x;
        }
}

ken_status kn_loss_contrast(kn_loss *l, const batch *b, kn_loss_report *r)
{
    const size_t n = b->n;
    float *s = kn_loss_room(l, ROOM_S, n * n, sizeof *s);
    contrast c = { .labels = b->labels, .n = n, .s = s, .heat = 1 / l->c.temperature };
    c.g = kn_loss_room(l, ROOM_G, n * n, sizeof *c.g);
    c.rows = kn_loss_room(l, ROOM_ROWS, n, sizeof *c.rows);
    if (!s || !c.g || !c.rows)
        return KEN_E_NOMEM;
    ken_status st = kn_loss_abt(l, b->z, n, l->c.dim, b->z, n, s);
    if (!st)
        st = kn_loss_rows(l, n, l->c.kind == KN_LOSS_SUPCON ? supcon_rows : infonce_rows, &c);
    if (st)
        return st;
    const row_sum sum = kn_loss_total(c.rows, n);
    r->loss = sum.terms > 0 ? sum.loss / sum.terms : 0;
    r->active = sum.tried > 0 ? sum.active / sum.tried : 0;
    c.scale = sum.terms > 0 ? (float)(1 / sum.terms) : 0;
    both_ways(&c);
    st = kn_loss_spread(l, s, 1, 0, b->labels, n, r);
    return st ? st : kn_loss_ab(l, c.g, n, n, b->z, l->c.dim, b->dz);
}
