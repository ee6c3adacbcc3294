/*
 * spaces_search.c - the first hits of each space, brought to the main collection's ids and fused.
 *
 * A space is asked for more than is wanted; where the filter lets little of it through, for more still.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/choice.h"
#include "engine/fusion.h"
#include "engine/group.h"
#include "engine/spaces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPACES = 16, NAME = 256, DEFAULT_K = 10, LEAST_DEPTH = 100, DEPTH = 4 };

/* What one space says. */
typedef struct voice {
    char name[NAME];
    float weight;
    ken_hit *hits; /* (n) with the main collection's ids */
    size_t n;
} voice;

typedef struct asking {
    ken *k;
    const ken_term *terms;
    size_t n;
    const ken_search_options *o;
    const kn_choice *choice; /* of o->where, or NULL */
    voice voices[MAX_SPACES];
    size_t n_voices;
    ken_search_times times; /* of all */
} asking;

/* ---- "A,B" or "A:0.7,B:0.3" ---- */

static ken_status read_voice(asking *a, const char *s, size_t len)
{
    voice *v = &a->voices[a->n_voices];
    const char *colon = memchr(s, ':', len);
    char *end = NULL;
    const size_t n = colon ? (size_t)(colon - s) : len;
    if (a->n_voices == MAX_SPACES)
        return kn_fail(KEN_E_LIMIT, "more than %d spaces", MAX_SPACES);
    if (!n || n >= sizeof v->name)
        return kn_fail(KEN_E_INVALID, "spaces \"%s\": a name is missing or too long", a->o->spaces);
    memcpy(v->name, s, n);
    v->name[n] = 0;
    v->weight = colon ? strtof(colon + 1, &end) : 1;
    if (colon && (end != s + len || !(v->weight > 0) || !isfinite(v->weight)))
        return kn_fail(KEN_E_INVALID, "spaces \"%s\": the weight of %s is not a number above 0",
                       a->o->spaces, v->name);
    for (size_t i = 0; i < a->n_voices; i++)
        if (!strcmp(a->voices[i].name, v->name))
            return kn_fail(KEN_E_INVALID, "spaces \"%s\": %s comes twice", a->o->spaces, v->name);
    a->n_voices++;
    return KEN_OK;
}

static ken_status read_voices(asking *a)
{
    ken_status st = KEN_OK;
    for (const char *s = a->o->spaces; !st && s;) {
        const size_t len = strcspn(s, ",");
        st = read_voice(a, s, len);
        s = s[len] ? s + len + 1 : NULL;
    }
    return st;
}

/* ---- terms, as a space understands them ---- */

/* The space's vectors of these items of the main collection, added up in sum (dim). */
static ken_status add_items(const asking *a, ken *space, const uint64_t *ids, size_t n, size_t dim,
                            float *sum, size_t *met)
{
    float *one = kn_alloc_aligned(dim, sizeof *one);
    ken_status st = one ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        ken_record *r = NULL;
        uint64_t theirs;
        st = ken_get(a->k, ids[i], &r);
        if (st)
            break;
        st = ken_find(space, r->path, &theirs);
        if (!st)
            st = kn_collection_vector(space, theirs, (uint32_t)dim, one);
        for (size_t d = 0; !st && d < dim; d++)
            sum[d] += one[d];
        *met += !st;
        ken_record_free(r);
        st = st == KEN_E_NOTFOUND ? KEN_OK : st; /* the space has nothing of it */
    }
    kn_free(one);
    return st;
}

/* An item or an object as the space's own vector, in sum; *met 0: the space has nothing of it. */
static ken_status to_vector(const asking *a, ken *space, const ken_term *t, size_t dim, float *sum,
                            size_t *met)
{
    uint64_t *ids = NULL;
    size_t n = 0;
    memset(sum, 0, dim * sizeof *sum);
    *met = 0;
    if (t->is_id)
        return add_items(a, space, &t->id, 1, dim, sum, met);
    ken_status st = ken_object_items(a->k, t->object, &ids, &n);
    if (!st)
        st = add_items(a, space, ids, n, dim, sum, met);
    ken_ids_free(ids);
    return st;
}

/* The terms for a space into out, vectors (a->n, dim) beside them: words not for a model without a text
 * network, items not where the space has none. */
static ken_status translate(const asking *a, ken *space, const ken_model_info *info, ken_term *out, size_t *n,
                            float *vectors)
{
    ken_status st = KEN_OK;
    *n = 0;
    for (size_t i = 0; !st && i < a->n; i++) {
        ken_term t = a->terms[i];
        float *own = vectors + i * info->dim;
        size_t met = 1;
        if (t.vector && !t.text && !t.image)
            return kn_fail(KEN_E_UNSUPPORTED, "term %zu is a vector: it belongs to one space alone", i + 1);
        t.vector = NULL; /* of the other model */
        if (t.text && !info->has_texts)
            continue;
        if (t.is_id || t.object) {
            st = to_vector(a, space, &t, info->dim, own, &met);
            t = (ken_term){ .vector = own, .weight = t.weight };
        }
        if (met)
            out[(*n)++] = t;
    }
    return st;
}

static int has_positive(const ken_term *terms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (terms[i].weight > 0)
            return 1;
    return 0;
}

/* ---- hits ---- */

/* The space's hits as the main collection's, without those that it does not have or that are left out. */
static ken_status bring_home(const asking *a, ken *space, ken_hit *hits, size_t *n)
{
    size_t kept = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < *n; i++) {
        ken_record *theirs = NULL, *ours = NULL;
        uint64_t id = 0;
        st = ken_get(space, hits[i].id, &theirs);
        if (!st)
            st = ken_find(a->k, theirs->path, &id);
        if (!st)
            st = ken_get(a->k, id, &ours);
        if (!st && (a->o->hidden || !ours->hidden) && (!a->choice || kn_choice_has(a->choice, id)))
            hits[kept++] = (ken_hit){ id, hits[i].score, hits[i].raw };
        ken_record_free(theirs);
        ken_record_free(ours);
        st = st == KEN_E_NOTFOUND ? KEN_OK : st;
    }
    *n = kept;
    return st;
}

static ken_status ask_once(asking *a, voice *v, ken *space, const ken_term *terms, size_t n, uint32_t deep,
                           size_t *met)
{
    ken_search_options o = *a->o;
    ken_search_times t = { 0 };
    o.spaces = o.fusion = o.group = NULL;
    o.min_score = 0;
    o.verify = -1; /* the fusion needs the order of the cosines */
    o.k = deep;
    if (space != a->k) {
        o.where = NULL;
        o.added = NULL;
    }
    kn_free(v->hits);
    v->hits = kn_alloc(deep, sizeof *v->hits);
    ken_status st = v->hits ? ken_search(space, terms, n, &o, v->hits, &v->n, &t) : KEN_E_NOMEM;
    *met = v->n;
    a->times.encode += t.encode;
    a->times.search += t.search;
    if (!st && space != a->k)
        st = bring_home(a, space, v->hits, &v->n);
    return st;
}

static ken_status ask_deep(asking *a, voice *v, ken *space, const ken_term *terms, size_t n)
{
    const size_t k = a->o->k ? a->o->k : DEFAULT_K;
    const size_t wanted = k * DEPTH > LEAST_DEPTH ? k * DEPTH : LEAST_DEPTH;
    size_t met = 0;
    ken_status st = KEN_OK;
    for (size_t deep = wanted; !st && deep <= UINT32_MAX; deep *= DEPTH) {
        st = ask_once(a, v, space, terms, n, (uint32_t)deep, &met);
        if (v->n >= wanted || met < deep)
            break;
    }
    if (!st && v->n > wanted)
        v->n = wanted;
    return st;
}

static ken_status ask_space(asking *a, voice *v, ken *space)
{
    const ken_model *m = NULL;
    size_t n = 0;
    ken_status st = ken_get_model(space, &m);
    if (st)
        return st;
    const ken_model_info *info = space->encoder->info(m);
    ken_term *terms = kn_alloc(a->n + 1, sizeof *terms);
    float *vectors = kn_alloc_aligned(a->n * info->dim + 1, sizeof *vectors);
    st = terms && vectors ? translate(a, space, info, terms, &n, vectors) : KEN_E_NOMEM;
    if (!st && n && (has_positive(terms, n) || !has_positive(a->terms, a->n)))
        st = ask_deep(a, v, space, terms, n);
    kn_free(terms);
    kn_free(vectors);
    return st;
}

static ken_status ask(asking *a, voice *v)
{
    const ken_model *own = NULL;
    ken *space = NULL;
    int main_one = !strcmp(v->name, KN_OWN);
    ken_status st = main_one ? KEN_OK : kn_collection_model(a->k, &own);
    main_one |= own && !strcmp(v->name, a->k->encoder->info(own)->name);
    if (!st && main_one)
        return ask_deep(a, v, a->k, a->terms, a->n);
    if (!st)
        st = kn_space_open(a->k, v->name, &space);
    if (!st)
        st = ask_space(a, v, space);
    return st ? kn_fail_in(st, "space %s", v->name) : KEN_OK;
}

/* ---- one answer ---- */

/* Of each group the best alone; grouping looks at ids, in their order. */
static ken_status cut_groups(const asking *a, ken_hit *hits, size_t *n)
{
    kn_grouping how;
    const ken_model *m = NULL;
    size_t left = 0;
    ken_status st = kn_group_named(&how, a->o->group);
    if (st || how == KN_GROUP_NONE || !*n)
        return st;
    kn_near *near = kn_alloc(*n, sizeof *near);
    for (size_t i = 0; near && i < *n; i++)
        near[i] = (kn_near){ .id = hits[i].id, .raw = hits[i].raw };
    st = near ? kn_collection_model(a->k, &m) : KEN_E_NOMEM;
    size_t kept = *n;
    if (!st)
        st = kn_group_cut(a->k, how, a->k->encoder->info(m)->dim, near, &kept, *n);
    for (size_t i = 0; !st && i < *n && left < kept; i++)
        if (hits[i].id == near[left].id)
            hits[left++] = hits[i];
    *n = left;
    kn_free(near);
    return st;
}

static ken_status fuse(const asking *a, kn_fusion how, ken_hit *hits, size_t *found)
{
    const size_t k = a->o->k ? a->o->k : DEFAULT_K;
    kn_ranking lists[MAX_SPACES];
    size_t room = 1, n = 0;
    for (size_t i = 0; i < a->n_voices; i++) {
        lists[i] = (kn_ranking){ a->voices[i].hits, a->voices[i].n, a->voices[i].weight };
        room += a->voices[i].n;
    }
    ken_hit *all = kn_alloc(room, sizeof *all);
    ken_status st = all ? kn_fuse(lists, a->n_voices, how, all, &n) : KEN_E_NOMEM;
    if (!st)
        st = cut_groups(a, all, &n);
    for (*found = 0; !st && *found < n && *found < k && all[*found].score >= a->o->min_score; ++*found)
        hits[*found] = all[*found];
    kn_free(all);
    return st;
}

ken_status kn_spaces_search(ken *k, const ken_term *terms, size_t n, const ken_search_options *o,
                            ken_hit *hits, size_t *found, ken_search_times *times)
{
    asking a = { .k = k, .terms = terms, .n = n, .o = o };
    kn_view *view = NULL;
    kn_fusion how;
    ken_status st = kn_fusion_named(&how, o->fusion);
    if (!st)
        st = read_voices(&a);
    if (!st && o->where)
        st = kn_choice_get(k, o->where, o->hidden, &view, &a.choice);
    for (size_t i = 0; !st && i < a.n_voices; i++)
        st = ask(&a, &a.voices[i]);
    if (!st)
        st = fuse(&a, how, hits, found);
    if (!st && times) {
        *times = a.times;
        times->total = times->encode + times->search;
    }
    for (size_t i = 0; i < a.n_voices; i++)
        kn_free(a.voices[i].hits);
    if (view)
        kn_view_release(k, view);
    return st;
}
