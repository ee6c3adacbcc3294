/*
 * search.c - a query of several terms against every visible vector.
 *
 * Each term becomes a unit vector; the query is their weighted sum, brought to length 1, so that
 * the inner product with an item's vector is the cosine.  A 3-D model among the terms makes it as many
 * queries as there are views, and one in the collection has as many vectors and their mean: of an item
 * that is met more than once the best counts.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/described.h"
#include "engine/expand.h"
#include "engine/features.h"
#include "engine/group.h"
#include "engine/lookup.h"
#include "engine/relevance.h"
#include "engine/remote.h"
#include "engine/spaces.h"
#include "engine/vector_cache.h"
#include "engine/verify.h"
#include "engine/views.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_K = 10, MAX_TERMS = 1024 };

typedef struct query {
    ken *k;
    const ken_model *model;
    const ken_search_options *o;
    const ken_term *terms;
    size_t n, dim;
    size_t ways;    /* 1, or KN_VIEWS with a model among the terms */
    float *sum;     /* (ways, dim) */
    float *vectors; /* (max(n, KN_VIEWS), dim) of texts, of pictures, or of views */
    int has_text;
} query;

/* ---- terms ---- */

static ken_status check_terms(const ken_term *terms, size_t n)
{
    if (!n || n > MAX_TERMS)
        return kn_fail(KEN_E_INVALID, "a query of %zu terms", n);
    for (size_t i = 0; i < n; i++) {
        const ken_term *t = &terms[i];
        const int vector = t->vector && !t->text && !t->image;
        const int kinds = (t->text != NULL) + (t->image != NULL) + vector + (t->is_id != 0)
                          + (t->object != NULL) + (t->mesh != NULL);
        if (kinds != 1)
            return kn_fail(KEN_E_INVALID, "term %zu is %s", i + 1,
                           kinds ? "more than one thing" : "empty");
        if (!isfinite(t->weight) || t->weight == 0)
            return kn_fail(KEN_E_INVALID, "term %zu has the weight %g", i + 1, (double)t->weight);
    }
    return KEN_OK;
}

static void add_to(const query *q, size_t way, const float *unit, float weight)
{
    for (size_t i = 0; i < q->dim; i++)
        q->sum[way * q->dim + i] += weight * unit[i];
}

static void add(const query *q, const float *unit, float weight)
{
    for (size_t way = 0; way < q->ways; way++)
        add_to(q, way, unit, weight);
}

/* A text's or a picture's vector: of those that were made here the next, or the one it came with, as the
 * network gave it.  Both ways the query is the same to the bit. */
static void add_encoded(const query *q, const ken_term *t, const float **next)
{
    add(q, t->vector ? t->vector : *next, t->weight);
    *next += t->vector ? 0 : q->dim;
}

/* All texts in one call: their towers share one reading of the weights. */
static ken_status add_texts(query *q)
{
    size_t n = 0;
    const char **texts = kn_alloc(q->n, sizeof *texts);
    if (!texts)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].text && !q->terms[i].vector)
            texts[n++] = q->terms[i].text;
    ken_status st = kn_expand_texts(q->k, q->model, q->o, texts, n, q->vectors);
    const float *next = q->vectors;
    for (size_t i = 0; !st && i < q->n; i++)
        if (q->terms[i].text) {
            add_encoded(q, &q->terms[i], &next);
            q->has_text = 1;
        }
    kn_free(texts);
    return st;
}

static ken_status add_images(query *q)
{
    size_t n = 0;
    const ken_image **images = kn_alloc(q->n, sizeof *images);
    if (!images)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].image && !q->terms[i].vector)
            images[n++] = q->terms[i].image;
    ken_status st = kn_features_images(q->k, q->model, images, n, q->vectors);
    const float *next = q->vectors;
    for (size_t i = 0; !st && i < q->n; i++)
        if (q->terms[i].image)
            add_encoded(q, &q->terms[i], &next);
    kn_free(images);
    return st;
}

/* The mean of an object's references, in q->vectors. */
static ken_status mean_of_object(query *q, const char *name)
{
    uint64_t *ids = NULL;
    size_t n = 0;
    float *one = kn_alloc_aligned(q->dim, sizeof *one);
    ken_status st = one ? ken_object_items(q->k, name, &ids, &n) : KEN_E_NOMEM;
    memset(q->vectors, 0, q->dim * sizeof *q->vectors);
    for (size_t i = 0; !st && i < n; i++) {
        st = kn_collection_vector(q->k, ids[i], (uint32_t)q->dim, one);
        for (size_t d = 0; !st && d < q->dim; d++)
            q->vectors[d] += one[d];
        st = st == KEN_E_NOTFOUND ? KEN_OK : st; /* it has no vector */
    }
    ken_ids_free(ids);
    kn_free(one);
    return st;
}

static ken_status add_rest(query *q)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < q->n; i++) {
        const ken_term *t = &q->terms[i];
        if (t->is_id)
            st = kn_collection_vector(q->k, t->id, (uint32_t)q->dim, q->vectors);
        else if (t->object)
            st = mean_of_object(q, t->object);
        else if (t->vector && !t->text && !t->image)
            memcpy(q->vectors, t->vector, q->dim * sizeof *t->vector);
        else
            continue;
        if (!st && !(kn_kernels_get()->l2_normalize(q->vectors, q->dim) > 0))
            st = kn_fail(KEN_E_INVALID, "term %zu is a vector without a direction", i + 1);
        if (!st)
            add(q, q->vectors, t->weight);
    }
    return st;
}

static ken_status add_meshes(query *q)
{
    const kn_prep *p = q->k->encoder->prep(q->model);
    const uint32_t threads = q->k->models.threads;
    uint8_t *pixels = NULL;
    ken_status st = KEN_OK;
    if (q->ways == 1)
        return KEN_OK;
    if (!p)
        return kn_fail(KEN_E_MODEL, "the model has no image network");
    if (!(pixels = kn_alloc_aligned(KN_VIEWS, (size_t)p->crop[0] * p->crop[1] * 3)))
        return KEN_E_NOMEM;
    for (size_t i = 0; !st && i < q->n; i++) {
        if (!q->terms[i].mesh)
            continue;
        st = kn_views_fit(&q->terms[i].mesh->shape, p, threads, pixels);
        if (!st)
            st = kn_encode_pixels(q->k, q->model, pixels, KN_VIEWS, q->vectors);
        for (size_t v = 0; !st && v < KN_VIEWS; v++)
            add_to(q, v, q->vectors + v * q->dim, q->terms[i].weight);
    }
    kn_free(pixels);
    return st;
}

static ken_status make_query(query *q)
{
    q->ways = 1;
    for (size_t i = 0; i < q->n; i++)
        q->ways = q->terms[i].mesh ? KN_VIEWS : q->ways;
    q->sum = kn_zalloc(q->ways * q->dim, sizeof *q->sum);
    q->vectors = kn_alloc_aligned((q->n + KN_VIEWS) * q->dim, sizeof *q->vectors);
    ken_status st = q->sum && q->vectors ? add_texts(q) : KEN_E_NOMEM;
    if (!st)
        st = add_images(q);
    if (!st)
        st = add_rest(q);
    if (!st)
        st = add_meshes(q);
    for (size_t way = 0; !st && way < q->ways; way++)
        if (!(kn_kernels_get()->l2_normalize(q->sum + way * q->dim, q->dim) > 1e-6f))
            st = kn_fail(KEN_E_INVALID, "the terms take each other away");
    return st;
}

/* ---- hits ---- */

/* The k best of the runs, which are a role's, for each way to ask, as one list of *len <= ways * k. */
static ken_status scan_runs(const query *q, kn_view *v, const ken_search_options *o, const kn_run *runs,
                            kn_role role, size_t k, kn_near *near, size_t *len)
{
    size_t found[KN_VIEWS];
    const kn_seek s = { q->sum, q->ways, k, runs, 1u << role, o->exact, o->ef };
    ken_status st = kn_lookup(q->k, v, &s, near, found);
    *len = 0;
    for (size_t way = 0; !st && way < q->ways; way++) {
        memmove(near + *len, near + way * k, found[way] * sizeof *near);
        *len += found[way];
    }
    return st;
}

static int by_item(const void *a, const void *b)
{
    const kn_near *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->raw < y->raw) - (x->raw > y->raw);
}

static int best_first(const void *a, const void *b)
{
    const kn_near *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Each item once, with the best that it has, the best first. */
static size_t merge(kn_near *near, size_t n)
{
    size_t kept = 0;
    qsort(near, n, sizeof *near, by_item);
    for (size_t i = 0; i < n; i++)
        if (!kept || near[kept - 1].id != near[i].id)
            near[kept++] = near[i];
    qsort(near, kept, sizeof *near, best_first);
    return kept;
}

/* The k best items of those chosen, or of all.  A model may fill as many places as it has views, no more. */
static ken_status scan_view(const query *q, kn_view *v, const kn_choice *c,
                            const ken_search_options *o, size_t k, kn_near **out, size_t *found)
{
    const kn_run *pictures = c ? c->pictures : o->hidden ? v->all : v->visible,
                 *views = c ? c->views : o->hidden ? v->all_views : v->views;
    const size_t deep = k * KN_VIEWS < v->view_rows ? k * KN_VIEWS : v->view_rows;
    kn_near *near;
    size_t n = 0, more = 0;
    if (v->n && (v->dim != q->dim
                 || strcmp(v->segments[0].info.fingerprint,
                           q->k->encoder->info(q->model)->fingerprint) != 0))
        return kn_fail(KEN_E_MODEL, "the collection has another model by now: open it again");
    if (!(near = kn_alloc((k + deep) * q->ways, sizeof *near)))
        return KEN_E_NOMEM;
    ken_status st = scan_runs(q, v, o, pictures, KN_ROLE_WHOLE, k, near, &n);
    if (!st && deep)
        st = scan_runs(q, v, o, views, KN_ROLE_VIEW, deep, near + n, &more);
    if (st) {
        kn_free(near);
        return st;
    }
    n = q->ways > 1 || more ? merge(near, n + more) : n;
    *found = n < k ? n : k;
    *out = near;
    return KEN_OK;
}

/* The same of a store that searches itself. */
static ken_status ask_store(const query *q, const kn_choice *c, const ken_search_options *o, size_t k,
                            kn_near **out, size_t *found)
{
    const size_t deep = k * KN_VIEWS;
    size_t n = 0, more = 0;
    kn_near *near = kn_alloc((k + deep) * q->ways, sizeof *near);
    if (!near)
        return KEN_E_NOMEM;
    kn_store_query ask = { .vectors = q->sum, .nq = q->ways, .k = k, .dim = (uint32_t)q->dim,
                           .share = KN_WHOLES, .hidden = o->hidden, .exact = o->exact, .ef = o->ef,
                           .only = c ? c->ids : NULL, .n_only = c ? c->items : 0, .some = c != NULL };
    ken_status st = kn_remote_search(q->k, &ask, near, &n);
    ask.share = KN_VIEWS_OF_MODELS;
    ask.k = deep;
    if (!st)
        st = kn_remote_search(q->k, &ask, near + n, &more);
    if (st) {
        kn_free(near);
        return st;
    }
    n = q->ways > 1 || more ? merge(near, n + more) : n;
    *found = n < k ? n : k;
    *out = near;
    return KEN_OK;
}

static size_t keep_hits(const query *q, const ken_search_options *o, const kn_near *near, size_t n,
                        ken_hit *hits)
{
    const char *kinds = q->has_text ? "text-image" : "image-image";
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const float score = q->k->encoder->score(q->model, kinds, near[i].raw);
        if (score < o->min_score || (o->has_min_raw && near[i].raw < o->min_raw))
            continue;
        hits[kept++] = (ken_hit){ near[i].id, score, near[i].raw };
    }
    return kept;
}

/* How many models the picture that is asked for is to be held against. */
static uint32_t to_verify(const query *q, const kn_view *v, const ken_search_options *o)
{
    if (q->n != 1 || !q->terms[0].image || !(q->terms[0].weight > 0) || !v->view_rows || o->verify < 0)
        return 0;
    return o->verify ? (uint32_t)o->verify : KN_VERIFY_DEFAULT;
}

static ken_status nearest(const query *q, kn_view *v, const kn_choice *c, size_t k, kn_near **near, size_t *n)
{
    return q->k->store->v->search ? ask_store(q, c, q->o, k, near, n) : scan_view(q, v, c, q->o, k, near, n);
}

/* The query and those of its first hits that are surely right: others lead away from it. */
static ken_status expand(const query *q, kn_view *v, const kn_choice *c)
{
    const char *kinds = q->has_text ? "text-image" : "image-image";
    kn_near *near = NULL;
    size_t n = 0, sure = 0;
    ken_status st = nearest(q, v, c, KN_AQE_HITS, &near, &n);
    while (!st && sure < n && q->k->encoder->score(q->model, kinds, near[sure].raw) >= KN_AQE_SURE)
        sure++;
    for (size_t way = 0; !st && way < q->ways; way++)
        st = kn_expand_by_hits(q->k, q->dim, q->o, near, sure, q->sum + way * q->dim);
    kn_free(near);
    return st;
}

/* What is found by its description comes beside what is found by itself; of an item the better counts. */
static ken_status add_described(const query *q, kn_view *v, const kn_choice *c, size_t k, kn_near **near,
                                size_t *n)
{
    size_t more = 0;
    if (!q->has_text || q->ways > 1 || q->o->min_auto || q->k->store->v->search || !v->n)
        return KEN_OK;
    kn_near *both = kn_grow(*near, *n + k, sizeof *both);
    if (!both)
        return KEN_E_NOMEM;
    *near = both;
    ken_status st = kn_described_search(q->k, v, c, q->o->hidden, q->sum, k, both + *n, &more);
    if (!st && more)
        *n = merge(both, *n + more);
    return st;
}

/* The k best that are left when the rest is cut: as deep as it takes. */
static ken_status dig(const query *q, kn_view *v, const kn_choice *c, kn_grouping group, size_t k,
                      kn_near **out, size_t *found)
{
    const ken_search_options *o = q->o;
    const size_t items = c ? c->items : v->rows;
    size_t deep = o->min_auto ? kn_relevance_depth(k) : k, met = 0, n = 0;
    kn_near *near = NULL;
    kn_rivals rivals = { 0 };
    ken_status st;
    for (;; deep *= 4) {
        kn_free(near);
        near = NULL;
        st = nearest(q, v, c, deep, &near, &met);
        n = met;
        if (!st)
            st = add_described(q, v, c, deep, &near, &n);
        if (!st && o->min_auto)
            st = kn_relevance_cut(q->k, q->model, q->terms, q->n, items, &rivals, near, &n,
                                  group == KN_GROUP_NONE ? k : n);
        if (!st)
            st = kn_group_cut(q->k, group, q->dim, near, &n, k);
        if (st || n >= k || met < deep || group == KN_GROUP_NONE)
            break;
    }
    kn_rivals_release(&rivals);
    if (st)
        kn_free(near);
    else
        *out = near, *found = n < k ? n : k;
    return st;
}

static ken_status look(const query *q, kn_view *v, const kn_choice *c, ken_hit *hits, size_t *found)
{
    const size_t k = q->o->k ? q->o->k : DEFAULT_K;
    const uint32_t verified = to_verify(q, v, q->o);
    const size_t wide = verified * (size_t)KN_VERIFY_LOOKS > k ? verified * (size_t)KN_VERIFY_LOOKS : k;
    size_t n = 0;
    kn_near *near = NULL;
    ken_hit *all = kn_alloc(wide, sizeof *all);
    kn_grouping group;
    kn_expansion expansion;
    ken_status st = all ? kn_group_named(&group, q->o->group) : KEN_E_NOMEM;
    if (!st)
        st = kn_expansion_named(&expansion, q->o->expand);
    if (!st && expansion == KN_EXPAND_AQE)
        st = expand(q, v, c);
    if (!st)
        st = dig(q, v, c, group, wide, &near, &n);
    if (!st) {
        n = keep_hits(q, q->o, near, n, all);
        if (verified)
            st = kn_verify_models(q->k, q->terms[0].image, verified, all, n);
    }
    if (!st) {
        *found = n < k ? n : k;
        memcpy(hits, all, *found * sizeof *hits);
    }
    kn_free(all);
    kn_free(near);
    return st;
}

static ken_status find(const query *q, ken_hit *hits, size_t *found)
{
    kn_view *v = NULL;
    const kn_choice *c = NULL;
    ken_status st = kn_choice_get(q->k, q->o->where, q->o->hidden, &v, &c);
    if (!st)
        st = look(q, v, c, hits, found);
    if (v)
        kn_view_release(q->k, v);
    return st;
}

static ken_status search(ken *k, const ken_term *terms, size_t n, const ken_search_options *o,
                         ken_hit *hits, size_t *found, ken_search_times *times)
{
    const double start = kn_clock();
    double encoded = start;
    query q = { .k = k, .o = o, .terms = terms, .n = n };
    ken_status st = check_terms(terms, n);
    if (!st)
        st = kn_collection_model(k, &q.model);
    if (!st) {
        q.dim = k->encoder->info(q.model)->dim;
        st = make_query(&q);
        encoded = kn_clock();
    }
    if (!st)
        st = find(&q, hits, found);
    kn_free(q.sum);
    kn_free(q.vectors);
    if (!st && times) {
        const double end = kn_clock();
        *times = (ken_search_times){ encoded - start, end - encoded, end - start };
    }
    return st;
}

ken_status ken_search(ken *k, const ken_term *terms, size_t n, const ken_search_options *opts,
                      ken_hit *hits, size_t *found, ken_search_times *times)
{
    static const ken_search_options defaults = KEN_SEARCH_OPTIONS_INIT;
    const ken_search_options *o = opts ? opts : &defaults;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o)
        st = kn_fail(KEN_E_INVALID, "ken_search_options: size is not set");
    else if (!terms || !hits || !found)
        st = kn_fail(KEN_E_INVALID, "ken_search: no terms, or no place for hits");
    else if (o->spaces)
        st = kn_spaces_search(k, terms, n, o, hits, found, times);
    else
        st = search(k, terms, n, o, hits, found, times);
    kn_leave(k);
    return st;
}
