/*
 * histogram.c - the baseline: a colour histogram of 4 x 4 x 4 bins, compared by the Hellinger distance
 * (the Euclidean one between the roots of the bins).  What it finds can be found by colour alone.
 */
#include "tools/toys/list.h"
#include "tools/toys/toys_tool.h"

#include "base/parallel.h"
#include "base/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct match {
    const tt_list *gallery;
    tt_list *queries;
} match;

/* The rank of the right label: how many pictures of others are more like the query than the best of
 * its own.  With several references a label, a label may count more than once: a bound from above. */
static ken_status rank_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const match *m = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        tt_entry *q = &m->queries->e[i];
        float best = -1;
        for (size_t j = 0; j < m->gallery->n; j++)
            if (!strcmp(m->gallery->e[j].label, q->label))
                best = fmaxf(best, tt_likeness(m->queries, i, m->gallery, j));
        q->rank = best < 0 ? UINT32_MAX : 0;
        for (size_t j = 0; best >= 0 && j < m->gallery->n; j++)
            q->rank += tt_likeness(m->queries, i, m->gallery, j) > best;
    }
    return kn_check_interrupt();
}

static void say(const tt_args *a, const tt_list *queries)
{
    double top1 = 0, top5 = 0;
    for (size_t i = 0; i < queries->n; i++) {
        top1 += queries->e[i].rank == 0;
        top5 += queries->e[i].rank < 5;
    }
    printf(a->json ? "{\"queries\":%zu,\"top1\":%.4f,\"top5\":%.4f}\n"
                   : "%zu queries: R@1 %.4f, R@5 %.4f\n",
           queries->n, top1 / (double)queries->n, top5 / (double)queries->n);
}

int tt_histogram(const tt_args *a)
{
    tt_list gallery = { .n = 0 }, queries = { .n = 0 };
    match m = { &gallery, &queries };
    ken_status st = tt_list_read(&gallery, a->gallery);
    if (!st)
        st = tt_list_read(&queries, a->queries);
    if (!st)
        st = tt_list_histograms(&gallery, a->threads);
    if (!st)
        st = tt_list_histograms(&queries, a->threads);
    if (!st)
        st = kn_parallel(queries.n, 1, a->threads, rank_some, &m);
    if (!st)
        say(a, &queries);
    tt_list_release(&gallery);
    tt_list_release(&queries);
    return st ? tt_fail(st) : TT_DONE;
}
