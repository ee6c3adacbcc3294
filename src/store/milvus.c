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
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MARKER_MAX = 16384 };
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
static ken_status join(kn_remote *r, int there)
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
    return st ? st : write_marker(r);
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
        st = join(r, there);
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

static ken_status store_refresh(kn_store *s, uint64_t *lost)
{
    kn_remote *r = of(s);
    *lost = 0;
    if (!r->made)
        return KEN_OK;
    ken_status st = kn_remote_pull(r);
    if (!st)
        st = kn_remote_mend(r, lost);
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
    .check = kn_remote_check,
    .refresh = store_refresh,
    .keep = store_keep,
    .forget = store_forget,
    .vectors = kn_remote_vectors,
    .search = kn_remote_find,
    .index = store_index,
    .settle = store_settle,
};

#endif
