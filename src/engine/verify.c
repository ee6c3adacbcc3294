/* verify.c - see verify.h. */
#include "engine/verify.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/parallel.h"
#include "engine/views.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { POSES = 4, FINE = 96 /* pixels a side of what is drawn to come nearer */ };
static const char FOLDER[] = "outlines";
static const float FIRST = .1f; /* step */
static const size_t MAX_FILE = (size_t)1 << 30;

/* ---- outlines on disk: what is below, as it lies in memory, little-endian ---- */

typedef struct kept {
    char magic[8];
    uint64_t sum; /* kn_hash64 of what follows */
    kn_outlines outlines;
} kept;
static const char MAGIC[8] = "KENOUTL1";

static char *path_of(const ken *k, const char *hash)
{
    char *dir = kn_path_join(k->dir, FOLDER);
    char *path = dir ? kn_path_join(dir, hash) : NULL;
    kn_free(dir);
    return path;
}

static ken_status save(const char *path, const kn_outlines *o)
{
    kept *f = kn_alloc(1, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    memcpy(f->magic, MAGIC, sizeof MAGIC);
    f->outlines = *o;
    f->sum = kn_hash64(&f->outlines, sizeof f->outlines);
    ken_status st = kn_replace_file(path, f, sizeof *f);
    kn_free(f);
    return st;
}

static ken_status load(kn_outlines *o, const char *path)
{
    kn_map m = { 0 };
    const kept *f;
    ken_status st = kn_map_open(&m, path);
    if (st)
        return st;
    f = (const kept *)(const void *)m.data;
    if (m.len != sizeof *f || memcmp(f->magic, MAGIC, sizeof MAGIC)
        || f->sum != kn_hash64(&f->outlines, sizeof f->outlines))
        st = kn_fail(KEN_E_CORRUPT, "%s: not the outlines of a model", path);
    else
        *o = f->outlines;
    kn_map_close(&m);
    return st;
}

void kn_verify_keep(const ken *k, const kn_shape *s, const char *hash)
{
    char *path = path_of(k, hash), *dir = kn_path_join(k->dir, FOLDER);
    kn_outlines *o = kn_alloc(1, sizeof *o);
    ken_status st = path && dir && o ? load(o, path) : KEN_OK;
    if (st) {
        st = kn_outlines_draw(o, s);
        if (!st)
            st = kn_mkdirs(dir);
        if (!st)
            st = save(path, o);
    }
    if (st)
        kn_log(KEN_LOG_WARN, "%s", ken_last_error());
    kn_free(path);
    kn_free(dir);
    kn_free(o);
}

ken_status kn_verify_sweep(ken *k)
{
    char *dir = kn_path_join(k->dir, FOLDER);
    DIR *d = dir ? opendir(dir) : NULL;
    ken_status st = dir ? KEN_OK : KEN_E_NOMEM;
    for (struct dirent *e; !st && d && (e = readdir(d));) {
        const kn_select which = { .by = KN_BY_HASH, .text = e->d_name };
        kn_item item = { 0 };
        if (strlen(e->d_name) != 32)
            continue;
        pthread_mutex_lock(&k->lock);
        st = kn_store_get(k->store, &which, &item);
        pthread_mutex_unlock(&k->lock);
        kn_item_release(&item);
        if (st == KEN_E_NOTFOUND) {
            char *path = kn_path_join(dir, e->d_name);
            st = path ? kn_unlink(path) : KEN_E_NOMEM;
            kn_free(path);
        }
    }
    if (d)
        closedir(d);
    kn_free(dir);
    return st;
}

/* ---- a search's hits ---- */

/* A model among the hits. */
typedef struct candidate {
    ken_hit hit;
    char *path, hash[33];
    int has_outlines; /* kept ones */
    kn_pose poses[POSES];
    size_t n;    /* of them */
    float score; /* the best pose's; -1: not compared */
    int closer;  /* brought as near as it comes */
} candidate;

typedef struct verifier {
    ken *k;
    kn_thing thing;
    candidate *list; /* (n), in the order of the hits until they are compared */
    size_t n;
} verifier;

/* A model of the collection, as it was indexed. */
static ken_status open_shape(kn_shape *s, const candidate *c)
{
    unsigned char *data = NULL;
    size_t len = 0;
    char hash[33];
    ken_status st = kn_read_file(&data, &len, c->path, MAX_FILE);
    if (!st) {
        kn_hash128_hex(hash, data, len);
        st = strcmp(hash, c->hash) ? kn_fail(KEN_E_NOTFOUND, "%s has changed", c->path)
                                   : kn_shape_parse(s, kn_mesh_kind(c->path), data, len);
    }
    kn_free(data);
    return st;
}

static int is_fatal(ken_status st)
{
    return st == KEN_E_NOMEM || st == KEN_E_CANCELED;
}

/* The models among the hits; which places they have, in `places`. */
static ken_status gather(verifier *v, const ken_hit *hits, size_t n, size_t *places)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = hits[i].id };
        kn_item item = { 0 };
        pthread_mutex_lock(&v->k->lock);
        st = kn_store_get(v->k->store, &which, &item);
        pthread_mutex_unlock(&v->k->lock);
        if (!st && !strcmp(item.kind, "model")) {
            candidate *c = &v->list[v->n];
            places[v->n++] = i;
            c->hit = hits[i];
            c->score = -1;
            memcpy(c->hash, item.hash, sizeof c->hash);
            c->path = kn_strdup(item.path);
            st = c->path ? KEN_OK : KEN_E_NOMEM;
        }
        kn_item_release(&item);
        st = st == KEN_E_NOTFOUND ? KEN_OK : st; /* taken away by another one, just now */
    }
    return st;
}

static void match(const verifier *v, candidate *c, const kn_outlines *o)
{
    c->n = kn_outlines_match(o, &v->thing, c->poses, POSES);
    c->score = c->n ? c->poses[0].score : -1;
}

static ken_status match_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    verifier *v = cookie;
    kn_outlines *o = kn_alloc(1, sizeof *o);
    ken_status st = o ? KEN_OK : KEN_E_NOMEM;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        candidate *c = &v->list[i];
        char *path = path_of(v->k, c->hash);
        if (!path)
            st = KEN_E_NOMEM;
        else if ((c->has_outlines = !load(o, path)))
            match(v, c, o);
        kn_free(path);
    }
    kn_free(o);
    return st;
}

/* Those without outlines that were kept. */
static ken_status draw_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    verifier *v = cookie;
    kn_outlines *o = kn_alloc(1, sizeof *o);
    ken_status st = o ? KEN_OK : KEN_E_NOMEM;
    (void)worker;
    for (size_t i = begin; !is_fatal(st) && i < end; i++) {
        candidate *c = &v->list[i];
        kn_shape s = { 0 };
        if (c->has_outlines)
            continue;
        st = open_shape(&s, c);
        if (!st)
            st = kn_outlines_draw(o, &s);
        if (!st)
            match(v, c, o);
        kn_shape_release(&s);
    }
    kn_free(o);
    return is_fatal(st) ? st : KEN_OK;
}

/* A step with each of the poses, then on with the one that came nearest. */
static ken_status bring_closer(verifier *v, candidate *c)
{
    size_t best = 0;
    kn_shape s = { 0 };
    kn_canvas canvas = { 0 };
    ken_status st = open_shape(&s, c);
    if (!st)
        st = kn_canvas_new(&canvas, FINE, 0);
    for (size_t i = 0; !st && i < c->n; i++) {
        st = kn_outline_refine(&canvas, &s, &v->thing, &c->poses[i], FIRST, FIRST);
        if (!st && c->poses[i].score > c->poses[best].score)
            best = i;
    }
    if (!st)
        st = kn_outline_refine(&canvas, &s, &v->thing, &c->poses[best], FIRST / 2, FIRST / 4);
    if (!st) {
        c->score = c->poses[best].score;
        c->closer = 1;
    }
    kn_canvas_release(&canvas);
    kn_shape_release(&s);
    return is_fatal(st) ? st : KEN_OK; /* a file that has gone or changed stays where it is */
}

static ken_status closer_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    verifier *v = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++)
        st = v->list[i].n ? bring_closer(v, &v->list[i]) : KEN_OK;
    return st;
}

static int likeliest_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->closer != y->closer)
        return y->closer - x->closer;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->hit.raw != y->hit.raw)
        return x->hit.raw < y->hit.raw ? 1 : -1;
    return (x->hit.id > y->hit.id) - (x->hit.id < y->hit.id);
}

static ken_status compare(verifier *v, uint32_t most)
{
    const uint32_t threads = v->k->models.threads;
    size_t near = v->n < most ? v->n : most;
    ken_status st = kn_parallel(v->n, 1, threads, match_some, v);
    if (!st)
        st = kn_parallel(near, 1, threads, draw_some, v);
    if (!st) {
        qsort(v->list, v->n, sizeof *v->list, likeliest_first);
        st = kn_parallel(near, 1, threads, closer_some, v);
    }
    if (!st)
        qsort(v->list, v->n, sizeof *v->list, likeliest_first);
    return st;
}

ken_status kn_verify_models(ken *k, const ken_image *img, uint32_t most, ken_hit *hits, size_t n)
{
    verifier v = { .k = k };
    size_t *places = kn_alloc(n + 1, sizeof *places);
    v.list = kn_zalloc(n + 1, sizeof *v.list);
    ken_status st = places && v.list ? kn_views_thing(&v.thing, img) : KEN_E_NOMEM;
    if (st == KEN_E_FORMAT) {
        n = 0;
        st = KEN_OK;
    }
    if (!st)
        st = gather(&v, hits, n, places);
    if (!st && v.n > 1)
        st = compare(&v, most);
    for (size_t i = 0; !st && i < v.n; i++) {
        const float score = hits[places[i]].score;
        hits[places[i]] = v.list[i].hit;
        hits[places[i]].score = score;
    }
    for (size_t i = 0; v.list && i < v.n; i++)
        kn_free(v.list[i].path);
    kn_free(v.list);
    kn_free(places);
    return st;
}
