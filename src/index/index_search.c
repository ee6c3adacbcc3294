/*
 * index_search.c - searches of an index: the kind's over the base, and every pending row; and exact ones.
 */
#include "index/index_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "index/flat.h"
#include "kernels/kernels.h"


enum { PIECE = 256, RUN = 1024 };

/* ---- scratch ---- */

static kn_scratch *borrow(kn_pool *pool)
{
    for (size_t i = 0; i < KN_INDEX_POOL; i++) {
        kn_scratch *s = atomic_exchange(&pool->at[i], NULL);
        if (s)
            return s;
    }
    return kn_zalloc(1, sizeof(kn_scratch));
}

static void give_back(kn_pool *pool, kn_scratch *s)
{
    for (size_t i = 0; s && i < KN_INDEX_POOL; i++) {
        kn_scratch *none = NULL;
        if (atomic_compare_exchange_strong(&pool->at[i], &none, s))
            return;
    }
    if (s)
        kn_free(s->p);
    kn_free(s);
}

/* ---- searching ---- */

typedef struct job {
    const kn_shot *s;
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
    const kn_shot *s = j->s;
    const kn_kernels *k = kn_kernels_get();
    const size_t dim = s->base.dim;
    float scores[PIECE];
    for (size_t i = 0; i < s->pending; i += PIECE) {
        const size_t n = s->pending - i < PIECE ? s->pending - i : PIECE;
        const float *rows = s->rows + i * dim;
        size_t at;
        if (s->base.metric != KN_METRIC_L2)
            k->dots_f32(query, rows, n, dim, scores);
        for (size_t r = 0; s->base.metric == KN_METRIC_L2 && r < n; r++)
            scores[r] = -k->l2sq_f32(query, rows + r * dim, dim);
        for (size_t r = 0; r < n; r++)
            if (scores[r] >= kn_topk_floor(top)
                && !(s->dead && (s->dead[(i + r) / 64] >> (i + r) % 64 & 1))
                && (!j->only || kn_idmap_get(j->only, s->ids[i + r], &at)))
                kn_topk_offer(top, s->ids[i + r], scores[r]);
    }
}

static ken_status search_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    const kn_shot *shot = j->s;
    const size_t k = j->find.k, dim = shot->base.dim;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t q = begin; q < end; q++)
        kn_topk_init(&j->top[q], j->near + q * k, k);
    if (shot->state && (!j->find.allowed || j->find.n_allowed)) {
        kn_scratch *s = borrow(shot->pool);
        st = s ? shot->kind->search(shot->state, j->queries + begin * dim, end - begin, &j->find, s,
                                    j->top + begin)
               : KEN_E_NOMEM;
        give_back(shot->pool, s);
    }
    for (size_t q = begin; !st && q < end; q++) {
        search_pending(j, j->queries + q * dim, &j->top[q]);
        kn_topk_sort(&j->top[q]);
        j->found[q] = j->top[q].len;
    }
    return st;
}

/* The slots that may be answered, as a bitmap of its own; and all ids as a set.  The state to search is
 * taken while it agrees with the map. */
static ken_status allow(kn_index *ix, job *j, const uint64_t *only, size_t n, uint64_t **allowed,
                        kn_idmap *set)
{
    size_t at;
    ken_status st = kn_idmap_reserve(set, n);
    pthread_mutex_lock(&ix->lock);
    if (!st)
        st = kn_index_map_ids(ix);
    j->s = atomic_load(&ix->now);
    *allowed = st ? NULL : kn_zalloc((j->s->base.n + 63) / 64 + 1, sizeof **allowed);
    if (!*allowed)
        st = st ? st : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        kn_idmap_put(set, only[i], i);
        if (kn_idmap_get(&ix->map, only[i], &at) && at < j->s->base.n
            && !((*allowed)[at / 64] >> at % 64 & 1)) {
            (*allowed)[at / 64] |= 1ull << at % 64;
            j->find.n_allowed++;
        }
    }
    pthread_mutex_unlock(&ix->lock);
    j->find.allowed = *allowed;
    j->only = set;
    return st;
}

/* A unit copy of the queries for cosine, into *copy. */
static ken_status take_queries(const kn_index *ix, job *j, const float *queries, size_t nq, float **copy)
{
    j->queries = queries;
    if (ix->metric != KN_METRIC_COSINE || j->s->base.source)
        return KEN_OK;
    j->queries = *copy = kn_index_prepared(ix, queries, nq);
    return *copy ? KEN_OK : KEN_E_NOMEM;
}

static ken_status search(kn_index *ix, job *j, const float *queries, size_t nq, const uint64_t *only,
                         size_t n_only, uint32_t threads)
{
    uint64_t *allowed = NULL;
    kn_idmap set = { 0 };
    float *copy = NULL;
    ken_status st = KEN_OK;
    j->s = atomic_load(&ix->now);
    if (!j->s->base.source) {
        j->find.allowed = j->s->gone ? j->s->live : NULL;
        j->find.n_allowed = j->s->gone ? j->s->base.n - j->s->gone : 0;
    }
    if (only) {
        j->find.n_allowed = 0;
        st = allow(ix, j, only, n_only, &allowed, &set);
    }
    if (!st)
        st = take_queries(ix, j, queries, nq, &copy);
    j->top = st ? NULL : kn_alloc(nq, sizeof *j->top);
    if (!st && !j->top)
        st = KEN_E_NOMEM;
    for (size_t q = 0; !j->find.k && q < nq; q++)
        j->found[q] = 0;
    if (!st && j->find.k)
        st = kn_parallel(nq, 1, threads ? threads : 1, search_some, j);
    kn_free(j->top);
    kn_free(copy);
    kn_free(allowed);
    kn_idmap_release(&set);
    return st;
}

ken_status kn_index_search(const kn_index *ix, const float *queries, size_t nq, const kn_find *p,
                           const uint64_t *only, size_t n_only, uint32_t threads, kn_near *near,
                           size_t *found)
{
    job j = { .find = *p, .near = near, .found = found };
    ken_status st = kn_index_check_vectors(queries, nq, ix->dim, "query");
    if (st || !nq)
        return st;
    const size_t place = kn_readers_enter(ix->readers);
    st = search((kn_index *)(uintptr_t)ix, &j, queries, nq, only, n_only, threads);
    kn_readers_leave(ix->readers, place);
    return st;
}

/* Rows in runs, for flat.c; those that are gone are skipped. */
static size_t cut_into_runs(const kn_shot *s, const uint64_t *skip, kn_run *runs)
{
    size_t n = 0;
    const size_t dim = s->base.dim;
    for (size_t i = 0; i < s->base.n; i += RUN)
        runs[n++] = (kn_run){ .rows = s->base.f32 + i * dim,
                              .type = KN_F32,
                              .n = s->base.n - i < RUN ? s->base.n - i : RUN,
                              .ids = (const unsigned char *)(s->base.ids + i),
                              .id_stride = sizeof *s->ids,
                              .skip = skip,
                              .skip_first = i };
    for (size_t i = 0; i < s->pending; i += RUN)
        runs[n++] = (kn_run){ .rows = s->rows + i * dim,
                              .type = KN_F32,
                              .n = s->pending - i < RUN ? s->pending - i : RUN,
                              .ids = (const unsigned char *)(s->ids + i),
                              .id_stride = sizeof *s->ids,
                              .skip = s->dead,
                              .skip_first = i };
    return n;
}

static ken_status exact(const kn_index *ix, const float *queries, size_t nq, size_t k, uint32_t threads,
                        kn_near *near, size_t *found)
{
    const kn_shot *s = atomic_load(&ix->now);
    const size_t words = (s->base.n + 63) / 64;
    float *copy = NULL;
    uint64_t *skip = NULL;
    ken_status st = KEN_OK;
    if (s->base.n && !s->base.f32)
        return kn_fail(KEN_E_UNSUPPORTED, "an index without its rows cannot answer exactly");
    kn_run *runs = kn_alloc(s->base.n / RUN + s->pending / RUN + 2, sizeof *runs);
    if (!runs)
        st = KEN_E_NOMEM;
    if (!st && ix->metric == KN_METRIC_COSINE && !(copy = kn_index_prepared(ix, queries, nq)))
        st = KEN_E_NOMEM;
    if (!st && s->gone && !(skip = kn_alloc(words, sizeof *skip)))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && s->gone && i < words; i++)
        skip[i] = ~s->live[i];
    if (!st) {
        const kn_flat f = { runs, cut_into_runs(s, skip, runs), ix->dim, ix->metric, threads };
        st = kn_flat_search(&f, copy ? copy : queries, nq, k, near, found);
    }
    kn_free(runs);
    kn_free(copy);
    kn_free(skip);
    return st;
}

ken_status kn_index_exact(const kn_index *ix, const float *queries, size_t nq, size_t k,
                          uint32_t threads, kn_near *near, size_t *found)
{
    ken_status st = kn_index_check_vectors(queries, nq, ix->dim, "query");
    if (st)
        return st;
    const size_t place = kn_readers_enter(ix->readers);
    st = exact(ix, queries, nq, k, threads, near, found);
    kn_readers_leave(ix->readers, place);
    return st;
}
