/*
 * recognize.c - a picture against every reference of every object.
 *
 * The nearest vectors come first, whosever they are; the first vector of an object is its best.  If
 * among so many too few objects are met, more vectors are asked for: the answer is as exact as what finds
 * the vectors (lookup.h).
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/lookup.h"
#include "engine/object_add.h"
#include "engine/parts.h"
#include "engine/remote.h"
#include "engine/vector_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_K = 10, MAX_K = 100000, FIRST_VECTORS = 64 };

typedef struct rival {
    char *name;
    uint64_t id;
    float raw;
    uint64_t references;
} rival;

typedef struct asking {
    ken *k;
    const ken_recognize_options *o;
    const ken_model *model;
    kn_recognition r;
    size_t dim, want; /* want: objects, one more than are told, for the last one's lead */
    uint32_t looks;   /* vectors of the query */
    float *vectors;   /* (looks, dim) */
    kn_view *view;
    rival *rivals;    /* (rivals_n <= want) best first */
    size_t rivals_n;
} asking;

/* ---- the query ---- */

static ken_status encode(asking *a, const ken_image *img)
{
    const kn_prep *p = a->k->encoder->prep(a->model);
    const size_t bytes = (size_t)p->crop[0] * p->crop[1] * 3;
    uint8_t *pixels = kn_alloc_aligned(a->looks, bytes);
    a->vectors = kn_alloc_aligned(a->looks * a->dim, sizeof *a->vectors);
    ken_status st = pixels && a->vectors ? kn_looks_fit(img, p, a->looks - 1, pixels)
                                         : KEN_E_NOMEM;
    if (!st)
        st = kn_encode_pixels(a->k, a->model, pixels, a->looks, a->vectors);
    kn_free(pixels);
    return st;
}

/* ---- the nearest vectors ---- */

static ken_status check_view(const asking *a)
{
    const kn_view *v = a->view;
    for (size_t i = 0; i < v->n; i++)
        if (v->dim != a->dim
            || strcmp(v->segments[i].info.fingerprint,
                      a->k->encoder->info(a->model)->fingerprint) != 0)
            return kn_fail(KEN_E_MODEL, "the collection has another model by now: open it again");
    return KEN_OK;
}

static int best_first(const void *a, const void *b)
{
    const kn_near *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* near (looks, n) and found (looks): wholes and parts together. */
static ken_status ask_store(const asking *a, size_t n, kn_near *near, size_t *found)
{
    kn_near *list = kn_alloc(2 * n, sizeof *list);
    ken_status st = list ? KEN_OK : KEN_E_NOMEM;
    for (uint32_t q = 0; !st && q < a->looks; q++) {
        size_t wholes = 0, parts = 0;
        kn_store_query ask = { .vectors = a->vectors + q * a->dim, .nq = 1, .k = n, .dim = (uint32_t)a->dim,
                               .share = KN_WHOLES, .hidden = 1, .labelled = 1,
                               .exact = a->o->exact, .ef = a->o->ef };
        st = kn_remote_search(a->k, &ask, list, &wholes);
        ask.share = KN_PARTS;
        if (!st)
            st = kn_remote_search(a->k, &ask, list + wholes, &parts);
        if (st)
            break;
        parts += wholes;
        if (parts)
            qsort(list, parts, sizeof *list, best_first);
        found[q] = parts < n ? parts : n;
        memcpy(near + q * n, list, found[q] * sizeof *near);
    }
    kn_free(list);
    return st;
}

/* The n nearest vectors of each look are added to a list: of the runs, or of what the store has (NULL).
 * Below *floor something nearer may be missing: the best end of a look that has more to give. */
static ken_status add_nearest(const asking *a, const kn_run *runs, unsigned roles, size_t n, kn_near *near,
                              size_t *len, float *floor)
{
    size_t found[1 + KN_LOOKS_MAX];
    const kn_seek s = { a->vectors, a->looks, n, runs, roles, a->o->exact, a->o->ef };
    kn_near *to = near + *len;
    ken_status st = runs ? kn_lookup(a->k, a->view, &s, to, found) : ask_store(a, n, to, found);
    for (uint32_t q = 0; !st && q < a->looks; q++) {
        if (found[q] == n)
            *floor = fmaxf(*floor, to[q * n + n - 1].raw);
        memmove(near + *len, to + q * n, found[q] * sizeof *near);
        *len += found[q];
    }
    return st;
}

/* As one list, best first; *floor is -2 if there is no more to give. */
static ken_status nearest(const asking *a, size_t n, kn_near *near, size_t *len, float *floor)
{
    const kn_view *v = a->view;
    *len = 0;
    *floor = -2;
    const int own = !a->k->store->v->search;
    ken_status st = add_nearest(a, !own ? NULL : v->named ? v->named : v->all, 1u << KN_ROLE_WHOLE, n, near,
                                len, floor);
    if (!st && own && v->parts_n)
        st = add_nearest(a, v->parts, 1u << KN_ROLE_PART | 1u << KN_ROLE_VIEW, n, near, len, floor);
    if (!st && *len)
        qsort(near, *len, sizeof *near, best_first);
    return st;
}

/* ---- objects ---- */

static void free_rivals(asking *a)
{
    for (size_t i = 0; i < a->rivals_n; i++)
        kn_free(a->rivals[i].name);
    a->rivals_n = 0;
}

typedef struct naming {
    char *name;
    ken_status st;
} naming;

static int note_name(const kn_item *item, void *cookie)
{
    naming *n = cookie;
    n->name = item->object ? kn_strdup(item->object) : NULL;
    n->st = item->object && !n->name ? KEN_E_NOMEM : KEN_OK;
    return 1;
}

static int knows(const asking *a, const char *name)
{
    for (size_t i = 0; i < a->rivals_n; i++)
        if (!strcmp(a->rivals[i].name, name))
            return 1;
    return 0;
}

/* The objects of vectors down to `floor`. */
static ken_status group(asking *a, const kn_near *near, size_t n, float floor)
{
    ken_status st = KEN_OK;
    uint64_t last = 0;
    free_rivals(a);
    pthread_mutex_lock(&a->k->lock);
    for (size_t i = 0; !st && i < n && a->rivals_n < a->want && near[i].raw >= floor; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = near[i].id };
        naming m = { 0 };
        if (near[i].id == last)
            continue;
        last = near[i].id;
        st = a->k->store->v->items(a->k->store, &which, note_name, &m);
        st = st ? st : m.st;
        if (!st && m.name && !knows(a, m.name))
            a->rivals[a->rivals_n++] = (rival){ .name = m.name, .id = last, .raw = near[i].raw };
        else
            kn_free(m.name);
    }
    pthread_mutex_unlock(&a->k->lock);
    return st;
}

static int count_one(const kn_item *item, void *cookie)
{
    (void)item;
    ++*(uint64_t *)cookie;
    return 0;
}

static ken_status count_references(asking *a)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&a->k->lock);
    for (size_t i = 0; !st && i < a->rivals_n; i++) {
        const kn_select which = { .by = KN_OF_OBJECT, .text = a->rivals[i].name };
        st = a->k->store->v->items(a->k->store, &which, count_one, &a->rivals[i].references);
    }
    pthread_mutex_unlock(&a->k->lock);
    return st;
}

static ken_status find_rivals(asking *a)
{
    kn_near *near = NULL;
    size_t n = FIRST_VECTORS > 4 * a->want ? FIRST_VECTORS : 4 * a->want, len;
    float floor = 0;
    a->rivals = kn_zalloc(a->want, sizeof *a->rivals);
    ken_status st = a->rivals ? KEN_OK : KEN_E_NOMEM;
    for (; !st; n *= 8) {
        kn_free(near);
        if (!(near = kn_alloc(2 * n * a->looks, sizeof *near)))
            st = KEN_E_NOMEM;
        if (!st)
            st = nearest(a, n, near, &len, &floor);
        if (!st)
            st = group(a, near, len, floor);
        if (!st && (a->rivals_n == a->want || floor < -1.5f))
            break;
    }
    kn_free(near);
    return st ? st : count_references(a);
}

/* ---- the answer ---- */

/* How far candidate i is ahead of the best other object; 0 where there is none. */
static double lead_of(const asking *a, size_t i)
{
    if (a->rivals_n < 2)
        return 0;
    return (double)a->rivals[i].raw - (double)a->rivals[i == 0 ? 1 : 0].raw;
}

static ken_status is_known(const asking *a, double objects, double confidence, int *known)
{
    const double fpir = a->o->fpir > 0 ? a->o->fpir : a->r.fpir;
    const int calibrated = a->r.impostors.objects >= 1;
    if (a->o->fpir > 0 && !calibrated)
        return kn_fail(KEN_E_MODEL, "model %s is not calibrated for unknown objects; `ken eval "
                                    "calibrate` makes one that is",
                       a->k->encoder->info(a->model)->name);
    const double evidence = kn_recognition_evidence(&a->r, (double)a->rivals[0].raw, lead_of(a, 0));
    *known = calibrated && fpir > 0
                 ? evidence >= kn_recognition_threshold(&a->r, fpir, objects)
                 : confidence >= .5;
    return KEN_OK;
}

/* One block: the answer, its candidates, their names. */
static ken_status make_answer(const asking *a, ken_recognition **out)
{
    const uint32_t k = a->o->k ? a->o->k : DEFAULT_K;
    const size_t n = a->rivals_n < k ? a->rivals_n : k;
    const double objects = (double)a->view->counts.objects;
    size_t bytes = sizeof **out + n * sizeof(ken_candidate);
    int known = 0;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(a->rivals[i].name) + 1;
    ken_recognition *r = kn_zalloc(bytes, 1);
    if (!r)
        return KEN_E_NOMEM;
    ken_candidate *c = (ken_candidate *)(void *)(r + 1);
    char *names = (char *)(c + n);
    for (size_t i = 0; i < n; i++) {
        const rival *v = &a->rivals[i];
        const double evidence = kn_recognition_evidence(&a->r, (double)v->raw, lead_of(a, i));
        const size_t len = strlen(v->name) + 1;
        c[i] = (ken_candidate){ .object = names, .raw = v->raw, .id = v->id };
        c[i].score = a->k->encoder->score(a->model, "image-image", v->raw);
        c[i].confidence = kn_recognition_confidence(&a->r, evidence, objects, (double)v->references);
        memcpy(names, v->name, len);
        names += len;
    }
    r->candidates = c;
    r->n = n;
    r->confidence = n ? c[0].confidence : 0;
    ken_status st = n ? is_known(a, objects, r->confidence, &known) : KEN_OK;
    r->object = known ? c[0].object : NULL;
    if (st)
        kn_free(r);
    else
        *out = r;
    return st;
}

static ken_status recognize(asking *a, const ken_image *img, ken_recognition **out)
{
    ken_status st = kn_collection_model(a->k, &a->model);
    if (!st)
        st = kn_collection_recognition(a->k, a->model, &a->r);
    if (st)
        return st;
    if (a->o->looks)
        a->r.looks = a->o->looks < 0 ? 0 : (uint32_t)a->o->looks;
    a->looks = 1 + a->r.looks;
    a->dim = a->k->encoder->info(a->model)->dim;
    a->want = 1 + (size_t)(a->o->k ? a->o->k : DEFAULT_K);
    st = encode(a, img);
    if (!st)
        st = kn_view_get(a->k, &a->view);
    if (!st)
        st = check_view(a);
    if (!st)
        st = kn_view_name(a->k, a->view);
    if (!st)
        st = find_rivals(a);
    return st ? st : make_answer(a, out);
}

ken_status ken_recognize(ken *k, const ken_image *img, const ken_recognize_options *opts,
                         ken_recognition **out)
{
    static const ken_recognize_options defaults = KEN_RECOGNIZE_OPTIONS_INIT;
    asking a = { .k = k, .o = opts ? opts : &defaults };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (a.o->size != sizeof *a.o || a.o->k > MAX_K || a.o->looks > KN_LOOKS_MAX || !(a.o->fpir >= 0)
        || a.o->fpir >= 1)
        st = kn_fail(KEN_E_INVALID, "ken_recognize_options: a value is out of range");
    else if (!img || !out)
        st = kn_fail(KEN_E_INVALID, "no picture, or no place for the answer");
    else
        st = recognize(&a, img, out);
    free_rivals(&a);
    kn_free(a.rivals);
    kn_free(a.vectors);
    if (a.view)
        kn_view_release(k, a.view);
    kn_leave(k);
    return st;
}

void ken_recognition_free(ken_recognition *r)
{
    kn_free(r);
}
