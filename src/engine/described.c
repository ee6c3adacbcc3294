/* described.c - see described.h. */
#include "engine/described.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "kernels/kernels.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64, BATCH = 64, SAMPLE = 1024, PRIOR = 8 };
static const char MAGIC[8] = "KNDESC1";

struct kn_described {
    kn_map map;
    size_t n, dim;
    const uint64_t *ids, *keys; /* (n) */
    const float *rows;          /* (n, dim) */
};

/* ---- the file ---- */

static char *path_of(const ken *k)
{
    return kn_path_join(k->dir, "descriptions.vec");
}

void kn_described_free(kn_described *d)
{
    if (d)
        kn_map_close(&d->map);
    kn_free(d);
}

static int parse(kn_described *d, const char *fingerprint)
{
    const unsigned char *p = d->map.data;
    uint32_t dim;
    uint64_t n, sum;
    if (d->map.len < HEAD || memcmp(p, MAGIC, sizeof MAGIC) || strncmp((const char *)p + 16, fingerprint, 32))
        return 0;
    memcpy(&dim, p + 8, sizeof dim);
    memcpy(&n, p + 48, sizeof n);
    memcpy(&sum, p + 56, sizeof sum);
    const uint64_t row = 16 + (uint64_t)dim * sizeof(float);
    if (!dim || dim > KN_SEGMENT_MAX_DIM || n > (d->map.len - HEAD) / row || HEAD + n * row != d->map.len
        || kn_hash64(p + HEAD, d->map.len - HEAD) != sum)
        return 0;
    d->n = n;
    d->dim = dim;
    d->ids = (const uint64_t *)(const void *)(p + HEAD);
    d->keys = d->ids + n;
    d->rows = (const float *)(const void *)(d->keys + n);
    return 1;
}

/* What cannot be used is as if it were not there: *out stays NULL. */
static ken_status load(const ken *k, const char *fingerprint, kn_described **out)
{
    kn_described *d = kn_zalloc(1, sizeof *d);
    char *path = path_of(k);
    ken_status st = d && path ? kn_map_open(&d->map, path) : KEN_E_NOMEM;
    kn_free(path);
    if (!st && parse(d, fingerprint)) {
        *out = d;
        return KEN_OK;
    }
    kn_described_free(d);
    return st == KEN_E_NOMEM ? st : KEN_OK;
}

/* ---- gathering ---- */

typedef struct gathered {
    uint64_t *ids, *keys;
    char **texts;
    size_t n, cap_ids, cap_keys, cap_texts;
    ken_status st;
} gathered;

/* The description in some metadata, kn_free it; NULL if there is none. */
static char *description(const char *meta)
{
    cJSON *o = meta && strstr(meta, "\"description\"") ? cJSON_Parse(meta) : NULL;
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(o, "description");
    char *copy = cJSON_IsString(text) && *text->valuestring ? kn_strdup(text->valuestring) : NULL;
    cJSON_Delete(o);
    return copy;
}

static int gather(const kn_item *item, void *cookie)
{
    gathered *g = cookie;
    char *text = description(item->meta);
    if (!text)
        return 0;
    uint64_t *ids = kn_room(g->ids, g->n, &g->cap_ids, sizeof *ids);
    g->ids = ids ? ids : g->ids;
    uint64_t *keys = kn_room(g->keys, g->n, &g->cap_keys, sizeof *keys);
    g->keys = keys ? keys : g->keys;
    char **texts = kn_room(g->texts, g->n, &g->cap_texts, sizeof *texts);
    g->texts = texts ? texts : g->texts;
    if (!ids || !keys || !texts) {
        kn_free(text);
        g->st = KEN_E_NOMEM;
        return 1;
    }
    ids[g->n] = item->id;
    keys[g->n] = kn_hash64(text, strlen(text));
    texts[g->n++] = text;
    return 0;
}

static void release(gathered *g)
{
    for (size_t i = 0; i < g->n; i++)
        kn_free(g->texts[i]);
    kn_free(g->texts);
    kn_free(g->ids);
    kn_free(g->keys);
}

/* ---- writing ---- */

static ken_status encode_some(ken *k, const ken_model *m, const gathered *g, const size_t *at, size_t n,
                              size_t dim, float *rows)
{
    const char *texts[BATCH];
    float *vectors = kn_alloc_aligned(BATCH * dim, sizeof *vectors);
    ken_status st = vectors ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i += BATCH) {
        const size_t some = n - i < BATCH ? n - i : BATCH;
        for (size_t j = 0; j < some; j++)
            texts[j] = g->texts[at[i + j]];
        st = k->encoder->texts(m, texts, some, vectors);
        for (size_t j = 0; !st && j < some; j++)
            memcpy(rows + at[i + j] * dim, vectors + j * dim, dim * sizeof *rows);
    }
    kn_free(vectors);
    return st;
}

/* Rows that the old file has are taken from there; the rest is encoded. */
static ken_status fill(ken *k, const ken_model *m, const gathered *g, const kn_described *old, size_t dim,
                       float *rows)
{
    size_t missing = 0, o = 0;
    size_t *at = kn_alloc(g->n, sizeof *at);
    if (!at)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < g->n; i++) {
        while (old && o < old->n && old->ids[o] < g->ids[i])
            o++;
        if (old && o < old->n && old->dim == dim && old->ids[o] == g->ids[i] && old->keys[o] == g->keys[i])
            memcpy(rows + i * dim, old->rows + o * dim, dim * sizeof *rows);
        else
            at[missing++] = i;
    }
    ken_status st = encode_some(k, m, g, at, missing, dim, rows);
    kn_free(at);
    return st;
}

static ken_status write_file(ken *k, const ken_model *m, const gathered *g, const kn_described *old)
{
    const ken_model_info *info = k->encoder->info(m);
    const uint32_t dim = info->dim;
    const uint64_t n = g->n;
    const size_t len = HEAD + g->n * (16 + dim * sizeof(float));
    unsigned char *file = kn_alloc_aligned(len, 1);
    char *path = path_of(k);
    ken_status st = file && path ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        memset(file, 0, HEAD);
        memcpy(file + HEAD, g->ids, g->n * sizeof *g->ids);
        memcpy(file + HEAD + 8 * g->n, g->keys, g->n * sizeof *g->keys);
        st = fill(k, m, g, old, dim, (float *)(void *)(file + HEAD + 16 * g->n));
    }
    if (!st) {
        const uint64_t sum = kn_hash64(file + HEAD, len - HEAD);
        memcpy(file, MAGIC, sizeof MAGIC);
        memcpy(file + 8, &dim, sizeof dim);
        memcpy(file + 16, info->fingerprint, 32);
        memcpy(file + 48, &n, sizeof n);
        memcpy(file + 56, &sum, sizeof sum);
        st = kn_replace_file(path, file, len);
    }
    kn_free(file);
    kn_free(path);
    return st;
}

static int is_current(const kn_described *d, const gathered *g)
{
    return d && d->n == g->n && !memcmp(d->ids, g->ids, g->n * sizeof *g->ids)
           && !memcmp(d->keys, g->keys, g->n * sizeof *g->keys);
}

/* A commit, so that views are made anew. */
static ken_status announce(kn_edit *w, size_t n)
{
    ken_status st = kn_edit_open(w);
    if (st)
        return st;
    st = kn_store_set_number(w->k->store, KN_KEY_DESCRIPTIONS, n);
    return kn_edit_close(w, st);
}

ken_status kn_described_sync(kn_edit *w)
{
    ken *k = w->k;
    const kn_select all = { .by = KN_AFTER };
    const ken_model *m = NULL;
    kn_described *old = NULL;
    gathered g = { 0 };
    if (k->store->v->search) /* a remote store */
        return KEN_OK;
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->items(k->store, &all, gather, &g);
    pthread_mutex_unlock(&k->lock);
    st = st ? st : g.st;
    if (!st && g.n)
        st = kn_collection_model(k, &m);
    if (!st && m && k->encoder->info(m)->has_texts) {
        st = load(k, k->encoder->info(m)->fingerprint, &old);
        if (!st && !is_current(old, &g)) {
            st = write_file(k, m, &g, old);
            if (!st)
                st = announce(w, g.n);
        }
    }
    kn_described_free(old);
    release(&g);
    return st;
}

/* ---- searching ---- */

typedef struct spread {
    double mean, deviation;
} spread;

/* With a few values of the usual kind beside them, so that two or three say little. */
static spread spread_of(const float *x, size_t n, spread usual)
{
    double sum = PRIOR * usual.mean, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    const double mean = sum / (double)(n + PRIOR);
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    squares += PRIOR * (usual.deviation * usual.deviation + (usual.mean - mean) * (usual.mean - mean));
    return (spread){ mean, sqrt(squares / (double)(n + PRIOR)) };
}

/* Cosines of some pictures, spread over the collection. */
static ken_status sample_pictures(const kn_view *v, const float *query, spread *out)
{
    const size_t step = v->rows / SAMPLE + 1;
    float *row = kn_alloc_aligned(v->dim, sizeof *row), *cosines = kn_alloc(SAMPLE + 1, sizeof *cosines);
    ken_status st = row && cosines ? KEN_OK : KEN_E_NOMEM;
    size_t n = 0, at = 0;
    for (size_t i = 0; !st && i < v->n; i++) {
        const kn_segment *s = &v->segments[i];
        if (s->info.element == KN_ELEMENT_I8 || v->of_models[i])
            continue;
        for (; !st && at < s->rows && n < SAMPLE; at += step) {
            st = kn_view_vector(v, s->info.number, (uint32_t)at, row);
            cosines[n++] = kn_kernels_get()->dot_f32(query, row, v->dim);
        }
        at -= at < s->rows ? at : s->rows;
    }
    if (!st)
        *out = spread_of(cosines, n, (spread){ .2, .1 });
    kn_free(row);
    kn_free(cosines);
    return st;
}

/* The item still is what the file says. */
static ken_status still(ken *k, const kn_described *d, size_t row, int hidden, int *yes)
{
    const kn_select which = { .by = KN_BY_ID, .number = d->ids[row] };
    kn_item item = { 0 };
    pthread_mutex_lock(&k->lock);
    ken_status st = kn_store_get(k->store, &which, &item);
    pthread_mutex_unlock(&k->lock);
    char *text = st ? NULL : description(item.meta);
    *yes = text && kn_hash64(text, strlen(text)) == d->keys[row] && (hidden || !item.hidden);
    kn_free(text);
    kn_item_release(&item);
    return st == KEN_E_NOTFOUND ? KEN_OK : st;
}

typedef struct found {
    float cosine;
    size_t row;
} found;

static int nearest_first(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->cosine != y->cosine)
        return x->cosine < y->cosine ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* As many deviations above the one mean as above the other; but the same words are what was asked for,
 * whatever the pictures, and nearly the same are nearly that. */
static double as_picture(double cosine, spread from, spread to)
{
    enum { STEEP = 10 };
    const double moved = to.mean + to.deviation * (cosine - from.mean) / from.deviation;
    return fmax(moved, 1 - STEEP * (1 - cosine));
}

static ken_status pick(ken *k, const kn_described *d, const kn_choice *c, int hidden, const float *cosines,
                       size_t most, spread from, spread to, kn_near *near, size_t *n)
{
    found *all = kn_alloc(d->n, sizeof *all);
    ken_status st = all ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < d->n; i++)
        all[i] = (found){ cosines[i], i };
    if (!st)
        qsort(all, d->n, sizeof *all, nearest_first);
    for (size_t i = 0; !st && i < d->n && *n < most; i++) {
        const uint64_t id = d->ids[all[i].row];
        int yes = 0;
        if (c && !kn_choice_has(c, id))
            continue;
        st = still(k, d, all[i].row, hidden, &yes);
        const double raw = as_picture((double)all[i].cosine, from, to);
        if (!st && yes)
            near[(*n)++] = (kn_near){ .id = id, .raw = (float)fmax(-1, fmin(1, raw)) };
    }
    kn_free(all);
    return st;
}

/* The file as the view sees it, kept with the view. */
static ken_status of_view(ken *k, kn_view *v, const kn_described **out)
{
    uint64_t n = 0;
    ken_status st = KEN_OK;
    pthread_mutex_lock(&k->lock);
    if (!v->described_known && v->n) {
        st = kn_store_number(k->store, KN_KEY_DESCRIPTIONS, &n);
        if (!st && n)
            st = load(k, v->segments[0].info.fingerprint, &v->described);
        v->described_known = !st;
    }
    *out = v->described;
    pthread_mutex_unlock(&k->lock);
    return st;
}

ken_status kn_described_search(ken *k, kn_view *v, const kn_choice *c, int hidden, const float *query,
                               size_t most, kn_near *near, size_t *n)
{
    const kn_described *d = NULL;
    spread pictures;
    *n = 0;
    ken_status st = of_view(k, v, &d);
    if (st || !d || d->dim != v->dim)
        return st;
    float *cosines = kn_alloc_aligned(d->n, sizeof *cosines);
    if (!cosines)
        return KEN_E_NOMEM;
    kn_kernels_get()->dots_f32(query, d->rows, d->n, d->dim, cosines);
    st = sample_pictures(v, query, &pictures);
    if (!st)
        st = pick(k, d, c, hidden, cosines, most, spread_of(cosines, d->n, (spread){ .5, .15 }), pictures,
                  near, n);
    kn_free(cosines);
    return st;
}
