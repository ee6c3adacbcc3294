/*
 * eval_search.c - ken_eval_search: how well a collection answers queries whose right answers are known.
 *
 * Each query runs twice: once as a user asks it, for the ten best, which is timed, and once for the
 * rank of every item, which the measures need.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/collection.h"
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>

enum { K = 10, CUTS = 3 };
static const size_t cuts[CUTS] = { 1, 5, 10 };

typedef struct judge {
    ken *k;
    const ken_search_options *o;
    ken_hit *hits;    /* (most) */
    size_t most;      /* items of the collection */
    uint64_t *sorted; /* right ids of a query */
    uint64_t *ranks;
    double *ms;       /* (queries) */
    ken_eval_search_report r;
} judge;

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The ranks of the right ones, ascending; an item that was not answered at all comes behind all. */
static size_t rank(judge *j, const ken_search_case *c, size_t found)
{
    size_t n = 0, right = 0;
    for (size_t i = 0; i < c->n_relevant; i++)
        j->sorted[i] = c->relevant[i];
    qsort(j->sorted, c->n_relevant, sizeof *j->sorted, by_number);
    for (size_t i = 0; i < c->n_relevant; i++)
        if (!right || j->sorted[i] != j->sorted[right - 1])
            j->sorted[right++] = j->sorted[i];
    for (size_t i = 0; i < found; i++)
        if (bsearch(&j->hits[i].id, j->sorted, right, sizeof *j->sorted, by_number))
            j->ranks[n++] = i + 1;
    for (uint64_t behind = j->most + 1; n < right; behind++)
        j->ranks[n++] = behind;
    return right;
}

static void add(judge *j, size_t right)
{
    ken_eval_search_report *r = &j->r;
    r->map += kn_average_precision(j->ranks, right);
    r->mrr += kn_reciprocal_rank(j->ranks, right);
    for (int i = 0; i < CUTS; i++) {
        r->precision[i] += kn_precision_at(j->ranks, right, cuts[i]);
        r->recall[i] += kn_recall_at(j->ranks, right, cuts[i]);
        r->ndcg[i] += kn_ndcg(j->ranks, right, cuts[i]);
    }
}

static ken_status one(judge *j, const ken_search_case *c, size_t number)
{
    ken_search_options o = *j->o;
    ken_search_times times;
    size_t found = 0;
    if (!c->n_relevant)
        return kn_fail(KEN_E_INVALID, "query %zu has nothing that is right", number + 1);
    o.k = K;
    const double start = kn_clock();
    ken_status st = ken_search(j->k, c->terms, c->n, &o, j->hits, &found, &times);
    j->ms[number] = (kn_clock() - start) * 1e3;
    o.k = (uint32_t)(j->most > K ? j->most : K);
    if (!st)
        st = ken_search(j->k, c->terms, c->n, &o, j->hits, &found, NULL);
    if (!st)
        add(j, rank(j, c, found));
    return st ? kn_fail_in(st, "query %zu", number + 1) : KEN_OK;
}

/* The least time that a share of all queries does not exceed. */
static double percentile(const double *sorted, size_t n, double share)
{
    const double at = ceil(share * (double)n);
    return sorted[at < 1 ? 0 : (size_t)at - 1];
}

static void finish(judge *j, size_t n)
{
    ken_eval_search_report *r = &j->r;
    double *const means[] = { &r->map, &r->mrr };
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += j->ms[i];
    for (int i = 0; i < 2; i++)
        *means[i] /= (double)n;
    for (int i = 0; i < CUTS; i++) {
        r->precision[i] /= (double)n;
        r->recall[i] /= (double)n;
        r->ndcg[i] /= (double)n;
    }
    qsort(j->ms, n, sizeof *j->ms, by_time);
    r->queries = n;
    r->p50_ms = percentile(j->ms, n, .5);
    r->p95_ms = percentile(j->ms, n, .95);
    r->p99_ms = percentile(j->ms, n, .99);
    r->qps = sum > 0 ? 1e3 * (double)n / sum : 0;
}

ken_status ken_eval_search(ken *k, const ken_search_case *cases, size_t n, const ken_search_options *opts,
                           ken_progress_fn progress, void *cookie, ken_eval_search_report *out)
{
    static const ken_search_options defaults = KEN_SEARCH_OPTIONS_INIT;
    judge j = { .k = k, .o = opts ? opts : &defaults };
    ken_stats stats;
    kn_meter meter;
    size_t most = 0;
    if (!k || !cases || !n || !out)
        return kn_fail(KEN_E_INVALID, "ken_eval_search: no queries");
    for (size_t i = 0; i < n; i++)
        most = cases[i].n_relevant > most ? cases[i].n_relevant : most;
    ken_status st = ken_get_stats(k, &stats);
    if (st)
        return st;
    j.most = (size_t)stats.items;
    j.hits = kn_alloc(j.most > K ? j.most : K, sizeof *j.hits);
    j.sorted = kn_alloc(most, sizeof *j.sorted);
    j.ranks = kn_alloc(most, sizeof *j.ranks);
    j.ms = kn_alloc(n, sizeof *j.ms);
    if (!j.hits || !j.sorted || !j.ranks || !j.ms)
        st = KEN_E_NOMEM;
    kn_meter_start(&meter, "eval", "queries", n, progress, cookie);
    for (size_t i = 0; !st && i < n; i++) {
        st = one(&j, &cases[i], i);
        if (!st)
            st = kn_meter_tell(&meter, i + 1, NULL);
    }
    kn_meter_end(&meter);
    if (!st) {
        finish(&j, n);
        *out = j.r;
    }
    kn_free(j.hits);
    kn_free(j.sorted);
    kn_free(j.ranks);
    kn_free(j.ms);
    return st;
}
