/*
 * loss_metric.c - triplet and contrastive losses on distances, and their mining.
 *
 * With v = d or d^2 (`squared`), margin m:
 *   triplet      [m + v_ap - v_an]_+, or log(1 + exp(v_ap - v_an)) (`soft`)
 *     all        every triplet; the mean is over those with a loss (else it vanishes as they become
 *                easy), of soft ones over all.  Hermans, Beyer and Leibe, 2017: "batch all".
 *     hard       each anchor's farthest positive and nearest negative ("batch hard"); mean over
 *                anchors
 *     semihard   each pair with its nearest negative that is farther than the positive, else its
 *                farthest negative (Schroff et al., "FaceNet", 2015, as TensorFlow Addons computes
 *                it); mean over pairs
 *   contrastive  `squared`: 1/2 d_p^2 and 1/2 [m - d_n]_+^2 (Hadsell, Chopra and LeCun, 2006); else
 *                d_p and [m - d_n]_+.  Each of the two is averaged over its terms with a loss, and
 *                the two averages are added.
 *     hard       only each anchor's farthest positive and nearest negative
 *
 * Each row of t = dL/dv is written by the anchor's thread alone.
 */
#include "train/loss_state.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

typedef struct metric {
    const kn_loss_config *c;
    kn_mining mining;
    const uint32_t *labels;
    size_t n;
    const float *v;
    float *t;
    row_sum *rows;     /* triplet; contrastive: of positives … */
    row_sum *negative; /* … and of negatives */
    float positive_scale, negative_scale;
} metric;

/* ---- triplets ---- */

/* The loss of x = v_ap - v_an and its slope; 1 if it is active. */
static int hinge(const kn_loss_config *c, float x, float *loss, float *slope)
{
    if (c->soft) {
        const float e = expf(-fabsf(x));
        *loss = fmaxf(x, 0) + log1pf(e);
        *slope = x >= 0 ? 1 / (1 + e) : e / (1 + e);
        return x > 0;
    }
    *loss = fmaxf(x + c->margin, 0);
    *slope = *loss > 0 ? 1 : 0;
    return *loss > 0;
}

static void add_triplet(const metric *m, size_t a, size_t p, size_t n, row_sum *sum)
{
    float loss, slope, *t = m->t + a * m->n;
    sum->active += hinge(m->c, m->v[a * m->n + p] - m->v[a * m->n + n], &loss, &slope);
    sum->tried++;
    sum->loss += (double)loss;
    t[p] += slope;
    t[n] -= slope;
}

/* The quick way through all negatives of one pair: hinges are only compared and counted. */
static void add_hinges(const metric *m, size_t a, size_t p, row_sum *sum)
{
    const float *v = m->v + a * m->n, reach = v[p] + m->c->margin;
    float *t = m->t + a * m->n, count = 0;
    double loss = 0;
    for (size_t n = 0; n < m->n; n++) {
        const int on = m->labels[n] != m->labels[a] && reach > v[n];
        sum->tried += m->labels[n] != m->labels[a];
        if (!on)
            continue;
        loss += (double)(reach - v[n]);
        count++;
        t[n] -= 1;
    }
    t[p] += count;
    sum->loss += loss;
    sum->active += (double)count;
}

static void all_triplets(const metric *m, size_t a, row_sum *sum)
{
    for (size_t p = 0; p < m->n; p++) {
        if (p == a || m->labels[p] != m->labels[a])
            continue;
        if (!m->c->soft) {
            add_hinges(m, a, p, sum);
            continue;
        }
        for (size_t n = 0; n < m->n; n++)
            if (m->labels[n] != m->labels[a])
                add_triplet(m, a, p, n, sum);
    }
    sum->terms = m->c->soft ? sum->tried : sum->active;
}

/* Farthest positive and nearest negative; m->n where there is none. */
static void hardest(const metric *m, size_t a, size_t *p, size_t *n)
{
    const float *v = m->v + a * m->n;
    *p = *n = m->n;
    for (size_t j = 0; j < m->n; j++) {
        if (m->labels[j] != m->labels[a]) {
            if (*n == m->n || v[j] < v[*n])
                *n = j;
        } else if (j != a && (*p == m->n || v[j] > v[*p])) {
            *p = j;
        }
    }
}

static void hard_triplet(const metric *m, size_t a, row_sum *sum)
{
    size_t p, n;
    hardest(m, a, &p, &n);
    if (p < m->n && n < m->n)
        add_triplet(m, a, p, n, sum);
    sum->terms = sum->tried;
}

static size_t semihard_negative(const metric *m, size_t a, size_t p)
{
    const float *v = m->v + a * m->n;
    size_t beyond = m->n, farthest = m->n;
    for (size_t j = 0; j < m->n; j++) {
        if (m->labels[j] == m->labels[a])
            continue;
        if (v[j] > v[p] && (beyond == m->n || v[j] < v[beyond]))
            beyond = j;
        if (farthest == m->n || v[j] > v[farthest])
            farthest = j;
    }
    return beyond < m->n ? beyond : farthest;
}

static void semihard_triplets(const metric *m, size_t a, row_sum *sum)
{
    for (size_t p = 0; p < m->n; p++) {
        const int pair = p != a && m->labels[p] == m->labels[a];
        const size_t n = pair ? semihard_negative(m, a, p) : m->n;
        if (n < m->n)
            add_triplet(m, a, p, n, sum);
    }
    sum->terms = sum->tried;
}

static void triplet_rows(size_t begin, size_t end, void *cookie)
{
    const metric *m = cookie;
    for (size_t a = begin; a < end; a++) {
        row_sum sum = { 0 };
        memset(m->t + a * m->n, 0, m->n * sizeof *m->t);
        if (m->mining == KN_MINING_HARD)
            hard_triplet(m, a, &sum);
        else if (m->mining == KN_MINING_SEMIHARD)
            semihard_triplets(m, a, &sum);
        else
            all_triplets(m, a, &sum);
        m->rows[a] = sum;
    }
}

/* ---- contrastive ---- */

static void add_pair(const metric *m, size_t a, size_t j)
{
    const int same = m->labels[a] == m->labels[j];
    const float d = m->v[a * m->n + j], x = same ? d : m->c->margin - d;
    row_sum *sum = same ? &m->rows[a] : &m->negative[a];
    sum->tried++;
    if (!(x > 0))
        return;
    sum->active++;
    sum->loss += m->c->squared ? (double)x * (double)x / 2 : (double)x;
    m->t[a * m->n + j] += (same ? 1 : -1) * (m->c->squared ? x : 1);
}

static void contrastive_rows(size_t begin, size_t end, void *cookie)
{
    const metric *m = cookie;
    for (size_t a = begin; a < end; a++) {
        size_t p, n;
        m->rows[a] = m->negative[a] = (row_sum){ 0 };
        memset(m->t + a * m->n, 0, m->n * sizeof *m->t);
        if (m->mining == KN_MINING_HARD) {
            hardest(m, a, &p, &n);
            if (p < m->n)
                add_pair(m, a, p);
            if (n < m->n)
                add_pair(m, a, n);
            continue;
        }
        for (size_t j = 0; j < m->n; j++)
            if (j != a)
                add_pair(m, a, j);
    }
}

/* ---- both ---- */

static void scale_rows(size_t begin, size_t end, void *cookie)
{
    const metric *m = cookie;
    for (size_t a = begin; a < end; a++)
        for (size_t j = 0; j < m->n; j++)
            m->t[a * m->n + j] *=
                m->labels[a] == m->labels[j] ? m->positive_scale : m->negative_scale;
}

static float over(double terms)
{
    return terms > 0 ? (float)(1 / terms) : 0;
}

static void finish_triplet(metric *m, kn_loss_report *r)
{
    const row_sum sum = kn_loss_total(m->rows, m->n);
    r->loss = sum.terms > 0 ? sum.loss / sum.terms : 0;
    r->active = sum.tried > 0 ? sum.active / sum.tried : 0;
    m->positive_scale = m->negative_scale = over(sum.terms);
}

/* Positives always have some distance: those that are not satisfied are the negatives. */
static void finish_contrastive(metric *m, kn_loss_report *r)
{
    const row_sum p = kn_loss_total(m->rows, m->n), n = kn_loss_total(m->negative, m->n);
    r->loss = (p.active > 0 ? p.loss / p.active : 0) + (n.active > 0 ? n.loss / n.active : 0);
    r->active = n.tried > 0 ? n.active / n.tried : 0;
    m->positive_scale = over(p.active);
    m->negative_scale = over(n.active);
}

ken_status kn_loss_metric(kn_loss *l, const batch *b, kn_loss_report *r)
{
    const int triplet = l->c.kind == KN_LOSS_TRIPLET, squared = triplet && l->c.squared;
    metric m = { .c = &l->c, .mining = l->mining, .labels = b->labels, .n = b->n };
    float *v = kn_loss_room(l, ROOM_S, b->n * b->n, sizeof *v);
    m.t = kn_loss_room(l, ROOM_G, b->n * b->n, sizeof *m.t);
    m.rows = kn_loss_room(l, ROOM_ROWS, 2 * b->n, sizeof *m.rows);
    if (!v || !m.t || !m.rows)
        return KEN_E_NOMEM;
    m.v = v;
    m.negative = m.rows + b->n;
    ken_status st = kn_loss_distances(l, b->z, b->n, squared, v);
    if (!st)
        st = kn_loss_rows(l, b->n, triplet ? triplet_rows : contrastive_rows, &m);
    if (st)
        return st;
    if (triplet)
        finish_triplet(&m, r);
    else
        finish_contrastive(&m, r);
    st = kn_loss_rows(l, b->n, scale_rows, &m);
    if (!st)
        st = kn_loss_spread(l, v, 0, squared, b->labels, b->n, r);
    return st ? st : kn_loss_distances_back(l, v, squared, m.t, b->n, b->dz);
}
