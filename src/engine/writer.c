/*
 * writer.c - vectors first, then the records that name them.
 *
 * Whatever fails, the segment is let go and opened again at what the store says is committed: no
 * byte that a record may refer to is ever written twice.
 */
#include "engine/writer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { SEGMENT_ROWS = 1 << 20 };

/* ---- begin and end ---- */

typedef struct numbers {
    uint32_t *list;
    size_t len, cap;
    ken_status st;
} numbers;

static int note_number(const kn_segment_record *row, void *cookie)
{
    numbers *n = cookie;
    uint32_t *list = kn_room(n->list, n->len, &n->cap, sizeof *list);
    if (!list) {
        n->st = KEN_E_NOMEM;
        return 1;
    }
    n->list = list;
    list[n->len++] = row->number;
    return 0;
}

static int is_noted(uint32_t number, void *cookie)
{
    const numbers *n = cookie;
    for (size_t i = 0; i < n->len; i++)
        if (n->list[i] == number)
            return 1;
    return 0;
}

/* Segment files that no commit has named. */
static ken_status sweep(ken *k)
{
    numbers n = { 0 };
    ken_status st = k->store->v->segments(k->store, note_number, &n);
    if (!st)
        st = n.st;
    if (!st)
        st = kn_segment_sweep(k->dir, is_noted, &n);
    kn_free(n.list);
    return st;
}

ken_status kn_edit_begin(kn_edit *w, ken *k)
{
    uint64_t lost = 0; /* a scan reads again what has no vectors */
    *w = (kn_edit){ .lock = { -1 } };
    if (k->read_only)
        return kn_fail(KEN_E_INVALID, "%s is open for reading only", k->dir);
    pthread_mutex_lock(&k->writing);
    w->k = k;
    ken_status st = kn_lock_take(&w->lock, k->dir, k->wait);
    if (!st) {
        pthread_mutex_lock(&k->lock);
        st = k->store->v->refresh ? k->store->v->refresh(k->store, &lost) : KEN_OK;
        if (!st)
            st = kn_store_number(k->store, KN_KEY_NEXT_ID, &w->next_id);
        if (!st)
            st = kn_store_number(k->store, KN_KEY_NEXT_SEGMENT, &w->next_segment);
        if (!st)
            st = sweep(k);
        pthread_mutex_unlock(&k->lock);
    }
    w->next_id += !w->next_id;
    w->next_segment += !w->next_segment;
    if (st)
        kn_edit_end(w);
    return st;
}

void kn_edit_end(kn_edit *w)
{
    if (!w->k)
        return;
    kn_edit_forget(w);
    kn_lock_release(&w->lock);
    pthread_mutex_unlock(&w->k->writing);
    *w = (kn_edit){ .lock = { -1 } };
}

/* ---- vectors ---- */

typedef struct latest {
    kn_segment_record row;
    unsigned state;
} latest;

static int note_latest(const kn_segment_record *row, void *cookie)
{
    latest *l = cookie;
    if (row->state == l->state)
        l->row = *row;
    return 0;
}

static unsigned state_of(const kn_edit *w, const kn_tail *t)
{
    return t == &w->parts   ? KN_SEGMENT_PARTS
           : t == &w->views ? KN_SEGMENT_VIEWS
           : w->pending     ? KN_SEGMENT_PENDING
                            : KN_SEGMENT_LIVE;
}

static kn_element element_of(const kn_edit *w, const kn_tail *t)
{
    return t == &w->parts ? KN_ELEMENT_I8 : w->k->element;
}

static int fits(const kn_edit *w, const kn_tail *t, const ken_model_info *info)
{
    const kn_segment_info *have = kn_segment_writer_info(t->seg);
    return have->dim == info->dim && have->element == element_of(w, t)
           && !strcmp(have->fingerprint, info->fingerprint);
}

static ken_status new_segment(kn_edit *w, kn_tail *t, const ken_model_info *info)
{
    kn_segment_info seg = { .number = (uint32_t)w->next_segment,
                            .dim = info->dim,
                            .element = element_of(w, t) };
    memcpy(seg.fingerprint, info->fingerprint, strnlen(info->fingerprint, 32));
    ken_status st = kn_segment_create(&t->seg, w->k->dir, &seg);
    if (!st)
        w->next_segment++;
    t->committed = 0;
    return st;
}

static void let_go(kn_tail *t)
{
    kn_segment_writer_close(t->seg);
    t->seg = NULL;
}

/* The last segment, if it is of this model and has room for n rows, else a new one. */
static ken_status need_segment(kn_edit *w, kn_tail *t, size_t n)
{
    ken *k = w->k;
    const ken_model_info *info = k->encoder->info(w->model);
    latest l = { .state = state_of(w, t) };
    if (t->seg && !t->fresh && kn_segment_writer_rows(t->seg) + n <= SEGMENT_ROWS)
        return KEN_OK;
    const int full = t->seg != NULL || t->fresh;
    let_go(t);
    t->fresh = 0;
    if (full)
        return new_segment(w, t, info);
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->segments(k->store, note_latest, &l);
    pthread_mutex_unlock(&k->lock);
    if (!st && l.row.number && l.row.rows + n <= SEGMENT_ROWS) {
        st = kn_segment_continue(&t->seg, k->dir, l.row.number, l.row.rows);
        t->committed = l.row.rows;
    }
    if (!st && t->seg && !fits(w, t, info))
        let_go(t);
    return st || t->seg ? st : new_segment(w, t, info);
}

/* Rows of the collection's own element; *first is where they begin. */
static ken_status append_floats(const kn_edit *w, kn_tail *t, const uint64_t *ids,
                                const float *vectors, size_t n, kn_place *first)
{
    uint16_t *halves = NULL;
    const void *rows = vectors;
    const kn_segment_info *seg = kn_segment_writer_info(t->seg);
    const kn_place place = { seg->number, kn_segment_writer_rows(t->seg) };
    if (element_of(w, t) == KN_ELEMENT_F16) {
        if (!(halves = kn_alloc(n * seg->dim, sizeof *halves)))
            return KEN_E_NOMEM;
        kn_kernels_get()->f32_to_f16(vectors, halves, n * seg->dim);
        rows = halves;
    }
    ken_status st = kn_segment_append(t->seg, ids, rows, n);
    kn_free(halves);
    if (!st)
        *first = place;
    return st;
}

/* The store keeps vectors itself: to its hands. */
static ken_status hand_over(kn_edit *w, kn_share share, const uint64_t *ids, const float *vectors, size_t n)
{
    ken *k = w->k;
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->keep(k->store, share, ids, vectors, n, k->encoder->info(w->model)->dim);
    pthread_mutex_unlock(&k->lock);
    return st;
}

static const kn_place kept = { 1, 0 }; /* the store knows where */

ken_status kn_edit_vectors(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                           kn_place *places)
{
    kn_place first;
    if (n && w->k->store->v->keep) {
        for (size_t i = 0; i < n; i++)
            places[i] = kept;
        return hand_over(w, KN_WHOLES, ids, vectors, n);
    }
    ken_status st = n ? need_segment(w, &w->whole, 1) : KEN_OK;
    if (st || !n)
        return st;
    st = append_floats(w, &w->whole, ids, vectors, n, &first);
    for (size_t i = 0; !st && i < n; i++)
        places[i] = (kn_place){ first.segment, first.slot + (uint32_t)i };
    return st;
}

ken_status kn_edit_views(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                         kn_place *first)
{
    if (n && w->k->store->v->keep) {
        *first = kept;
        return hand_over(w, KN_VIEWS_OF_MODELS, ids, vectors, n);
    }
    ken_status st = n ? need_segment(w, &w->views, n) : KEN_OK;
    return st || !n ? st : append_floats(w, &w->views, ids, vectors, n, first);
}

ken_status kn_edit_parts(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                         kn_place *first)
{
    if (n && w->k->store->v->keep) {
        *first = kept;
        return hand_over(w, KN_PARTS, ids, vectors, n);
    }
    ken_status st = n ? need_segment(w, &w->parts, n) : KEN_OK;
    if (st || !n)
        return st;
    const kn_segment_info *seg = kn_segment_writer_info(w->parts.seg);
    const kn_place place = { seg->number, kn_segment_writer_rows(w->parts.seg) };
    const size_t bytes = kn_row_bytes(KN_ELEMENT_I8, seg->dim);
    unsigned char *rows = kn_alloc(n, bytes);
    if (!rows)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        kn_row_pack_i8(vectors + i * seg->dim, seg->dim, rows + i * bytes);
    st = kn_segment_append(w->parts.seg, ids, rows, n);
    kn_free(rows);
    if (!st)
        *first = place;
    return st;
}

void kn_edit_forget(kn_edit *w)
{
    let_go(&w->whole);
    let_go(&w->parts);
    let_go(&w->views);
    if (!w->k->store->v->forget)
        return;
    pthread_mutex_lock(&w->k->lock);
    w->k->store->v->forget(w->k->store);
    pthread_mutex_unlock(&w->k->lock);
}

/* ---- transactions ---- */

static int has_new(const kn_tail *t)
{
    return t->seg && kn_segment_writer_rows(t->seg) > t->committed;
}

ken_status kn_edit_open(kn_edit *w)
{
    kn_store *s = w->k->store;
    ken_status st = KEN_OK;
    if (has_new(&w->whole))
        st = kn_segment_sync(w->whole.seg);
    if (!st && has_new(&w->parts))
        st = kn_segment_sync(w->parts.seg);
    if (!st && has_new(&w->views))
        st = kn_segment_sync(w->views.seg);
    pthread_mutex_lock(&w->k->lock);
    if (!st)
        st = s->v->begin(s, 1);
    if (st)
        pthread_mutex_unlock(&w->k->lock);
    return st;
}

static ken_status put_rows(const kn_edit *w, const kn_tail *t)
{
    if (!has_new(t))
        return KEN_OK;
    const kn_segment_record row = { kn_segment_writer_info(t->seg)->number,
                                    kn_segment_writer_rows(t->seg), state_of(w, t) };
    return w->k->store->v->put_segment(w->k->store, &row);
}

static ken_status put_counts(kn_edit *w)
{
    kn_store *s = w->k->store;
    ken_status st = kn_store_set_number(s, KN_KEY_NEXT_ID, w->next_id);
    if (!st)
        st = kn_store_set_number(s, KN_KEY_NEXT_SEGMENT, w->next_segment);
    if (!st)
        st = put_rows(w, &w->whole);
    if (!st)
        st = put_rows(w, &w->parts);
    return st ? st : put_rows(w, &w->views);
}

ken_status kn_edit_close(kn_edit *w, ken_status st)
{
    kn_store *s = w->k->store;
    if (!st)
        st = put_counts(w);
    ken_status end = s->v->end(s, !st);
    pthread_mutex_unlock(&w->k->lock);
    if (!st)
        st = end;
    if (!st && w->whole.seg)
        w->whole.committed = kn_segment_writer_rows(w->whole.seg);
    if (!st && w->parts.seg)
        w->parts.committed = kn_segment_writer_rows(w->parts.seg);
    if (!st && w->views.seg)
        w->views.committed = kn_segment_writer_rows(w->views.seg);
    if (st)
        kn_edit_forget(w);
    return st;
}
