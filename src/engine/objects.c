/* objects.c - what objects there are: counting, listing, renaming and forgetting them. */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/writer.h"

#include <string.h>

/* ---- one object ---- */

typedef struct found {
    uint64_t *ids;
    size_t n, cap;
    uint64_t vectors;
    ken_status st;
} found;

static int note_item(const kn_item *item, void *cookie)
{
    found *f = cookie;
    uint64_t *ids = kn_room(f->ids, f->n, &f->cap, sizeof *ids);
    if (!ids) {
        f->st = KEN_E_NOMEM;
        return 1;
    }
    f->ids = ids;
    ids[f->n++] = item->id;
    f->vectors += (item->segment != 0) + (item->part_segment ? item->parts : 0);
    return 0;
}

/* The caller holds `lock`. */
static ken_status find(ken *k, const char *name, found *f)
{
    const kn_select which = { .by = KN_OF_OBJECT, .text = name };
    ken_status st = k->store->v->items(k->store, &which, note_item, f);
    if (!st)
        st = f->st;
    return st || f->n ? st : kn_fail(KEN_E_NOTFOUND, "no object %s", name);
}

static ken_status look_up(ken *k, const char *name, found *f, const void *place)
{
    if (!name || !*name || !place)
        return kn_fail(KEN_E_INVALID, "no name, or no place for the answer");
    pthread_mutex_lock(&k->lock);
    ken_status st = find(k, name, f);
    pthread_mutex_unlock(&k->lock);
    return st;
}

ken_status ken_object_get(ken *k, const char *name, ken_object *out)
{
    found f = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = look_up(k, name, &f, out);
    if (!st)
        *out = (ken_object){ name, f.n, f.vectors };
    kn_free(f.ids);
    kn_leave(k);
    return st;
}

ken_status ken_object_items(ken *k, const char *name, uint64_t **ids, size_t *n)
{
    found f = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = n ? look_up(k, name, &f, ids) : kn_fail(KEN_E_INVALID, "no place for the count");
    if (st) {
        kn_free(f.ids);
    } else {
        *ids = f.ids;
        *n = f.n;
    }
    kn_leave(k);
    return st;
}

void ken_ids_free(uint64_t *ids)
{
    kn_free(ids);
}

/* ---- all ---- */

typedef struct entry {
    char *name;
    uint64_t references, vectors;
} entry;

typedef struct roll {
    entry *list;
    size_t n, cap;
    ken_status st;
} roll;

/* Items come in the order of objects. */
static int count_item(const kn_item *item, void *cookie)
{
    roll *r = cookie;
    if (!r->n || strcmp(r->list[r->n - 1].name, item->object)) {
        entry *list = kn_room(r->list, r->n, &r->cap, sizeof *list);
        if (list)
            r->list = list;
        char *name = list ? kn_strdup(item->object) : NULL;
        if (!name) {
            r->st = KEN_E_NOMEM;
            return 1;
        }
        list[r->n++] = (entry){ .name = name };
    }
    entry *e = &r->list[r->n - 1];
    e->references++;
    e->vectors += (item->segment != 0) + (item->part_segment ? item->parts : 0);
    return 0;
}

/* fn is called when the store is free again, so that it may call into the collection. */
ken_status ken_object_each(ken *k, ken_object_fn fn, void *cookie)
{
    const kn_select labelled = { .by = KN_LABELLED };
    roll r = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (!fn)
        st = kn_fail(KEN_E_INVALID, "no function");
    if (!st) {
        pthread_mutex_lock(&k->lock);
        st = k->store->v->items(k->store, &labelled, count_item, &r);
        pthread_mutex_unlock(&k->lock);
        st = st ? st : r.st;
    }
    for (size_t i = 0, stop = 0; !st && !stop && i < r.n; i++) {
        const ken_object o = { r.list[i].name, r.list[i].references, r.list[i].vectors };
        stop = fn(&o, cookie) != 0;
    }
    for (size_t i = 0; i < r.n; i++)
        kn_free(r.list[i].name);
    kn_free(r.list);
    kn_leave(k);
    return st;
}

/* ---- changing ---- */

static ken_status forget_item(kn_store *s, uint64_t id)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    kn_item item = { 0 };
    ken_status st = kn_store_get(s, &which, &item);
    if (st)
        return st;
    kn_item changed = item;
    changed.object = NULL;
    if (strcmp(item.kind, "model")) /* whose views stay */
        changed.parts = changed.part_segment = changed.part_slot = 0;
    st = strcmp(item.kind, "reference") ? kn_store_put(s, &changed) : kn_store_drop(s, id);
    kn_item_release(&item);
    return st;
}

static ken_status rename_item(kn_store *s, uint64_t id, const char *to)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    kn_item item = { 0 };
    ken_status st = kn_store_get(s, &which, &item);
    if (st)
        return st;
    kn_item changed = item;
    changed.object = (char *)(uintptr_t)to;
    st = kn_store_put(s, &changed);
    kn_item_release(&item);
    return st;
}

/* In an open transaction.  to: NULL forgets. */
static ken_status change(ken *k, const char *name, const char *to)
{
    found f = { 0 }, other = { 0 };
    ken_status st = find(k, name, &f);
    if (!st && to) {
        st = find(k, to, &other);
        st = st == KEN_E_NOTFOUND ? KEN_OK
             : st                 ? st
                                  : kn_fail(KEN_E_EXISTS, "there is an object %s already", to);
    }
    for (size_t i = 0; !st && i < f.n; i++)
        st = to ? rename_item(k->store, f.ids[i], to) : forget_item(k->store, f.ids[i]);
    kn_free(f.ids);
    kn_free(other.ids);
    return st;
}

static ken_status edit(ken *k, const char *name, const char *to)
{
    kn_edit w = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = name && *name && (!to || *to) ? kn_edit_begin(&w, k) : kn_fail(KEN_E_INVALID, "no name");
    if (!st)
        st = kn_edit_open(&w);
    if (!st)
        st = kn_edit_close(&w, change(k, name, to));
    kn_edit_end(&w);
    kn_leave(k);
    return st;
}

ken_status ken_object_remove(ken *k, const char *name)
{
    return edit(k, name, NULL);
}

ken_status ken_object_rename(ken *k, const char *from, const char *to)
{
    return to ? edit(k, from, to) : kn_fail(KEN_E_INVALID, "no new name");
}
