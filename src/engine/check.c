/*
 * check.c - counting what a collection holds, and testing all that must be true of it.
 *
 * The invariants: the store's own files are sound; every committed row's checksum holds; an item's
 * slot is in range and carries the item's id; every slot belongs to one item or is dead, never
 * both; all vectors are of the collection's model and length.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/lookup.h"
#include "engine/spaces.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- counting ---- */

static uint64_t folder_bytes(const char *dir)
{
    uint64_t sum = 0;
    struct stat info;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &info, 0) == 0 && S_ISREG(info.st_mode))
            sum += (uint64_t)info.st_size;
    if (d)
        closedir(d);
    return sum;
}

/* A text of the store into a fixed array; cut if too long. */
static ken_status text_into(kn_store *s, const char *key, char *out, size_t size)
{
    char *text = NULL;
    ken_status st = s->v->text(s, key, &text);
    if (!st)
        snprintf(out, size, "%s", text ? text : "");
    kn_free(text);
    return st;
}

static ken_status count(ken *k, ken_stats *out)
{
    kn_store *s = k->store;
    kn_counts c = { 0 };
    uint64_t dim = 0;
    ken_status st = s->v->counts(s, &c);
    if (!st)
        st = kn_store_number(s, KN_KEY_DIM, &dim);
    if (!st)
        st = text_into(s, KN_KEY_MODEL, out->model, sizeof out->model);
    if (!st)
        st = text_into(s, KN_KEY_FINGERPRINT, out->fingerprint, sizeof out->fingerprint);
    if (!st)
        st = text_into(s, KN_KEY_PRECISION, out->precision, sizeof out->precision);
    out->items = c.items - c.hidden;
    out->hidden = c.hidden;
    out->objects = c.objects;
    out->vectors = c.vectors;
    out->dim = (uint32_t)dim;
    snprintf(out->kind, sizeof out->kind, "%s", s->v->index ? s->v->index(s) : "Flat");
    out->indexed = c.vectors; /* of a store that searches itself; else count_index() knows better */
    out->dead = c.dead;
    snprintf(out->store, sizeof out->store, "%s", s->v->name);
    return st;
}

/* Of all roles together; the kind is that of one that has an index. */
static ken_status count_index(ken *k, ken_stats *out)
{
    kn_view *v = NULL;
    char asked[KN_SPEC_TEXT];
    ken_status st = kn_lookup_asked(k, asked);
    if (!st)
        st = kn_view_get_locked(k, &v);
    if (!st)
        st = kn_lookup_need_locked(k, v);
    out->indexed = out->dead = 0;
    for (kn_role role = 0; !st && role < KN_ROLES; role++) {
        kn_lookup_count c;
        kn_index_info info;
        const kn_lookup_file *f = &v->lookup[role];
        st = kn_lookup_counts(v, role, f, asked, &c);
        if (!st && f->ix) {
            kn_index_get_info(f->ix, &info);
            snprintf(out->kind, sizeof out->kind, "%.31s", c.kind);
            out->index_bytes += info.bytes;
            out->indexed += c.n;
            out->dead += c.n > c.covered ? c.n - c.covered : 0; /* fewer: see kn_lookup_is_due */
            out->pending += c.live - c.covered;
        } else if (!st) { /* all are compared, as Flat does */
            out->indexed += c.live;
            out->dead += c.dead_rows;
        }
        out->stale |= !st && kn_lookup_is_due(&c);
    }
    kn_view_release_locked(v);
    return st;
}

ken_status ken_get_stats(ken *k, ken_stats *out)
{
    ken_stats stats = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (!out)
        st = kn_fail(KEN_E_INVALID, "no place for the counts");
    if (!st) {
        pthread_mutex_lock(&k->lock);
        st = count(k, &stats);
        if (!st && !k->store->v->search)
            st = count_index(k, &stats);
        pthread_mutex_unlock(&k->lock);
        stats.bytes = folder_bytes(k->dir);
    }
    if (!st)
        *out = stats;
    kn_leave(k);
    return st;
}

/* ---- checking ---- */

enum { FREE, USED, DEAD };

typedef struct checked {
    kn_segment seg;
    unsigned state;
    int mapped;
    unsigned char *slots; /* (rows) FREE, USED or DEAD */
} checked;

typedef struct checker {
    ken *k;
    ken_problem_fn fn;
    void *cookie;
    uint64_t problems, items;
    char fingerprint[64];
    uint32_t dim;
    checked *list;
    size_t n, cap;
    ken_status st;
} checker;

static void __attribute__((format(printf, 3, 4))) broken(checker *c, const char *where,
                                                          const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    c->problems++;
    if (c->fn)
        c->fn(where, what, c->cookie);
}

static void name_of(char out[40], uint32_t segment)
{
    snprintf(out, 40, "vectors-%06u.seg", segment);
}

static int open_segment(const kn_segment_record *row, void *cookie)
{
    checker *c = cookie;
    char name[40];
    checked *list = kn_room(c->list, c->n, &c->cap, sizeof *list);
    if (!list) {
        c->st = KEN_E_NOMEM;
        return 1;
    }
    c->list = list;
    checked *s = &list[c->n];
    *s = (checked){ .state = row->state, .seg = { .info = { .number = row->number } } };
    if (!(s->slots = kn_zalloc(row->rows, 1))) {
        c->st = KEN_E_NOMEM;
        return 1;
    }
    c->n++;
    ken_status st = kn_segment_map(&s->seg, c->k->dir, row->number, row->rows);
    if (st == KEN_E_NOMEM || st == KEN_E_IO)
        c->st = st;
    s->mapped = !st;
    name_of(name, row->number);
    if (st && !c->st)
        broken(c, name, "%s", ken_last_error());
    return c->st != KEN_OK;
}

static void check_rows(checker *c, const checked *s)
{
    char name[40];
    name_of(name, s->seg.info.number);
    if (!s->mapped)
        return;
    if (s->state != KN_SEGMENT_PENDING
        && (s->seg.info.dim != c->dim || strcmp(s->seg.info.fingerprint, c->fingerprint) != 0))
        broken(c, name, "it holds vectors of another model");
    for (uint32_t i = 0; i < s->seg.rows; i++)
        if (!kn_segment_intact(&s->seg, i))
            broken(c, name, "slot %u: wrong checksum", i);
}

static checked *find(checker *c, uint32_t segment)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->list[i].seg.info.number == segment)
            return &c->list[i];
    return NULL;
}

/* 1 if it is the item's own. */
static int check_slot(checker *c, const char *where, uint64_t id, uint32_t segment, uint32_t slot,
                      unsigned state)
{
    checked *s = find(c, segment);
    const uint64_t before = c->problems;
    if (!s || s->state != state)
        broken(c, where, "segment %u does not exist", segment);
    else if (s->mapped && slot >= s->seg.rows)
        broken(c, where, "slot %u is behind the end of segment %u", slot, segment);
    else if (s->mapped && kn_segment_id(&s->seg, slot) != id)
        broken(c, where, "slot %u of segment %u belongs to item %" PRIu64, slot, segment,
               kn_segment_id(&s->seg, slot));
    else if (s->mapped && s->slots[slot] != FREE)
        broken(c, where, "slot %u of segment %u is used twice", slot, segment);
    else if (s->mapped)
        s->slots[slot] = USED;
    return c->problems == before;
}

static int check_item(const kn_item *item, void *cookie)
{
    checker *c = cookie;
    char where[64];
    c->items++;
    snprintf(where, sizeof where, "item %" PRIu64, item->id);
    if (item->path[0] != '/')
        broken(c, where, "its path \"%s\" is not absolute", item->path);
    if (c->k->store->v->keep)
        return 0; /* its vectors are the store's to check */
    if (item->segment)
        check_slot(c, where, item->id, item->segment, item->slot, KN_SEGMENT_LIVE);
    const unsigned state = strcmp(item->kind, "model") ? KN_SEGMENT_PARTS : KN_SEGMENT_VIEWS;
    for (uint32_t i = 0; item->part_segment && i < item->parts; i++)
        if (!check_slot(c, where, item->id, item->part_segment, item->part_slot + i, state))
            break;
    return 0;
}

static int check_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    checker *c = cookie;
    char name[40];
    checked *s = find(c, segment);
    name_of(name, segment);
    if (!s || (s->mapped && slot >= s->seg.rows))
        broken(c, name, "dead slot %u does not exist", slot);
    else if (s->mapped && s->slots[slot] == USED)
        broken(c, name, "slot %u is dead and in use", slot);
    else if (s->mapped)
        s->slots[slot] = DEAD;
    return 0;
}

static void check_left_over(checker *c, const checked *s)
{
    char name[40];
    name_of(name, s->seg.info.number);
    for (uint32_t i = 0; s->mapped && s->state != KN_SEGMENT_PENDING && i < s->seg.rows; i++)
        if (s->slots[i] == FREE)
            broken(c, name, "slot %u belongs to nobody", i);
}

static ken_status gather(checker *c)
{
    kn_store *s = c->k->store;
    const kn_select all = { .by = KN_AFTER };
    uint64_t dim = 0;
    ken_status st = text_into(s, KN_KEY_FINGERPRINT, c->fingerprint, sizeof c->fingerprint);
    if (!st)
        st = kn_store_number(s, KN_KEY_DIM, &dim);
    c->dim = (uint32_t)dim;
    if (!st)
        st = s->v->segments(s, open_segment, c);
    if (!st && !c->st)
        st = s->v->items(s, &all, check_item, c);
    if (!st && !c->st)
        st = s->v->dead(s, check_dead, c);
    return st ? st : c->st;
}

static void forward(const char *where, const char *what, void *cookie)
{
    broken(cookie, where, "%s", what);
}

static ken_status check_all(checker *c)
{
    kn_store *s = c->k->store;
    pthread_mutex_lock(&c->k->lock);
    ken_status st = s->v->check(s, forward, c);
    if (st == KEN_E_CORRUPT && c->problems) /* told already; what can be read is looked at too */
        st = KEN_OK;
    if (!st)
        st = s->v->begin(s, 0);
    if (!st) {
        st = gather(c);
        ken_status end = s->v->end(s, 1);
        st = st ? st : end;
    }
    pthread_mutex_unlock(&c->k->lock);
    for (size_t i = 0; !st && i < c->n; i++) {
        check_rows(c, &c->list[i]);
        check_left_over(c, &c->list[i]);
    }
    return st;
}

ken_status ken_check(ken *k, ken_problem_fn fn, void *cookie)
{
    checker c = { .k = k, .fn = fn, .cookie = cookie };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = check_all(&c);
    for (size_t i = 0; i < c.n; i++) {
        if (c.list[i].mapped)
            kn_segment_unmap(&c.list[i].seg);
        kn_free(c.list[i].slots);
    }
    kn_free(c.list);
    if (!st) {
        const ken_status index = kn_lookup_check(k, fn, cookie);
        st = c.problems ? KEN_OK : index; /* a broken segment fails there, too, and is told already */
    }
    const ken_status spaces = st && st != KEN_E_CORRUPT ? KEN_OK : kn_spaces_check(k, fn, cookie);
    st = st || c.problems ? st : spaces;
    kn_leave(k);
    if (!st && c.problems)
        st = kn_fail(KEN_E_CORRUPT, "%" PRIu64 " problems", c.problems);
    return st;
}
