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
    *w = (kn_edit){ .lock = { -1 } };
    if (k->read_only)
        return kn_fail(KEN_E_INVALID, "%s is open for reading only", k->dir);
    pthread_mutex_lock(&k->writing);
    w->k = k;
    ken_status st = kn_lock_take(&w->lock, k->dir, k->wait);
    if (!st) {
        pthread_mutex_lock(&k->lock);
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
    kn_segment_writer_close(w->seg);
    kn_lock_release(&w->lock);
    pthread_mutex_unlock(&w->k->writing);
    *w = (kn_edit){ .lock = { -1 } };
}

/* ---- vectors ---- */

typedef struct latest {
    kn_segment_record row;
    int pending;
} latest;

static int note_latest(const kn_segment_record *row, void *cookie)
{
    latest *l = cookie;
    if (row->pending == l->pending)
        l->row = *row;
    return 0;
}

static int fits(const kn_segment_writer *seg, const ken *k, const ken_model_info *info)
{
    const kn_segment_info *have = kn_segment_writer_info(seg);
    return have->dim == info->dim && have->element == k->element
           && !strcmp(have->fingerprint, info->fingerprint);
}

static ken_status new_segment(kn_edit *w, const ken_model_info *info)
{
    kn_segment_info seg = { .number = (uint32_t)w->next_segment,
                            .dim = info->dim,
                            .element = w->k->element };
    memcpy(seg.fingerprint, info->fingerprint, strnlen(info->fingerprint, 32));
    ken_status st = kn_segment_create(&w->seg, w->k->dir, &seg);
    if (!st)
        w->next_segment++;
    w->committed = 0;
    return st;
}

/* The last segment, if it is of this model and has room, else a new one. */
static ken_status need_segment(kn_edit *w)
{
    ken *k = w->k;
    const ken_model_info *info = k->encoder->info(w->model);
    latest l = { .pending = w->pending };
    if (w->seg && !w->fresh && kn_segment_writer_rows(w->seg) < SEGMENT_ROWS)
        return KEN_OK;
    const int full = w->seg != NULL || w->fresh;
    kn_segment_writer_close(w->seg);
    w->seg = NULL;
    w->fresh = 0;
    if (full)
        return new_segment(w, info);
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->segments(k->store, note_latest, &l);
    pthread_mutex_unlock(&k->lock);
    if (!st && l.row.number && l.row.rows < SEGMENT_ROWS) {
        st = kn_segment_continue(&w->seg, k->dir, l.row.number, l.row.rows);
        w->committed = l.row.rows;
    }
    if (!st && w->seg && !fits(w->seg, k, info)) {
        kn_segment_writer_close(w->seg);
        w->seg = NULL;
    }
    return st || w->seg ? st : new_segment(w, info);
}

ken_status kn_edit_vectors(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                             kn_place *places)
{
    uint16_t *halves = NULL;
    const void *rows = vectors;
    ken_status st = n ? need_segment(w) : KEN_OK;
    if (st || !n)
        return st;
    const kn_segment_info *seg = kn_segment_writer_info(w->seg);
    const uint32_t first = kn_segment_writer_rows(w->seg);
    if (seg->element == KN_ELEMENT_F16) {
        if (!(halves = kn_alloc(n * seg->dim, sizeof *halves)))
            return KEN_E_NOMEM;
        kn_kernels_get()->f32_to_f16(vectors, halves, n * seg->dim);
        rows = halves;
    }
    st = kn_segment_append(w->seg, ids, rows, n);
    for (size_t i = 0; !st && i < n; i++)
        places[i] = (kn_place){ seg->number, first + (uint32_t)i };
    kn_free(halves);
    return st;
}

void kn_edit_forget(kn_edit *w)
{
    kn_segment_writer_close(w->seg);
    w->seg = NULL;
}

/* ---- transactions ---- */

ken_status kn_edit_open(kn_edit *w)
{
    kn_store *s = w->k->store;
    ken_status st = KEN_OK;
    if (w->seg && kn_segment_writer_rows(w->seg) > w->committed)
        st = kn_segment_sync(w->seg);
    pthread_mutex_lock(&w->k->lock);
    if (!st)
        st = s->v->begin(s, 1);
    if (st)
        pthread_mutex_unlock(&w->k->lock);
    return st;
}

static ken_status put_counts(kn_edit *w)
{
    kn_store *s = w->k->store;
    ken_status st = kn_store_set_number(s, KN_KEY_NEXT_ID, w->next_id);
    if (!st)
        st = kn_store_set_number(s, KN_KEY_NEXT_SEGMENT, w->next_segment);
    if (!st && w->seg && kn_segment_writer_rows(w->seg) > w->committed) {
        const kn_segment_record row = { kn_segment_writer_info(w->seg)->number,
                                     kn_segment_writer_rows(w->seg), w->pending };
        st = s->v->put_segment(s, &row);
    }
    return st;
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
    if (!st && w->seg)
        w->committed = kn_segment_writer_rows(w->seg);
    if (st)
        kn_edit_forget(w);
    return st;
}
