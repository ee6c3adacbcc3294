/* records.c - what is known of items: reading, describing and removing them. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/described.h"
#include "engine/remote.h"
#include "engine/spaces.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 256 };

/* ---- records ---- */

static void release_record(ken_record *r)
{
    kn_free(r->path);
    kn_free(r->object);
    kn_free(r->kind);
    kn_free(r->meta);
    kn_free(r->model);
    *r = (ken_record){ 0 };
}

void ken_record_free(ken_record *r)
{
    if (r)
        release_record(r);
    kn_free(r);
}

static ken_status make_record(ken_record *out, const kn_item *item, const char *fingerprint)
{
    kn_item copy;
    ken_status st = kn_item_copy(&copy, item);
    if (st)
        return st;
    *out = (ken_record){ .id = copy.id,
                         .path = copy.path,
                         .object = copy.object,
                         .kind = copy.kind,
                         .meta = copy.meta,
                         .model = kn_strdup(fingerprint),
                         .width = copy.width,
                         .height = copy.height,
                         .bytes = copy.bytes,
                         .mtime_ns = copy.mtime_ns,
                         .added_ns = copy.added_ns,
                         .hidden = copy.hidden };
    memcpy(out->hash, copy.hash, sizeof out->hash);
    if (out->model)
        return KEN_OK;
    release_record(out);
    return KEN_E_NOMEM;
}

/* The caller holds `lock`.  "" where none is recorded. */
static ken_status fingerprint_of(ken *k, char **out)
{
    char *text = NULL;
    ken_status st = k->store->v->text(k->store, KN_KEY_FINGERPRINT, &text);
    if (!st && !text && !(text = kn_strdup("")))
        st = KEN_E_NOMEM;
    if (!st)
        *out = text;
    return st;
}

static ken_status read_one(ken *k, uint64_t id, ken_record *out)
{
    kn_item item = { 0 };
    char *fingerprint = NULL;
    const kn_select which = { .by = KN_BY_ID, .number = id };
    pthread_mutex_lock(&k->lock);
    ken_status st = kn_store_get(k->store, &which, &item);
    if (!st)
        st = fingerprint_of(k, &fingerprint);
    pthread_mutex_unlock(&k->lock);
    if (!st)
        st = make_record(out, &item, fingerprint);
    kn_item_release(&item);
    kn_free(fingerprint);
    return st;
}

ken_status ken_get(ken *k, uint64_t id, ken_record **out)
{
    ken_status st = kn_enter(k);
    if (st)
        return st;
    ken_record *r = out ? kn_zalloc(1, sizeof *r) : NULL;
    if (!out)
        st = kn_fail(KEN_E_INVALID, "no place for the record");
    else
        st = r ? read_one(k, id, r) : KEN_E_NOMEM;
    if (!st)
        *out = r;
    else
        kn_free(r);
    kn_leave(k);
    return st;
}

static int note_id(const kn_item *item, void *cookie)
{
    *(uint64_t *)cookie = item->id;
    return 1;
}

ken_status ken_find(ken *k, const char *path, uint64_t *id)
{
    char *full = NULL;
    uint64_t found = 0;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = path && id ? kn_path_absolute(&full, path)
                    : kn_fail(KEN_E_INVALID, "no path, or no place for the id");
    if (!st) {
        const kn_select which = { .by = KN_BY_PATH, .text = full };
        pthread_mutex_lock(&k->lock);
        st = k->store->v->items(k->store, &which, note_id, &found);
        pthread_mutex_unlock(&k->lock);
    }
    if (!st && !found)
        st = kn_fail(KEN_E_NOTFOUND, "%s is not in the collection", full);
    if (!st)
        *id = found;
    kn_free(full);
    kn_leave(k);
    return st;
}

/* ---- one after the other ---- */

typedef struct page {
    ken_record records[PAGE];
    size_t n;
    const char *fingerprint;
    ken_status st;
} page;

static int fill_page(const kn_item *item, void *cookie)
{
    page *p = cookie;
    p->st = make_record(&p->records[p->n], item, p->fingerprint);
    p->n += !p->st;
    return p->st != KEN_OK;
}

static ken_status read_page(ken *k, uint64_t after, page *p)
{
    const kn_select which = { .by = KN_AFTER, .number = after, .limit = PAGE };
    char *fingerprint = NULL;
    pthread_mutex_lock(&k->lock);
    ken_status st = fingerprint_of(k, &fingerprint);
    p->fingerprint = fingerprint;
    if (!st)
        st = k->store->v->items(k->store, &which, fill_page, p);
    pthread_mutex_unlock(&k->lock);
    kn_free(fingerprint);
    return st ? st : p->st;
}

/* In pages, so that fn may call into the collection. */
ken_status ken_each(ken *k, ken_record_fn fn, void *cookie)
{
    uint64_t after = 0;
    int stop = 0;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    page *p = kn_alloc(1, sizeof *p);
    if (!p || !fn)
        st = p ? kn_fail(KEN_E_INVALID, "no function") : KEN_E_NOMEM;
    while (!st && !stop) {
        p->n = 0;
        p->st = KEN_OK;
        st = read_page(k, after, p);
        for (size_t i = 0; i < p->n; i++) {
            after = p->records[i].id;
            if (!st && !stop)
                stop = fn(&p->records[i], cookie);
            release_record(&p->records[i]);
        }
        if (p->n < PAGE)
            break;
    }
    kn_free(p);
    kn_leave(k);
    return st;
}

/* ---- vectors ---- */

/* Both in one state of the collection. */
static ken_status place_and_view(ken *k, uint64_t id, kn_item *item, kn_view **view)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    uint64_t now = 0;
    ken_status st;
    do {
        kn_item_release(item);
        kn_view_release_locked(*view);
        *view = NULL;
        st = kn_view_get_locked(k, view);
        if (!st)
            st = kn_store_get(k->store, &which, item);
        if (!st)
            st = k->store->v->generation(k->store, &now);
    } while (!st && now != (*view)->generation);
    return st;
}

ken_status kn_collection_vector(ken *k, uint64_t id, uint32_t dim, float *out)
{
    kn_item item = { 0 };
    kn_view *view = NULL;
    if (k->store->v->vectors)
        return kn_remote_vector(k, id, dim, out);
    pthread_mutex_lock(&k->lock);
    ken_status st = place_and_view(k, id, &item, &view);
    if (!st && !item.segment)
        st = kn_fail(KEN_E_NOTFOUND, "item %" PRIu64 " has no vector", id);
    if (!st && dim && view->dim != dim)
        st = kn_fail(KEN_E_MODEL, "the collection has another model by now: open it again");
    if (!st)
        st = kn_view_vector(view, item.segment, item.slot, out);
    kn_view_release_locked(view);
    pthread_mutex_unlock(&k->lock);
    kn_item_release(&item);
    return st;
}

/* Of one item: its own vector, or those of its parts.  The caller holds `lock`. */
static ken_status read_local(ken *k, kn_share share, const kn_item *item, uint32_t dim, float *out)
{
    kn_item now = { 0 };
    kn_view *view = NULL;
    const int whole = share == KN_WHOLES;
    ken_status st = place_and_view(k, item->id, &now, &view);
    if (!st && (whole ? !now.segment : now.parts != item->parts || !now.part_segment))
        st = kn_fail(KEN_E_NOTFOUND, "item %" PRIu64 " has other vectors by now", item->id);
    if (!st && view->dim != dim)
        st = kn_fail(KEN_E_MODEL, "the collection has another model by now: open it again");
    for (uint32_t i = 0; !st && i < (whole ? 1 : item->parts); i++)
        st = whole ? kn_view_vector(view, now.segment, now.slot, out)
                   : kn_view_vector(view, now.part_segment, now.part_slot + i, out + (size_t)i * dim);
    kn_view_release_locked(view);
    kn_item_release(&now);
    return st;
}

ken_status kn_collection_vectors(ken *k, kn_share share, const kn_item *const *items, size_t n, uint32_t dim,
                                 float *out)
{
    const int whole = share == KN_WHOLES;
    uint64_t *ids = kn_alloc(n + 1, sizeof *ids);
    uint32_t *counts = kn_alloc(n + 1, sizeof *counts);
    ken_status st = ids && counts ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        ids[i] = items[i]->id;
        counts[i] = whole ? 1 : items[i]->parts;
    }
    pthread_mutex_lock(&k->lock);
    if (!st && k->store->v->vectors)
        st = k->store->v->vectors(k->store, share, ids, counts, n, dim, out);
    else
        for (size_t i = 0; !st && i < n; out += (size_t)counts[i++] * dim)
            st = read_local(k, share, items[i], dim, out);
    pthread_mutex_unlock(&k->lock);
    kn_free(ids);
    kn_free(counts);
    return st;
}

ken_status ken_vector(ken *k, uint64_t id, float *vector)
{
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = vector ? kn_collection_vector(k, id, 0, vector)
                : kn_fail(KEN_E_INVALID, "no place for the vector");
    kn_leave(k);
    return st;
}

/* ---- removing ---- */

static ken_status remove_all(kn_edit *w, const uint64_t *ids, size_t n)
{
    ken_status st = kn_edit_open(w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = ids[i] };
        uint64_t found = 0;
        st = w->k->store->v->items(w->k->store, &which, note_id, &found);
        if (!st && !found)
            st = kn_fail(KEN_E_NOTFOUND, "no item %" PRIu64, ids[i]);
        if (!st)
            st = kn_store_drop(w->k->store, ids[i]);
    }
    return kn_edit_close(w, st);
}

ken_status ken_remove(ken *k, const uint64_t *ids, size_t n)
{
    kn_edit w = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = ids || !n ? kn_spaces_remove(k, ids, n) : kn_fail(KEN_E_INVALID, "no ids");
    if (!st)
        st = kn_edit_begin(&w, k);
    if (!st && n)
        st = remove_all(&w, ids, n);
    kn_edit_end(&w);
    kn_leave(k);
    return st;
}

/* ---- describing ---- */

static int differs(const char *now, const char *wanted)
{
    return wanted && (!now || strcmp(now, wanted));
}

static ken_status describe_one(kn_store *s, const ken_note *note, size_t *done)
{
    char *full = NULL;
    kn_item item = { 0 };
    ken_status st = note->path ? kn_path_absolute(&full, note->path)
                               : kn_fail(KEN_E_INVALID, "a note without a path");
    const kn_select which = { .by = KN_BY_PATH, .text = full };
    if (!st)
        st = kn_store_get(s, &which, &item);
    if (!st) {
        kn_item changed = item;
        if (differs(item.object, note->object))
            changed.object = (char *)(uintptr_t)note->object;
        if (differs(item.meta, note->meta))
            changed.meta = (char *)(uintptr_t)note->meta;
        if (changed.object != item.object || changed.meta != item.meta)
            st = kn_store_put(s, &changed);
        ++*done;
    }
    kn_item_release(&item);
    kn_free(full);
    return st == KEN_E_NOTFOUND ? KEN_OK : st;
}

ken_status ken_describe(ken *k, const ken_note *notes, size_t n, size_t *done)
{
    kn_edit w = { 0 };
    size_t have = 0;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = (notes || !n) && done ? kn_edit_begin(&w, k)
                               : kn_fail(KEN_E_INVALID, "no notes, or no place for the count");
    if (!st)
        st = kn_edit_open(&w);
    if (!st) {
        for (size_t i = 0; !st && i < n; i++)
            st = describe_one(k->store, &notes[i], &have);
        st = kn_edit_close(&w, st);
    }
    if (!st)
        st = kn_described_sync(&w);
    if (!st)
        *done = have;
    kn_edit_end(&w);
    kn_leave(k);
    return st;
}
