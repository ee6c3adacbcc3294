/* fusion.c - see fusion.h. */
#include "engine/fusion.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const double RRF_K = 60;

/* What an item gets from one list. */
typedef struct share {
    uint64_t id;
    size_t list;
    double part;
    float raw;
} share;

ken_status kn_fusion_named(kn_fusion *out, const char *name)
{
    *out = name && !strcmp(name, "weighted") ? KN_FUSION_WEIGHTED : KN_FUSION_RRF;
    if (!name || *out == KN_FUSION_WEIGHTED || !strcmp(name, "rrf"))
        return KEN_OK;
    return kn_fail(KEN_E_INVALID, "fusion \"%s\": one of rrf, weighted", name);
}

static double part_of(const kn_ranking *l, size_t rank, kn_fusion how)
{
    if (how == KN_FUSION_RRF)
        return (RRF_K + 1) / (RRF_K + 1 + (double)rank);
    const double most = (double)l->hits[0].raw, least = (double)l->hits[l->n - 1].raw;
    return most > least ? ((double)l->hits[rank].raw - least) / (most - least) : 1;
}

static int by_item(const void *a, const void *b)
{
    const share *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->list > y->list) - (x->list < y->list);
}

static int best_first(const void *a, const void *b)
{
    const ken_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

ken_status kn_fuse(const kn_ranking *lists, size_t n, kn_fusion how, ken_hit *out, size_t *found)
{
    size_t all = 0, m = 0;
    double weights = 0;
    for (size_t l = 0; l < n; l++) {
        all += lists[l].n;
        weights += (double)lists[l].weight;
    }
    share *shares = kn_alloc(all + 1, sizeof *shares);
    if (!shares)
        return KEN_E_NOMEM;
    for (size_t l = 0; l < n; l++)
        for (size_t i = 0; i < lists[l].n; i++)
            shares[m++] = (share){ lists[l].hits[i].id, l,
                                   (double)lists[l].weight / weights * part_of(&lists[l], i, how),
                                   lists[l].hits[i].raw };
    qsort(shares, all, sizeof *shares, by_item);
    *found = 0;
    for (size_t i = 0, end; i < all; i = end) {
        double sum = 0;
        for (end = i; end < all && shares[end].id == shares[i].id; end++)
            sum += shares[end].part;
        out[(*found)++] = (ken_hit){ shares[i].id, (float)sum, shares[i].raw };
    }
    qsort(out, *found, sizeof *out, best_first);
    kn_free(shares);
    return KEN_OK;
}
