/* milvus.c - the store's verbs over a server and the records that are kept here; see milvus.h. */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "store/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MARKER_MAX = 16384, IDS_AT_ONCE = 8192, VECTORS_AT_ONCE = 256, EF_MAX = 32768, EXPR_MAX = 1 << 20 };
static const double LOOK_EVERY = 1, JOIN_WAIT = 30; /* seconds */
static const char FOLDER[] = "milvus", MARKER[] = "url";

static kn_remote *of(kn_store *s)
{
    return (kn_remote *)s;
}

/* ---- closing ---- */

static void store_forget(kn_store *s)
{
    kn_remote *r = of(s);
    r->kept_n = r->floats_n = 0;
}

static void store_close(kn_store *s)
{
    kn_remote *r = of(s);
    kn_store_close(r->near);
    kn_milvus_free(r->m);
    kn_milvus_url_release(&r->url);
    kn_free(r->dir);
    kn_free(r->folder);
    kn_free(r->items);
    kn_free(r->parts);
    kn_free(r->state);
    kn_free(r->kept);
    kn_free(r->floats);
    kn_free(r->changed);
    kn_free(r);
}

/* ---- opening ---- */

/* What the folder says of where its server is; NULL: nothing yet. */
static ken_status read_marker(const kn_remote *r, char **out)
{
    unsigned char *text = NULL;
    size_t n = 0;
    char *path = kn_path_join(r->folder, MARKER);
    ken_status st = path ? kn_read_file(&text, &n, path, MARKER_MAX) : KEN_E_NOMEM;
    kn_free(path);
    if (st == KEN_E_NOTFOUND)
        return KEN_OK;
    if (!st)
        text[strcspn((char *)text, "\n")] = 0;
    *out = (char *)text;
    return st;
}

static ken_status write_marker(const kn_remote *r)
{
    char *path = kn_path_join(r->folder, MARKER);
    ken_status st = path ? kn_replace_file(path, r->url.plain, strlen(r->url.plain)) : KEN_E_NOMEM;
    kn_free(path);
    return st;
}

static int same_place(const kn_milvus_url *a, const kn_milvus_url *b)
{
    return !strcmp(a->host, b->host) && !strcmp(a->port, b->port) &&
           !strcmp(a->collection, b->collection) &&
           !strcmp(a->database ? a->database : "", b->database ? b->database : "");
}

/* The URL that counts: the one given (with who may come in), else the marker's. */
static ken_status take_url(kn_remote *r, const char *given, const char *marker)
{
    kn_milvus_url other;
    const int named = given && strstr(given, "//") != NULL;
    if (!named && !marker)
        return kn_fail(KEN_E_NOTFOUND,
                       "no such file; --store milvus://HOST:PORT/COLLECTION names a server");
    ken_status st = kn_milvus_url_parse(&r->url, named ? given : marker);
    if (st || !named || !marker)
        return st;
    if ((st = kn_milvus_url_parse(&other, marker)))
        return st;
    if (!same_place(&r->url, &other))
        st = kn_fail(KEN_E_EXISTS, "this collection is kept at %s: --db names another folder", other.plain);
    kn_milvus_url_release(&other);
    return st;
}

static char *with_ending(const char *name, const char *ending)
{
    char *out = kn_alloc(strlen(name) + strlen(ending) + 1, 1);
    if (out) {
        memcpy(out, name, strlen(name));
        memcpy(out + strlen(name), ending, strlen(ending) + 1);
    }
    return out;
}

static ken_status take_names(kn_remote *r)
{
    r->items = kn_strdup(r->url.collection);
    r->parts = with_ending(r->url.collection, "_parts");
    r->state = with_ending(r->url.collection, "_state");
    return r->items && r->parts && r->state ? KEN_OK : KEN_E_NOMEM;
}

/* This machine's number, drawn once. */
static ken_status take_number(kn_remote *r, int may_draw)
{
    uint64_t by = 0;
    uint32_t drawn = 0;
    kn_store *near = r->near;
    ken_status st = kn_store_number(near, KN_REMOTE_BY, &by);
    if (!st && !by && may_draw) {
        do {
            if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
                return kn_fail(KEN_E_IO, "no random number");
        } while (!(drawn >> 1));
        by = drawn >> 1;
        st = near->v->begin(near, 1);
        if (st)
            return st;
        st = kn_store_set_number(near, KN_REMOTE_BY, by);
        if (!st)
            st = kn_store_set_number(near, "next_id", by << 32 | 1);
        ken_status end = near->v->end(near, !st);
        st = st ? st : end;
    }
    r->by = (int64_t)by;
    return st;
}

/* With the lock held, or from a state that nobody else writes. */
static ken_status join(kn_remote *r, int marked, int there)
{
    ken_status st = kn_mkdirs(r->folder);
    if (!st)
        st = kn_store_open(&r->near, NULL, r->folder, KN_STORE_CREATE);
    if (!st)
        st = take_number(r, 1);
    if (!st)
        st = kn_remote_learn(r);
    if (!st && there)
        st = kn_remote_pull(r);
    r->looked = kn_clock();
    return st || marked ? st : write_marker(r);
}

static ken_status join_locked(kn_remote *r, kn_store_mode mode)
{
    kn_lock lock = { -1 };
    int there = 0;
    ken_status st = kn_milvus_has(r->m, r->state, &there);
    if (!st && !there && mode != KN_STORE_CREATE)
        st = kn_fail(KEN_E_NOTFOUND, "%s: no such collection there", r->url.plain);
    if (!st && mode != KN_STORE_CREATE) { /* to create it, the caller holds the lock */
        st = kn_mkdirs(r->folder);
        if (!st)
            st = kn_lock_take(&lock, r->dir, JOIN_WAIT);
    }
    if (!st)
        st = join(r, 0, there);
    kn_lock_release(&lock);
    return st;
}

/* Take in others' rows, unless another process of this machine is at it: then it does. */
static ken_status look(kn_remote *r)
{
    kn_lock lock = { -1 };
    if (!r->made || access(r->dir, W_OK) != 0)
        return KEN_OK;
    ken_status st = kn_lock_take(&lock, r->dir, 0);
    if (st)
        return st == KEN_E_BUSY ? KEN_OK : st;
    st = kn_remote_pull(r);
    kn_lock_release(&lock);
    r->looked = kn_clock();
    return st;
}

static ken_status open_known(kn_remote *r, kn_store_mode mode)
{
    ken_status st = kn_store_open(&r->near, NULL, r->folder,
                                  access(r->folder, W_OK) == 0 ? KN_STORE_WRITE : KN_STORE_READ);
    if (!st)
        st = take_number(r, 0);
    if (!st)
        st = kn_remote_learn(r);
    return st || mode == KN_STORE_CREATE ? st : look(r);
}

static ken_status store_open(kn_store **out, const char *url, const char *dir, kn_store_mode mode)
{
    kn_remote *r = kn_zalloc(1, sizeof *r);
    char *marker = NULL;
    if (!r)
        return KEN_E_NOMEM;
    r->base.v = &kn_store_milvus;
    r->dir = kn_strdup(dir);
    r->folder = kn_path_join(dir, FOLDER);
    ken_status st = r->dir && r->folder ? read_marker(r, &marker) : KEN_E_NOMEM;
    if (!st)
        st = take_url(r, url, marker);
    if (!st)
        st = take_names(r);
    if (!st)
        st = kn_milvus_connect(&r->m, &r->url);
    if (!st)
        st = marker ? open_known(r, mode) : join_locked(r, mode);
    kn_free(marker);
    if (st)
        store_close(&r->base);
    else
        *out = &r->base;
    return st;
}

/* ---- transactions ---- */

static ken_status store_begin(kn_store *s, int write)
{
    kn_remote *r = of(s);
    ken_status st = r->near->v->begin(r->near, write);
    if (!st) {
        r->inside = write ? 2 : 1;
        r->changed_n = 0;
        r->texts_changed = 0;
    }
    return st;
}

/* The server's collections are made when the first texts say how long vectors are. */
static ken_status make(kn_remote *r)
{
    kn_store *near = r->near;
    uint64_t dim = 0;
    ken_status st = kn_store_number(near, "dim", &dim);
    if (!st && (dim < 2 || dim > 32768))
        st = kn_fail(KEN_E_UNSUPPORTED, "vectors of %" PRIu64 " numbers: Milvus keeps 2 to 32768", dim);
    if (!st)
        st = near->v->set_text(near, KN_REMOTE_METRIC, r->metric);
    if (!st)
        st = near->v->set_text(near, KN_REMOTE_INDEX, r->index);
    if (!st)
        st = kn_store_set_number(near, KN_REMOTE_MADE, 1);
    r->dim = (uint32_t)dim;
    r->texts_changed = 1;
    return st ? st : kn_remote_make(r);
}

static ken_status store_end(kn_store *s, int commit)
{
    kn_remote *r = of(s);
    ken_status st = KEN_OK;
    const int write = r->inside == 2 && commit && (r->changed_n || r->texts_changed), made = r->made;
    if (write && !r->made)
        st = make(r);
    if (!st && write)
        st = kn_remote_push(r);
    ken_status end = r->near->v->end(r->near, commit && !st);
    st = st ? st : end;
    r->made = made || (write && !st);
    r->inside = 0;
    r->changed_n = 0;
    store_forget(s);
    return st;
}

static ken_status store_generation(kn_store *s, uint64_t *out)
{
    kn_remote *r = of(s);
    ken_status st = !r->inside && kn_clock() - r->looked > LOOK_EVERY ? look(r) : KEN_OK;
    return st ? st : r->near->v->generation(r->near, out);
}

/* Parts beyond the last id that counts: of a writer that died before their items were there. */
static ken_status sweep(kn_remote *r)
{
    kn_mv_result got = { .name = "owner", .type = KN_MV_LONG };
    kn_buf answer = { 0 };
    char expr[128];
    uint64_t next = 0;
    ken_status st = kn_store_number(r->near, "next_id", &next);
    snprintf(expr, sizeof expr, "owner >= %" PRIu64 " && owner < %" PRIu64, next,
             ((uint64_t)r->by + 1) << 32);
    for (size_t n = 1; !st && n;) {
        st = kn_milvus_query(r->m, r->parts, expr, KN_MV_MOST / 2, &got, 1, &answer);
        n = got.n;
        uint64_t *ids = st || !n ? NULL : kn_alloc(n, sizeof *ids);
        if (!st && n && !ids)
            st = KEN_E_NOMEM;
        for (size_t i = 0; !st && i < n; i++)
            ids[i] = (uint64_t)got.longs[i];
        if (!st)
            st = kn_remote_delete(r, ids, n);
        kn_free(ids);
        kn_mv_results_release(&got, 1);
    }
    kn_buf_release(&answer);
    r->swept = !st;
    return st;
}

static ken_status store_refresh(kn_store *s)
{
    kn_remote *r = of(s);
    if (!r->made)
        return KEN_OK;
    ken_status st = kn_remote_pull(r);
    r->looked = kn_clock();
    return st || r->swept ? st : sweep(r);
}

/* ---- records ---- */

static ken_status store_items(kn_store *s, const kn_select *which, kn_item_fn fn, void *cookie)
{
    return of(s)->near->v->items(of(s)->near, which, fn, cookie);
}

static ken_status store_segments(kn_store *s, kn_segment_fn fn, void *cookie)
{
    (void)s;
    (void)fn;
    (void)cookie;
    return KEN_OK;
}

static ken_status store_dead(kn_store *s, kn_slot_fn fn, void *cookie)
{
    (void)s;
    (void)fn;
    (void)cookie;
    return KEN_OK;
}

static ken_status store_reject(kn_store *s, const char *path, kn_reject_fn fn, void *cookie)
{
    return of(s)->near->v->reject(of(s)->near, path, fn, cookie);
}

static ken_status store_text(kn_store *s, const char *key, char **out)
{
    return of(s)->near->v->text(of(s)->near, key, out);
}

static ken_status store_counts(kn_store *s, kn_counts *out)
{
    return of(s)->near->v->counts(of(s)->near, out);
}

static int note_parts(const kn_item *item, void *cookie)
{
    *(int *)cookie = item->part_segment != 0;
    return 1;
}

static ken_status note_change(kn_remote *r, uint64_t id)
{
    const kn_select which = { .by = KN_BY_ID, .number = id };
    int had_parts = 0;
    kn_changed *list = kn_room(r->changed, r->changed_n, &r->changed_cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    r->changed = list;
    ken_status st = r->near->v->items(r->near, &which, note_parts, &had_parts);
    list[r->changed_n++] = (kn_changed){ id, had_parts };
    return st;
}

static ken_status store_put(kn_store *s, const kn_item *item)
{
    kn_remote *r = of(s);
    kn_item copy = *item;
    if (item->id > INT64_MAX)
        return kn_fail(KEN_E_LIMIT, "id %" PRIu64 ": Milvus's end at 2^63 - 1", item->id);
    if (copy.segment)
        kn_remote_place(copy.id, &copy.segment, &copy.slot);
    if (copy.part_segment)
        kn_remote_place(copy.id, &copy.part_segment, &copy.part_slot);
    ken_status st = note_change(r, item->id);
    return st ? st : r->near->v->put(r->near, &copy);
}

static ken_status store_drop(kn_store *s, uint64_t id)
{
    kn_remote *r = of(s);
    ken_status st = note_change(r, id);
    return st ? st : r->near->v->drop(r->near, id);
}

static ken_status store_put_segment(kn_store *s, const kn_segment_record *row)
{
    (void)s;
    (void)row;
    return KEN_OK;
}

static ken_status store_drop_segment(kn_store *s, uint32_t number)
{
    (void)s;
    (void)number;
    return KEN_OK;
}

static ken_status store_put_dead(kn_store *s, uint32_t segment, uint32_t slot)
{
    (void)s;
    (void)segment;
    (void)slot;
    return KEN_OK;
}

static ken_status store_put_reject(kn_store *s, const kn_reject *reject)
{
    return of(s)->near->v->put_reject(of(s)->near, reject);
}

static ken_status store_drop_reject(kn_store *s, const char *path)
{
    return of(s)->near->v->drop_reject(of(s)->near, path);
}

static ken_status store_set_text(kn_store *s, const char *key, const char *value)
{
    of(s)->texts_changed |= kn_remote_shares(key);
    return of(s)->near->v->set_text(of(s)->near, key, value);
}

/* ---- vectors ---- */

static ken_status store_keep(kn_store *s, kn_share share, const uint64_t *ids, const float *vectors,
                             size_t n, uint32_t dim)
{
    kn_remote *r = of(s);
    if (r->dim && dim != r->dim)
        return kn_fail(KEN_E_MODEL, "vectors of %u numbers; the collection at %s has %u", dim, r->url.plain,
                       r->dim);
    float *floats = kn_grow(r->floats, r->floats_n + n * dim + 1, sizeof *floats);
    if (!floats)
        return KEN_E_NOMEM;
    r->floats = floats;
    for (size_t i = 0; i < n; i++) {
        kn_kept *kept = kn_room(r->kept, r->kept_n, &r->kept_cap, sizeof *kept);
        if (!kept)
            return KEN_E_NOMEM;
        r->kept = kept;
        kept[r->kept_n++] = (kn_kept){ share, ids[i], r->floats_n };
        memcpy(floats + r->floats_n, vectors + i * dim, dim * sizeof *floats);
        r->floats_n += dim;
    }
    return KEN_OK;
}

/* Row j of the answer is number `at` of the item's. */
static size_t number_of(const kn_mv_text *key)
{
    char text[64];
    const size_t n = key->n < sizeof text - 1 ? key->n : sizeof text - 1;
    memcpy(text, key->bytes, n);
    text[n] = 0;
    const char *slash = strchr(text, '/');
    return slash ? (size_t)strtoul(slash + 1, NULL, 10) : 0;
}

/* "id in [...]", of ids[0 .. n) */
static ken_status name_ids(kn_buf *b, const char *field, const uint64_t *ids, size_t n)
{
    b->len = 0;
    ken_status st = kn_buf_addf(b, "%s in [", field);
    for (size_t i = 0; !st && i < n; i++)
        st = kn_buf_addf(b, "%s%" PRIu64, i ? ", " : "", ids[i]);
    return st ? st : kn_buf_adds(b, "]");
}

/* Vectors that are asked for, and where each item's lie in out. */
typedef struct wanted {
    const uint64_t *ids;
    const uint32_t *counts; /* or NULL: one each */
    size_t n, rows;
    uint32_t dim;
    float *out;
} wanted;

static float *place_of(const wanted *w, uint64_t id, size_t number)
{
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        const size_t count = w->counts ? w->counts[i] : 1;
        if (w->ids[i] == id)
            return number < count ? w->out + (at + number) * w->dim : NULL;
        at += count;
    }
    return NULL;
}

static ken_status fetch(kn_remote *r, kn_share share, const wanted *w)
{
    const int whole = share == KN_WHOLES;
    kn_mv_result got[] = { { .name = whole ? "id" : "owner", .type = KN_MV_LONG },
                           { .name = "vector", .type = KN_MV_VECTOR },
                           { .name = "key", .type = KN_MV_TEXT } };
    kn_buf answer = { 0 }, expr;
    size_t there = 0;
    kn_buf_init(&expr, EXPR_MAX);
    ken_status st = name_ids(&expr, got[0].name, w->ids, w->n);
    if (!st && whole)
        st = kn_buf_adds(&expr, " && state < 2");
    if (!st)
        st = kn_milvus_query(r->m, whole ? r->items : r->parts, expr.data, (uint32_t)w->rows + 1, got,
                             whole ? 2 : 3, &answer);
    if (!st && got[0].n && got[1].dim != w->dim)
        st = kn_fail(KEN_E_CORRUPT, "%s: vectors of %u numbers", r->url.plain, got[1].dim);
    for (size_t i = 0; !st && i < got[0].n; i++) {
        float *to = place_of(w, (uint64_t)got[0].longs[i], whole ? 0 : number_of(&got[2].texts[i]));
        there += to != NULL;
        if (to)
            memcpy(to, got[1].floats + i * w->dim * sizeof *to, w->dim * sizeof *to);
    }
    if (!st && there != w->rows)
        st = kn_fail(KEN_E_NOTFOUND, "%s: item %" PRIu64 "%s %zu vectors there, not %zu", r->url.plain,
                     w->ids[0], w->n > 1 ? " and those behind it have" : " has", there, w->rows);
    kn_mv_results_release(got, 3);
    kn_buf_release(&answer);
    kn_buf_release(&expr);
    return st;
}

static ken_status store_vectors(kn_store *s, kn_share share, const uint64_t *ids, const uint32_t *counts,
                                size_t n, uint32_t dim, float *out)
{
    kn_remote *r = of(s);
    ken_status st = KEN_OK;
    if (dim != r->dim)
        return kn_fail(KEN_E_MODEL, "the collection at %s has vectors of %u numbers", r->url.plain, r->dim);
    for (size_t from = 0, to; !st && from < n; from = to) {
        wanted w = { .ids = ids + from, .counts = counts ? counts + from : NULL, .dim = dim, .out = out };
        for (to = from; to < n && to - from < VECTORS_AT_ONCE; to++)
            w.rows += counts ? counts[to] : 1;
        w.n = to - from;
        st = fetch(r, share, &w);
        out += w.rows * dim;
    }
    return st;
}

/* ---- searching ---- */

typedef struct seen {
    int there, hidden;
} seen;

static int note_seen(const kn_item *item, void *cookie)
{
    *(seen *)cookie = (seen){ 1, item->hidden };
    return 1;
}

/* Only what the records here know, too: what was deleted meanwhile, or is not quite there, is no hit. */
static ken_status keep_known(kn_remote *r, const kn_store_query *q, ken_hit *hits, size_t *n)
{
    size_t kept = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < *n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = hits[i].id };
        seen s = { 0 };
        st = r->near->v->items(r->near, &which, note_seen, &s);
        if (s.there && (q->hidden || q->share == KN_PARTS || !s.hidden))
            hits[kept++] = hits[i];
    }
    *n = kept;
    return st;
}

/* One search, with a further condition or "". */
static ken_status search_once(kn_remote *r, const kn_store_query *q, size_t k, const char *and,
                              ken_hit *hits, size_t *found)
{
    const int whole = q->share == KN_WHOLES;
    kn_buf expr;
    kn_buf_init(&expr, EXPR_MAX);
    ken_status st = KEN_OK;
    if (whole)
        st = kn_buf_addf(&expr, "%s%s", q->hidden ? "state < 2" : "state == 0",
                         q->labelled ? " && object != \"\"" : "");
    else if (q->share == KN_VIEWS_OF_MODELS)
        st = kn_buf_adds(&expr, "views == 1");
    if (!st && *and)
        st = kn_buf_addf(&expr, "%s%s", expr.len ? " && " : "", and);
    const kn_mv_search s = { .collection = whole ? r->items : r->parts,
                             .expr = expr.data ? expr.data : "",
                             .metric = whole ? r->metric : "IP",
                             .index = r->index,
                             .vectors = q->vectors,
                             .nq = (uint32_t)q->nq,
                             .dim = q->dim,
                             .k = (uint32_t)k,
                             .ef = q->ef < EF_MAX ? q->ef : EF_MAX };
    if (!st)
        st = kn_milvus_search(r->m, &s, hits, found);
    kn_buf_release(&expr);
    for (size_t i = 0; !st && i < q->nq; i++)
        st = keep_known(r, q, hits + i * k, &found[i]);
    return st;
}

static int best_first(const void *a, const void *b)
{
    const ken_hit *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* more (n) into hits (*len of at most k), best first. */
static void merge(ken_hit *hits, size_t *len, size_t k, ken_hit *both, const ken_hit *more, size_t n)
{
    memcpy(both, hits, *len * sizeof *hits);
    memcpy(both + *len, more, n * sizeof *hits);
    if (*len + n)
        qsort(both, *len + n, sizeof *both, best_first);
    *len = *len + n < k ? *len + n : k;
    memcpy(hits, both, *len * sizeof *hits);
}

/* Among chosen items alone: their ids are named, so many at once; the best of all is the best of each. */
static ken_status search_some(kn_remote *r, const kn_store_query *q, size_t k, ken_hit *hits, size_t *found)
{
    kn_buf names;
    ken_hit *more = kn_alloc(q->nq, k * sizeof *more), *both = kn_alloc(2 * k, sizeof *both);
    size_t *counts = kn_alloc(q->nq, sizeof *counts);
    ken_status st = more && both && counts ? KEN_OK : KEN_E_NOMEM;
    kn_buf_init(&names, EXPR_MAX);
    for (size_t at = 0; !st && at < q->n_only; at += IDS_AT_ONCE) {
        const size_t n = q->n_only - at < IDS_AT_ONCE ? q->n_only - at : IDS_AT_ONCE;
        st = name_ids(&names, q->share == KN_WHOLES ? "id" : "owner", q->only + at, n);
        if (!st)
            st = search_once(r, q, k, names.data, more, counts);
        for (size_t i = 0; !st && i < q->nq; i++)
            merge(hits + i * k, &found[i], k, both, more + i * k, counts[i]);
    }
    kn_buf_release(&names);
    kn_free(more);
    kn_free(both);
    kn_free(counts);
    return st;
}

static ken_status store_search(kn_store *store, const kn_store_query *q, ken_hit *hits, size_t *found)
{
    kn_remote *r = of(store);
    const size_t k = q->k < KN_MV_MOST ? q->k : KN_MV_MOST;
    memset(found, 0, q->nq * sizeof *found);
    if (q->exact && strcmp(r->index, "FLAT"))
        return kn_fail(KEN_E_UNSUPPORTED,
                       "the server's index is %s: only a collection made with ?index=FLAT "
                       "answers exactly",
                       r->index);
    if (!r->made || !k || !q->nq || (q->share == KN_VIEWS_OF_MODELS && !r->views))
        return KEN_OK;
    if (q->dim != r->dim)
        return kn_fail(KEN_E_MODEL, "the collection at %s has vectors of %u numbers", r->url.plain, r->dim);
    ken_status st = q->some ? search_some(r, q, k, hits, found) : search_once(r, q, k, "", hits, found);
    for (size_t i = q->nq; !st && k < q->k && i-- > 0;) /* the server's lists are shorter than ours */
        memmove(hits + i * q->k, hits + i * k, found[i] * sizeof *hits);
    return st;
}

static const char *store_index(kn_store *s)
{
    return of(s)->index;
}

static ken_status store_settle(kn_store *s)
{
    kn_remote *r = of(s);
    const char *const all[] = { r->items, r->parts, r->state };
    return r->made ? kn_milvus_flush(r->m, all, 3) : KEN_OK;
}

/* ---- checking ---- */

typedef struct checker {
    kn_remote *r;
    ken_problem_fn fn;
    void *cookie;
    uint64_t rows, problems;
    ken_status st;
} checker;

static void tell(checker *c, const char *what)
{
    c->problems++;
    if (c->fn)
        c->fn(c->r->url.plain, what, c->cookie);
}

static int check_row(uint64_t id, void *cookie)
{
    checker *c = cookie;
    const kn_select which = { .by = KN_BY_ID, .number = id };
    char what[96];
    seen s = { 0 };
    c->rows++;
    c->st = c->r->near->v->items(c->r->near, &which, note_seen, &s);
    snprintf(what, sizeof what, "row %" PRIu64 " is in no record here", id);
    if (!c->st && !s.there)
        tell(c, what);
    return c->st != KEN_OK;
}

static int add_parts(const kn_item *item, void *cookie)
{
    *(uint64_t *)cookie += item->part_segment ? item->parts : 0;
    return 0;
}

/* Every row has its record, every record its row, and there are as many parts as items say. */
static ken_status check_rows(checker *c)
{
    kn_remote *r = c->r;
    const kn_select all = { .by = KN_AFTER };
    char what[128];
    kn_counts counts = { 0 };
    uint64_t parts = 0, there = 0;
    ken_status st = kn_remote_ids(r, check_row, c);
    if (!st)
        st = c->st ? c->st : r->near->v->counts(r->near, &counts);
    snprintf(what, sizeof what, "%" PRIu64 " rows for %" PRIu64 " items", c->rows, counts.items);
    if (!st && c->rows != counts.items)
        tell(c, what);
    if (!st)
        st = r->near->v->items(r->near, &all, add_parts, &parts);
    if (!st)
        st = kn_milvus_count(r->m, r->parts, "owner > 0", &there);
    snprintf(what, sizeof what, "%" PRIu64 " rows of parts; the items say %" PRIu64, there, parts);
    if (!st && there != parts)
        tell(c, what);
    return st;
}

static ken_status store_check(kn_store *s, ken_problem_fn fn, void *cookie)
{
    checker c = { .r = of(s), .fn = fn, .cookie = cookie };
    ken_status st = c.r->near->v->check(c.r->near, fn, cookie);
    if (!st && c.r->made)
        st = check_rows(&c);
    return st           ? st
           : c.problems ? kn_fail(KEN_E_CORRUPT, "%s: %" PRIu64 " problems", c.r->url.plain, c.problems)
                        : KEN_OK;
}

const kn_store_verbs kn_store_milvus = {
    .name = "milvus",
    .file = "milvus/url",
    .open = store_open,
    .close = store_close,
    .begin = store_begin,
    .end = store_end,
    .generation = store_generation,
    .items = store_items,
    .segments = store_segments,
    .dead = store_dead,
    .reject = store_reject,
    .text = store_text,
    .counts = store_counts,
    .put = store_put,
    .drop = store_drop,
    .put_segment = store_put_segment,
    .drop_segment = store_drop_segment,
    .put_dead = store_put_dead,
    .put_reject = store_put_reject,
    .drop_reject = store_drop_reject,
    .set_text = store_set_text,
    .check = store_check,
    .refresh = store_refresh,
    .keep = store_keep,
    .forget = store_forget,
    .vectors = store_vectors,
    .search = store_search,
    .index = store_index,
    .settle = store_settle,
};

#endif
