/*
 * index_change.c - rows that come and go, see index.h.
 *
 * What a change needs is there before it is logged, so that it cannot fail afterwards.
 */
#include "index/index_state.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

/* ---- in memory; the caller holds `lock` ---- */

void kn_index_throw_away(kn_index *ix, void *p)
{
    if (p)
        ix->trash[ix->n_trash++] = p;
}

/* A bitmap whose bits may be changed: a copy of what readers see, or all of them `fill`. */
static ken_status make_mine(kn_index *ix, uint64_t **bits, int *mine, size_t n, int fill)
{
    const size_t words = (n + 63) / 64;
    if (*mine || !words)
        return KEN_OK;
    uint64_t *copy = kn_alloc(words, sizeof *copy);
    if (!copy)
        return KEN_E_NOMEM;
    if (*bits)
        memcpy(copy, *bits, words * sizeof *copy);
    else
        memset(copy, fill ? 0xff : 0, words * sizeof *copy);
    if (!*bits && fill && n % 64)
        copy[words - 1] = (1ull << n % 64) - 1;
    kn_index_throw_away(ix, *bits);
    *bits = copy;
    *mine = 1;
    return KEN_OK;
}

ken_status kn_index_move_pending(kn_index *ix, size_t from, size_t begin, size_t n, int all)
{
    size_t cap = 64, at = 0, kept = 0;
    for (size_t i = from; i < ix->pending; i++)
        kept += all || !kn_index_is_dead(ix, i);
    while (cap < kept + n)
        cap *= 2;
    uint64_t *ids = kn_alloc(cap, sizeof *ids);
    float *rows = kn_alloc(cap, ix->dim * sizeof *rows);
    uint64_t *dead = all && ix->dead ? kn_zalloc((cap + 63) / 64, sizeof *dead) : NULL;
    if (!ids || !rows || (all && ix->dead && !dead)) {
        kn_free(ids);
        kn_free(rows);
        kn_free(dead);
        return KEN_E_NOMEM;
    }
    if (dead)
        memcpy(dead, ix->dead, (ix->pending + 63) / 64 * sizeof *dead);
    for (size_t i = from; i < ix->pending; i++) {
        const int lives = !kn_index_is_dead(ix, i);
        if (!lives && !all)
            continue;
        ids[at] = ix->ids[i];
        memcpy(rows + at * ix->dim, ix->rows + i * ix->dim, ix->dim * sizeof *rows);
        if (lives)
            kn_idmap_put(&ix->map, ids[at], begin + at);
        at++;
    }
    kn_index_throw_away(ix, ix->ids);
    kn_index_throw_away(ix, ix->rows);
    kn_index_throw_away(ix, ix->dead);
    ix->ids = ids;
    ix->rows = rows;
    ix->dead = dead;
    ix->dead_mine = dead != NULL;
    ix->pending = at;
    ix->dropped = all ? ix->dropped : 0;
    ix->cap = cap;
    return KEN_OK;
}

/* Bits of our own for what of the base, the tier and the pending may go: any of n ids, of those that are
 * there and of those that are about to be. */
static ken_status room_to_forget(kn_index *ix, const uint64_t *ids, size_t n)
{
    size_t at, base = 0, tier = 0, others = n > 1; /* one of the n may come twice */
    for (size_t i = 0; i < n; i++)
        if (kn_idmap_get(&ix->map, ids[i], &at)) {
            base += at < ix->base.n;
            tier += at >= ix->base.n && at < kn_index_tier_end(ix);
            others += at >= kn_index_tier_end(ix);
        }
    ken_status st = base ? make_mine(ix, &ix->live, &ix->live_mine, ix->base.n, 1) : KEN_OK;
    if (!st && tier)
        st = make_mine(ix, &ix->tier_live, &ix->tier_mine, ix->tier->rows.n, 1);
    if (!st && others)
        st = make_mine(ix, &ix->dead, &ix->dead_mine, ix->cap, 0);
    return st;
}

/* For n more, any of which may replace another. */
static ken_status room_for(kn_index *ix, const uint64_t *ids, size_t n)
{
    if (n > SIZE_MAX / 4 - ix->pending)
        return kn_fail(KEN_E_NOMEM, "out of memory (%zu rows)", n);
    ken_status st = kn_index_map_ids(ix);
    if (!st)
        st = kn_idmap_reserve(&ix->map, n);
    if (!st && ix->pending + n > ix->cap)
        st = kn_index_move_pending(ix, 0, kn_index_tier_end(ix), n, atomic_load(&ix->linker.busy));
    return st ? st : room_to_forget(ix, ids, n);
}

/* There is room. */
static void forget(kn_index *ix, uint64_t id, size_t at)
{
    kn_idmap_remove(&ix->map, id);
    if (at < ix->base.n) {
        ix->live[at / 64] &= ~(1ull << at % 64);
        ix->gone++;
        return;
    }
    if (at < kn_index_tier_end(ix)) {
        at -= ix->base.n;
        ix->tier_live[at / 64] &= ~(1ull << at % 64);
        ix->tier_gone++;
        return;
    }
    at -= kn_index_tier_end(ix);
    ix->dead[at / 64] |= 1ull << at % 64;
    ix->dropped++;
}

/* rows are prepared; there is room for all of them. */
static void enter(kn_index *ix, const uint64_t *ids, const float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at;
        if (kn_idmap_get(&ix->map, ids[i], &at))
            forget(ix, ids[i], at);
        ix->ids[ix->pending] = ids[i];
        memcpy(ix->rows + ix->pending * ix->dim, rows + i * ix->dim, ix->dim * sizeof *rows);
        kn_idmap_put(&ix->map, ids[i], kn_index_tier_end(ix) + ix->pending++);
    }
}

ken_status kn_index_refuse_present(kn_index *ix, const uint64_t *ids, size_t n)
{
    kn_idmap twice = { 0 };
    ken_status st = kn_idmap_reserve(&twice, n);
    for (size_t i = 0; !st && i < n; i++) {
        size_t at;
        if (kn_idmap_get(&ix->map, ids[i], &at) || kn_idmap_get(&twice, ids[i], &at))
            st = kn_fail(KEN_E_EXISTS, "id %llu is present", (unsigned long long)ids[i]);
        else
            kn_idmap_put(&twice, ids[i], i);
    }
    kn_idmap_release(&twice);
    return st;
}

float *kn_index_prepared(const kn_index *ix, const float *rows, size_t n)
{
    float *copy = kn_alloc_aligned(n ? n : 1, ix->dim * sizeof *copy);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, rows, n * ix->dim * sizeof *copy);
    for (size_t i = 0; ix->metric == KN_METRIC_COSINE && i < n; i++)
        kn_unit(copy + i * ix->dim, ix->dim);
    return copy;
}

static ken_status check_lost(const kn_index *ix)
{
    return ix->lost ? kn_index_still_the_same(ix) : KEN_OK;
}

/* Before a change of n ids: what it needs, so that it cannot fail once it is logged. */
static ken_status prepare(kn_index *ix, const uint64_t *ids, size_t n, int put, int replace)
{
    ken_status st = check_lost(ix);
    if (!st && put && n > UINT32_MAX / 2 - kn_index_tier_end(ix) - ix->pending)
        st = kn_fail(KEN_E_LIMIT, "more than 2^31 rows");
    pthread_mutex_lock(&ix->lock);
    if (!st)
        st = kn_index_get_ready(ix);
    if (!st)
        st = kn_index_map_ids(ix);
    if (!st && put && !replace)
        st = kn_index_refuse_present(ix, ids, n);
    if (!st)
        st = put ? room_for(ix, ids, n) : room_to_forget(ix, ids, n);
    if (st && ix->n_trash) /* what was moved is where it was moved to */
        kn_index_publish(ix);
    pthread_mutex_unlock(&ix->lock);
    return st;
}

static size_t forget_all(kn_index *ix, const uint64_t *ids, size_t n)
{
    size_t count = 0, at;
    for (size_t i = 0; i < n; i++)
        if (kn_idmap_get(&ix->map, ids[i], &at)) {
            forget(ix, ids[i], at);
            count++;
        }
    return count;
}

ken_status kn_index_change(kn_index *ix, const uint64_t *ids, const float *rows, size_t n, int replace,
                         size_t *removed)
{
    size_t count = 0;
    ken_status st = prepare(ix, ids, n, rows != NULL, replace);
    if (!st && ix->log)
        st = kn_index_log_append(ix->log, rows ? KN_LOG_PUT : KN_LOG_REMOVE, ids, rows, n);
    pthread_mutex_lock(&ix->lock);
    if (!st && rows)
        enter(ix, ids, rows, n);
    else if (!st)
        count = forget_all(ix, ids, n);
    if (ix->spare)
        kn_index_publish(ix);
    pthread_mutex_unlock(&ix->lock);
    if (!st && removed)
        *removed = count;
    return st;
}

ken_status kn_index_put(kn_index *ix, const uint64_t *ids, const float *rows, size_t n, int replace)
{
    ken_status st = kn_index_check_vectors(rows, n, ix->dim, "row");
    if (st || !n)
        return st;
    float *copy = kn_index_prepared(ix, rows, n);
    if (!copy)
        return KEN_E_NOMEM;
    pthread_mutex_lock(&ix->writing);
    st = kn_index_change(ix, ids, copy, n, replace, NULL);
    if (!st)
        kn_index_link_if_due(ix);
    pthread_mutex_unlock(&ix->writing);
    kn_free(copy);
    return st;
}

ken_status kn_index_remove(kn_index *ix, const uint64_t *ids, size_t n, size_t *removed)
{
    ken_status st = KEN_OK;
    if (removed)
        *removed = 0;
    pthread_mutex_lock(&ix->writing);
    st = n ? kn_index_change(ix, ids, NULL, n, 0, removed) : check_lost(ix);
    pthread_mutex_unlock(&ix->writing);
    return st;
}

static uint64_t past_all(const uint64_t *ids, size_t n, uint64_t next)
{
    for (size_t i = 0; i < n; i++)
        next = ids[i] >= next ? ids[i] + 1 : next;
    return next;
}

uint64_t kn_index_next_id(const kn_index *ix)
{
    pthread_mutex_lock(kn_index_lock_of(ix));
    uint64_t next = past_all(ix->base.ids, ix->base.n, 0);
    if (ix->tier)
        next = past_all(ix->tier->rows.ids, ix->tier->rows.n, next);
    next = past_all(ix->ids, ix->pending, next);
    pthread_mutex_unlock(kn_index_lock_of(ix));
    return next;
}
