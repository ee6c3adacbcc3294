/*
 * memory.c - arrays, and hash tables that point into them.
 *
 * Items stay where they are once put: a dropped one leaves a hole (path NULL).  A table maps the
 * hash of a field to positions and is never cleaned: a hit counts only if the item still has that
 * value, so changes just add an entry.
 */
#include "store/memory.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Chains, not probing: ten thousand copies of one picture share a hash. */
typedef struct table {
    uint32_t *head; /* (cap) entry + 1, 0: none; cap a power of two */
    uint32_t *next; /* (cap) of each entry, likewise */
    uint32_t *at;   /* (cap) its position */
    size_t len, cap;
} table;

typedef struct named {
    char *key, *value;
} named;

struct kn_memory {
    kn_item *items; /* ascending ids */
    size_t len, cap;
    table by_path, by_hash, by_inode, by_object;
    kn_segment_record *segments;
    size_t segments_len, segments_cap;
    uint64_t *dead; /* segment << 32 | slot */
    size_t dead_len, dead_cap;
    int dead_sorted;
    kn_reject *rejects; /* holes have path NULL */
    size_t rejects_len, rejects_cap;
    table reject_by_path;
    named *texts;
    size_t texts_len, texts_cap;
};

/* ---- tables ---- */

static uint64_t key_text(const char *s)
{
    return kn_hash64(s, strlen(s));
}

static uint64_t key_number(uint64_t n)
{
    return kn_hash64(&n, sizeof n);
}

/* The next position under key, or -1.  *entry is 0 at the start. */
static int64_t table_next(const table *t, uint64_t key, uint32_t *entry)
{
    if (!t->cap)
        return -1;
    *entry = *entry ? t->next[*entry - 1] : t->head[key & (t->cap - 1)];
    return *entry ? (int64_t)t->at[*entry - 1] : -1;
}

static void table_insert(table *t, uint64_t key, size_t position)
{
    uint32_t *head = &t->head[key & (t->cap - 1)];
    t->at[t->len] = (uint32_t)position;
    t->next[t->len] = *head;
    *head = (uint32_t)++t->len;
}

static void table_release(table *t)
{
    kn_free(t->head);
    *t = (table){ 0 };
}

/* An empty table with room for want entries. */
static ken_status table_make(table *t, size_t want)
{
    size_t cap = 64;
    while (cap < want)
        cap *= 2;
    uint32_t *head = kn_zalloc(cap * 3, sizeof *head);
    if (!head)
        return KEN_E_NOMEM;
    table_release(t);
    *t = (table){ head, head + cap, head + 2 * cap, 0, cap };
    return KEN_OK;
}

static int table_full(const table *t)
{
    return t->len == t->cap;
}

/* ---- life ---- */

ken_status kn_memory_new(kn_memory **out)
{
    kn_memory *m = kn_zalloc(1, sizeof *m);
    if (!m)
        return KEN_E_NOMEM;
    *out = m;
    return KEN_OK;
}

static void release_reject(kn_reject *r)
{
    kn_free(r->path);
    kn_free(r->why);
    *r = (kn_reject){ 0 };
}

void kn_memory_free(kn_memory *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->len; i++)
        kn_item_release(&m->items[i]);
    for (size_t i = 0; i < m->rejects_len; i++)
        release_reject(&m->rejects[i]);
    for (size_t i = 0; i < m->texts_len; i++) {
        kn_free(m->texts[i].key);
        kn_free(m->texts[i].value);
    }
    kn_free(m->items);
    table_release(&m->by_path);
    table_release(&m->by_hash);
    table_release(&m->by_inode);
    table_release(&m->by_object);
    kn_free(m->segments);
    kn_free(m->dead);
    kn_free(m->rejects);
    table_release(&m->reject_by_path);
    kn_free(m->texts);
    kn_free(m);
}

/* ---- items ---- */

/* The first position whose id is not below id. */
static size_t position_of(const kn_memory *m, uint64_t id)
{
    size_t low = 0, high = m->len;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->items[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void insert_keys(kn_memory *m, size_t i)
{
    const kn_item *item = &m->items[i];
    table_insert(&m->by_path, key_text(item->path), i);
    table_insert(&m->by_hash, key_text(item->hash), i);
    table_insert(&m->by_inode, key_number(item->inode), i);
    if (item->object)
        table_insert(&m->by_object, key_text(item->object), i);
}

static ken_status index_all(kn_memory *m)
{
    ken_status st = table_make(&m->by_path, m->len * 2);
    if (!st)
        st = table_make(&m->by_hash, m->len * 2);
    if (!st)
        st = table_make(&m->by_inode, m->len * 2);
    if (!st)
        st = table_make(&m->by_object, m->len * 2);
    for (size_t i = 0; !st && i < m->len; i++)
        if (m->items[i].path)
            insert_keys(m, i);
    return st;
}

static ken_status index_one(kn_memory *m, size_t i)
{
    if (table_full(&m->by_path) || table_full(&m->by_hash) || table_full(&m->by_inode)
        || table_full(&m->by_object))
        return index_all(m);
    insert_keys(m, i);
    return KEN_OK;
}

static const kn_item *at_path(const kn_memory *m, const char *path)
{
    uint32_t entry = 0;
    for (int64_t i; (i = table_next(&m->by_path, key_text(path), &entry)) >= 0;)
        if (m->items[i].path && !strcmp(m->items[i].path, path))
            return &m->items[i];
    return NULL;
}

static int same_key(const kn_item *a, const kn_item *b)
{
    return !strcmp(a->path, b->path) && !strcmp(a->hash, b->hash) && a->inode == b->inode
           && (!b->object || (a->object && !strcmp(a->object, b->object)));
}

ken_status kn_memory_put(kn_memory *m, const kn_item *item)
{
    kn_item copy;
    const kn_item *other = at_path(m, item->path);
    if (other && other->id != item->id)
        return kn_fail(KEN_E_EXISTS, "%s belongs to another item", item->path);
    size_t i = position_of(m, item->id);
    const int known = i < m->len && m->items[i].id == item->id;
    kn_item *items = known ? m->items : kn_room(m->items, m->len, &m->cap, sizeof *items);
    ken_status st = items ? kn_item_copy(&copy, item) : KEN_E_NOMEM;
    if (items)
        m->items = items;
    if (st)
        return st;
    if (known) {
        const int quiet = items[i].path && same_key(&items[i], item);
        kn_item_release(&items[i]);
        items[i] = copy;
        return quiet ? KEN_OK : index_one(m, i);
    }
    const int last = i == m->len;
    memmove(items + i + 1, items + i, (m->len - i) * sizeof *items);
    items[i] = copy;
    m->len++;
    return last ? index_one(m, i) : index_all(m); /* positions have moved */
}

int kn_memory_put_parts(kn_memory *m, uint64_t id, uint32_t segment, uint32_t slot, uint32_t parts)
{
    const size_t i = position_of(m, id);
    if (i == m->len || m->items[i].id != id || !m->items[i].path)
        return 0;
    m->items[i].part_segment = segment;
    m->items[i].part_slot = slot;
    m->items[i].parts = parts;
    return 1;
}

void kn_memory_drop(kn_memory *m, uint64_t id)
{
    size_t i = position_of(m, id);
    if (i < m->len && m->items[i].id == id) {
        kn_item_release(&m->items[i]);
        m->items[i].id = id; /* the hole keeps its place in the order */
    }
}

static int matches(const kn_item *item, const kn_select *which)
{
    size_t n;
    if (!item->path)
        return 0;
    switch (which->by) {
    case KN_BY_ID:
        return item->id == which->number;
    case KN_BY_PATH:
        return !strcmp(item->path, which->text);
    case KN_BY_HASH:
        return !strcmp(item->hash, which->text);
    case KN_BY_INODE:
        return item->inode == which->number;
    case KN_UNDER:
        for (n = strlen(which->text); n && which->text[n - 1] == '/'; n--)
            continue;
        return !strncmp(item->path, which->text, n) && (!item->path[n] || item->path[n] == '/');
    case KN_AFTER:
        return item->id > which->number;
    case KN_HIDDEN:
        return item->hidden;
    case KN_OF_OBJECT:
        return item->object && !strcmp(item->object, which->text);
    case KN_LABELLED:
        return item->object != NULL;
    case KN_PARTLESS:
        return item->parts && !item->part_segment && item->id > which->number;
    }
    return 0;
}

typedef struct picked {
    const kn_item **list;
    size_t len, cap;
} picked;

static ken_status pick(picked *p, const kn_item *item)
{
    const kn_item **list = kn_room(p->list, p->len, &p->cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    p->list = list;
    list[p->len++] = item;
    return KEN_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const kn_item *const *)a)->path, (*(const kn_item *const *)b)->path);
}

static int by_id(const void *a, const void *b)
{
    const uint64_t x = (*(const kn_item *const *)a)->id, y = (*(const kn_item *const *)b)->id;
    return (x > y) - (x < y);
}

static int by_object(const void *a, const void *b)
{
    const int order = strcmp((*(const kn_item *const *)a)->object,
                             (*(const kn_item *const *)b)->object);
    return order ? order : by_id(a, b);
}

static ken_status pick_by_key(const kn_memory *m, const kn_select *which, picked *p)
{
    const table *t = which->by == KN_BY_INODE    ? &m->by_inode
                     : which->by == KN_BY_HASH   ? &m->by_hash
                     : which->by == KN_OF_OBJECT ? &m->by_object
                                                 : &m->by_path;
    const uint64_t key = which->by == KN_BY_INODE ? key_number(which->number)
                                                  : key_text(which->text);
    ken_status st = KEN_OK;
    uint32_t entry = 0;
    for (int64_t i; !st && (i = table_next(t, key, &entry)) >= 0;)
        if (matches(&m->items[i], which))
            st = pick(p, &m->items[i]);
    return st;
}

static ken_status pick_by_scan(const kn_memory *m, const kn_select *which, picked *p)
{
    ken_status st = KEN_OK;
    size_t i = which->by == KN_AFTER || which->by == KN_BY_ID ? position_of(m, which->number) : 0;
    for (; !st && i < m->len; i++) {
        if (matches(&m->items[i], which))
            st = pick(p, &m->items[i]);
        if (which->by == KN_BY_ID || (which->limit && p->len == which->limit
                                      && which->by != KN_UNDER && which->by != KN_LABELLED))
            break;
    }
    return st;
}

ken_status kn_memory_items(kn_memory *m, const kn_select *which, kn_item_fn fn, void *cookie)
{
    picked p = { 0 };
    const int keyed = which->by == KN_BY_PATH || which->by == KN_BY_HASH
                      || which->by == KN_BY_INODE || which->by == KN_OF_OBJECT;
    ken_status st = keyed ? pick_by_key(m, which, &p) : pick_by_scan(m, which, &p);
    if (!st && p.len > 1)
        qsort(p.list, p.len, sizeof *p.list,
              which->by == KN_UNDER      ? by_path
              : which->by == KN_LABELLED ? by_object
                                         : by_id);
    uint64_t told = 0;
    for (size_t i = 0; !st && i < p.len; i++) {
        if (i && p.list[i] == p.list[i - 1])
            continue;
        if (fn(p.list[i], cookie) || (which->limit && ++told == which->limit))
            break;
    }
    kn_free(p.list);
    return st;
}

/* ---- segments and dead slots ---- */

ken_status kn_memory_put_segment(kn_memory *m, const kn_segment_record *row)
{
    size_t i = 0;
    while (i < m->segments_len && m->segments[i].number < row->number)
        i++;
    if (i < m->segments_len && m->segments[i].number == row->number) {
        m->segments[i] = *row;
        return KEN_OK;
    }
    kn_segment_record *all = kn_room(m->segments, m->segments_len, &m->segments_cap, sizeof *all);
    if (!all)
        return KEN_E_NOMEM;
    m->segments = all;
    memmove(all + i + 1, all + i, (m->segments_len - i) * sizeof *all);
    all[i] = *row;
    m->segments_len++;
    return KEN_OK;
}

void kn_memory_drop_segment(kn_memory *m, uint32_t number)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->segments_len; i++)
        if (m->segments[i].number != number)
            m->segments[kept++] = m->segments[i];
    m->segments_len = kept;
    kept = 0;
    for (size_t i = 0; i < m->dead_len; i++)
        if (m->dead[i] >> 32 != number)
            m->dead[kept++] = m->dead[i];
    m->dead_len = kept;
}

ken_status kn_memory_put_dead(kn_memory *m, uint32_t segment, uint32_t slot)
{
    uint64_t *dead = kn_room(m->dead, m->dead_len, &m->dead_cap, sizeof *dead);
    if (!dead)
        return KEN_E_NOMEM;
    m->dead = dead;
    dead[m->dead_len++] = (uint64_t)segment << 32 | slot;
    m->dead_sorted = 0;
    return KEN_OK;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void kn_memory_segments(const kn_memory *m, kn_segment_fn fn, void *cookie)
{
    for (size_t i = 0; i < m->segments_len && !fn(&m->segments[i], cookie); i++)
        continue;
}

static void sort_dead(kn_memory *m)
{
    size_t kept = 0;
    if (m->dead_len)
        qsort(m->dead, m->dead_len, sizeof *m->dead, by_number);
    for (size_t i = 0; i < m->dead_len; i++)
        if (!i || m->dead[i] != m->dead[kept - 1])
            m->dead[kept++] = m->dead[i];
    m->dead_len = kept;
    m->dead_sorted = 1;
}

void kn_memory_dead(kn_memory *m, kn_slot_fn fn, void *cookie)
{
    if (!m->dead_sorted)
        sort_dead(m);
    for (size_t i = 0; i < m->dead_len; i++)
        if (fn((uint32_t)(m->dead[i] >> 32), (uint32_t)m->dead[i], cookie))
            return;
}

/* ---- rejects ---- */

static kn_reject *find_reject(const kn_memory *m, const char *path)
{
    uint32_t entry = 0;
    for (int64_t i; (i = table_next(&m->reject_by_path, key_text(path), &entry)) >= 0;)
        if (m->rejects[i].path && !strcmp(m->rejects[i].path, path))
            return &m->rejects[i];
    return NULL;
}

static ken_status index_reject(kn_memory *m, size_t at)
{
    table *t = &m->reject_by_path;
    if (!table_full(t)) {
        table_insert(t, key_text(m->rejects[at].path), at);
        return KEN_OK;
    }
    ken_status st = table_make(t, m->rejects_len * 2);
    for (size_t i = 0; !st && i < m->rejects_len; i++)
        if (m->rejects[i].path)
            table_insert(t, key_text(m->rejects[i].path), i);
    return st;
}

ken_status kn_memory_put_reject(kn_memory *m, const kn_reject *r)
{
    kn_reject copy = *r, *known = find_reject(m, r->path);
    copy.path = kn_strdup(r->path);
    copy.why = kn_strdup(r->why);
    kn_reject *all = known ? m->rejects
                           : kn_room(m->rejects, m->rejects_len, &m->rejects_cap, sizeof *all);
    if (all)
        m->rejects = all;
    if (!all || !copy.path || !copy.why) {
        release_reject(&copy);
        return KEN_E_NOMEM;
    }
    if (known) {
        release_reject(known);
        *known = copy;
        return KEN_OK;
    }
    all[m->rejects_len] = copy;
    return index_reject(m, m->rejects_len++);
}

void kn_memory_drop_reject(kn_memory *m, const char *path)
{
    kn_reject *r = find_reject(m, path);
    if (r)
        release_reject(r);
}

const kn_reject *kn_memory_reject(const kn_memory *m, const char *path)
{
    return find_reject(m, path);
}

void kn_memory_rejects(const kn_memory *m, kn_reject_fn fn, void *cookie)
{
    for (size_t i = 0; i < m->rejects_len; i++)
        if (m->rejects[i].path && fn(&m->rejects[i], cookie))
            return;
}

/* ---- texts ---- */

static named *find_text(const kn_memory *m, const char *key)
{
    for (size_t i = 0; i < m->texts_len; i++)
        if (!strcmp(m->texts[i].key, key))
            return &m->texts[i];
    return NULL;
}

ken_status kn_memory_set_text(kn_memory *m, const char *key, const char *value)
{
    named *t = find_text(m, key), copy = { NULL, kn_strdup(value) };
    if (!copy.value)
        return KEN_E_NOMEM;
    if (t) {
        kn_free(t->value);
        t->value = copy.value;
        return KEN_OK;
    }
    named *all = kn_room(m->texts, m->texts_len, &m->texts_cap, sizeof *all);
    if (all)
        m->texts = all;
    if (!all || !(copy.key = kn_strdup(key))) {
        kn_free(copy.value);
        return KEN_E_NOMEM;
    }
    all[m->texts_len++] = copy;
    return KEN_OK;
}

const char *kn_memory_text(const kn_memory *m, const char *key)
{
    const named *t = find_text(m, key);
    return t ? t->value : NULL;
}

void kn_memory_texts(const kn_memory *m, kn_text_fn fn, void *cookie)
{
    for (size_t i = 0; i < m->texts_len; i++)
        if (fn(m->texts[i].key, m->texts[i].value, cookie))
            return;
}

/* ---- counting ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ken_status kn_memory_counts(kn_memory *m, kn_counts *out)
{
    if (!m->dead_sorted)
        sort_dead(m);
    kn_counts c = { .dead = m->dead_len };
    size_t n = 0;
    char **names = kn_alloc(m->len, sizeof *names);
    if (!names)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < m->len; i++) {
        const kn_item *item = &m->items[i];
        c.items += item->path != NULL;
        c.hidden += item->path && item->hidden;
        c.vectors += item->path && item->segment;
        c.vectors += item->path && item->part_segment ? item->parts : 0;
        if (item->path && item->object)
            names[n++] = item->object;
    }
    c.labelled = n;
    if (n)
        qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        c.objects += !i || strcmp(names[i], names[i - 1]) != 0;
    kn_free(names);
    *out = c;
    return KEN_OK;
}
