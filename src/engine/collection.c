/*
 * collection.c - opening and closing a collection, and whose model it is.
 *
 * A new collection opens its model at once, to know the fingerprint that all its vectors will
 * share; later the model is opened when something must be encoded or scored.  A collection keeps
 * its precision, too: the same file in another precision gives other vectors.
 */
#include "engine/features.h"
#include "engine/model_find.h"
#include "engine/spaces.h"
#include "engine/vector_cache.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "store/lock.h"

#include <string.h>

static const double WAIT = 30; /* seconds for another writer */
static const uint64_t CACHE = (uint64_t)256 << 20;

/* ---- options ---- */

static ken_status copy_text(char **out, const char *text)
{
    *out = text ? kn_strdup(text) : NULL;
    return text && !*out ? KEN_E_NOMEM : KEN_OK;
}

static ken_status take_element(ken *k, const char *name)
{
    k->element = KN_ELEMENT_F32;
    if (!name || !strcmp(name, "f32"))
        return KEN_OK;
    k->element = KN_ELEMENT_F16;
    return strcmp(name, "f16") ? kn_fail(KEN_E_INVALID, "vectors \"%s\": one of f32, f16", name)
                               : KEN_OK;
}

static ken_status take_options(ken *k, const char *dir, const ken_options *o)
{
    if (o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_options: size is not set");
    k->read_only = o->read_only;
    k->wait = o->wait > 0 ? o->wait : o->wait < 0 ? 0 : WAIT;
    k->decode = o->decode;
    k->models = o->models;
    k->models.threads = o->models.threads ? o->models.threads : kn_processors();
    ken_status st = take_element(k, o->vectors);
    char *space = NULL;
    if (!st && o->space)
        st = kn_space_dir(&space, dir, o->space);
    if (!st)
        st = kn_path_absolute(&k->dir, space ? space : dir);
    kn_free(space);
    if (!st)
        st = copy_text(&k->asked, o->model);
    if (!st)
        st = copy_text(&k->device, o->models.device);
    if (!st)
        st = copy_text(&k->precision, o->models.precision);
    if (!st)
        st = copy_text(&k->dirs, o->models.dirs);
    if (!st)
        st = copy_text(&k->cache_dir, o->cache);
    k->cache_bytes = o->cache_bytes ? o->cache_bytes : CACHE;
    k->models.device = k->device;
    k->models.precision = k->precision;
    k->models.dirs = k->dirs;
    return st;
}

/* ---- creating ---- */

ken_status kn_collection_remember(ken *k, const ken_model *m, const char *name)
{
    const ken_model_info *info = k->encoder->info(m);
    kn_store *s = k->store;
    ken_status st = s->v->set_text(s, KN_KEY_MODEL, name);
    if (!st)
        st = s->v->set_text(s, KN_KEY_PATH, info->path ? info->path : "");
    if (!st)
        st = s->v->set_text(s, KN_KEY_PRECISION, info->precision ? info->precision : "");
    if (!st)
        st = kn_store_set_number(s, KN_KEY_DIM, info->dim);
    if (!st) /* last: with it the collection is complete */
        st = s->v->set_text(s, KN_KEY_FINGERPRINT, info->fingerprint);
    return st;
}

static ken_status write_first(ken *k)
{
    kn_store *s = k->store;
    ken_status st = s->v->begin(s, 1);
    if (st)
        return st;
    st = kn_collection_remember(k, k->model, k->asked);
    if (!st)
        st = s->v->set_text(s, KN_KEY_ELEMENT, k->element == KN_ELEMENT_F16 ? "f16" : "f32");
    ken_status end = s->v->end(s, !st);
    return st ? st : end;
}

/* Has someone finished creating it? */
static ken_status is_complete(ken *k, int *yes)
{
    char *text = NULL;
    ken_status st = k->store->v->text(k->store, KN_KEY_FINGERPRINT, &text);
    *yes = text != NULL;
    kn_free(text);
    return st;
}

/* The model that ships, unless another is asked for. */
static ken_status choose_model(ken *k)
{
    char *path = NULL;
    if (k->asked)
        return KEN_OK;
    if (k->encoder != &kn_encoder_model || kn_model_find(&path, KEN_DEFAULT_MODEL, k->dirs))
        return kn_fail(KEN_E_MODEL, "%s: a new collection needs a model, and the usual one, "
                       KEN_DEFAULT_MODEL ", is not installed", k->dir);
    kn_free(path);
    return copy_text(&k->asked, KEN_DEFAULT_MODEL);
}

static ken_status create(ken *k, const char *kind)
{
    kn_lock lock = { -1 };
    int complete = 0;
    ken_status st = choose_model(k);
    if (!st)
        st = k->encoder->open(&k->model, k->asked, &k->models);
    if (!st && !k->encoder->prep(k->model))
        st = kn_fail(KEN_E_MODEL, "model %s has no image network", k->asked);
    if (!st)
        st = kn_mkdirs(k->dir);
    if (!st)
        st = kn_lock_take(&lock, k->dir, k->wait);
    if (!st)
        st = kn_store_open(&k->store, kind, k->dir, KN_STORE_CREATE);
    if (!st)
        st = is_complete(k, &complete);
    if (!st && !complete)
        st = write_first(k);
    kn_lock_release(&lock);
    if (!st && complete && k->model) { /* another process was quicker: its model counts */
        k->encoder->close(k->model);
        k->model = NULL;
    }
    return st;
}

/* ---- opening ---- */

static ken_status open_store(ken *k, const ken_options *o)
{
    int complete = 0;
    const char *kind = o->space ? NULL : o->store; /* a space is always kept here */
    ken_status st = kn_store_open(&k->store, kind, k->dir,
                                  o->read_only ? KN_STORE_READ : KN_STORE_WRITE);
    if (!st)
        st = is_complete(k, &complete);
    if (!st && !complete)
        st = kn_fail(KEN_E_NOTFOUND, "%s: it was never finished", k->dir);
    if (st != KEN_E_NOTFOUND || o->read_only)
        return st;
    if (!o->create)
        return kn_fail(KEN_E_NOTFOUND, "%s: no collection there", k->dir);
    kn_store_close(k->store);
    k->store = NULL;
    return create(k, kind);
}

static ken_status read_element(ken *k)
{
    char *text = NULL;
    ken_status st = k->store->v->text(k->store, KN_KEY_ELEMENT, &text);
    if (!st && text)
        k->element = strcmp(text, "f16") ? KN_ELEMENT_F32 : KN_ELEMENT_F16;
    kn_free(text);
    return st;
}

static void destroy(ken *k)
{
    if (k->view)
        kn_view_release_locked(k->view);
    kn_spaces_close(k->spaces);
    kn_features_free(k->features);
    kn_vector_caches_close(k->caches);
    if (k->model)
        k->encoder->close(k->model);
    if (k->other)
        k->encoder->close(k->other);
    kn_store_close(k->store);
    pthread_rwlock_destroy(&k->users);
    pthread_mutex_destroy(&k->writing);
    pthread_mutex_destroy(&k->spaces_lock);
    pthread_mutex_destroy(&k->lock);
    kn_free(k->dir);
    kn_free(k->asked);
    kn_free(k->device);
    kn_free(k->precision);
    kn_free(k->dirs);
    kn_free(k->cache_dir);
    kn_free(k);
}

ken_status kn_collection_open(ken **out, const char *dir, const ken_options *opts,
                              const kn_encoder *encoder)
{
    static const ken_options defaults = KEN_OPTIONS_INIT;
    const ken_options *o = opts ? opts : &defaults;
    if (!out || !dir)
        return kn_fail(KEN_E_INVALID, "ken_open: no folder, or no place for the collection");
    ken *k = kn_zalloc(1, sizeof *k);
    if (!k)
        return KEN_E_NOMEM;
    k->encoder = encoder;
    pthread_rwlock_init(&k->users, NULL);
    pthread_mutex_init(&k->writing, NULL);
    pthread_mutex_init(&k->spaces_lock, NULL);
    pthread_mutex_init(&k->lock, NULL);
    ken_status st = take_options(k, dir, o);
    if (!st)
        st = open_store(k, o);
    if (!st)
        st = read_element(k);
    if (st)
        destroy(k);
    else
        *out = k;
    return st;
}

void ken_close(ken *k)
{
    if (!k)
        return;
    pthread_rwlock_wrlock(&k->users); /* when the running calls are done */
    pthread_rwlock_unlock(&k->users);
    destroy(k);
}

ken_status kn_enter(ken *k)
{
    if (!k)
        return kn_fail(KEN_E_INVALID, "no collection");
    pthread_rwlock_rdlock(&k->users);
    return KEN_OK;
}

void kn_leave(ken *k)
{
    pthread_rwlock_unlock(&k->users);
}

/* ---- the model ---- */

/* What the store says of the collection's model; kn_free each. */
typedef struct known {
    char *name, *path, *fingerprint, *precision;
} known;

static void release_known(known *m)
{
    kn_free(m->name);
    kn_free(m->path);
    kn_free(m->fingerprint);
    kn_free(m->precision);
}

static ken_status read_known(ken *k, known *m)
{
    kn_store *s = k->store;
    ken_status st = s->v->text(s, KN_KEY_MODEL, &m->name);
    if (!st)
        st = s->v->text(s, KN_KEY_PATH, &m->path);
    if (!st)
        st = s->v->text(s, KN_KEY_FINGERPRINT, &m->fingerprint);
    if (!st)
        st = s->v->text(s, KN_KEY_PRECISION, &m->precision);
    if (!st && (!m->name || !m->path || !m->fingerprint || !m->precision))
        st = kn_fail(KEN_E_CORRUPT, "%s: the model is not recorded", k->dir);
    return st;
}

/* "auto", or nothing, means the collection's precision. */
static ken_model_options options_for(const ken *k, const known *m)
{
    ken_model_options o = k->models;
    if ((!o.precision || !strcmp(o.precision, "auto")) && *m->precision)
        o.precision = m->precision;
    return o;
}

static int is_own(const ken *k, const known *m, const ken_model *model)
{
    return !strcmp(k->encoder->info(model)->fingerprint, m->fingerprint);
}

/* By its path, then by its name, which may be somewhere else today. */
static ken_status open_known(ken *k, const known *m)
{
    const ken_model_options o = options_for(k, m);
    const char *const names[] = { m->path, m->name };
    ken_status st = KEN_E_MODEL;
    for (size_t i = 0; st && i < 2; i++) {
        if (!*names[i])
            continue;
        st = k->encoder->open(&k->model, names[i], &o);
        if (!st && !is_own(k, m, k->model)) {
            k->encoder->close(k->model);
            k->model = NULL;
            st = kn_fail(KEN_E_MODEL, "model %s is not the one that this collection was made with "
                                      "(%s); `ken index --re-embed` encodes everything again",
                         names[i], m->fingerprint);
        }
        if (st == KEN_E_NOMEM)
            break;
    }
    return st;
}

static ken_status open_asked(ken *k, const known *m)
{
    const ken_model_options o = options_for(k, m);
    ken_model *model = NULL;
    ken_status st = k->other ? KEN_OK : k->encoder->open(&model, k->asked, &o);
    if (st)
        return st;
    if (model && is_own(k, m, model)) {
        k->model = model;
        return KEN_OK;
    }
    if (model)
        k->other = model;
    return kn_fail(KEN_E_MODEL,
                   "this collection was made with model %s, not with %s: leave --model out, or "
                   "encode everything again with `ken index --re-embed --model %s`",
                   m->name, k->asked, k->asked);
}

static ken_status model_locked(ken *k)
{
    known m = { 0 };
    if (k->model)
        return KEN_OK;
    ken_status st = read_known(k, &m);
    if (!st)
        st = k->asked ? open_asked(k, &m) : open_known(k, &m);
    release_known(&m);
    return st;
}

ken_status kn_collection_model(ken *k, const ken_model **out)
{
    pthread_mutex_lock(&k->lock);
    ken_status st = model_locked(k);
    if (!st)
        *out = k->model;
    pthread_mutex_unlock(&k->lock);
    return st;
}

ken_status kn_collection_new_model(ken *k, const ken_model **out)
{
    pthread_mutex_lock(&k->lock);
    ken_status st = model_locked(k);
    if (st == KEN_E_MODEL && k->other)
        st = KEN_OK;
    if (!st)
        *out = k->model ? k->model : k->other;
    pthread_mutex_unlock(&k->lock);
    return st;
}

void kn_collection_switch(ken *k)
{
    pthread_mutex_lock(&k->lock);
    if (k->other) { /* then no model was open: a pointer that was handed out stays good */
        k->model = k->other;
        k->other = NULL;
    }
    pthread_mutex_unlock(&k->lock);
}

ken_status ken_get_model(ken *k, const ken_model **out)
{
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = out ? kn_collection_model(k, out) : kn_fail(KEN_E_INVALID, "no place for the model");
    kn_leave(k);
    return st;
}
