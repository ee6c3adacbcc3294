/*
 * index_link.c - rows that were added to an HNSW index are linked behind, lest each search compares them all.
 *
 * When enough are pending, a thread copies what readers see of the added rows, links the new ones to those
 * that were linked before, and puts the outcome, a tier, in their place.  A tier is a graph of its own beside
 * the base's, searched like it.  It lives in memory alone: a compaction links all added rows to the base in
 * the order they came, whatever tiers there were, so that a file does not depend on when a thread was done.
 *
 * Whatever changes meanwhile is found by the map: a row lives on in the new tier if its id still leads to
 * where the row was copied from.
 */
#include "index/index_state.h"

#include "base/alloc.h"

#include <string.h>

enum {
    LEAST = 1024, /* pending rows that are worth a thread */
    PART = 16     /* and so many a part of the tier: its upper layers are linked anew each time */
};

void kn_tier_free(void *tier)
{
    kn_tier *t = tier;
    if (!t)
        return;
    if (t->state)
        t->kind->release(t->state);
    kn_free(t->own_rows);
    kn_free(t->own_ids);
    kn_free(t);
}

/* ---- what the thread makes ---- */

typedef struct making {
    kn_index *ix;
    const kn_tier *old;   /* stays: none but the thread and a compaction, which waits for it, replace it */
    uint64_t *gone;       /* (old->rows.n bits) */
    size_t *from;         /* (made->rows.n) the place in the map that a row was copied from */
    size_t pending;       /* so many of the pending are copied, or were dead */
    kn_spec spec;
    kn_build build;
    kn_tier *made;
} making;

static void keep(making *m, const float *row, uint64_t id, size_t from)
{
    kn_tier *t = m->made;
    t->own_ids[t->rows.n] = id;
    m->from[t->rows.n] = from;
    memcpy(t->own_rows + t->rows.n++ * t->rows.dim, row, t->rows.dim * sizeof *row);
}

/* Live rows of the tier, then of the pending, in their order. */
static ken_status copy_rows(making *m, const kn_shot *s)
{
    const size_t old_n = s->tier ? s->tier->rows.n : 0, most = old_n + s->pending, dim = s->base.dim;
    kn_tier *t = m->made = kn_zalloc(1, sizeof *t);
    if (!t)
        return KEN_E_NOMEM;
    t->kind = s->kind;
    t->rows = (kn_rows){ .dim = s->base.dim, .metric = s->base.metric };
    t->own_rows = kn_alloc_aligned(most, dim * sizeof *t->own_rows);
    t->own_ids = kn_alloc(most, sizeof *t->own_ids);
    m->from = kn_alloc(most, sizeof *m->from);
    m->gone = kn_zalloc(old_n / 64 + 1, sizeof *m->gone);
    if (!t->own_rows || !t->own_ids || !m->from || !m->gone)
        return KEN_E_NOMEM;
    m->old = s->tier;
    m->pending = s->pending;
    for (size_t i = 0; i < old_n; i++)
        if (s->tier_live && !kn_bit(s->tier_live, i))
            m->gone[i / 64] |= 1ull << i % 64;
        else
            keep(m, s->tier->rows.f32 + i * dim, s->tier->rows.ids[i], s->base.n + i);
    for (size_t i = 0; i < s->pending; i++)
        if (!s->dead || !kn_bit(s->dead, i))
            keep(m, s->rows + i * dim, s->ids[i], s->base.n + old_n + i);
    t->rows.f32 = t->own_rows;
    t->rows.ids = t->own_ids;
    return KEN_OK;
}

static ken_status make_tier(making *m)
{
    kn_readers *r = m->ix->readers;
    const size_t place = kn_readers_enter(r);
    ken_status st = copy_rows(m, atomic_load(&m->ix->now));
    kn_readers_leave(r, place);
    kn_tier *t = m->made;
    if (st || !t->rows.n) /* all are gone again */
        return st;
    return m->old ? t->kind->change(&t->state, m->old->state, m->gone, &t->rows, &m->build)
                  : t->kind->build(&t->state, &t->rows, &m->spec, &m->build);
}

/* ---- putting it in place; the caller holds `writing` and `lock` ---- */

static ken_status put_in_place(making *m)
{
    kn_index *ix = m->ix;
    kn_tier *t = m->made, *old = ix->tier;
    const size_t n = t->rows.n;
    size_t gone = 0, at;
    uint64_t *live = kn_zalloc(n / 64 + 1, sizeof *live);
    ken_status st = live ? kn_index_get_ready(ix) : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++)
        if (kn_idmap_get(&ix->map, t->own_ids[i], &at) && at == m->from[i])
            live[i / 64] |= 1ull << i % 64;
        else
            gone++;
    if (!st)
        st = kn_index_move_pending(ix, m->pending, ix->base.n + n, 0, 0);
    if (st) {
        kn_free(live);
        return st;
    }
    for (size_t i = 0; i < n; i++)
        if (kn_bit(live, i))
            kn_idmap_put(&ix->map, t->own_ids[i], ix->base.n + i);
    kn_index_throw_away(ix, ix->tier_live);
    if (!n) {
        kn_free(live);
        live = NULL;
    }
    ix->tier_live = live;
    ix->tier_gone = gone;
    ix->tier = n ? t : NULL; /* without a row, what m made goes with it */
    if (n)
        m->made = NULL;
    kn_index_publish(ix);
    kn_readers_retire(ix->readers, kn_tier_free, old);
    return KEN_OK;
}

/* ---- the thread ---- */

static int is_stopped(const ken_progress *p, void *cookie)
{
    const kn_index *ix = cookie;
    (void)p;
    return atomic_load(&ix->linker.stop);
}

static int is_due(const kn_index *ix)
{
    /* rows of an inner product are lengthened by the longest: a tier of them cannot be extended */
    const size_t tier = kn_index_tier_end(ix) - ix->base.n, part = ix->metric == KN_METRIC_DOT ? 1 : PART;
    const size_t waiting = ix->pending - ix->dropped;
    return ix->spec.kind == KN_KIND_HNSW && waiting >= LEAST && waiting >= tier / part
           && waiting >= ix->patience;
}

/* Until what has come meanwhile is not worth another turn. */
static void *link_behind(void *cookie)
{
    kn_index *ix = cookie;
    for (int more = 1; more;) {
        making m = { .ix = ix, .spec = ix->spec };
        m.build = (kn_build){ .seed = ix->seed, .threads = 1, .progress = is_stopped, .cookie = ix };
        ken_status st = make_tier(&m);
        pthread_mutex_lock(&ix->writing);
        more = !st && !atomic_load(&ix->linker.stop);
        if (more) {
            pthread_mutex_lock(&ix->lock);
            st = put_in_place(&m); /* without it, searches go on as they did */
            pthread_mutex_unlock(&ix->lock);
        }
        if (st && !atomic_load(&ix->linker.stop)) /* not at every change: a turn copies all rows first */
            ix->patience = 2 * (ix->pending - ix->dropped);
        else if (more)
            ix->patience = 0;
        more = more && !st && is_due(ix);
        if (!more)
            atomic_store(&ix->linker.busy, 0);
        pthread_mutex_unlock(&ix->writing);
        kn_tier_free(m.made);
        kn_free(m.from);
        kn_free(m.gone);
    }
    return NULL;
}

static void join(kn_linker *l)
{
    if (l->started)
        pthread_join(l->thread, NULL);
    l->started = 0;
}

void kn_index_link_if_due(kn_index *ix)
{
    kn_linker *l = &ix->linker;
    if (!is_due(ix) || atomic_load(&l->busy) || pthread_mutex_trylock(&l->lock))
        return;
    if (!l->held) {
        join(l);
        atomic_store(&l->busy, 1);
        l->started = !pthread_create(&l->thread, NULL, link_behind, ix);
        if (!l->started) /* the next change tries again */
            atomic_store(&l->busy, 0);
    }
    pthread_mutex_unlock(&l->lock);
}

void kn_index_link_stop(kn_index *ix)
{
    kn_linker *l = &ix->linker;
    pthread_mutex_lock(&l->lock);
    l->held++;
    atomic_store(&l->stop, 1);
    join(l);
    pthread_mutex_unlock(&l->lock);
}

void kn_index_link_go_on(kn_index *ix)
{
    kn_linker *l = &ix->linker;
    pthread_mutex_lock(&l->lock);
    if (--l->held == 0)
        atomic_store(&l->stop, 0);
    pthread_mutex_unlock(&l->lock);
}
