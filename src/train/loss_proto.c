/*
 * loss_proto.c - prototypical networks: each batch is an episode.
 *
 * The first `shots` rows of each class are its support, whose mean is its prototype c_k; the other
 * rows are queries with logits -|q - c_k|^2 / T (Snell, Swersky and Zemel, 2017).  |q|^2 is the
 * same for all classes and drops out of the softmax; vectors are taken relative to the mean
 * prototype, so that 2 q.c - |c|^2 does not cancel.  With g = dL/dlogit, whose rows sum to 0:
 *
 *   dq = 2/T sum_k g_k c_k      dc_k = 2/T (sum_q g_k q - c_k sum_q g_k)
 *
 * and each support row gets dc_k / S.
 */
#include "train/loss_state.h"

#include <math.h>
#include <string.h>

#define SUPPORT (1u << 31)

typedef struct episode {
    const kn_loss_config *c;
    size_t d, ways, queries;
    uint32_t *way;    /* (n) class of each row, counted as they come; | SUPPORT */
    uint32_t *count;  /* (ways) support rows */
    uint32_t *target; /* (queries) */
    float *proto;     /* (ways, d) relative to `mean` */
    float *q;         /* (queries, d) likewise */
    double *mean;     /* (d) */
    float *x;         /* (queries, ways) */
    row_sum *rows;
} episode;

static void assign(episode *e, const batch *b, uint32_t *label_of)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t k = 0;
        while (k < e->ways && label_of[k] != b->labels[i])
            k++;
        if (k == e->ways) {
            label_of[e->ways] = b->labels[i];
            e->count[e->ways++] = 0;
        }
        e->way[i] = (uint32_t)k;
        if (e->count[k] < e->c->shots) {
            e->count[k]++;
            e->way[i] |= SUPPORT;
        } else {
            e->target[e->queries++] = (uint32_t)k;
        }
    }
}

static void add_row(float *to, const float *from, size_t d, float factor)
{
    for (size_t j = 0; j < d; j++)
        to[j] += factor * from[j];
}

static void prototypes(episode *e, const batch *b)
{
    const size_t d = e->d;
    memset(e->proto, 0, e->ways * d * sizeof *e->proto);
    for (size_t i = 0; i < b->n; i++)
        if (e->way[i] & SUPPORT) {
            const size_t k = e->way[i] & ~SUPPORT;
            add_row(e->proto + k * d, b->z + i * d, d, 1 / (float)e->count[k]);
        }
    for (size_t j = 0; j < d; j++)
        e->mean[j] = 0;
    for (size_t k = 0; k < e->ways; k++)
        for (size_t j = 0; j < d; j++)
            e->mean[j] += (double)e->proto[k * d + j] / (double)e->ways;
    for (size_t k = 0; k < e->ways; k++)
        for (size_t j = 0; j < d; j++)
            e->proto[k * d + j] -= (float)e->mean[j];
}

static void queries(episode *e, const batch *b)
{
    float *q = e->q;
    for (size_t i = 0; i < b->n; i++) {
        if (e->way[i] & SUPPORT)
            continue;
        for (size_t j = 0; j < e->d; j++)
            q[j] = b->z[i * e->d + j] - (float)e->mean[j];
        q += e->d;
    }
}

/* Products to logits to their gradient, over T and the number of queries. */
static void query_rows(size_t begin, size_t end, void *cookie)
{
    const episode *e = cookie;
    const float heat = 1 / e->c->temperature, share = 2 * heat / (float)e->queries;
    for (size_t i = begin; i < end; i++) {
        float *x = e->x + i * e->ways;
        int wrong;
        for (size_t k = 0; k < e->ways; k++)
            x[k] = (2 * x[k] - (float)e->rows[e->queries + k].loss) * heat;
        e->rows[i] = (row_sum){ .terms = 1, .tried = 1 };
        e->rows[i].loss = kn_loss_entropy(x, e->ways, e->target[i], e->c->label_smoothing, &wrong);
        e->rows[i].active = wrong;
        for (size_t k = 0; k < e->ways; k++)
            x[k] *= share;
    }
}

/* Squared lengths of the prototypes wait behind the queries' results. */
static void measure(episode *e)
{
    for (size_t k = 0; k < e->ways; k++) {
        double sum = 0;
        for (size_t j = 0; j < e->d; j++)
            sum += (double)e->proto[k * e->d + j] * (double)e->proto[k * e->d + j];
        e->rows[e->queries + k].loss = sum;
    }
}

/* dq (queries, d) and dc (ways, d) to the rows they belong to. */
static void hand_back(episode *e, const batch *b, const float *dq, float *dc)
{
    const size_t d = e->d;
    for (size_t k = 0; k < e->ways; k++) {
        double sum = 0;
        for (size_t i = 0; i < e->queries; i++)
            sum += (double)e->x[i * e->ways + k];
        add_row(dc + k * d, e->proto + k * d, d, (float)-sum);
    }
    for (size_t i = 0; i < b->n; i++) {
        const size_t k = e->way[i] & ~SUPPORT;
        const int support = (e->way[i] & SUPPORT) != 0;
        const float factor = support ? 1 / (float)e->count[k] : 1;
        const float *from = support ? dc + k * d : dq;
        for (size_t j = 0; j < d; j++)
            b->dz[i * d + j] = factor * from[j];
        dq += support ? 0 : d;
    }
}

static ken_status rooms(kn_loss *l, episode *e, size_t n)
{
    const size_t d = e->d;
    e->way = kn_loss_room(l, ROOM_LIST, 4 * n, sizeof *e->way);
    e->proto = kn_loss_room(l, ROOM_Z2, n * d, sizeof *e->proto);
    e->q = kn_loss_room(l, ROOM_CENTRED, n * d, sizeof *e->q);
    e->mean = kn_loss_room(l, ROOM_MEAN, d, sizeof *e->mean);
    e->x = kn_loss_room(l, ROOM_S, n * n, sizeof *e->x);
    e->rows = kn_loss_room(l, ROOM_ROWS, n, sizeof *e->rows); /* queries and ways: at most n */
    if (!e->way || !e->proto || !e->q || !e->mean || !e->x || !e->rows)
        return KEN_E_NOMEM;
    e->count = e->way + n;
    e->target = e->count + n;
    return KEN_OK;
}

ken_status kn_loss_proto(kn_loss *l, const batch *b, kn_loss_report *r)
{
    episode e = { .c = &l->c, .d = l->c.dim };
    ken_status st = rooms(l, &e, b->n);
    if (st)
        return st;
    assign(&e, b, e.target + b->n);
    float *dq = kn_loss_room(l, ROOM_G, e.queries * e.d, sizeof *dq);
    float *dc = kn_loss_room(l, ROOM_G2, e.ways * e.d, sizeof *dc);
    if (!dq || !dc)
        return KEN_E_NOMEM;
    if (!e.queries) {
        memset(b->dz, 0, b->n * e.d * sizeof *b->dz);
        return KEN_OK;
    }
    prototypes(&e, b);
    queries(&e, b);
    measure(&e);
    st = kn_loss_abt(l, e.q, e.queries, e.d, e.proto, e.ways, e.x);
    if (!st)
        st = kn_loss_rows(l, e.queries, query_rows, &e);
    if (st)
        return st;
    const row_sum sum = kn_loss_total(e.rows, e.queries);
    r->loss = sum.loss / sum.terms;
    r->active = sum.active / sum.tried;
    st = kn_loss_ab(l, e.x, e.queries, e.ways, e.proto, e.d, dq);
    if (!st)
        st = kn_loss_atb(l, e.x, e.queries, e.ways, e.q, e.d, dc);
    if (!st)
        hand_back(&e, b, dq, dc);
    return st;
}
