/*
 * index.c - the frame of every index: making, publishing, compacting; see index.h.
 *
 * A removed row stays where it is, marked, until the next compaction or, if it was added since, until the
 * added rows are moved.  Readers go on beside a writer: they see the state that was published last
 * (kn_shot), of which nothing is changed: bits are changed in copies, rows are added behind what is seen, and
 * what is replaced is freed when the last one who may see it has left (readers.h).  The map from ids is made
 * when it is first needed, so that opening a file costs the same for any number of rows.
 */
#include "index/index_state.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DIM = 1 << 16 };
static const float MOST = 1e36f; /* squared length of a row, so that distances stay finite */

static const kn_kind *const kinds[KN_KINDS] = {
    [KN_KIND_FLAT] = &kn_kind_flat,
    [KN_KIND_HNSW] = &kn_kind_hnsw,
    [KN_KIND_IVF] = &kn_kind_ivf,
};

/* ---- vectors at the door ---- */

void kn_unit(float *x, size_t dim)
{
    double sum = 0;
    for (size_t j = 0; j < dim; j++)
        sum += (double)x[j] * (double)x[j];
    const double inverse = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t j = 0; j < dim; j++)
        x[j] = (float)((double)x[j] * inverse);
}

ken_status kn_index_check_vectors(const float *x, size_t n, size_t dim, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t j = 0; j < dim; j++)
            sum += x[i * dim + j] * x[i * dim + j];
        if (sum < MOST)
            continue;
        for (size_t j = 0; j < dim; j++)
            if (!isfinite(x[i * dim + j]))
                return kn_fail(KEN_E_INVALID, "%s %zu is not finite, at number %zu", what, i, j);
        return kn_fail(KEN_E_INVALID, "%s %zu is too long for its square", what, i);
    }
    return KEN_OK;
}

/* ---- making and freeing ---- */

static const kn_kind *kind_of(const kn_spec *s)
{
    if (!kinds[s->kind])
        kn_fail(KEN_E_UNSUPPORTED, "index \"%s\": not in this build", s->text);
    return kinds[s->kind];
}

/* ---- what readers see ---- */

ken_status kn_index_get_ready(kn_index *ix)
{
    ken_status st = kn_readers_reserve(ix->readers, KN_INDEX_TRASH + 2);
    if (!st && !ix->spare && !(ix->spare = kn_zalloc(1, sizeof *ix->spare))) /* last: who has one publishes */
        st = KEN_E_NOMEM;
    return st;
}

void kn_index_publish(kn_index *ix)
{
    kn_shot *next = ix->spare, *last = atomic_load(&ix->now);
    *next = (kn_shot){ .kind = ix->kind, .state = ix->state, .base = ix->base, .live = ix->live,
                       .gone = ix->gone, .tier = ix->tier, .tier_live = ix->tier_live,
                       .tier_gone = ix->tier_gone, .ids = ix->ids, .rows = ix->rows, .dead = ix->dead,
                       .pending = ix->pending, .pool = ix->pool };
    next->n = ix->base.n - ix->gone + kn_index_added(ix);
    ix->spare = NULL;
    ix->live_mine = ix->tier_mine = ix->dead_mine = 0;
    atomic_store(&ix->now, next);
    kn_readers_retire(ix->readers, kn_free, last);
    for (size_t i = 0; i < ix->n_trash; i++)
        kn_readers_retire(ix->readers, kn_free, ix->trash[i]);
    ix->n_trash = 0;
}

ken_status kn_index_new(kn_index **out, const char *spec, uint32_t dim, kn_metric metric)
{
    kn_spec s;
    if (!dim || dim > MAX_DIM)
        return kn_fail(KEN_E_INVALID, "an index of dimension %u", dim);
    ken_status st = kn_spec_parse(&s, spec, 0, dim, metric);
    if (!st && strlen(spec) >= KN_SPEC_TEXT)
        st = kn_fail(KEN_E_INVALID, "index \"%s\": too long", spec);
    if (!st && !kind_of(&s))
        st = KEN_E_UNSUPPORTED;
    kn_index *ix = st ? NULL : kn_zalloc(1, sizeof *ix);
    if (!ix)
        return st ? st : KEN_E_NOMEM;
    pthread_mutex_init(&ix->writing, NULL);
    pthread_mutex_init(&ix->lock, NULL);
    pthread_mutex_init(&ix->linker.lock, NULL);
    ix->spec = s;
    snprintf(ix->asked, sizeof ix->asked, "%s", spec);
    ix->metric = metric;
    ix->dim = dim;
    ix->kind = kinds[s.kind];
    ix->base = (kn_rows){ .dim = dim, .metric = metric };
    ix->readers = kn_readers_new();
    ix->pool = kn_zalloc(1, sizeof *ix->pool);
    st = ix->readers && ix->pool ? kn_index_get_ready(ix) : KEN_E_NOMEM;
    if (st) {
        kn_index_free(ix);
        return st;
    }
    kn_index_publish(ix);
    *out = ix;
    return KEN_OK;
}

static void release_base(kn_index *ix)
{
    if (ix->state)
        ix->kind->release(ix->state);
    ix->state = NULL;
    kn_free(ix->own_rows);
    kn_free(ix->own_ids);
    ix->own_rows = NULL;
    ix->own_ids = NULL;
    kn_index_file_close(&ix->file);
    kn_free(ix->live);
    ix->live = NULL;
    ix->gone = 0;
    ix->base = (kn_rows){ .dim = ix->dim, .metric = ix->metric, .source = ix->base.source };
    kn_idmap_release(&ix->map);
    ix->mapped = 0;
}

static void release_pool(kn_index *ix)
{
    for (size_t i = 0; ix->pool && i < KN_INDEX_POOL; i++) {
        kn_scratch *s = atomic_exchange(&ix->pool->at[i], NULL);
        if (s)
            kn_free(s->p);
        kn_free(s);
    }
}

void kn_index_free(kn_index *ix)
{
    if (!ix)
        return;
    kn_index_link_stop(ix);
    release_base(ix);
    release_pool(ix);
    kn_tier_free(ix->tier);
    kn_free(ix->tier_live);
    kn_index_log_close(ix->log);
    for (size_t i = 0; i < ix->n_trash; i++)
        kn_free(ix->trash[i]);
    kn_free(ix->spare);
    kn_free(atomic_load(&ix->now));
    kn_readers_free(ix->readers);
    pthread_mutex_destroy(&ix->writing);
    pthread_mutex_destroy(&ix->lock);
    pthread_mutex_destroy(&ix->linker.lock);
    kn_free(ix->pool);
    kn_free(ix->ids);
    kn_free(ix->rows);
    kn_free(ix->dead);
    kn_free(ix->path);
    kn_free(ix->note);
    kn_free(ix);
}

/* ---- ids ---- */

int kn_index_lives(const kn_index *ix, size_t slot)
{
    return !ix->live || (ix->live[slot / 64] >> slot % 64 & 1);
}

int kn_index_is_dead(const kn_index *ix, size_t i)
{
    return ix->dead && (ix->dead[i / 64] >> i % 64 & 1);
}

int kn_index_tier_lives(const kn_index *ix, size_t i)
{
    return !ix->tier_live || (ix->tier_live[i / 64] >> i % 64 & 1);
}

ken_status kn_index_map_ids(kn_index *ix)
{
    if (ix->mapped)
        return KEN_OK;
    const size_t end = kn_index_tier_end(ix);
    ken_status st = kn_idmap_reserve(&ix->map, end + ix->pending);
    if (st)
        return st;
    for (size_t i = 0; i < ix->base.n; i++)
        if (kn_index_lives(ix, i))
            kn_idmap_put(&ix->map, ix->base.ids[i], i);
    for (size_t i = ix->base.n; i < end; i++)
        if (kn_index_tier_lives(ix, i - ix->base.n))
            kn_idmap_put(&ix->map, ix->tier->rows.ids[i - ix->base.n], i);
    for (size_t i = 0; i < ix->pending; i++)
        if (!kn_index_is_dead(ix, i))
            kn_idmap_put(&ix->map, ix->ids[i], end + i);
    ix->mapped = 1;
    return KEN_OK;
}

ken_status kn_index_has(kn_index *ix, uint64_t id, int *there)
{
    size_t at;
    pthread_mutex_lock(&ix->lock);
    ken_status st = kn_index_map_ids(ix);
    if (!st)
        *there = kn_idmap_get(&ix->map, id, &at);
    pthread_mutex_unlock(&ix->lock);
    return st;
}

/* ---- building ---- */

/* What an index is made from: another, without those of its slots whose bit in gone is set.  All NULL:
 * from nothing. */
typedef struct origin {
    const kn_index *ix;
    const uint64_t *gone;
} origin;

int kn_index_intact(const kn_index *ix)
{
    return !ix->file.map.data || !kn_index_file_check(&ix->file, NULL, NULL);
}

/* The kind's structure over base: what the origin has of it goes on, where a kind can do that; nothing
 * of a damaged file does. */
static ken_status make_state(void **state, const kn_kind *kind, const kn_spec *spec,
                             const kn_rows *base, const kn_build *b, const origin *from)
{
    if (!from->ix || !from->ix->state || !kind->change || strcmp(spec->text, from->ix->spec.text)
        || !kn_index_intact(from->ix))
        return kind->build(state, base, spec, b);
    return kind->change(state, from->ix->state, from->gone, base, b);
}

/* The base becomes these rows and ids, taken over, with a structure over them.  On failure the index is
 * as it was and they are the caller's.  from: what lives of it comes first among the rows. */
static ken_status take_base(kn_index *ix, float *rows, uint64_t *ids, size_t n, const kn_build *b,
                            const origin *from)
{
    kn_rows base = { rows, ids, n, ix->dim, ix->metric, ix->base.source };
    const kn_build none = { 0 };
    kn_spec spec;
    void *state = NULL;
    ken_status st = kn_spec_parse(&spec, ix->asked, n, ix->dim, ix->metric);
    const kn_kind *kind = st ? NULL : kind_of(&spec);
    if (!kind)
        return st ? st : KEN_E_UNSUPPORTED;
    if (base.source && !kind->outside)
        return kn_fail(KEN_E_UNSUPPORTED, "index \"%s\" keeps rows of its own", spec.text);
    st = kn_index_get_ready(ix);
    if (!st && n)
        st = make_state(&state, kind, &spec, &base, b ? b : &none, from);
    if (st)
        return st;
    release_base(ix);
    release_pool(ix); /* what one kind left there is not what another expects */
    ix->spec = spec;
    ix->kind = kind;
    ix->state = state;
    ix->base = base;
    ix->own_rows = rows;
    ix->own_ids = ids;
    ix->seed = b ? b->seed : 0;
    ix->pending = ix->dropped = 0;
    kn_index_publish(ix); /* it is new: nobody has read what was there */
    return KEN_OK;
}

ken_status kn_index_build(kn_index **out, const char *spec, kn_metric metric, const uint64_t *ids,
                          const float *rows, size_t n, uint32_t dim, const kn_build *b)
{
    kn_index *ix = NULL;
    ken_status st = kn_index_new(&ix, spec, dim, metric);
    if (!st)
        st = kn_index_check_vectors(rows, n, dim, "row");
    if (!st && n > UINT32_MAX / 2)
        st = kn_fail(KEN_E_LIMIT, "more than 2^31 rows");
    float *copy = st ? NULL : kn_index_prepared(ix, rows, n);
    uint64_t *own = st ? NULL : kn_alloc(n ? n : 1, sizeof *own);
    if (!st && (!copy || !own))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++)
        own[i] = ids ? ids[i] : i;
    if (!st && ids)
        st = kn_index_refuse_present(ix, own, n);
    if (!st)
        st = take_base(ix, copy, own, n, b, &(origin){ 0 });
    if (st) {
        kn_free(copy);
        kn_free(own);
        kn_index_free(ix);
        return st;
    }
    *out = ix;
    return KEN_OK;
}

ken_status kn_index_build_over(kn_index **out, const char *spec, const kn_source *source,
                               const uint64_t *ids, size_t n, uint32_t dim, const kn_build *b)
{
    kn_index *ix = NULL;
    ken_status st = kn_index_new(&ix, spec, dim, KN_METRIC_COSINE);
    if (!st && n > UINT32_MAX / 2)
        st = kn_fail(KEN_E_LIMIT, "more than 2^31 rows");
    uint64_t *own = st ? NULL : kn_alloc(n ? n : 1, sizeof *own);
    if (!st && !own)
        st = KEN_E_NOMEM;
    if (!st) {
        if (n)
            memcpy(own, ids, n * sizeof *own);
        ix->base.source = source;
        st = take_base(ix, NULL, own, n, b, &(origin){ 0 });
    }
    if (st) {
        kn_free(own);
        kn_index_free(ix);
        return st;
    }
    *out = ix;
    return KEN_OK;
}

ken_status kn_index_follow(kn_index **out, const kn_index *from, const uint64_t *gone,
                           const uint64_t *more, size_t n_more, const kn_build *b)
{
    kn_index *ix = NULL;
    size_t n = 0;
    ken_status st = kn_index_new(&ix, from->asked, from->dim, from->metric);
    uint64_t *ids = st ? NULL : kn_alloc(from->base.n + n_more + 1, sizeof *ids);
    if (!st && !ids)
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < from->base.n; i++)
        if (!(gone[i / 64] >> i % 64 & 1))
            ids[n++] = from->base.ids[i];
    if (!st && n_more)
        memcpy(ids + n, more, n_more * sizeof *ids);
    if (!st) {
        ix->base.source = from->base.source;
        st = take_base(ix, NULL, ids, n + n_more, b, &(origin){ from, gone });
    }
    if (st) {
        kn_free(ids);
        kn_index_free(ix);
        return st;
    }
    *out = ix;
    return KEN_OK;
}

ken_status kn_index_adopt(kn_index **out, const kn_spec *spec, kn_metric metric, uint64_t *ids,
                          float *rows, size_t n, uint32_t dim, void *state)
{
    kn_index *ix = NULL;
    ken_status st = kn_index_new(&ix, spec->text, dim, metric);
    if (!st && (st = kn_index_get_ready(ix)) != KEN_OK)
        kn_index_free(ix);
    if (st)
        return st;
    ix->base = (kn_rows){ rows, ids, n, dim, metric, NULL };
    ix->own_rows = rows;
    ix->own_ids = ids;
    ix->state = state;
    kn_index_publish(ix);
    *out = ix;
    return KEN_OK;
}

/* ---- compaction ---- */

static ken_status row_of(const kn_index *ix, size_t slot, float *out)
{
    if (!ix->base.f32)
        return ix->kind->reconstruct(ix->state, slot, out);
    memcpy(out, ix->base.f32 + slot * ix->dim, ix->dim * sizeof *out);
    return KEN_OK;
}

/* Base rows that live, in order, then the others as they came; rows may be NULL where nothing is pending. */
static ken_status gather(const kn_index *ix, float *rows, uint64_t *ids)
{
    size_t n = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < ix->base.n; i++)
        if (kn_index_lives(ix, i)) {
            ids[n] = ix->base.ids[i];
            if (rows)
                st = row_of(ix, i, rows + n * ix->dim);
            n++;
        }
    for (size_t i = 0; !st && ix->tier && i < ix->tier->rows.n; i++)
        if (kn_index_tier_lives(ix, i)) {
            ids[n] = ix->tier->rows.ids[i];
            memcpy(rows + n++ * ix->dim, ix->tier->rows.f32 + i * ix->dim, ix->dim * sizeof *rows);
        }
    for (size_t i = 0; !st && i < ix->pending; i++)
        if (!kn_index_is_dead(ix, i)) {
            ids[n] = ix->ids[i];
            memcpy(rows + n++ * ix->dim, ix->rows + i * ix->dim, ix->dim * sizeof *rows);
        }
    return st;
}

/* The same index over its live rows and the pending ones, in memory. */
static ken_status merge(const kn_index *ix, const kn_build *b, kn_index **merged)
{
    const size_t pending = kn_index_added(ix), n = ix->base.n - ix->gone + pending;
    kn_build same = { .seed = ix->seed, .threads = 1 };
    const int codes_alone = ix->base.n && !ix->base.f32 && !pending && n;
    float *rows = codes_alone ? NULL : kn_alloc_aligned(n ? n : 1, ix->dim * sizeof *rows);
    uint64_t *ids = kn_alloc(n ? n : 1, sizeof *ids);
    uint64_t *gone = kn_zalloc(ix->base.n / 64 + 1, sizeof *gone);
    ken_status st = (rows || codes_alone) && ids && gone ? gather(ix, rows, ids) : KEN_E_NOMEM;
    for (size_t i = 0; gone && i < ix->base.n; i++)
        if (!kn_index_lives(ix, i))
            gone[i / 64] |= 1ull << i % 64;
    if (b) {
        same = *b;
        same.seed = ix->seed;
    }
    if (!st)
        st = kn_index_new(merged, ix->asked, ix->dim, ix->metric);
    size_t note_bytes = 0;
    const void *note = kn_index_note(ix, &note_bytes);
    if (!st && note)
        st = kn_index_set_note(*merged, note, note_bytes);
    if (!st)
        st = take_base(*merged, rows, ids, n, &same, &(origin){ ix, gone });
    kn_free(gone);
    if (st) {
        kn_free(rows);
        kn_free(ids);
    }
    return st;
}

/* All that is the writer's: what readers may load at any time stays in its place. */
static void exchange(kn_index *a, kn_index *b)
{
    enum { FROM = offsetof(kn_index, spec), BYTES = sizeof(kn_index) - FROM };
    unsigned char keep[BYTES];
    memcpy(keep, (unsigned char *)a + FROM, BYTES);
    memcpy((unsigned char *)a + FROM, (unsigned char *)b + FROM, BYTES);
    memcpy((unsigned char *)b + FROM, keep, BYTES);
}

static void free_index(void *p)
{
    kn_index_free(p);
}

static ken_status compact(kn_index *ix, const kn_build *b)
{
    kn_index *next = NULL;
    if (ix->path && !ix->log)
        return kn_fail(KEN_E_INVALID, "%s: opened for reading", ix->path);
    ken_status st = merge(ix, b, &next);
    if (!st && ix->path) {
        st = kn_index_write(next, ix->path);
        kn_index_free(next);
        next = NULL;
        if (!st)
            st = kn_index_open(&next, ix->path, 1);
        ix->lost = st != KEN_OK;
    }
    if (!st)
        st = kn_index_get_ready(next);
    if (!st)
        st = kn_readers_reserve(ix->readers, KN_INDEX_TRASH + 2);
    if (st) {
        kn_index_free(next);
        return st;
    }
    pthread_mutex_lock(&ix->lock);
    exchange(ix, next);
    kn_index_publish(ix);
    kn_readers_retire(ix->readers, free_index, next); /* with what readers may still be in */
    pthread_mutex_unlock(&ix->lock);
    return KEN_OK;
}

ken_status kn_index_compact(kn_index *ix, const kn_build *b)
{
    kn_index_link_stop(ix);
    pthread_mutex_lock(&ix->writing);
    const ken_status st = compact(ix, b);
    pthread_mutex_unlock(&ix->writing);
    kn_index_link_go_on(ix);
    return st;
}

/* ---- telling ---- */

size_t kn_index_len(const kn_index *ix)
{
    const size_t place = kn_readers_enter(ix->readers), n = atomic_load(&ix->now)->n;
    kn_readers_leave(ix->readers, place);
    return n;
}

uint32_t kn_index_dim(const kn_index *ix)
{
    return ix->dim;
}

int kn_index_has_rows(const kn_index *ix)
{
    const size_t place = kn_readers_enter(ix->readers);
    const kn_shot *s = atomic_load(&ix->now);
    const int has = !s->base.n || s->base.f32;
    kn_readers_leave(ix->readers, place);
    return has;
}

void kn_index_get_info(const kn_index *ix, kn_index_info *out)
{
    pthread_mutex_lock(kn_index_lock_of(ix));
    *out = (kn_index_info){ .kind = ix->spec.text,
                            .path = ix->path,
                            .metric = ix->metric,
                            .dim = ix->dim,
                            .n = ix->base.n - ix->gone + kn_index_added(ix),
                            .base = ix->base.n,
                            .gone = ix->gone,
                            .pending = kn_index_added(ix),
                            .linked = kn_index_tier_end(ix) - ix->base.n - ix->tier_gone,
                            .bytes = ix->file.map.len };
    if (ix->state)
        ix->kind->info(ix->state, &out->of_kind);
    if (ix->file.map.data)
        out->table = kn_index_file_table(&ix->file);
    pthread_mutex_unlock(kn_index_lock_of(ix));
}

static ken_status check_ids(const kn_rows *base, ken_problem_fn fn, void *cookie)
{
    kn_idmap seen = { 0 };
    size_t at;
    ken_status st = kn_idmap_reserve(&seen, base->n);
    for (size_t i = 0; !st && i < base->n; i++) {
        if (kn_idmap_get(&seen, base->ids[i], &at))
            st = kn_index_complain(fn, cookie, "ids", "an id comes twice");
        kn_idmap_put(&seen, base->ids[i], i);
    }
    kn_idmap_release(&seen);
    return st;
}

/* As a reader: others change the index meanwhile, and what is looked at stays until it is left. */
ken_status kn_index_check(const kn_index *ix, ken_problem_fn fn, void *cookie)
{
    ken_status st = KEN_OK, bad;
    const size_t place = kn_readers_enter(ix->readers);
    pthread_mutex_lock(kn_index_lock_of(ix));
    const kn_shot *s = atomic_load(&ix->now);
    const kn_index_file file = ix->file; /* of the shot: they are replaced under the lock together */
    pthread_mutex_unlock(kn_index_lock_of(ix));
    if (file.map.data)
        st = kn_index_file_check(&file, fn, cookie);
    if ((bad = check_ids(&s->base, fn, cookie)) != KEN_OK)
        st = bad;
    if (s->base.f32 && (bad = kn_index_check_vectors(s->base.f32, s->base.n, s->base.dim, "row")) != KEN_OK)
        st = kn_index_complain(fn, cookie, "rows", ken_last_error());
    if (s->state && (bad = s->kind->check(s->state, fn, cookie)) != KEN_OK)
        st = bad;
    if (s->tier && (bad = s->tier->kind->check(s->tier->state, fn, cookie)) != KEN_OK)
        st = bad;
    kn_readers_leave(ix->readers, place);
    return st;
}

const kn_rows *kn_index_rows(const kn_index *ix)
{
    return &ix->base;
}

const void *kn_index_state(const kn_index *ix)
{
    return ix->state;
}

const kn_spec *kn_index_spec(const kn_index *ix)
{
    return &ix->spec;
}
