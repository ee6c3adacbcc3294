/* milvus_push.c - what a transaction has changed, as rows; see milvus.h for their order. */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT = 65535, KEY = 512, SHORT = 64, IDS_AT_ONCE = 512, VECTORS_AT_ONCE = 256 };
enum { ONE_REV = 4096 /* rows of one revision at most: a query of it must not meet the server's limit */ };

/* ---- making ---- */

ken_status kn_remote_make(kn_remote *r)
{
    const kn_mv_field items[] = { { "id", KN_MV_LONG, 0, 1 },        { "vector", KN_MV_VECTOR, r->dim, 0 },
                                  { "path", KN_MV_TEXT, TEXT, 0 },   { "object", KN_MV_TEXT, TEXT, 0 },
                                  { "kind", KN_MV_TEXT, SHORT, 0 },  { "meta", KN_MV_JSON, 0, 0 },
                                  { "record", KN_MV_TEXT, TEXT, 0 }, { "state", KN_MV_LONG, 0, 0 },
                                  { "rev", KN_MV_LONG, 0, 0 },       { "by", KN_MV_LONG, 0, 0 } };
    const kn_mv_field parts[] = { { "key", KN_MV_TEXT, SHORT, 1 },
                                  { "vector", KN_MV_VECTOR, r->dim, 0 },
                                  { "owner", KN_MV_LONG, 0, 0 },
                                  { "views", KN_MV_LONG, 0, 0 } };
    const kn_mv_field state[] = { { "key", KN_MV_TEXT, KEY, 1 },
                                  { "vector", KN_MV_VECTOR, 2, 0 },
                                  { "value", KN_MV_TEXT, TEXT, 0 },
                                  { "rev", KN_MV_LONG, 0, 0 },
                                  { "by", KN_MV_LONG, 0, 0 } };
    ken_status st =
        kn_milvus_create(r->m, r->items, items, sizeof items / sizeof *items, r->index, r->metric);
    if (!st) /* parts are shorter than 1 where a model says so: not what COSINE is for */
        st = kn_milvus_create(r->m, r->parts, parts, sizeof parts / sizeof *parts, r->index, "IP");
    /* last: with it the collection is there.  Every collection must have a vector. */
    return st ? st : kn_milvus_create(r->m, r->state, state, sizeof state / sizeof *state, "FLAT", "L2");
}

/* ---- the rows of a push ---- */

typedef struct rows {
    size_t n, cap;
    int64_t *ids, *states, *revs, *bys;
    char **paths, **objects, **kinds, **metas, **records;
    float *vectors; /* (cap, dim) */
} rows;

static ken_status make_rows(rows *x, size_t n, uint32_t dim)
{
    char **texts = kn_zalloc(n * 5 + 1, sizeof *texts);
    int64_t *numbers = kn_alloc(n * 4 + 1, sizeof *numbers);
    *x =
        (rows){ .cap = n, .ids = numbers, .paths = texts, .vectors = kn_alloc(n + 1, dim * sizeof(float)) };
    if (!texts || !numbers || !x->vectors)
        return KEN_E_NOMEM;
    x->states = numbers + n;
    x->revs = numbers + 2 * n;
    x->bys = numbers + 3 * n;
    x->objects = texts + n;
    x->kinds = texts + 2 * n;
    x->metas = texts + 3 * n;
    x->records = texts + 4 * n;
    return KEN_OK;
}

static void free_rows(rows *x)
{
    for (size_t i = 0; x->paths && i < x->cap * 5; i++)
        kn_free(x->paths[i]);
    kn_free(x->paths);
    kn_free(x->ids);
    kn_free(x->vectors);
}

static char *object_text(const char *meta)
{
    cJSON *o = meta && strlen(meta) < TEXT ? cJSON_Parse(meta) : NULL;
    char *text = kn_strdup(cJSON_IsObject(o) ? meta : "{}");
    cJSON_Delete(o);
    return text;
}

static const float *kept_vector(const kn_remote *r, kn_share share, uint64_t id)
{
    for (size_t i = 0; i < r->kept_n; i++)
        if (r->kept[i].share == share && r->kept[i].id == id)
            return r->floats + r->kept[i].at;
    return NULL;
}

/* A row without its vector, if that must be asked for: then it is left out of *known. */
static ken_status add_row(const kn_remote *r, rows *x, const kn_item *item, int64_t rev, int *known)
{
    const size_t i = x->n;
    const float *vector = kept_vector(r, KN_WHOLES, item->id);
    float *place = x->vectors + i * r->dim;
    ken_status st = kn_remote_record(&x->records[i], item);
    if (st)
        return st;
    x->ids[i] = (int64_t)item->id;
    x->revs[i] = rev;
    x->bys[i] = r->by;
    x->states[i] = !item->segment ? KN_ROW_BARE : item->hidden ? KN_ROW_HIDDEN : KN_ROW_VISIBLE;
    x->paths[i] = kn_remote_text(item->path);
    x->objects[i] = kn_remote_text(item->object ? item->object : "");
    x->kinds[i] = kn_remote_text(item->kind);
    x->metas[i] = object_text(item->meta);
    if (!x->paths[i] || !x->objects[i] || !x->kinds[i] || !x->metas[i])
        return KEN_E_NOMEM;
    *known = vector || !item->segment;
    memset(place, 0, r->dim * sizeof *place);
    place[0] = 1; /* of a bare row: no server takes none */
    if (vector && item->segment)
        memcpy(place, vector, r->dim * sizeof *place);
    x->n++;
    return KEN_OK;
}

/* ---- vectors that are there already ---- */

ken_status kn_remote_name_ids(kn_buf *b, const char *field, const int64_t *ids, size_t n)
{
    b->len = 0;
    ken_status st = kn_buf_addf(b, "%s in [", field);
    for (size_t i = 0; !st && i < n; i++)
        st = kn_buf_addf(b, "%s%" PRId64, i ? ", " : "", ids[i]);
    return st ? st : kn_buf_adds(b, "]");
}

static ken_status fetch_some(kn_remote *r, rows *x, const size_t *which, size_t n)
{
    kn_mv_result got[] = { { .name = "id", .type = KN_MV_LONG },
                           { .name = "vector", .type = KN_MV_VECTOR } };
    kn_buf expr, answer = { 0 };
    int64_t ids[VECTORS_AT_ONCE];
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        ids[i] = x->ids[which[i]];
    kn_buf_init(&expr, 1 << 20);
    ken_status st = kn_remote_name_ids(&expr, "id", ids, n);
    if (!st)
        st = kn_milvus_query(r->m, r->items, expr.data, (uint32_t)n + 1, got, 2, &answer);
    if (!st && got[0].n && got[1].dim != r->dim)
        st = kn_fail(KEN_E_CORRUPT, "%s: vectors of %u numbers", r->url.plain, got[1].dim);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t j = 0; j < got[0].n; j++)
            if (got[0].longs[j] == ids[i]) {
                memcpy(x->vectors + which[i] * r->dim, got[1].floats + j * r->dim * sizeof(float),
                       r->dim * sizeof(float));
                found++;
                break;
            }
    if (!st && found < n)
        st = kn_fail(KEN_E_CORRUPT, "%s: %zu items have lost their vectors there", r->url.plain, n - found);
    kn_mv_results_release(got, 2);
    kn_buf_release(&answer);
    kn_buf_release(&expr);
    return st;
}

static ken_status fetch(kn_remote *r, rows *x, const size_t *which, size_t n)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i += VECTORS_AT_ONCE)
        st = fetch_some(r, x, which + i, n - i < VECTORS_AT_ONCE ? n - i : VECTORS_AT_ONCE);
    return st;
}

/* ---- parts ---- */

/* Rows of an item's new parts and views into keys …, which have room. */
static ken_status push_parts(kn_remote *r)
{
    size_t n = 0;
    char **keys = kn_zalloc(r->kept_n + 1, sizeof *keys);
    int64_t *owners = kn_alloc(r->kept_n + 1, 2 * sizeof *owners), *views = owners + r->kept_n;
    float *floats = kn_alloc(r->kept_n + 1, r->dim * sizeof *floats);
    ken_status st = keys && owners && floats ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0, number = 0; !st && i < r->kept_n; i++) {
        const kn_kept *k = &r->kept[i];
        if (k->share == KN_WHOLES)
            continue;
        number = n && owners[n - 1] == (int64_t)k->id ? number + 1 : 0;
        char key[48];
        snprintf(key, sizeof key, "%" PRIu64 "/%zu", k->id, number);
        if (!(keys[n] = kn_strdup(key)))
            st = KEN_E_NOMEM;
        owners[n] = (int64_t)k->id;
        views[n] = k->share == KN_VIEWS_OF_MODELS;
        memcpy(floats + n++ * r->dim, r->floats + k->at, r->dim * sizeof *floats);
    }
    const kn_mv_column columns[] = { { "key", KN_MV_TEXT, NULL, keys, NULL, 0 },
                                     { "vector", KN_MV_VECTOR, NULL, NULL, floats, r->dim },
                                     { "owner", KN_MV_LONG, owners, NULL, NULL, 0 },
                                     { "views", KN_MV_LONG, views, NULL, NULL, 0 } };
    if (!st && n)
        st = kn_milvus_upsert(r->m, r->parts, columns, sizeof columns / sizeof *columns, n);
    for (size_t i = 0; keys && i < n; i++)
        kn_free(keys[i]);
    kn_free(keys);
    kn_free(owners);
    kn_free(floats);
    return st;
}

/* ---- removing ---- */

static ken_status delete_where(kn_remote *r, const char *collection, const char *field, const int64_t *ids,
                               size_t n)
{
    kn_buf expr;
    kn_buf_init(&expr, 1 << 20);
    ken_status st = kn_remote_name_ids(&expr, field, ids, n);
    if (!st)
        st = kn_milvus_delete(r->m, collection, expr.data);
    kn_buf_release(&expr);
    return st;
}

/* An older server deletes by the key alone: the keys of owners' parts are asked for first. */
static ken_status delete_parts(kn_remote *r, const int64_t *ids, size_t n)
{
    kn_mv_result got = { .name = "key", .type = KN_MV_TEXT };
    kn_buf expr, answer = { 0 };
    kn_buf_init(&expr, 4 << 20);
    ken_status st = kn_remote_name_ids(&expr, "owner", ids, n);
    if (!st)
        st = kn_milvus_query(r->m, r->parts, expr.data, KN_MV_MOST, &got, 1, &answer);
    for (size_t from = 0; !st && from < got.n; from += IDS_AT_ONCE) {
        expr.len = 0;
        st = kn_buf_adds(&expr, "key in [");
        for (size_t i = from; !st && i < got.n && i < from + IDS_AT_ONCE; i++)
            st = kn_buf_addf(&expr, "%s\"%.*s\"", i > from ? ", " : "", (int)got.texts[i].n,
                             got.texts[i].bytes);
        if (!st)
            st = kn_buf_adds(&expr, "]");
        if (!st)
            st = kn_milvus_delete(r->m, r->parts, expr.data);
    }
    kn_mv_results_release(&got, 1);
    kn_buf_release(&answer);
    kn_buf_release(&expr);
    return st;
}

ken_status kn_remote_delete(kn_remote *r, const uint64_t *ids, size_t n)
{
    ken_status st = KEN_OK;
    for (size_t from = 0; !st && from < n; from += IDS_AT_ONCE) {
        const size_t more = n - from < IDS_AT_ONCE ? n - from : IDS_AT_ONCE;
        const int64_t *some = (const int64_t *)ids + from; /* the server's numbers have a sign */
        st = delete_where(r, r->items, "id", some, more);
        if (!st)
            st = delete_parts(r, some, more);
    }
    return st;
}

/* ---- texts and the names of what is gone ---- */

typedef struct states {
    char **keys, **values;
    size_t n, cap;
} states;

static ken_status add_state(states *x, const char *key, const char *value)
{
    if (x->n == x->cap) {
        const size_t cap = x->cap * 2 + 16;
        char **keys = kn_grow(x->keys, cap, sizeof *keys), **values;
        if (keys)
            x->keys = keys;
        values = keys ? kn_grow(x->values, cap, sizeof *values) : NULL;
        if (values)
            x->values = values;
        if (!keys || !values)
            return KEN_E_NOMEM;
        x->cap = cap;
    }
    x->keys[x->n] = kn_strdup(key);
    x->values[x->n] = kn_remote_text(value);
    x->n++;
    return x->keys[x->n - 1] && x->values[x->n - 1] ? KEN_OK : KEN_E_NOMEM;
}

static ken_status push_states(kn_remote *r, const states *x, int64_t rev)
{
    int64_t *revs = kn_alloc(x->n + 1, 2 * sizeof *revs), *bys = revs + x->n;
    float *vectors = kn_zalloc(x->n + 1, 2 * sizeof *vectors);
    ken_status st = revs && vectors ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < x->n; i++) {
        revs[i] = rev + (int64_t)(i / ONE_REV);
        bys[i] = r->by;
        vectors[2 * i] = 1;
    }
    const kn_mv_column columns[] = { { "key", KN_MV_TEXT, NULL, x->keys, NULL, 0 },
                                     { "vector", KN_MV_VECTOR, NULL, NULL, vectors, 2 },
                                     { "value", KN_MV_TEXT, NULL, x->values, NULL, 0 },
                                     { "rev", KN_MV_LONG, revs, NULL, NULL, 0 },
                                     { "by", KN_MV_LONG, bys, NULL, NULL, 0 } };
    if (!st && x->n)
        st = kn_milvus_upsert(r->m, r->state, columns, sizeof columns / sizeof *columns, x->n);
    kn_free(revs);
    kn_free(vectors);
    return st;
}

/* Everybody's.  The last one says that the rest is there. */
static const char *const shared[] = { "model",   "model_path",     "precision",     "dim",
                                      "element", KN_REMOTE_METRIC, KN_REMOTE_INDEX, "fingerprint" };
enum { SHARED = sizeof shared / sizeof *shared };

static ken_status add_texts(kn_remote *r, states *x)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < SHARED; i++) {
        char *text = NULL;
        st = r->near->v->text(r->near, shared[i], &text);
        if (!st && text)
            st = add_state(x, shared[i], text);
        kn_free(text);
    }
    return st;
}

int kn_remote_shares(const char *key)
{
    for (size_t i = 0; i < SHARED; i++)
        if (!strcmp(key, shared[i]))
            return 1;
    return 0;
}

/* ---- the whole ---- */

static int by_id(const void *a, const void *b)
{
    const kn_changed *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return y->had_parts - x->had_parts;
}

/* Each item once; had_parts if it ever had. */
static void sort_changes(kn_remote *r)
{
    size_t kept = 0;
    if (r->changed_n)
        qsort(r->changed, r->changed_n, sizeof *r->changed, by_id);
    for (size_t i = 0; i < r->changed_n; i++)
        if (!kept || r->changed[kept - 1].id != r->changed[i].id)
            r->changed[kept++] = r->changed[i];
    r->changed_n = kept;
}

typedef struct push {
    rows rows;
    states states;
    size_t *unknown; /* rows whose vectors are on the server alone */
    size_t unknown_n;
    uint64_t *gone;
    int64_t *partless; /* whose old parts must go before new ones come */
    size_t gone_n, partless_n;
    int64_t rev;
} push;

static ken_status gather_one(kn_remote *r, push *p, const kn_changed *c)
{
    const kn_select which = { .by = KN_BY_ID, .number = c->id };
    char key[48];
    kn_item item = { 0 };
    int known = 1;
    ken_status st = kn_store_get(r->near, &which, &item);
    if (st == KEN_E_NOTFOUND) {
        snprintf(key, sizeof key, KN_REMOTE_GONE "%" PRIu64, c->id);
        p->gone[p->gone_n++] = c->id;
        return add_state(&p->states, key, "");
    }
    const int new_parts =
        kept_vector(r, KN_PARTS, c->id) || kept_vector(r, KN_VIEWS_OF_MODELS, c->id);
    if (!st && c->had_parts && (new_parts || !item.part_segment))
        p->partless[p->partless_n++] = (int64_t)c->id;
    if (!st)
        st = add_row(r, &p->rows, &item, p->rev, &known);
    if (!st && !known)
        p->unknown[p->unknown_n++] = p->rows.n - 1;
    kn_item_release(&item);
    return st;
}

static ken_status send_rows(kn_remote *r, const rows *x)
{
    const kn_mv_column columns[] = { { "id", KN_MV_LONG, x->ids, NULL, NULL, 0 },
                                     { "vector", KN_MV_VECTOR, NULL, NULL, x->vectors, r->dim },
                                     { "path", KN_MV_TEXT, NULL, x->paths, NULL, 0 },
                                     { "object", KN_MV_TEXT, NULL, x->objects, NULL, 0 },
                                     { "kind", KN_MV_TEXT, NULL, x->kinds, NULL, 0 },
                                     { "meta", KN_MV_JSON, NULL, x->metas, NULL, 0 },
                                     { "record", KN_MV_TEXT, NULL, x->records, NULL, 0 },
                                     { "state", KN_MV_LONG, x->states, NULL, NULL, 0 },
                                     { "rev", KN_MV_LONG, x->revs, NULL, NULL, 0 },
                                     { "by", KN_MV_LONG, x->bys, NULL, NULL, 0 } };
    return x->n ? kn_milvus_upsert(r->m, r->items, columns, sizeof columns / sizeof *columns, x->n)
                : KEN_OK;
}

/* Parts before the items that name them; names of what is gone before it goes. */
static ken_status send(kn_remote *r, push *p)
{
    ken_status st = fetch(r, &p->rows, p->unknown, p->unknown_n);
    for (size_t i = 0; !st && i < p->partless_n; i += IDS_AT_ONCE)
        st = delete_parts(r, p->partless + i,
                          p->partless_n - i < IDS_AT_ONCE ? p->partless_n - i : IDS_AT_ONCE);
    if (!st)
        st = push_parts(r);
    for (size_t i = 0; !st && !r->views && i < r->kept_n; i++)
        if (r->kept[i].share == KN_VIEWS_OF_MODELS)
            st = kn_store_set_number(r->near, KN_REMOTE_VIEWS, (uint64_t)(r->views = 1));
    if (!st)
        st = send_rows(r, &p->rows);
    if (!st && r->texts_changed)
        st = add_texts(r, &p->states);
    if (!st)
        st = push_states(r, &p->states, p->rev);
    return st ? st : kn_remote_delete(r, p->gone, p->gone_n);
}

static ken_status next_rev(kn_remote *r, int64_t *out)
{
    struct timespec now;
    uint64_t last = 0;
    ken_status st = kn_store_number(r->near, KN_REMOTE_REV, &last);
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    *out = us > (int64_t)last ? us : (int64_t)last + 1;
    return st;
}

ken_status kn_remote_push(kn_remote *r)
{
    push p = { 0 };
    sort_changes(r);
    if (!r->changed_n && !r->texts_changed)
        return KEN_OK;
    const size_t n = r->changed_n + 1;
    ken_status st = next_rev(r, &p.rev);
    if (!st)
        st = make_rows(&p.rows, n, r->dim);
    p.unknown = kn_alloc(n, sizeof *p.unknown);
    p.gone = kn_alloc(n, sizeof *p.gone);
    p.partless = kn_alloc(n, sizeof *p.partless);
    if (!st && (!p.unknown || !p.gone || !p.partless))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < r->changed_n; i++)
        st = gather_one(r, &p, &r->changed[i]);
    if (!st)
        st = send(r, &p);
    if (!st)
        st = kn_store_set_number(r->near, KN_REMOTE_REV, (uint64_t)p.rev + p.states.n / ONE_REV);
    free_rows(&p.rows);
    for (size_t i = 0; i < p.states.n; i++) {
        kn_free(p.states.keys[i]);
        kn_free(p.states.values[i]);
    }
    kn_free(p.states.keys);
    kn_free(p.states.values);
    kn_free(p.unknown);
    kn_free(p.gone);
    kn_free(p.partless);
    return st;
}

#endif
