/*
 * scan_files.c - what is to be done about each file that the walk has noted.
 *
 * A file that was read is, in this order: unchanged after all (the hash of its item), moved (the
 * hash of an item whose own file is gone), a copy (the hash of another item: its vector serves), or
 * new pixels.  Every batch ends in one commit; a kill loses at most the batch it hits.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/batch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TOUCHES = 512 };
static const uint64_t BATCH_BYTES = (uint64_t)256 << 20; /* of files held at once */

static int64_t wall_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- items ---- */

/* What the file system says, into item; strings stay whose they are. */
static void take_stat(kn_item *item, const kn_file *f)
{
    item->path = f->path;
    item->bytes = f->bytes;
    item->inode = f->inode;
    item->device = f->device;
    item->mtime_ns = f->mtime_ns;
    item->hidden = 0;
}

static ken_status put(kn_scan *s, kn_item *item)
{
    char name[256], *object = item->object;
    if (s->o->objects_from_dirs && kn_folder_name(name, sizeof name, item->path))
        item->object = name;
    ken_status st = kn_store_put(s->k->store, item);
    item->object = object;
    return st;
}

/* ---- files whose pixels are known ---- */

/* How a change is counted. */
typedef struct tally {
    uint64_t added, updated, moved;
} tally;

static void add_tally(kn_scan *s, const tally *t)
{
    s->r->added += t->added;
    s->r->updated += t->updated;
    s->r->moved += t->moved;
}

/* The item that f touches or has become takes f's name and times; *item is released by the caller. */
static ken_status touch(kn_scan *s, const kn_file *f, uint64_t id, kn_item *item, tally *t)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    ken_status st = kn_store_get(s->k->store, &which, item);
    if (st)
        return st;
    kn_item changed = *item;
    const int moved = strcmp(item->path, f->path) != 0;
    take_stat(&changed, f);
    t->moved += moved;
    t->updated += !moved && item->hidden;
    st = put(s, &changed);
    return st ? st : s->k->store->v->drop_reject(s->k->store, f->path);
}

static ken_status touch_some(kn_scan *s, const kn_file *const *files, size_t n)
{
    tally t = { 0 };
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++) {
        kn_item item = { 0 };
        st = touch(s, files[i], files[i]->id, &item, &t);
        kn_item_release(&item);
    }
    st = kn_edit_close(&s->w, st);
    if (!st)
        add_tally(s, &t);
    return st;
}

static ken_status touch_all(kn_scan *s)
{
    const kn_file *some[TOUCHES];
    size_t n = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i <= s->files_n; i++) {
        if (n && (n == TOUCHES || i == s->files_n)) {
            st = kn_check_interrupt();
            if (!st)
                st = touch_some(s, some, n);
            n = 0;
        }
        if (i < s->files_n && s->files[i].what != KN_FILE_READ)
            some[n++] = &s->files[i];
    }
    return st;
}

/* ---- files that were read ---- */

/* What becomes of a task; beside it in the same order. */
typedef struct plan {
    const kn_file *f;
    uint64_t id;   /* of an item that is there already, else 0 */
    uint64_t like; /* an item with the same picture, whose vector is copied, else 0 */
    int touch;     /* the item is right but for name and times */
    kn_place place;
    kn_place views; /* of a model's first view */
} plan;

typedef struct finder {
    const kn_scan *s;
    const kn_file *f;
    uint64_t moved, like;
} finder;

static int look_at(const kn_item *item, void *cookie)
{
    finder *x = cookie;
    if (item->bytes != x->f->bytes || !item->segment
        || !kn_mesh_kind(item->path) != !kn_mesh_kind(x->f->path))
        return 0;
    if (!x->f->id && !kn_scan_saw(x->s, item->id) && kn_file_is_gone(item->path))
        x->moved = item->id;
    else
        x->like = item->id;
    return x->moved != 0;
}

/* The caller holds `lock`. */
static ken_status plan_one(kn_scan *s, kn_task *t, plan *p)
{
    const kn_select by_id = { .by = KN_BY_ID, .number = p->f->id };
    const kn_select by_hash = { .by = KN_BY_HASH, .text = t->hash };
    finder x = { .s = s, .f = p->f };
    kn_item item = { 0 };
    ken_status st = KEN_OK;
    p->id = p->f->id;
    if (p->id) {
        st = kn_store_get(s->k->store, &by_id, &item);
        p->touch = !st && item.segment && !strcmp(item.hash, t->hash);
        kn_item_release(&item);
    }
    if (!st && !p->touch)
        st = s->k->store->v->items(s->k->store, &by_hash, look_at, &x);
    if (!st && x.moved) {
        p->id = x.moved;
        p->touch = 1;
        st = kn_scan_see(s, x.moved);
    }
    p->like = p->touch || t->model ? 0 : x.like; /* a model's views are made anew: they are cheap */
    t->encode = !p->touch && !p->like;
    return st;
}

static ken_status plan_all(kn_scan *s, kn_batch *b, plan *plans)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&s->k->lock);
    for (size_t i = 0; !st && i < b->n; i++)
        if (!b->tasks[i].st)
            st = plan_one(s, &b->tasks[i], &plans[i]);
    pthread_mutex_unlock(&s->k->lock);
    return st;
}

/* Copies get their vector, width and height from the item that they are like. */
static ken_status copy_vectors(kn_scan *s, kn_batch *b, const plan *plans)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < b->n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = plans[i].like };
        kn_item item = { 0 };
        kn_task *t = &b->tasks[i];
        if (t->st || !plans[i].like)
            continue;
        st = kn_collection_vector(s->k, plans[i].like, s->info->dim,
                                  b->vectors + b->vectors_n * s->info->dim);
        pthread_mutex_lock(&s->k->lock);
        if (!st)
            st = kn_store_get(s->k->store, &which, &item);
        pthread_mutex_unlock(&s->k->lock);
        t->width = item.width;
        t->height = item.height;
        t->vector = (int)b->vectors_n++;
        kn_item_release(&item);
    }
    return st;
}

static ken_status append_views(kn_scan *s, kn_batch *b, plan *plans)
{
    uint64_t ids[KN_BATCH * KN_VIEWS];
    kn_place first = { 0 };
    for (size_t i = 0; i < b->n; i++)
        for (int v = 0; b->tasks[i].views >= 0 && v < KN_VIEWS; v++)
            ids[b->tasks[i].views + v] = plans[i].id;
    ken_status st = kn_edit_views(&s->w, ids, b->views, b->views_n, &first);
    for (size_t i = 0; !st && i < b->n; i++)
        if (b->tasks[i].views >= 0)
            plans[i].views = (kn_place){ first.segment, first.slot + (uint32_t)b->tasks[i].views };
    return st;
}

/* In the order of tasks, which is that of the walk: a run that was cut short and gone on with gives
 * the ids of an undisturbed one. */
static ken_status append_vectors(kn_scan *s, kn_batch *b, plan *plans)
{
    uint64_t ids[KN_BATCH];
    kn_place places[KN_BATCH];
    for (size_t i = 0; i < b->n; i++) {
        if (b->tasks[i].vector < 0)
            continue;
        if (!plans[i].id)
            plans[i].id = s->w.next_id++;
        ids[b->tasks[i].vector] = plans[i].id;
    }
    ken_status st = kn_edit_vectors(&s->w, ids, b->vectors, b->vectors_n, places);
    for (size_t i = 0; !st && i < b->n; i++)
        if (b->tasks[i].vector >= 0)
            plans[i].place = places[b->tasks[i].vector];
    return st ? st : append_views(s, b, plans);
}

/* A picture that cannot be read is remembered; the item that it was, if any, is hidden. */
static ken_status put_reject(kn_scan *s, const kn_task *t, const kn_file *f)
{
    const kn_select which = { .by = KN_BY_ID, .number = f->id };
    const kn_reject r = { .path = f->path,
                          .why = (char *)(uintptr_t)t->why,
                          .bytes = f->bytes,
                          .inode = f->inode,
                          .mtime_ns = f->mtime_ns,
                          .skipped = t->st == KEN_E_UNSUPPORTED };
    kn_item item = { 0 };
    if (t->st != KEN_E_FORMAT && t->st != KEN_E_LIMIT && t->st != KEN_E_UNSUPPORTED)
        return KEN_OK; /* the system's doing: it may be another time */
    ken_status st = s->k->store->v->put_reject(s->k->store, &r);
    if (!st && f->id)
        st = kn_store_get(s->k->store, &which, &item);
    if (!st && f->id && !item.hidden) {
        item.hidden = 1;
        st = kn_store_put(s->k->store, &item);
    }
    kn_item_release(&item);
    return st;
}

static ken_status put_picture(kn_scan *s, const kn_task *t, const plan *p, tally *y)
{
    const kn_select which = { .by = KN_BY_ID, .number = p->f->id };
    char image[] = "image", model[] = "model", *kind = t->model ? model : image;
    kn_item old = { 0 }, item = { .kind = kind, .added_ns = wall_ns() };
    ken_status st = p->f->id ? kn_store_get(s->k->store, &which, &old) : KEN_OK;
    if (!st) {
        if (p->f->id)
            item = old;
        take_stat(&item, p->f);
        item.id = p->id;
        memcpy(item.hash, t->hash, sizeof item.hash);
        item.width = t->width;
        item.height = t->height;
        item.segment = p->place.segment;
        item.slot = p->place.slot;
        item.part_segment = p->views.segment; /* 0: of other pixels; as many are still wanted */
        item.part_slot = p->views.slot;
        item.parts = t->model ? KN_VIEWS : item.parts;
        y->added += !p->f->id;
        y->updated += p->f->id != 0;
        st = put(s, &item);
    }
    if (!st)
        st = s->k->store->v->drop_reject(s->k->store, p->f->path);
    kn_item_release(&old);
    return st;
}

static ken_status commit(kn_scan *s, kn_batch *b, const plan *plans)
{
    tally y = { 0 };
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < b->n; i++) {
        kn_item item = { 0 };
        if (b->tasks[i].st)
            st = put_reject(s, &b->tasks[i], plans[i].f);
        else if (plans[i].touch)
            st = touch(s, plans[i].f, plans[i].id, &item, &y);
        else
            st = put_picture(s, &b->tasks[i], &plans[i], &y);
        kn_item_release(&item);
    }
    st = kn_edit_close(&s->w, st);
    if (!st)
        add_tally(s, &y);
    return st;
}

static ken_status run_batch(kn_scan *s, kn_batch *b, plan *plans)
{
    ken_status st = kn_batch_read(b);
    if (!st)
        st = plan_all(s, b, plans);
    if (!st)
        st = kn_batch_encode(b);
    if (!st)
        st = copy_vectors(s, b, plans);
    if (!st)
        st = append_vectors(s, b, plans);
    if (!st)
        st = commit(s, b, plans);
    for (size_t i = 0; !st && i < b->n; i++)
        if (b->tasks[i].st)
            kn_scan_problem(s, plans[i].f->path, b->tasks[i].why,
                            b->tasks[i].st == KEN_E_UNSUPPORTED);
    return st;
}

/* The next files to be read, from *at on. */
static void take_batch(const kn_scan *s, kn_batch *b, plan *plans, size_t *at)
{
    uint64_t bytes = 0;
    for (; *at < s->files_n && b->n < b->want; ++*at) {
        const kn_file *f = &s->files[*at];
        if (f->what != KN_FILE_READ)
            continue;
        if (b->n && bytes + f->bytes > BATCH_BYTES)
            return;
        bytes += f->bytes;
        plans[b->n] = (plan){ .f = f };
        b->tasks[b->n++] = (kn_task){ .path = f->path, .size = f->bytes, .vector = -1 };
    }
}

static ken_status read_all(kn_scan *s, size_t total)
{
    plan plans[KN_BATCH];
    kn_batch *b = NULL;
    size_t at = 0, done = 0;
    kn_meter_start(&s->meter, "encode", "pictures", total, s->o->progress, s->o->cookie);
    ken_status st = kn_batch_new(&b, s);
    while (!st && done < total) {
        take_batch(s, b, plans, &at);
        st = kn_meter_tell(&s->meter, done, b->tasks[0].path);
        if (!st)
            st = run_batch(s, b, plans);
        if (!st)
            done += b->n;
        kn_batch_clear(b);
    }
    kn_batch_free(b);
    if (!st)
        st = kn_meter_tell(&s->meter, done, NULL);
    kn_meter_end(&s->meter);
    return st;
}

ken_status kn_scan_files(kn_scan *s)
{
    size_t total = 0;
    ken_status st = touch_all(s);
    for (size_t i = 0; i < s->files_n; i++)
        total += s->files[i].what == KN_FILE_READ;
    return st || !total ? st : read_all(s, total);
}
