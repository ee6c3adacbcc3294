/*
 * milvus_pull.c - what others have written, taken in.
 *
 * Rows come in no order and at most so many at once, so they are asked for in windows of ids (or of
 * revisions): one that comes back full may lack some, and is asked for again in halves.
 */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 8192 /* rows of one answer */ };
static const uint64_t SKEW = UINT64_C(120) * 1000000; /* microseconds that clocks may differ by */

/* ---- windows ---- */

typedef ken_status (*rows_fn)(kn_mv_result *rows, void *cookie);

typedef struct walk {
    const char *collection, *key, *expr; /* key: results[0], a LONG; expr: "" for all */
    kn_mv_result *results;
    size_t n_results;
    rows_fn fn;
    void *cookie;
} walk;

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(const int64_t *list, size_t n)
{
    int64_t *copy = kn_alloc(n, sizeof *copy), m = list[0];
    if (copy) {
        memcpy(copy, list, n * sizeof *copy);
        qsort(copy, n, sizeof *copy, by_size);
        m = copy[n / 2];
        kn_free(copy);
    }
    return m;
}

/* The rows with from < key <= *to, after making *to as small as it takes. */
static ken_status read_window(kn_remote *r, const walk *w, int64_t from, int64_t *to, kn_buf *answer)
{
    char bounds[128];
    kn_buf expr;
    ken_status st = KEN_OK;
    kn_buf_init(&expr, 1 << 16);
    for (int full = 1; !st && full;) {
        kn_mv_results_release(w->results, w->n_results);
        expr.len = 0;
        snprintf(bounds, sizeof bounds, "%s > %" PRId64 " && %s <= %" PRId64, w->key, from, w->key, *to);
        st = kn_buf_addf(&expr, "%s%s%s", bounds, *w->expr ? " && " : "", w->expr);
        if (!st)
            st = kn_milvus_query(r->m, w->collection, expr.data, PAGE, w->results, w->n_results, answer);
        full = !st && w->results[0].n >= PAGE;
        if (full) {
            const int64_t half = median(w->results[0].longs, w->results[0].n);
            if (half >= *to && *to - from < 2)
                st = kn_fail(KEN_E_FORMAT, "%s: %s has too many rows of one %s", r->url.plain,
                             w->collection, w->key);
            *to = half < *to ? half : from + (*to - from) / 2;
        }
    }
    kn_buf_release(&expr);
    return st;
}

static ken_status each_row(kn_remote *r, const walk *w)
{
    kn_buf answer = { 0 };
    ken_status st = KEN_OK;
    int64_t from = 0, width = INT64_MAX;
    while (!st && from < INT64_MAX) {
        int64_t to = width > INT64_MAX - from ? INT64_MAX : from + width;
        st = read_window(r, w, from, &to, &answer);
        if (st)
            break;
        const size_t n = w->results[0].n;
        st = n ? w->fn(w->results, w->cookie) : KEN_OK;
        width = n < PAGE / 4 ? INT64_MAX : to - from;
        from = to;
    }
    kn_mv_results_release(w->results, w->n_results);
    kn_buf_release(&answer);
    return st;
}

/* ---- items ---- */

typedef struct puller {
    kn_remote *r;
    uint64_t last, next_id; /* the greatest revision seen; the next id of this machine's */
    uint64_t *gone;         /* (gone_n) ids whose rows this machine must still delete */
    size_t gone_n, gone_cap;
    int views; /* a model has come */
} puller;

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static int same_item(const kn_item *a, const kn_item *b)
{
    return same_text(a->path, b->path) && same_text(a->object, b->object) && same_text(a->meta, b->meta) &&
           same_text(a->kind, b->kind) && !strcmp(a->hash, b->hash) && a->width == b->width &&
           a->height == b->height && a->bytes == b->bytes && a->mtime_ns == b->mtime_ns &&
           a->added_ns == b->added_ns && a->segment == b->segment && a->part_segment == b->part_segment &&
           a->parts == b->parts && a->hidden == b->hidden;
}

static ken_status note_gone(puller *p, uint64_t id)
{
    uint64_t *list = kn_room(p->gone, p->gone_n, &p->gone_cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    p->gone = list;
    list[p->gone_n++] = id;
    return KEN_OK;
}

/* Two machines may have met the same file at the same time: the row that comes later stays. */
static ken_status make_way(puller *p, const kn_item *item)
{
    const kn_select by_path = { .by = KN_BY_PATH, .text = item->path };
    kn_item other = { 0 };
    ken_status st = kn_store_get(p->r->near, &by_path, &other);
    if (st == KEN_E_NOTFOUND)
        return KEN_OK;
    if (!st && other.id != item->id) {
        st = p->r->near->v->drop(p->r->near, other.id);
        if (!st)
            st = note_gone(p, other.id);
    }
    kn_item_release(&other);
    return st;
}

static ken_status apply(puller *p, kn_item *item)
{
    const kn_select by_id = { .by = KN_BY_ID, .number = item->id };
    kn_item old = { 0 };
    ken_status st = kn_store_get(p->r->near, &by_id, &old);
    if (st && st != KEN_E_NOTFOUND)
        return st;
    if (!st) {
        const int file = same_text(old.path, item->path) && !strcmp(old.hash, item->hash);
        item->inode = file ? old.inode : 0; /* what this machine knows of its own file */
        item->device = file ? old.device : 0;
    }
    p->views |= item->part_segment && !strcmp(item->kind, "model");
    const int same = !st && same_item(&old, item);
    st = same ? KEN_OK : make_way(p, item);
    if (!st && !same)
        st = p->r->near->v->put(p->r->near, item);
    if (!st && item->id >> 32 == (uint64_t)p->r->by && item->id >= p->next_id)
        p->next_id = item->id + 1;
    kn_item_release(&old);
    return st;
}

static ken_status take_items(kn_mv_result *c, void *cookie)
{
    puller *p = cookie;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < c[0].n; i++) {
        kn_item item = { 0 };
        st = kn_remote_item(&item, c[0].longs[i], c[1].longs[i], &c[2].texts[i], &c[3].texts[i],
                            &c[4].texts[i], &c[5].texts[i]);
        if (!st)
            st = apply(p, &item);
        if (c[6].longs[i] > (int64_t)p->last)
            p->last = (uint64_t)c[6].longs[i];
        kn_item_release(&item);
    }
    return st;
}

/* ---- texts, and what is gone ---- */

static ken_status take_text(puller *p, const char *key, const char *value)
{
    char *old = NULL;
    ken_status st = p->r->near->v->text(p->r->near, key, &old);
    if (!st && !same_text(old, value))
        st = p->r->near->v->set_text(p->r->near, key, value);
    kn_free(old);
    return st;
}

static ken_status take_gone(puller *p, const char *digits, int own)
{
    const kn_select by_id = { .by = KN_BY_ID, .number = strtoull(digits, NULL, 10) };
    kn_item item = { 0 };
    ken_status st = kn_store_get(p->r->near, &by_id, &item);
    if (st == KEN_E_NOTFOUND)
        return KEN_OK;
    if (!st)
        st = p->r->near->v->drop(p->r->near, by_id.number);
    if (!st && own) /* died before its rows were deleted, it may be */
        st = note_gone(p, by_id.number);
    kn_item_release(&item);
    return st;
}

static ken_status take_states(kn_mv_result *c, void *cookie)
{
    puller *p = cookie;
    ken_status st = KEN_OK;
    const size_t gone = strlen(KN_REMOTE_GONE);
    for (size_t i = 0; !st && i < c[0].n; i++) {
        char *key = kn_strndup(c[1].texts[i].bytes, c[1].texts[i].n);
        char *value = kn_strndup(c[2].texts[i].bytes, c[2].texts[i].n);
        if (!key || !value)
            st = KEN_E_NOMEM;
        else if (!strncmp(key, KN_REMOTE_GONE, gone))
            st = take_gone(p, key + gone, c[3].longs[i] == p->r->by);
        else if (kn_remote_shares(key))
            st = take_text(p, key, value);
        if (c[0].longs[i] > (int64_t)p->last)
            p->last = (uint64_t)c[0].longs[i];
        kn_free(key);
        kn_free(value);
    }
    return st;
}

/* ---- the whole ---- */

ken_status kn_remote_learn(kn_remote *r)
{
    char *metric = NULL, *index = NULL;
    uint64_t dim = 0, made = 0, views = 0;
    ken_status st = kn_store_number(r->near, "dim", &dim);
    if (!st)
        st = kn_store_number(r->near, KN_REMOTE_MADE, &made);
    if (!st)
        st = kn_store_number(r->near, KN_REMOTE_VIEWS, &views);
    if (!st)
        st = r->near->v->text(r->near, KN_REMOTE_METRIC, &metric);
    if (!st)
        st = r->near->v->text(r->near, KN_REMOTE_INDEX, &index);
    r->dim = (uint32_t)dim;
    r->made = made != 0;
    r->views = views != 0;
    snprintf(r->metric, sizeof r->metric, "%s", metric ? metric : r->url.metric);
    snprintf(r->index, sizeof r->index, "%s", index ? index : r->url.index);
    kn_free(metric);
    kn_free(index);
    return st;
}

static ken_status take_all(puller *p, const char *expr)
{
    kn_mv_result items[] = {
        { .name = "id", .type = KN_MV_LONG },   { .name = "state", .type = KN_MV_LONG },
        { .name = "path", .type = KN_MV_TEXT }, { .name = "object", .type = KN_MV_TEXT },
        { .name = "kind", .type = KN_MV_TEXT }, { .name = "record", .type = KN_MV_TEXT },
        { .name = "rev", .type = KN_MV_LONG }
    };
    kn_mv_result states[] = { { .name = "rev", .type = KN_MV_LONG },
                              { .name = "key", .type = KN_MV_TEXT },
                              { .name = "value", .type = KN_MV_TEXT },
                              { .name = "by", .type = KN_MV_LONG } };
    const walk of_items = { p->r->items, "id", expr, items, sizeof items / sizeof *items, take_items, p };
    const walk of_states = { p->r->state, "rev", expr, states, sizeof states / sizeof *states,
                             take_states, p };
    ken_status st = each_row(p->r, &of_items);
    return st ? st : each_row(p->r, &of_states); /* behind: what is gone is gone */
}

static ken_status commit(puller *p, uint64_t since, uint64_t next_id)
{
    kn_store *near = p->r->near;
    ken_status st = KEN_OK;
    if (p->last > since)
        st = kn_store_set_number(near, KN_REMOTE_REV, p->last);
    if (!st && p->next_id > next_id)
        st = kn_store_set_number(near, "next_id", p->next_id);
    if (!st && p->views && !p->r->views)
        st = kn_store_set_number(near, KN_REMOTE_VIEWS, 1);
    return st ? st : kn_store_set_number(near, KN_REMOTE_MADE, 1);
}

static ken_status pull(kn_remote *r, int all)
{
    puller p = { .r = r };
    char expr[160];
    uint64_t since = 0, next_id = 0;
    kn_store *near = r->near;
    ken_status st = near->v->begin(near, 1);
    if (st)
        return st;
    st = kn_store_number(near, KN_REMOTE_REV, &since);
    if (!st)
        st = kn_store_number(near, "next_id", &next_id);
    p.last = since;
    p.next_id = next_id;
    snprintf(expr, sizeof expr, "(rev > %" PRIu64 " || (by != %" PRId64 " && rev > %" PRIu64 "))", since,
             r->by, since > SKEW ? since - SKEW : 0);
    if (!st)
        st = take_all(&p, since && !all ? expr : "");
    const int news = p.last > since || p.next_id > next_id || p.gone_n || !r->made;
    if (!st && news)
        st = commit(&p, since, next_id);
    ken_status end = near->v->end(near, !st && news);
    st = st ? st : end;
    if (!st)
        st = kn_remote_delete(r, p.gone, p.gone_n);
    kn_free(p.gone);
    return st ? st : kn_remote_learn(r);
}

ken_status kn_remote_pull(kn_remote *r)
{
    return pull(r, 0);
}

/* ---- ids ---- */

typedef struct teller {
    kn_remote_id_fn fn;
    void *cookie;
    int stop;
} teller;

static ken_status tell_ids(kn_mv_result *c, void *cookie)
{
    teller *x = cookie;
    for (size_t i = 0; !x->stop && i < c[0].n; i++)
        x->stop = x->fn((uint64_t)c[0].longs[i], x->cookie);
    return KEN_OK;
}

ken_status kn_remote_ids(kn_remote *r, kn_remote_id_fn fn, void *cookie)
{
    teller x = { fn, cookie, 0 };
    kn_mv_result id = { .name = "id", .type = KN_MV_LONG };
    const walk w = { r->items, "id", "", &id, 1, tell_ids, &x };
    return each_row(r, &w);
}

/* ---- mending ---- */

typedef struct list {
    uint64_t *ids;
    size_t n, cap;
    ken_status st;
} list;

static int add_id(uint64_t id, void *cookie)
{
    list *l = cookie;
    uint64_t *ids = kn_room(l->ids, l->n, &l->cap, sizeof *ids);
    if (!ids) {
        l->st = KEN_E_NOMEM;
        return 1;
    }
    l->ids = ids;
    ids[l->n++] = id;
    return 0;
}

typedef struct losses {
    list there, lost;
    size_t met; /* of those that are there */
} losses;

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int note_lost(const kn_item *item, void *cookie)
{
    losses *l = cookie;
    const uint64_t *ids = l->there.ids;
    if (l->there.n && bsearch(&item->id, ids, l->there.n, sizeof *ids, by_number)) {
        l->met++;
        return 0;
    }
    return item->segment ? add_id(item->id, &l->lost) : 0;
}

/* Without its vectors it is read again by the next scan, and put there again. */
static ken_status strip(kn_remote *r, uint64_t id)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    kn_item item = { 0 };
    ken_status st = kn_store_get(r->near, &which, &item);
    item.segment = item.slot = item.part_segment = item.part_slot = 0;
    if (!st)
        st = r->near->v->put(r->near, &item);
    kn_item_release(&item);
    return st;
}

static ken_status strip_all(kn_remote *r, const list *lost)
{
    if (!lost->n)
        return KEN_OK;
    kn_log(KEN_LOG_WARN, "%s has lost %zu items that it had acknowledged; they are read again",
           r->url.plain, lost->n);
    ken_status st = r->near->v->begin(r->near, 1);
    if (st)
        return st;
    for (size_t i = 0; !st && i < lost->n; i++)
        st = strip(r, lost->ids[i]);
    ken_status end = r->near->v->end(r->near, !st);
    return st ? st : end;
}

ken_status kn_remote_mend(kn_remote *r, uint64_t *lost)
{
    const kn_select all = { .by = KN_AFTER };
    losses l = { 0 };
    kn_counts counts = { 0 };
    uint64_t rows = 0;
    *lost = 0;
    ken_status st = r->near->v->counts(r->near, &counts);
    if (!st)
        st = kn_milvus_count(r->m, r->items, "id > 0", &rows);
    if (st || rows == counts.items)
        return st;
    st = kn_remote_ids(r, add_id, &l.there);
    if (!st)
        st = l.there.st;
    if (!st && l.there.n)
        qsort(l.there.ids, l.there.n, sizeof *l.there.ids, by_number);
    if (!st)
        st = r->near->v->items(r->near, &all, note_lost, &l);
    if (!st)
        st = l.lost.st;
    if (!st)
        st = strip_all(r, &l.lost);
    if (!st &&
        l.met < l.there.n) /* rows of revisions that never came this way, as by a clock that is wrong */
        st = pull(r, 1);
    *lost = st ? 0 : l.lost.n;
    kn_free(l.there.ids);
    kn_free(l.lost.ids);
    return st;
}

#endif
