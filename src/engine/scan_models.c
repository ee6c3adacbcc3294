/*
 * scan_models.c - views of 3-D models, made again.
 *
 * A re-embedding gives each item its own vector and leaves the parts to be made anew; those of models are
 * made here, a few at a time.  A file that has changed, or cannot be read, is left as it is.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/batch.h"

#include <string.h>

typedef struct lost {
    char *paths[KN_BATCH];
    char hashes[KN_BATCH][33];
    uint64_t ids[KN_BATCH];
    size_t n, want;
    uint64_t last;
    ken_status st;
} lost;

static int note_lost(const kn_item *item, void *cookie)
{
    lost *l = cookie;
    l->last = item->id;
    if (strcmp(item->kind, "model") || item->hidden || !item->segment)
        return 0;
    if (!(l->paths[l->n] = kn_strdup(item->path))) {
        l->st = KEN_E_NOMEM;
        return 1;
    }
    memcpy(l->hashes[l->n], item->hash, sizeof item->hash);
    l->ids[l->n] = item->id;
    return ++l->n == l->want;
}

static void forget(lost *l)
{
    for (size_t i = 0; i < l->n; i++)
        kn_free(l->paths[i]);
    l->n = 0;
}

static ken_status find(kn_scan *s, lost *l)
{
    const kn_select after = { .by = KN_PARTLESS, .number = l->last };
    forget(l);
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->items(s->k->store, &after, note_lost, l);
    pthread_mutex_unlock(&s->k->lock);
    return st ? st : l->st;
}

static ken_status put(kn_scan *s, const kn_batch *b, const lost *l, kn_place first)
{
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < b->n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = l->ids[i] };
        kn_item item = { 0 };
        if (b->tasks[i].views < 0)
            continue;
        st = kn_store_get(s->k->store, &which, &item);
        item.part_segment = first.segment;
        item.part_slot = first.slot + (uint32_t)b->tasks[i].views;
        if (!st)
            st = kn_store_put(s->k->store, &item);
        kn_item_release(&item);
    }
    return kn_edit_close(&s->w, st);
}

static ken_status mend(kn_scan *s, kn_batch *b, const lost *l)
{
    uint64_t ids[KN_BATCH * KN_VIEWS];
    kn_place first = { 0 };
    for (size_t i = 0; i < l->n; i++)
        b->tasks[b->n++] = (kn_task){ .path = l->paths[i], .vector = -1, .views = -1 };
    ken_status st = kn_batch_read(b);
    for (size_t i = 0; i < b->n; i++)
        b->tasks[i].encode = !b->tasks[i].st && !strcmp(b->tasks[i].hash, l->hashes[i]);
    if (!st)
        st = kn_batch_encode(b);
    for (size_t i = 0; !st && i < b->n; i++)
        for (int v = 0; b->tasks[i].views >= 0 && v < KN_VIEWS; v++)
            ids[b->tasks[i].views + v] = l->ids[i];
    if (!st)
        st = kn_edit_views(&s->w, ids, b->views, b->views_n, &first);
    return st ? st : put(s, b, l, first);
}

ken_status kn_scan_models(kn_scan *s)
{
    kn_batch *b = NULL;
    lost l = { .want = 8 };
    ken_status st = find(s, &l);
    if (!st && l.n)
        st = kn_batch_new(&b, s);
    while (!st && l.n) {
        st = kn_check_interrupt();
        if (!st)
            st = mend(s, b, &l);
        kn_batch_clear(b);
        l.want = b->want;
        if (!st)
            st = find(s, &l);
    }
    forget(&l);
    kn_batch_free(b);
    return st;
}
