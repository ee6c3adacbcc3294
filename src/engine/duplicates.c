/*
 * duplicates.c - ken_duplicates: pictures that are nearly the same, in groups.
 *
 * Each picture asks for its nearest ones; two that are near enough are joined, and a group is what hangs
 * together.  Memory is a few numbers a picture.  A picture with more copies than it asks for hangs together
 * with all of them all the same, for equal ones are answered by the smaller id: they all meet in the first.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/choice.h"
#include "engine/group.h"
#include "engine/lookup.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 16, BATCH = 64 };

typedef struct member {
    uint64_t id;
    size_t parent;    /* towards the first of its group */
    uint32_t segment, slot;
} member;

typedef struct search {
    ken *k;
    kn_view *v;
    const kn_run *runs;
    float min;
    member *all; /* (n) by id */
    size_t n;
    float *queries; /* (BATCH, dim) */
    kn_near *near;  /* (BATCH, NEIGHBOURS) */
    size_t found[BATCH];
} search;

/* ---- who there is ---- */

static int by_id(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int is_skipped(const kn_run *run, size_t i)
{
    const size_t bit = run->skip_first + i;
    return run->skip && (run->skip[bit / 64] >> bit % 64 & 1);
}

/* Runs are the blocks of the segments of whole pictures, one after the other. */
static ken_status list_members(search *s)
{
    const kn_view *v = s->v;
    s->all = kn_alloc(v->rows, sizeof *s->all);
    if (!s->all)
        return KEN_E_NOMEM;
    for (size_t i = 0, at = 0; i < v->n; i++) {
        if (kn_lookup_role(v, i) != KN_ROLE_WHOLE)
            continue;
        for (uint32_t first = 0; first < v->segments[i].rows; first += KN_BLOCK, at++)
            for (size_t j = 0; j < s->runs[at].n; j++)
                if (!is_skipped(&s->runs[at], j))
                    s->all[s->n++] = (member){ .id = kn_segment_id(&v->segments[i], first + (uint32_t)j),
                                               .segment = v->segments[i].info.number,
                                               .slot = first + (uint32_t)j };
    }
    qsort(s->all, s->n, sizeof *s->all, by_id);
    for (size_t i = 0; i < s->n; i++)
        s->all[i].parent = i;
    return KEN_OK;
}

/* ---- joining (R. Tarjan, "Efficiency of a Good But Not Linear Set Union Algorithm") ---- */

static size_t first_of(search *s, size_t i)
{
    while (s->all[i].parent != i) {
        s->all[i].parent = s->all[s->all[i].parent].parent;
        i = s->all[i].parent;
    }
    return i;
}

static void join(search *s, size_t a, size_t b)
{
    a = first_of(s, a);
    b = first_of(s, b);
    if (a < b)
        s->all[b].parent = a;
    else
        s->all[a].parent = b;
}

static ken_status ask(search *s, size_t from, size_t n)
{
    const size_t dim = s->v->dim;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = kn_view_vector(s->v, s->all[from + i].segment, s->all[from + i].slot, s->queries + i * dim);
    const kn_seek seek = { .queries = s->queries, .nq = n, .k = NEIGHBOURS, .runs = s->runs,
                           .roles = 1u << KN_ROLE_WHOLE };
    if (!st)
        st = kn_lookup(s->k, s->v, &seek, s->near, s->found);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t j = 0; j < s->found[i]; j++) {
            const kn_near *near = &s->near[i * NEIGHBOURS + j];
            const member key = { .id = near->id };
            const member *other = bsearch(&key, s->all, s->n, sizeof key, by_id);
            if (near->raw >= s->min && other)
                join(s, from + i, (size_t)(other - s->all));
        }
    return st;
}

/* ---- telling ---- */

typedef struct place {
    size_t first, at;
} place;

static int by_group(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static ken_status tell(search *s, ken_duplicate_fn fn, void *cookie)
{
    const size_t dim = s->v->dim;
    place *places = kn_alloc(s->n, sizeof *places);
    ken_status st = places ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < s->n; i++)
        places[i] = (place){ first_of(s, i), i };
    if (!st)
        qsort(places, s->n, sizeof *places, by_group);
    for (size_t i = 0, group = 0, end; !st && i < s->n; i = end) {
        for (end = i + 1; end < s->n && places[end].first == places[i].first;)
            end++;
        for (size_t j = i; !st && end - i > 1 && j < end; j++) {
            const member *m = &s->all[places[j].at];
            float *vector = s->queries + (j > i ? dim : 0);
            st = kn_view_vector(s->v, m->segment, m->slot, vector);
            if (!st && fn(group, m->id, kn_kernels_get()->dot_f32(s->queries, vector, dim), cookie))
                st = KEN_E_CANCELED;
        }
        group += end - i > 1;
    }
    kn_free(places);
    return st;
}

static ken_status find(search *s, const ken_duplicates_options *o, ken_duplicate_fn fn)
{
    kn_meter meter;
    ken_status st = list_members(s);
    s->queries = st ? NULL : kn_alloc_aligned(BATCH * (size_t)(s->v->dim + 1), sizeof *s->queries);
    s->near = st ? NULL : kn_alloc(BATCH * NEIGHBOURS, sizeof *s->near);
    if (!st && (!s->queries || !s->near))
        st = KEN_E_NOMEM;
    kn_meter_start(&meter, "compare", "images", s->n, o->progress, o->cookie);
    for (size_t i = 0; !st && i < s->n; i += BATCH) {
        st = ask(s, i, s->n - i < BATCH ? s->n - i : BATCH);
        if (!st)
            st = kn_meter_tell(&meter, i, NULL);
    }
    kn_meter_end(&meter);
    return st ? st : tell(s, fn, o->cookie);
}

ken_status ken_duplicates(ken *k, const ken_duplicates_options *opts, ken_duplicate_fn fn)
{
    static const ken_duplicates_options defaults = KEN_DUPLICATES_OPTIONS_INIT;
    const ken_duplicates_options *o = opts ? opts : &defaults;
    search s = { .k = k, .min = o->min > 0 ? o->min : KN_NEAR };
    const kn_choice *c = NULL;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o || !fn)
        st = kn_fail(KEN_E_INVALID, fn ? "ken_duplicates_options: size is not set" : "no function");
    else if (k->store->v->search)
        st = kn_fail(KEN_E_UNSUPPORTED, "a remote store does not look for duplicates");
    if (!st)
        st = kn_choice_get(k, o->where, 0, &s.v, &c);
    s.runs = c ? c->pictures : s.v ? s.v->visible : NULL;
    if (!st && s.v->rows)
        st = find(&s, o, fn);
    if (s.v)
        kn_view_release(k, s.v);
    kn_free(s.all);
    kn_free(s.queries);
    kn_free(s.near);
    kn_leave(k);
    return st;
}
