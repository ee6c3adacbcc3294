/*
 * fit_relevance.c - ken_fit_relevance: how near is near enough, from queries that have an answer.
 *
 * Words count as strange beyond what all but one in a hundred of these queries have, and the floor of words
 * is what the best hits of all but one in a hundred reach; the margin is then the largest with which as many
 * queries are answered as was asked for.  Queries without an answer do not take part in the choice: they
 * tell what it is worth.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/model.h"
#include "engine/model_meta.h"
#include "engine/relevance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 20, LEAST_CASES = 20 };
static const double FLOOR_SHARE = .01;

typedef struct sample {
    int words, answerable;
    double strange;
    size_t n;
    float raw[DEPTH], margin[DEPTH]; /* of the first hits */
} sample;

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What all but `share` of the values reach; sorts them. */
static double reached(double *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, rising);
    return values[(size_t)floor(share * (double)n)];
}

static double best_raw(const sample *s, double unused)
{
    (void)unused;
    return s->n ? (double)s->raw[0] : -2;
}

static double best_margin(const sample *s, double floor_)
{
    double best = -2;
    for (size_t i = 0; i < s->n; i++)
        if ((double)s->raw[i] >= floor_ && (double)s->margin[i] > best)
            best = (double)s->margin[i];
    return best;
}

static double plainness(const sample *s, double unused)
{
    (void)unused;
    return -s->strange;
}

static ken_status ask(ken *k, const ken_model *m, const ken_search_case *c, sample *s)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    ken_hit hits[DEPTH];
    kn_near near[DEPTH];
    kn_rivals r = { 0 };
    o.k = DEPTH;
    o.verify = -1; /* what is cut is cut before it */
    *s = (sample){ .words = 1, .answerable = c->n_relevant > 0 };
    for (size_t i = 0; i < c->n; i++)
        s->words &= c->terms[i].text != NULL;
    ken_status st = ken_search(k, c->terms, c->n, &o, hits, &s->n, NULL);
    for (size_t i = 0; !st && i < s->n; i++) {
        near[i] = (kn_near){ .id = hits[i].id, .raw = hits[i].raw };
        s->raw[i] = hits[i].raw;
    }
    if (!st)
        st = kn_relevance_strange(k->encoder, m, c->terms, c->n, &s->strange);
    if (!st)
        st = kn_relevance_margins(k, m, c->terms, c->n, &r, near, s->n, s->margin);
    kn_rivals_release(&r);
    return st;
}

/* values (n): those of the samples that have an answer, of words or of pictures. */
static size_t gather(const sample *all, size_t n, int words, double (*value)(const sample *, double),
                     double given, double *values)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i].words == words && all[i].answerable)
            values[used++] = value(&all[i], given);
    return used;
}

static void choose(const sample *all, size_t n, double items, double missed, double *values, kn_relevance *r,
                   kn_relevance_point *p)
{
    const double few = FLOOR_SHARE < missed ? FLOOR_SHARE : missed;
    size_t used = gather(all, n, 0, best_raw, 0, values);
    if (used >= LEAST_CASES)
        r->pictures = reached(values, used, missed);
    used = gather(all, n, 1, best_raw, 0, values);
    if (used < LEAST_CASES)
        return;
    *p = (kn_relevance_point){ items, reached(values, used, few), 0 };
    used = gather(all, n, 1, best_margin, p->floor, values);
    p->margin = reached(values, used, missed);
    used = gather(all, n, 1, plainness, 0, values);
    r->strange = -reached(values, used, few);
    kn_relevance_put(r, *p);
}

static void judge(const sample *all, size_t n, const kn_relevance *r, const kn_relevance_point *p,
                  ken_relevance_report *out)
{
    uint64_t answerable = 0, answered = 0, silent = 0;
    for (size_t i = 0; i < n; i++) {
        const int answer = all[i].words ? all[i].strange <= r->strange
                                              && best_margin(&all[i], p->floor) >= p->margin && all[i].n
                                        : best_raw(&all[i], 0) >= r->pictures;
        answerable += (uint64_t)all[i].answerable;
        answered += (uint64_t)(all[i].answerable && answer);
        silent += (uint64_t)(!all[i].answerable && !answer);
    }
    *out = (ken_relevance_report){ .queries = n, .nothing = n - answerable, .floor = p->floor,
                                   .margin = p->margin, .strange = r->strange, .pictures = r->pictures };
    out->answered = answerable ? (double)answered / (double)answerable : -1;
    out->silent = n > answerable ? (double)silent / (double)(n - answerable) : -1;
}

ken_status ken_fit_relevance(ken *k, const ken_search_case *cases, size_t n, double answered,
                             const char *path, ken_relevance_report *out)
{
    const ken_model *m = NULL;
    kn_relevance r;
    const kn_relevance nothing = { .strange = 1, .pictures = 2 };
    kn_relevance_point p = { 0, 2, 0 };
    ken_stats stats;
    if (!k || !cases || !n || !path || !out || !(answered > 0 && answered < 1))
        return kn_fail(KEN_E_INVALID, "ken_fit_relevance: no queries, or a share that is none");
    ken_status st = kn_collection_model(k, &m);
    if (!st)
        st = ken_get_stats(k, &stats);
    if (!st && kn_relevance_read(&r, k->encoder, m)) /* what this cannot fit stays */
        r = nothing;
    sample *all = st ? NULL : kn_alloc(n, sizeof *all);
    double *values = st ? NULL : kn_alloc(n, sizeof *values);
    if (!st && (!all || !values))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        st = ask(k, m, &cases[i], &all[i]);
        if (!st)
            st = kn_check_interrupt();
    }
    if (!st)
        choose(all, n, (double)stats.items, 1 - answered, values, &r, &p);
    if (!st && !r.n && r.pictures >= 2)
        st = kn_fail(KEN_E_INVALID, "at least %d queries of words, or of pictures, must have an answer",
                     LEAST_CASES);
    char *text = st ? NULL : kn_relevance_print(&r);
    const kn_meta_change change = { "relevance", text };
    if (!st)
        st = text ? kn_model_rewrite(m, &change, 1, path) : KEN_E_NOMEM;
    if (!st)
        judge(all, n, &r, &p, out);
    kn_free(text);
    kn_free(all);
    kn_free(values);
    return st;
}
