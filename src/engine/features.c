/* features.c - see features.h.  Sets of a few ways: a key's set is computed, the oldest of it makes room. */
#include "engine/features.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "engine/expand.h"
#include "engine/vector_cache.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 512, WAYS = 8 };

typedef struct feature {
    char key[33]; /* "" while the place is empty */
    uint64_t used;
    float *vector; /* (dim) */
} feature;

typedef struct kn_features kn_features;
struct kn_features {
    feature places[SETS][WAYS];
    uint64_t clock;
};

/* One of the things that are asked for. */
typedef struct asked {
    char key[33];
    int missing;
} asked;

void kn_features_free(kn_features *f)
{
    for (size_t i = 0; f && i < SETS; i++)
        for (size_t j = 0; j < WAYS; j++)
            kn_free(f->places[i][j].vector);
    kn_free(f);
}

/* The set of a key, from its last digits. */
static feature *set_of(kn_features *f, const char *key)
{
    return f->places[strtoul(key + 27, NULL, 16) % SETS];
}

/* The caller holds `lock`. */
static int recall(kn_features *f, const char *key, size_t dim, float *out)
{
    feature *set = set_of(f, key);
    for (size_t i = 0; i < WAYS; i++)
        if (!strcmp(set[i].key, key)) {
            memcpy(out, set[i].vector, dim * sizeof *out);
            set[i].used = ++f->clock;
            return 1;
        }
    return 0;
}

/* Without memory it is not remembered. */
static void remember(kn_features *f, const char *key, size_t dim, const float *vector)
{
    feature *set = set_of(f, key), *place = set;
    for (size_t i = 1; i < WAYS; i++)
        place = set[i].used < place->used ? &set[i] : place;
    float *copy = kn_alloc(dim, sizeof *copy);
    if (!copy)
        return;
    memcpy(copy, vector, dim * sizeof *copy);
    kn_free(place->vector);
    memcpy(place->key, key, sizeof place->key);
    place->vector = copy;
    place->used = ++f->clock;
}

/* ---- keys ---- */

/* Of the model and what it is shown. */
static ken_status key_of(const ken_model_info *info, const char *kind, const void *bytes, size_t len,
                         const ken_image *img, char key[33])
{
    kn_hash *h = NULL;
    ken_status st = kn_hash_new(&h);
    if (st)
        return st;
    kn_hash_add(h, info->fingerprint, strlen(info->fingerprint));
    kn_hash_add(h, kind, strlen(kind) + 1);
    if (bytes)
        kn_hash_add(h, bytes, len);
    for (uint32_t y = 0, w = img ? ken_image_width(img) : 0; img && y < ken_image_height(img); y++) {
        kn_hash_add(h, &w, sizeof w);
        kn_hash_add(h, ken_image_row(img, y), (size_t)w * 3);
    }
    kn_hash_get128_hex(h, key);
    kn_hash_free(h);
    return KEN_OK;
}

/* ---- both ---- */

static ken_status encode(ken *k, const ken_model *m, const char *const *texts, const ken_image *const *images,
                         const asked *a, size_t n, size_t missing, size_t dim, float *vectors)
{
    const void **things = kn_alloc(missing, sizeof *things);
    float *rows = kn_alloc_aligned(missing * dim, sizeof *rows);
    ken_status st = things && rows ? KEN_OK : KEN_E_NOMEM;
    size_t at = 0;
    for (size_t i = 0; !st && i < n; i++)
        if (a[i].missing)
            things[at++] = texts ? (const void *)texts[i] : images[i];
    if (!st && texts)
        st = k->encoder->texts(m, (const char *const *)(const void *)things, missing, rows);
    else if (!st)
        st = kn_encode_images(k, m, (const ken_image *const *)(const void *)things, missing, rows);
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0, row = 0; !st && i < n; i++)
        if (a[i].missing) {
            memcpy(vectors + i * dim, rows + row * dim, dim * sizeof *rows);
            remember(k->features, a[i].key, dim, rows + row++ * dim);
        }
    pthread_mutex_unlock(&k->lock);
    kn_free(things);
    kn_free(rows);
    return st;
}

static ken_status answer(ken *k, const ken_model *m, const char *const *texts, const ken_image *const *images,
                         size_t n, float *vectors)
{
    const ken_model_info *info = k->encoder->info(m);
    size_t missing = 0;
    asked *a = n ? kn_zalloc(n, sizeof *a) : NULL;
    if (!a)
        return n ? KEN_E_NOMEM : KEN_OK;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = key_of(info, texts ? "text" : "image", texts ? texts[i] : NULL, texts ? strlen(texts[i]) : 0,
                    texts ? NULL : images[i], a[i].key);
    pthread_mutex_lock(&k->lock);
    if (!st && !k->features && !(k->features = kn_zalloc(1, sizeof *k->features)))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        a[i].missing = !recall(k->features, a[i].key, info->dim, vectors + i * info->dim);
        missing += (size_t)a[i].missing;
    }
    pthread_mutex_unlock(&k->lock);
    if (!st && missing)
        st = encode(k, m, texts, images, a, n, missing, info->dim, vectors);
    kn_free(a);
    return st;
}

ken_status kn_features_texts(ken *k, const ken_model *m, const char *const *texts, size_t n, float *vectors)
{
    return answer(k, m, texts, NULL, n, vectors);
}

ken_status kn_features_images(ken *k, const ken_model *m, const ken_image *const *images, size_t n,
                              float *vectors)
{
    return answer(k, m, NULL, images, n, vectors);
}

/* ---- ahead ---- */

static ken_status ahead(ken *k, const ken_term *terms, size_t n, const ken_search_options *o)
{
    const ken_model *m = NULL;
    const char **texts = kn_alloc(n + 1, sizeof *texts);
    const ken_image **images = kn_alloc(n + 1, sizeof *images);
    size_t n_texts = 0, n_images = 0;
    ken_status st = texts && images ? kn_collection_model(k, &m) : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        if (terms[i].vector)
            continue; /* it came with the term */
        if (terms[i].text)
            texts[n_texts++] = terms[i].text;
        else if (terms[i].image)
            images[n_images++] = terms[i].image;
    }
    const size_t dim = m ? k->encoder->info(m)->dim : 1;
    float *vectors = st ? NULL : kn_alloc_aligned((n + 1) * dim, sizeof *vectors);
    ken_search_options quiet = *o;
    quiet.added = NULL; /* each search tells its own */
    if (!st && !vectors)
        st = KEN_E_NOMEM;
    if (!st && n_texts)
        st = kn_expand_texts(k, m, &quiet, texts, n_texts, vectors);
    if (!st && n_images)
        st = kn_features_images(k, m, images, n_images, vectors);
    kn_free(texts);
    kn_free(images);
    kn_free(vectors);
    return st;
}

ken_status ken_search_ahead(ken *k, const ken_term *terms, size_t n, const ken_search_options *opts)
{
    static const ken_search_options defaults = KEN_SEARCH_OPTIONS_INIT;
    const ken_search_options *o = opts ? opts : &defaults;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o)
        st = kn_fail(KEN_E_INVALID, "ken_search_options: size is not set");
    else
        st = terms || !n ? ahead(k, terms, n, o) : kn_fail(KEN_E_INVALID, "ken_search_ahead: no terms");
    kn_leave(k);
    return st;
}
