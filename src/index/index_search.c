/*
 * index_search.c - searches of an index: the kind's over the base and the tier, and every pending row; and
 * exact ones.
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
    const uint64_t *tier_allowed; /* as find.allowed, of the tier */
    size_t n_tier_allowed;
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

/* Added rows that are linked among themselves: the answers of both graphs are one list. */
static ken_status search_tier(const job *j, size_t begin, size_t end, kn_scratch *scratch)
{
    const kn_tier *t = j->s->tier;
    const size_t k = j->find.k, dim = t->rows.dim;
    kn_find find = j->find;
    kn_near *near = kn_alloc(k, sizeof *near);
    kn_topk top;
    ken_status st = near ? KEN_OK : KEN_E_NOMEM;
    find.allowed = j->tier_allowed;
    find.n_allowed = j->n_tier_allowed;
    find.hide = 0; /* it is a slot of the base */
    for (size_t q = begin; !st && q < end; q++) {
        kn_topk_init(&top, near, k);
        st = t->kind->search(t->state, j->queries + q * dim, 1, &find, scratch, &top);
        for (size_t i = 0; !st && i < top.len; i++)
            kn_topk_offer(&j->top[q], near[i].id, near[i].raw);
    }
    kn_free(near);
    return st;
}

/* What has a structure: the base, and the tier. */
static ken_status search_linked(const job *j, size_t begin, size_t end)
{
    const kn_shot *shot = j->s;
    const int base = shot->state && (!j->find.allowed || j->find.n_allowed);
    const int tier = shot->tier && (!j->tier_allowed || j->n_tier_allowed);
    kn_scratch *s = base || tier ? borrow(shot->pool) : NULL;
    ken_status st = s || !(base || tier) ? KEN_OK : KEN_E_NOMEM;
    if (!st && base)
        st = shot->kind->search(shot->state, j->queries + begin * shot->base.dim, end - begin, &j->find, s,
                                j->top + begin);
    if (!st && tier)
        st = search_tier(j, begin, end, s);
    give_back(shot->pool, s);
    return st;
}

static ken_status search_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    const size_t k = j->find.k, dim = j->s->base.dim;
    (void)worker;
    for (size_t q = begin; q < end; q++)
        kn_topk_init(&j->top[q], j->near + q * k, k);
    const ken_status st = search_linked(j, begin, end);
    for (size_t q = begin; !st && q < end; q++) {
        search_pending(j, j->queries + q * dim, &j->top[q]);
        kn_topk_sort(&j->top[q]);
        j->found[q] = j->top[q].len;
    }
    return st;
}

/* 1 if it was not set. */
static size_t set_bit(uint64_t *bits, size_t i)
{
    const uint64_t bit = 1ull << i % 64, was = bits[i / 64] & bit;
    bits[i / 64] |= bit;
    return !was;
}

/* The slots that may be answered, as a bitmap for the base and, behind it, one for the tier; and all ids as a
 * set.  The state to search is taken while it agrees with the map. */
static ken_status allow(kn_index *ix, job *j, const uint64_t *only, size_t n, uint64_t **allowed,
                        kn_idmap *set)
{
    size_t at, tier_n;
    ken_status st = kn_idmap_reserve(set, n);
    pthread_mutex_lock(&ix->lock);
    if (!st)
        st = kn_index_map_ids(ix);
    j->s = atomic_load(&ix->now);
    const size_t base_n = j->s->base.n, words = (base_n + 63) / 64 + 1;
    tier_n = j->s->tier ? j->s->tier->rows.n : 0;
    uint64_t *of_tier = NULL;
    *allowed = st ? NULL : kn_zalloc(words + (tier_n + 63) / 64, sizeof **allowed);
    if (*allowed)
        of_tier = *allowed + words;
    else
        st = st ? st : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        kn_idmap_put(set, only[i], i);
        if (!kn_idmap_get(&ix->map, only[i], &at))
            continue;
        if (at < base_n)
            j->find.n_allowed += set_bit(*allowed, at);
        else if (at - base_n < tier_n)
            j->n_tier_allowed += set_bit(of_tier, at - base_n);
    }
    pthread_mutex_unlock(&ix->lock);
    j->find.allowed = *allowed;
    j->tier_allowed = of_tier;
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
    if (j->s->tier_gone) {
        j->tier_allowed = j->s->tier_live;
        j->n_tier_allowed = j->s->tier->rows.n - j->s->tier_gone;
    }
    if (only) {
        j->find.n_allowed = j->n_tier_allowed = 0;
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

/* Rows in runs, for flat.c, behind n others; those that are gone are skipped. */
static size_t cut(const kn_rows *r, const uint64_t *skip, kn_run *runs, size_t n)
{
    for (size_t i = 0; i < r->n; i += RUN)
        runs[n++] = (kn_run){ .rows = r->f32 + i * r->dim,
                              .type = KN_F32,
                              .n = r->n - i < RUN ? r->n - i : RUN,
                              .ids = (const unsigned char *)(r->ids + i),
                              .id_stride = sizeof *r->ids,
                              .skip = skip,
                              .skip_first = i };
    return n;
}

/* The other way round, into *out, which is owned; NULL if all live. */
static ken_status not_of(const uint64_t *live, size_t n, size_t gone, uint64_t **out)
{
    const size_t words = (n + 63) / 64;
    if (!gone)
        return KEN_OK;
    *out = kn_alloc(words, sizeof **out);
    for (size_t i = 0; *out && i < words; i++)
        (*out)[i] = ~live[i];
    return *out ? KEN_OK : KEN_E_NOMEM;
}

static ken_status exact(const kn_index *ix, const float *queries, size_t nq, size_t k, uint32_t threads,
                        kn_near *near, size_t *found)
{
    const kn_shot *s = atomic_load(&ix->now);
    const kn_rows none = { 0 }, *tier = s->tier ? &s->tier->rows : &none;
    const kn_rows pending = { s->rows, s->ids, s->pending, s->base.dim, s->base.metric, NULL };
    float *copy = NULL;
    uint64_t *skip = NULL, *tier_skip = NULL;
    if (s->base.n && !s->base.f32)
        return kn_fail(KEN_E_UNSUPPORTED, "an index without its rows cannot answer exactly");
    kn_run *runs = kn_alloc(s->base.n / RUN + tier->n / RUN + s->pending / RUN + 3, sizeof *runs);
    ken_status st = runs ? not_of(s->live, s->base.n, s->gone, &skip) : KEN_E_NOMEM;
    if (!st)
        st = not_of(s->tier_live, tier->n, s->tier_gone, &tier_skip);
    if (!st && ix->metric == KN_METRIC_COSINE && !(copy = kn_index_prepared(ix, queries, nq)))
        st = KEN_E_NOMEM;
    if (!st) {
        const size_t of_base = cut(&s->base, skip, runs, 0), linked = cut(tier, tier_skip, runs, of_base);
        const size_t n = cut(&pending, s->dead, runs, linked);
        const kn_flat f = { runs, n, ix->dim, ix->metric, threads };
        st = kn_flat_search(&f, copy ? copy : queries, nq, k, near, found);
    }
    kn_free(runs);
    kn_free(copy);
    kn_free(skip);
    kn_free(tier_skip);
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
