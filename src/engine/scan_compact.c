/*
 * scan_compact.c - segments whose dead slots cost more than copying the live ones.
 *
 * The live rows go to a new segment; one commit moves the items there and drops the old segment,
 * whose file is removed after it.  A reader that has mapped it goes on reading.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/scan.h"

#include <string.h>

enum { LEAST_DEAD = 256, SHARE = 4 }; /* compact when a quarter is dead */

typedef struct tired {
    uint32_t number, rows, dead;
} tired;

typedef struct finder {
    tired *list;
    size_t n, cap;
    ken_status st;
} finder;

static int add_segment(const kn_segment_record *row, void *cookie)
{
    finder *f = cookie;
    if (row->state != KN_SEGMENT_LIVE)
        return 0;
    tired *list = kn_room(f->list, f->n, &f->cap, sizeof *list);
    if (!list) {
        f->st = KEN_E_NOMEM;
        return 1;
    }
    f->list = list;
    list[f->n++] = (tired){ .number = row->number, .rows = row->rows };
    return 0;
}

static int count_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    finder *f = cookie;
    (void)slot;
    for (size_t i = 0; i < f->n; i++)
        f->list[i].dead += f->list[i].number == segment;
    return 0;
}

typedef struct live {
    uint64_t id;
    uint32_t slot;
    kn_place place;
} live;

typedef struct collector {
    uint32_t segment;
    live *list;
    size_t n, cap;
    ken_status st;
} collector;

static int add_live(const kn_item *item, void *cookie)
{
    collector *c = cookie;
    if (item->segment != c->segment)
        return 0;
    live *list = kn_room(c->list, c->n, &c->cap, sizeof *list);
    if (!list) {
        c->st = KEN_E_NOMEM;
        return 1;
    }
    c->list = list;
    list[c->n++] = (live){ .id = item->id, .slot = item->slot };
    return 0;
}

static ken_status copy_block(kn_scan *s, const kn_segment *seg, live *list, size_t n, float *rows)
{
    const uint32_t dim = seg->info.dim;
    uint64_t ids[KN_BLOCK];
    kn_place places[KN_BLOCK];
    for (size_t i = 0; i < n; i++) {
        const void *row = kn_segment_row(seg, list[i].slot);
        if (!kn_segment_intact(seg, list[i].slot))
            return kn_fail(KEN_E_CORRUPT, "slot %u: wrong checksum", list[i].slot);
        if (seg->info.element == KN_ELEMENT_F16)
            kn_kernels_get()->f16_to_f32(row, rows + i * dim, dim);
        else
            memcpy(rows + i * dim, row, seg->row_bytes);
        ids[i] = list[i].id;
    }
    ken_status st = kn_edit_vectors(&s->w, ids, rows, n, places);
    for (size_t i = 0; !st && i < n; i++)
        list[i].place = places[i];
    return st;
}

static ken_status copy_rows(kn_scan *s, const tired *t, collector *c)
{
    kn_segment seg;
    ken_status st = kn_segment_map(&seg, s->k->dir, t->number, t->rows);
    if (st)
        return st;
    float *rows = kn_alloc(KN_BLOCK, seg.info.dim * sizeof *rows);
    if (!rows)
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < c->n; i += KN_BLOCK)
        st = copy_block(s, &seg, c->list + i, c->n - i < KN_BLOCK ? c->n - i : KN_BLOCK, rows);
    kn_free(rows);
    kn_segment_unmap(&seg);
    return st;
}

static ken_status move_items(kn_scan *s, const tired *t, const collector *c)
{
    kn_store *store = s->k->store;
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < c->n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = c->list[i].id };
        kn_item item = { 0 };
        st = kn_store_get(store, &which, &item);
        item.segment = c->list[i].place.segment;
        item.slot = c->list[i].place.slot;
        if (!st)
            st = store->v->put(store, &item);
        kn_item_release(&item);
    }
    if (!st)
        st = store->v->drop_segment(store, t->number);
    return kn_edit_close(&s->w, st);
}

static ken_status compact_one(kn_scan *s, const tired *t)
{
    const kn_select all = { .by = KN_AFTER };
    collector c = { .segment = t->number };
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->items(s->k->store, &all, add_live, &c);
    pthread_mutex_unlock(&s->k->lock);
    if (!st)
        st = c.st;
    s->w.whole.fresh = 1;
    if (!st && c.n)
        st = copy_rows(s, t, &c);
    if (!st)
        st = move_items(s, t, &c);
    if (!st)
        st = kn_segment_unlink(s->k->dir, t->number);
    kn_free(c.list);
    return st;
}

ken_status kn_scan_compact(kn_scan *s)
{
    kn_store *store = s->k->store;
    finder f = { 0 };
    pthread_mutex_lock(&s->k->lock);
    ken_status st = store->v->segments(store, add_segment, &f);
    if (!st && !f.st)
        st = store->v->dead(store, count_dead, &f);
    pthread_mutex_unlock(&s->k->lock);
    if (!st)
        st = f.st;
    for (size_t i = 0; !st && i < f.n; i++) {
        const tired *t = &f.list[i];
        if (t->dead < LEAST_DEAD || t->dead < t->rows / SHARE)
            continue;
        st = compact_one(s, t);
        if (st == KEN_E_CORRUPT) { /* for ken_check to tell; nothing is worse than before */
            kn_log(KEN_LOG_WARN, "segment %u is not compacted: %s", t->number, ken_last_error());
            kn_edit_forget(&s->w);
            st = KEN_OK;
        }
    }
    kn_free(f.list);
    return st;
}
