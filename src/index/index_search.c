/*
 * index_search.c - searches of an index: the kind's over the base, and every pending row; and exact ones.
 */
#include "index/index_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "index/flat.h"
#include "kernels/kernels.h"

#include <pthread.h>

enum { PIECE = 256, RUN = 1024 };

/* Of pools, and of making a map. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- scratch ---- */

static kn_scratch borrow(kn_index *ix)
{
    kn_scratch s = { 0 };
    pthread_mutex_lock(&lock);
    if (ix->pooled)
        s = ix->pool[--ix->pooled];
    pthread_mutex_unlock(&lock);
    return s;
}

static void give_back(kn_index *ix, kn_scratch s)
{
    pthread_mutex_lock(&lock);
    if (ix->pooled < KN_INDEX_POOL && s.p) {
        ix->pool[ix->pooled++] = s;
        s.p = NULL;
    }
    pthread_mutex_unlock(&lock);
    kn_free(s.p);
}

/* ---- searching ---- */

typedef struct job {
    kn_index *ix;
    const float *queries;
    kn_find find;
    const kn_idmap *only; /* or NULL */
    kn_near *near;
    size_t *found;
    kn_topk *top; /* (nq) */
} job;

/* Pending rows have no structure: each is compared. */
static void search_pending(const job *j, const float *query, kn_topk *top)
{
    const kn_index *ix = j->ix;
    const kn_kernels *k = kn_kernels_get();
    float scores[PIECE];
    for (size_t i = 0; i < ix->pending; i += PIECE) {
        const size_t n = ix->pending - i < PIECE ? ix->pending - i : PIECE;
        const float *rows = ix->rows + i * ix->dim;
        size_t at;
        if (ix->metric != KN_METRIC_L2)
            k->dots_f32(query, rows, n, ix->dim, scores);
        for (size_t r = 0; ix->metric == KN_METRIC_L2 && r < n; r++)
            scores[r] = -k->l2sq_f32(query, rows + r * ix->dim, ix->dim);
        for (size_t r = 0; r < n; r++)
            if (scores[r] >= kn_topk_floor(top)
                && (!j->only || kn_idmap_get(j->only, ix->ids[i + r], &at)))
                kn_topk_offer(top, ix->ids[i + r], scores[r]);
    }
}

static ken_status search_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    const kn_index *ix = j->ix;
    const size_t k = j->find.k;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t q = begin; q < end; q++)
        kn_topk_init(&j->top[q], j->near + q * k, k);
    if (ix->state && (!j->find.allowed || j->find.n_allowed)) {
        kn_scratch s = borrow(j->ix);
        st = ix->kind->search(ix->state, j->queries + begin * ix->dim, end - begin, &j->find, &s,
                              j->top + begin);
        give_back(j->ix, s);
    }
    for (size_t q = begin; !st && q < end; q++) {
        search_pending(j, j->queries + q * ix->dim, &j->top[q]);
        kn_topk_sort(&j->top[q]);
        j->found[q] = j->top[q].len;
    }
    return st;
}

/* The slots that may be answered, as a bitmap of its own; and all ids as a set. */
static ken_status allow(kn_index *ix, job *j, const uint64_t *only, size_t n, uint64_t **allowed,
                        kn_idmap *set)
{
    size_t at;
    pthread_mutex_lock(&lock); /* the map may be made by one search at a time */
    ken_status st = kn_index_map_ids(ix);
    pthread_mutex_unlock(&lock);
    if (!st)
        st = kn_idmap_reserve(set, n);
    *allowed = st ? NULL : kn_zalloc((ix->base.n + 63) / 64 + 1, sizeof **allowed);
    if (!*allowed)
        return st ? st : KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        kn_idmap_put(set, only[i], i);
        if (kn_idmap_get(&ix->map, only[i], &at) && at < ix->base.n
            && !((*allowed)[at / 64] >> at % 64 & 1)) {
            (*allowed)[at / 64] |= 1ull << at % 64;
            j->find.n_allowed++;
        }
    }
    j->find.allowed = *allowed;
    j->only = set;
    return KEN_OK;
}

ken_status kn_index_search(const kn_index *ix, const float *queries, size_t nq, const kn_find *p,
                           const uint64_t *only, size_t n_only, uint32_t threads, kn_near *near,
                           size_t *found)
{
    job j = { .ix = (kn_index *)(uintptr_t)ix, .find = *p, .near = near, .found = found };
    uint64_t *allowed = NULL;
    kn_idmap set = { 0 };
    float *copy = NULL;
    ken_status st = kn_index_check_vectors(queries, nq, ix->dim, "query");
    if (st || !nq)
        return st;
    if (!ix->base.source) {
        j.find.allowed = ix->gone ? ix->live : NULL;
        j.find.n_allowed = ix->gone ? ix->base.n - ix->gone : 0;
    }
    if (only) {
        j.find.n_allowed = 0;
        st = allow(j.ix, &j, only, n_only, &allowed, &set);
    }
    j.queries = queries;
    if (!st && ix->metric == KN_METRIC_COSINE && !ix->base.source) {
        j.queries = copy = kn_index_prepared(ix, queries, nq);
        st = copy ? KEN_OK : KEN_E_NOMEM;
    }
    j.top = st ? NULL : kn_alloc(nq, sizeof *j.top);
    if (!st && !j.top)
        st = KEN_E_NOMEM;
    for (size_t q = 0; !p->k && q < nq; q++)
        found[q] = 0;
    if (!st && p->k)
        st = kn_parallel(nq, 1, threads ? threads : 1, search_some, &j);
    kn_free(j.top);
    kn_free(copy);
    kn_free(allowed);
    kn_idmap_release(&set);
    return st;
}

/* Rows in runs, for flat.c; those of the base that are gone are skipped. */
static size_t cut_into_runs(const kn_index *ix, const uint64_t *skip, kn_run *runs)
{
    size_t n = 0;
    for (size_t i = 0; i < ix->base.n; i += RUN)
        runs[n++] = (kn_run){ .rows = ix->base.f32 + i * ix->dim,
                              .type = KN_F32,
                              .n = ix->base.n - i < RUN ? ix->base.n - i : RUN,
                              .ids = (const unsigned char *)(ix->base.ids + i),
                              .id_stride = sizeof *ix->ids,
                              .skip = skip,
                              .skip_first = i };
    for (size_t i = 0; i < ix->pending; i += RUN)
        runs[n++] = (kn_run){ .rows = ix->rows + i * ix->dim,
                              .type = KN_F32,
                              .n = ix->pending - i < RUN ? ix->pending - i : RUN,
                              .ids = (const unsigned char *)(ix->ids + i),
                              .id_stride = sizeof *ix->ids };
    return n;
}

ken_status kn_index_exact(const kn_index *ix, const float *queries, size_t nq, size_t k,
                          uint32_t threads, kn_near *near, size_t *found)
{
    const size_t words = (ix->base.n + 63) / 64;
    float *copy = NULL;
    uint64_t *skip = NULL;
    ken_status st = kn_index_check_vectors(queries, nq, ix->dim, "query");
    if (!st && ix->base.n && !ix->base.f32)
        st = kn_fail(KEN_E_UNSUPPORTED, "an index without its rows cannot answer exactly");
    kn_run *runs = kn_alloc(ix->base.n / RUN + ix->pending / RUN + 2, sizeof *runs);
    if (!st && !runs)
        st = KEN_E_NOMEM;
    if (!st && ix->metric == KN_METRIC_COSINE && !(copy = kn_index_prepared(ix, queries, nq)))
        st = KEN_E_NOMEM;
    if (!st && ix->gone && !(skip = kn_alloc(words, sizeof *skip)))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && ix->gone && i < words; i++)
        skip[i] = ~ix->live[i];
    if (!st) {
        const kn_flat f = { runs, cut_into_runs(ix, skip, runs), ix->dim, ix->metric, threads };
        st = kn_flat_search(&f, copy ? copy : queries, nq, k, near, found);
    }
    kn_free(runs);
    kn_free(copy);
    kn_free(skip);
    return st;
}
