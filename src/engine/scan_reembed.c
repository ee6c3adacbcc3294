/*
 * scan_reembed.c - every item's vector again, by another model or by the same one.
 *
 * New vectors go to pending segments, whose rows are committed batch by batch but which no item
 * refers to; searches go on with the old ones.  At the end one commit moves all items over and drops
 * the old segments.  An interrupted run goes on where it stopped: a pending row's id says whose it
 * is.  What could not be read is left without a vector, for the scan that follows.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/batch.h"

#include <string.h>

/* ---- segments ---- */

typedef struct segments {
    kn_segment_record *list;
    size_t n, cap;
    ken_status st;
} segments;

static int add_segment(const kn_segment_record *row, void *cookie)
{
    segments *g = cookie;
    kn_segment_record *list = kn_room(g->list, g->n, &g->cap, sizeof *list);
    if (!list) {
        g->st = KEN_E_NOMEM;
        return 1;
    }
    g->list = list;
    list[g->n++] = *row;
    return 0;
}

static ken_status read_segments(ken *k, segments *g)
{
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->segments(k->store, add_segment, g);
    pthread_mutex_unlock(&k->lock);
    return st ? st : g->st;
}

typedef struct moved {
    uint64_t id;
    kn_place place; /* segment 0: an item has it */
} moved;

/* Where each item's new vector is. */
typedef struct fresh {
    moved *list;
    size_t n, cap;
    kn_idmap at;
} fresh;

static moved *find_moved(const fresh *f, uint64_t id)
{
    size_t at;
    return kn_idmap_get(&f->at, id, &at) && f->list[at].place.segment ? &f->list[at] : NULL;
}

static ken_status note_place(fresh *f, uint64_t id, kn_place place)
{
    size_t at;
    if (kn_idmap_get(&f->at, id, &at)) {
        f->list[at].place = place;
        return KEN_OK;
    }
    moved *list = kn_room(f->list, f->n, &f->cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    f->list = list;
    ken_status st = kn_idmap_reserve(&f->at, 1);
    if (st)
        return st;
    list[f->n] = (moved){ id, place };
    kn_idmap_put(&f->at, id, f->n++);
    return KEN_OK;
}

static int is_done(const fresh *f, uint64_t id)
{
    return find_moved(f, id) != NULL;
}

static void free_fresh(fresh *f)
{
    kn_free(f->list);
    kn_idmap_release(&f->at);
    *f = (fresh){ 0 };
}

static ken_status drop_segments(kn_scan *s, const segments *g, int pending)
{
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < g->n; i++)
        if ((g->list[i].state == KN_SEGMENT_PENDING) == pending)
            st = s->k->store->v->drop_segment(s->k->store, g->list[i].number);
    st = kn_edit_close(&s->w, st);
    for (size_t i = 0; !st && i < g->n; i++)
        if ((g->list[i].state == KN_SEGMENT_PENDING) == pending)
            st = kn_segment_unlink(s->k->dir, g->list[i].number);
    return st;
}

/* The rows of an interrupted run; *same: they are of this model. */
static ken_status read_pending(kn_scan *s, const segments *g, fresh *f, int *same)
{
    ken_status st = KEN_OK;
    *same = 1;
    for (size_t i = 0; !st && i < g->n; i++) {
        kn_segment seg;
        if (g->list[i].state != KN_SEGMENT_PENDING)
            continue;
        st = kn_segment_map(&seg, s->k->dir, g->list[i].number, g->list[i].rows);
        if (st)
            break;
        *same &= !strcmp(seg.info.fingerprint, s->info->fingerprint) && seg.info.dim == s->info->dim;
        for (uint32_t slot = 0; !st && slot < seg.rows; slot++)
            st = note_place(f, kn_segment_id(&seg, slot), (kn_place){ seg.info.number, slot });
        kn_segment_unmap(&seg);
    }
    return st;
}

ken_status kn_scan_abandon(kn_scan *s)
{
    segments g = { 0 };
    int any = 0;
    ken_status st = read_segments(s->k, &g);
    for (size_t i = 0; i < g.n; i++)
        any |= g.list[i].state == KN_SEGMENT_PENDING;
    if (!st && any)
        st = drop_segments(s, &g, 1);
    kn_free(g.list);
    return st;
}

/* ---- encoding ---- */

typedef struct todo {
    uint64_t id;
    char *path, hash[33];
} todo;

typedef struct todos {
    const fresh *done;
    todo list[KN_BATCH];
    size_t n, want;
    uint64_t last;
    ken_status st;
} todos;

static int add_todo(const kn_item *item, void *cookie)
{
    todos *t = cookie;
    t->last = item->id;
    if (is_done(t->done, item->id))
        return 0;
    todo *one = &t->list[t->n];
    if (!(one->path = kn_strdup(item->path))) {
        t->st = KEN_E_NOMEM;
        return 1;
    }
    one->id = item->id;
    memcpy(one->hash, item->hash, sizeof one->hash);
    return ++t->n == t->want;
}

static void clear_todos(todos *t)
{
    for (size_t i = 0; i < t->n; i++)
        kn_free(t->list[i].path);
    t->n = 0;
}

/* A file that has changed, or cannot be read, is left to the scan that follows. */
static ken_status encode_batch(kn_scan *s, kn_batch *b, const todos *t, fresh *f)
{
    uint64_t ids[KN_BATCH];
    kn_place places[KN_BATCH];
    for (size_t i = 0; i < t->n; i++)
        b->tasks[b->n++] = (kn_task){ .path = t->list[i].path, .vector = -1 };
    ken_status st = kn_batch_read(b);
    for (size_t i = 0; i < b->n; i++)
        b->tasks[i].encode = !b->tasks[i].st && !strcmp(b->tasks[i].hash, t->list[i].hash);
    if (!st)
        st = kn_batch_encode(b);
    for (size_t i = 0; !st && i < b->n; i++)
        if (b->tasks[i].vector >= 0)
            ids[b->tasks[i].vector] = t->list[i].id;
    if (!st)
        st = kn_edit_vectors(&s->w, ids, b->vectors, b->vectors_n, places);
    if (!st && b->vectors_n) {
        st = kn_edit_open(&s->w);
        if (!st)
            st = kn_edit_close(&s->w, KEN_OK);
    }
    for (size_t i = 0; !st && i < b->vectors_n; i++)
        st = note_place(f, ids[i], places[i]);
    return st;
}

static ken_status next_todos(kn_scan *s, todos *t)
{
    const kn_select which = { .by = KN_AFTER, .number = t->last };
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->items(s->k->store, &which, add_todo, t);
    pthread_mutex_unlock(&s->k->lock);
    return st ? st : t->st;
}

static ken_status encode_all(kn_scan *s, fresh *f)
{
    kn_batch *b = NULL;
    kn_counts counts = { 0 };
    todos t = { .done = f };
    uint64_t done = 0;
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->counts(s->k->store, &counts);
    pthread_mutex_unlock(&s->k->lock);
    kn_meter_start(&s->meter, "re-embed", "pictures", counts.items, s->o->progress, s->o->cookie);
    if (!st)
        st = kn_batch_new(&b, s);
    while (!st) {
        t.want = b->want;
        st = next_todos(s, &t);
        if (st || !t.n)
            break;
        st = kn_meter_tell(&s->meter, done, t.list[0].path);
        if (!st)
            st = encode_batch(s, b, &t, f);
        done += t.n;
        kn_batch_clear(b);
        clear_todos(&t);
    }
    clear_todos(&t);
    kn_batch_free(b);
    kn_meter_end(&s->meter);
    return st;
}

/* ---- moving over ---- */

typedef struct ids {
    uint64_t *list;
    size_t n, cap;
    ken_status st;
} ids;

static int add_id(const kn_item *item, void *cookie)
{
    ids *x = cookie;
    uint64_t *list = kn_room(x->list, x->n, &x->cap, sizeof *list);
    if (!list) {
        x->st = KEN_E_NOMEM;
        return 1;
    }
    x->list = list;
    list[x->n++] = item->id;
    return 0;
}

/* Removed from f, so that what is left at the end belongs to nobody. */
static ken_status move_item(kn_scan *s, uint64_t id, fresh *f)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    kn_item item = { 0 };
    moved *new = find_moved(f, id);
    ken_status st = kn_store_get(s->k->store, &which, &item);
    item.segment = new ? new->place.segment : 0;
    item.slot = new ? new->place.slot : 0;
    item.part_segment = item.part_slot = 0; /* to be made again, as many as they were */
    if (!st)
        st = s->k->store->v->put(s->k->store, &item);
    if (!st && new) {
        new->place.segment = 0;
        s->r->updated++;
    }
    kn_item_release(&item);
    return st;
}

static ken_status move_all(kn_scan *s, const segments *g, fresh *f)
{
    kn_store *store = s->k->store;
    const kn_select all = { .by = KN_AFTER };
    ids x = { 0 };
    ken_status st = store->v->items(store, &all, add_id, &x);
    if (!st)
        st = x.st;
    for (size_t i = 0; !st && i < x.n; i++)
        st = move_item(s, x.list[i], f);
    for (size_t i = 0; !st && i < g->n; i++) {
        kn_segment_record row = g->list[i];
        row.state = KN_SEGMENT_LIVE;
        st = g->list[i].state == KN_SEGMENT_PENDING ? store->v->put_segment(store, &row)
                                                    : store->v->drop_segment(store, row.number);
    }
    for (size_t i = 0; !st && i < f->n; i++)
        if (f->list[i].place.segment) /* its item has been removed meanwhile */
            st = store->v->put_dead(store, f->list[i].place.segment, f->list[i].place.slot);
    kn_free(x.list);
    return st;
}

static ken_status switch_over(kn_scan *s, fresh *f)
{
    ken *k = s->k;
    segments g = { 0 };
    const uint64_t updated = s->r->updated;
    ken_status st = read_segments(k, &g);
    kn_edit_forget(&s->w);
    if (!st)
        st = kn_edit_open(&s->w);
    if (!st) {
        st = move_all(s, &g, f);
        if (!st)
            st = kn_collection_remember(k, s->model, k->asked ? k->asked : s->info->name);
        st = kn_edit_close(&s->w, st);
    }
    if (st)
        s->r->updated = updated;
    for (size_t i = 0; !st && i < g.n; i++)
        if (g.list[i].state != KN_SEGMENT_PENDING)
            st = kn_segment_unlink(k->dir, g.list[i].number);
    kn_free(g.list);
    return st;
}

ken_status kn_scan_reembed(kn_scan *s)
{
    segments g = { 0 };
    fresh f = { 0 };
    int same = 1;
    ken_status st = read_segments(s->k, &g);
    if (!st)
        st = read_pending(s, &g, &f, &same);
    if (!st && !same) { /* begun for yet another model */
        st = drop_segments(s, &g, 1);
        free_fresh(&f);
    }
    s->w.pending = 1;
    if (!st)
        st = encode_all(s, &f);
    if (!st)
        st = switch_over(s, &f);
    s->w.pending = 0;
    if (!st)
        kn_collection_switch(s->k);
    free_fresh(&f);
    kn_free(g.list);
    return st;
}
