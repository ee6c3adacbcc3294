/* metrics.c - sums over ranks and over sorted scores, in double. */
#include "train/metrics.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rankings ---- */

/* The sum of precisions at the ranks up to `last`. */
static double sum_precisions(const uint64_t *ranks, size_t relevant, uint64_t last)
{
    double sum = 0;
    for (size_t i = 0; i < relevant && ranks[i] <= last; i++)
        sum += (double)(i + 1) / (double)ranks[i];
    return sum;
}

double kn_average_precision(const uint64_t *ranks, size_t relevant)
{
    return relevant ? sum_precisions(ranks, relevant, UINT64_MAX) / (double)relevant : 0;
}

double kn_map_at_r(const uint64_t *ranks, size_t relevant)
{
    return relevant ? sum_precisions(ranks, relevant, relevant) / (double)relevant : 0;
}

double kn_reciprocal_rank(const uint64_t *ranks, size_t relevant)
{
    return relevant ? 1 / (double)ranks[0] : 0;
}

double kn_ndcg(const uint64_t *ranks, size_t relevant, size_t k)
{
    double got = 0, best = 0;
    for (size_t i = 0; i < relevant && i < k; i++) {
        best += 1 / log2((double)i + 2);
        if (ranks[i] <= k)
            got += 1 / log2((double)ranks[i] + 1);
    }
    return best > 0 ? got / best : 0;
}

static size_t ranks_up_to(const uint64_t *ranks, size_t relevant, size_t k)
{
    size_t n = 0;
    while (n < relevant && ranks[n] <= k)
        n++;
    return n;
}

double kn_precision_at(const uint64_t *ranks, size_t relevant, size_t k)
{
    return (double)ranks_up_to(ranks, relevant, k) / (double)k;
}

double kn_recall_at(const uint64_t *ranks, size_t relevant, size_t k)
{
    return relevant ? (double)ranks_up_to(ranks, relevant, k) / (double)relevant : 0;
}

/* ---- confusions ---- */

static int by_pair(const void *a, const void *b)
{
    const kn_confusion *x = a, *y = b;
    if (x->truth != y->truth)
        return x->truth < y->truth ? -1 : 1;
    return (x->answer > y->answer) - (x->answer < y->answer);
}

static int fullest_first(const void *a, const void *b)
{
    const kn_confusion *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return by_pair(a, b);
}

size_t kn_confusions(kn_confusion *list, size_t n)
{
    size_t kept = 0;
    if (n)
        qsort(list, n, sizeof *list, by_pair);
    for (size_t i = 0; i < n; i++) {
        if (list[i].truth == list[i].answer)
            continue;
        if (kept && by_pair(&list[kept - 1], &list[i]) == 0)
            list[kept - 1].count += list[i].count;
        else
            list[kept++] = list[i];
    }
    if (kept)
        qsort(list, kept, sizeof *list, fullest_first);
    return kept;
}

/* ---- scores ---- */

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static ken_status sorted(float **out, const float *list, size_t n)
{
    float *copy = kn_alloc(n, sizeof *copy);
    if (!copy)
        return KEN_E_NOMEM;
    if (n) {
        memcpy(copy, list, n * sizeof *copy);
        qsort(copy, n, sizeof *copy, ascending);
    }
    *out = copy;
    return KEN_OK;
}

ken_status kn_auroc(double *out, const float *positive, size_t n, const float *negative, size_t m)
{
    float *neg = NULL, *pos = NULL;
    double wins = 0;
    if (!n || !m)
        return kn_fail(KEN_E_INVALID, "AUROC of an empty set");
    ken_status st = sorted(&neg, negative, m);
    if (!st)
        st = sorted(&pos, positive, n);
    for (size_t i = 0, below = 0, up_to = 0; !st && i < n; i++) {
        while (below < m && neg[below] < pos[i])
            below++;
        while (up_to < m && neg[up_to] <= pos[i])
            up_to++;
        wins += (double)(below + up_to) / 2;
    }
    if (!st)
        *out = wins / ((double)n * (double)m);
    kn_free(neg);
    kn_free(pos);
    return st;
}

ken_status kn_dir_at_fpir(double *out, const float *scores, const unsigned char *correct, size_t n,
                          const float *unknown, size_t m, double fpir)
{
    float *sorted_unknown = NULL;
    size_t hits = 0;
    if (!n || !m)
        return kn_fail(KEN_E_INVALID, "DIR of an empty set");
    ken_status st = sorted(&sorted_unknown, unknown, m);
    if (st)
        return st;
    /* that many may pass, so the threshold lies above the next one */
    const size_t allowed = (size_t)floor(fpir * (double)m + 1e-9);
    const float above = allowed < m ? sorted_unknown[m - 1 - allowed] : -INFINITY;
    for (size_t i = 0; i < n; i++)
        hits += correct[i] && scores[i] > above;
    *out = (double)hits / (double)n;
    kn_free(sorted_unknown);
    return KEN_OK;
}

typedef struct judged {
    float confidence;
    size_t place;
    int correct;
} judged;

static int by_confidence(const void *a, const void *b)
{
    const judged *x = a, *y = b;
    if (x->confidence != y->confidence)
        return x->confidence < y->confidence ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

ken_status kn_ece(double *out, const float *confidence, const unsigned char *correct, size_t n,
                  size_t bins)
{
    double sum = 0;
    if (!n || !bins)
        return kn_fail(KEN_E_INVALID, "ECE of an empty set");
    judged *all = kn_alloc(n, sizeof *all);
    if (!all)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        all[i] = (judged){ confidence[i], i, correct[i] };
    qsort(all, n, sizeof *all, by_confidence);
    for (size_t b = 0; b < bins; b++) {
        double gap = 0;
        for (size_t i = n * b / bins; i < n * (b + 1) / bins; i++)
            gap += (double)all[i].confidence - all[i].correct;
        sum += fabs(gap);
    }
    *out = sum / (double)n;
    kn_free(all);
    return KEN_OK;
}
