/*
 * loss_class.c - losses on classes with weights of their own: a linear classifier, and classifiers
 * on the sphere.
 *
 *   softmax  logits scale W z + b
 *   arcface  logits s cos(theta_k), for the right class s cos(theta + m) (Deng et al., 2019);
 *            beyond theta = pi - m, where that would rise again, s (cos(theta) - m sin(m)) as
 *            insightface has it
 *   cosface  for the right class s (cos(theta) - m) (Wang et al., 2018)
 *   proxyanchor  with h = exp: 1/|P+| sum over classes p in the batch of log(1 + sum_{x of p}
 *            h(-a (s_xp - m))) + 1/|P| sum over all p of log(1 + sum_{x not of p} h(a (s_xp + m)))
 *            (Kim et al., 2020)
 *
 * Cross entropy with smoothing e against (1 - e) [k = y] + e / K; its gradient is softmax - that.
 */
#include "train/loss_state.h"

#include <math.h>
#include <string.h>

/* ---- cross entropy ---- */

double kn_loss_entropy(float *x, size_t k, size_t target, float smoothing, int *wrong)
{
    double total = 0, sum = 0, most = -INFINITY;
    size_t best = 0;
    for (size_t j = 0; j < k; j++) {
        sum += (double)x[j];
        if ((double)x[j] > most) {
            most = (double)x[j];
            best = j;
        }
    }
    const double right = (double)x[target], e = (double)smoothing;
    for (size_t j = 0; j < k; j++) {
        x[j] = expf(x[j] - (float)most);
        total += (double)x[j];
    }
    for (size_t j = 0; j < k; j++)
        x[j] = (float)((double)x[j] / total - e / (double)k);
    x[target] -= 1 - smoothing;
    *wrong = best != target;
    return log(total) + most - (1 - e) * right - e * sum / (double)k;
}

/* ---- classifiers ---- */

typedef struct heads {
    const kn_loss_config *c;
    const uint32_t *labels;
    const float *bias;
    size_t n, classes;
    float *x; /* (n, classes): products, then their gradient */
    row_sum *rows;
} heads;

/* What the right class's cosine becomes, and by what slope. */
static float with_margin(const kn_loss_config *c, float cosine, float *slope)
{
    const float m = c->margin;
    *slope = 1;
    if (c->kind == KN_LOSS_COSFACE)
        return cosine - m;
    if (cosine <= -cosf(m))
        return cosine - m * sinf(m);
    const float most = 1 - 1e-7f, in = cosine > most ? most : cosine;
    const float sine = sqrtf(1 - in * in);
    *slope = cosine > most ? 0 : cosf(m) + sinf(m) * in / sine;
    return in * cosf(m) - sine * sinf(m);
}

static void head_rows(size_t begin, size_t end, void *cookie)
{
    const heads *h = cookie;
    const float scale = h->c->scale, share = 1 / (float)h->n;
    for (size_t i = begin; i < end; i++) {
        float *x = h->x + i * h->classes, slope = 1;
        const size_t y = h->labels[i];
        int wrong;
        if (h->c->kind != KN_LOSS_SOFTMAX)
            x[y] = with_margin(h->c, x[y], &slope);
        for (size_t j = 0; j < h->classes; j++)
            x[j] = x[j] * scale + (h->bias ? h->bias[j] : 0);
        h->rows[i] = (row_sum){ .terms = 1, .tried = 1 };
        h->rows[i].loss = kn_loss_entropy(x, h->classes, y, h->c->label_smoothing, &wrong);
        h->rows[i].active = wrong;
        for (size_t j = 0; j < h->classes; j++)
            x[j] *= share; /* of the logits */
        x[y] *= slope;
    }
}

static ken_status run_heads(kn_loss *l, const batch *b, const float *w, const float *bias, heads *h,
                            kn_loss_report *r)
{
    *h = (heads){
        .c = &l->c, .labels = b->labels, .bias = bias, .n = b->n, .classes = l->c.classes
    };
    h->x = kn_loss_room(l, ROOM_S, h->n * h->classes, sizeof *h->x);
    h->rows = kn_loss_room(l, ROOM_ROWS, h->n, sizeof *h->rows);
    if (!h->x || !h->rows)
        return KEN_E_NOMEM;
    ken_status st = kn_loss_abt(l, b->z, h->n, l->c.dim, w, h->classes, h->x);
    if (!st)
        st = kn_loss_rows(l, h->n, head_rows, h);
    if (st)
        return st;
    const row_sum sum = kn_loss_total(h->rows, h->n);
    r->loss = sum.loss / sum.terms;
    r->active = sum.active / sum.tried;
    return KEN_OK;
}

static void scale_all(float *x, size_t n, float factor)
{
    for (size_t i = 0; factor != 1 && i < n; i++)
        x[i] *= factor;
}

ken_status kn_loss_softmax(kn_loss *l, const batch *b, kn_loss_report *r)
{
    const size_t d = l->c.dim, k = l->c.classes;
    float *db = l->g + k * d;
    heads h;
    ken_status st = run_heads(l, b, l->w, l->w + k * d, &h, r);
    if (st)
        return st;
    memset(db, 0, k * sizeof *db);
    for (size_t i = 0; i < b->n; i++)
        for (size_t j = 0; j < k; j++)
            db[j] += h.x[i * k + j];
    scale_all(h.x, b->n * k, l->c.scale);
    st = kn_loss_ab(l, h.x, b->n, k, l->w, d, b->dz);
    return st ? st : kn_loss_atb(l, h.x, b->n, k, b->z, d, l->g);
}

/* The weights as unit vectors; their gradient goes to room ROOM_DZ2. */
static ken_status unit_weights(kn_loss *l, float **w, float **length, float **dw)
{
    const size_t d = l->c.dim, k = l->c.classes;
    *w = kn_loss_room(l, ROOM_Z2, k * d, sizeof(float));
    *length = kn_loss_room(l, ROOM_LENGTH2, k, sizeof(float));
    *dw = kn_loss_room(l, ROOM_DZ2, k * d, sizeof(float));
    return *w && *length && *dw ? kn_loss_unit(l, l->w, k, d, *w, *length) : KEN_E_NOMEM;
}

ken_status kn_loss_cosine(kn_loss *l, const batch *b, kn_loss_report *r)
{
    const size_t d = l->c.dim, k = l->c.classes;
    float *w, *length, *dw;
    heads h;
    ken_status st = unit_weights(l, &w, &length, &dw);
    if (!st)
        st = run_heads(l, b, w, NULL, &h, r);
    if (st)
        return st;
    scale_all(h.x, b->n * k, l->c.scale);
    st = kn_loss_ab(l, h.x, b->n, k, w, d, b->dz);
    if (!st)
        st = kn_loss_atb(l, h.x, b->n, k, b->z, d, dw);
    return st ? st : kn_loss_unit_back(l, w, length, dw, k, d, l->g);
}

/* ---- proxies: rows are classes, columns are the batch ---- */

typedef struct proxies {
    const kn_loss_config *c;
    const uint32_t *labels;
    size_t n;
    double present; /* classes in the batch */
    float *x;       /* (classes, n): cosines, then their gradient */
    row_sum *rows;  /* loss: pulling; terms: samples of the class; active: pushing */
} proxies;

/* log(1 + sum exp(y)) over the samples that are (or are not) of class p, y = sign alpha (s -+ m);
 * their places in g get its slope times `share`. */
static double log_sum(const proxies *q, size_t p, int own, double share, const float *s, float *g)
{
    const double a = (own ? -1 : 1) * (double)q->c->scale,
                 m = (own ? -1 : 1) * (double)q->c->margin;
    double most = 0, total;
    for (size_t i = 0; i < q->n; i++)
        if ((q->labels[i] == p) == own)
            most = fmax(most, a * ((double)s[i] + m));
    total = exp(-most);
    for (size_t i = 0; i < q->n; i++)
        if ((q->labels[i] == p) == own)
            total += exp(a * ((double)s[i] + m) - most);
    for (size_t i = 0; i < q->n; i++)
        if ((q->labels[i] == p) == own)
            g[i] = (float)(share * a * exp(a * ((double)s[i] + m) - most) / total);
    return log(total) + most;
}

static void proxy_rows(size_t begin, size_t end, void *cookie)
{
    const proxies *q = cookie;
    for (size_t p = begin; p < end; p++) {
        float *x = q->x + p * q->n;
        row_sum sum = { 0 };
        for (size_t i = 0; i < q->n; i++)
            sum.terms += q->labels[i] == p;
        /* each half overwrites only the cosines that it alone has read */
        if (sum.terms > 0)
            sum.loss = log_sum(q, p, 1, 1 / q->present, x, x);
        sum.active = log_sum(q, p, 0, 1 / (double)q->c->classes, x, x);
        q->rows[p] = sum;
    }
}

/* The share of samples whose nearest proxy is another's. */
static double misled(const proxies *q)
{
    size_t wrong = 0;
    for (size_t i = 0; i < q->n; i++) {
        size_t best = 0;
        for (size_t p = 1; p < q->c->classes; p++)
            if (q->x[p * q->n + i] > q->x[best * q->n + i])
                best = p;
        wrong += best != q->labels[i];
    }
    return (double)wrong / (double)q->n;
}

/* Classes that occur. */
static double count_present(const uint32_t *labels, size_t n)
{
    double count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < i && labels[j] != labels[i])
            j++;
        count += j == i;
    }
    return count;
}

ken_status kn_loss_proxies(kn_loss *l, const batch *b, kn_loss_report *r)
{
    const size_t d = l->c.dim, k = l->c.classes, n = b->n;
    float *w, *length, *dw;
    proxies q = { .c = &l->c, .labels = b->labels, .n = n, .present = count_present(b->labels, n) };
    q.x = kn_loss_room(l, ROOM_S, n * k, sizeof *q.x);
    q.rows = kn_loss_room(l, ROOM_ROWS, k, sizeof *q.rows);
    ken_status st = q.x && q.rows ? unit_weights(l, &w, &length, &dw) : KEN_E_NOMEM;
    if (!st)
        st = kn_loss_abt(l, w, k, d, b->z, n, q.x);
    if (st)
        return st;
    r->active = misled(&q);
    st = kn_loss_rows(l, k, proxy_rows, &q);
    if (st)
        return st;
    const row_sum sum = kn_loss_total(q.rows, k);
    r->loss = sum.loss / q.present + sum.active / (double)k;
    st = kn_loss_atb(l, q.x, k, n, w, d, b->dz);
    if (!st)
        st = kn_loss_ab(l, q.x, k, n, b->z, d, dw);
    return st ? st : kn_loss_unit_back(l, w, length, dw, k, d, l->g);
}
