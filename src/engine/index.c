/* index.c - the index half of ken.h, over src/index. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "index/foreign.h"
#include "index/index.h"
#include "index/tune.h"

#include <string.h>

struct ken_index {
    kn_index *ix;
    kn_build build;
};

static ken_status check_options(const ken_index_options *o, kn_metric *metric)
{
    if (!o || o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "an index needs its options");
    return kn_metric_parse(metric, o->metric);
}

static ken_index *new_handle(const ken_index_options *o)
{
    ken_index *h = kn_zalloc(1, sizeof *h);
    if (h) {
        h->build.threads = 1;
        if (o)
            h->build = (kn_build){ o->seed, o->threads ? o->threads : 1, o->ef_construction,
                                   o->progress, o->cookie };
    }
    return h;
}

/* ix into the handle, which becomes *out; or both are freed. */
static ken_status hand_out(ken_index **out, ken_index *h, kn_index *ix, ken_status st)
{
    if (st) {
        kn_index_free(ix);
        kn_free(h);
        return st;
    }
    h->ix = ix;
    *out = h;
    return KEN_OK;
}

ken_status ken_index_new(ken_index **out, const ken_index_options *o)
{
    kn_metric metric = KN_METRIC_COSINE;
    kn_index *ix = NULL;
    ken_status st = out ? check_options(o, &metric) : kn_fail(KEN_E_INVALID, "no place for an index");
    ken_index *h = st ? NULL : new_handle(o);
    if (!h)
        return st ? st : KEN_E_NOMEM;
    st = kn_index_new(&ix, o->kind ? o->kind : "Flat", o->dim, metric);
    return hand_out(out, h, ix, st);
}

ken_status ken_index_build(ken_index **out, const ken_index_options *o, const uint64_t *ids,
                           const float *rows, size_t n)
{
    kn_metric metric = KN_METRIC_COSINE;
    kn_index *ix = NULL;
    ken_status st = out && (rows || !n) ? check_options(o, &metric)
                                        : kn_fail(KEN_E_INVALID, "ken_index_build: no place, or no rows");
    ken_index *h = st ? NULL : new_handle(o);
    if (!h)
        return st ? st : KEN_E_NOMEM;
    st = kn_index_build(&ix, o->kind ? o->kind : "Flat", metric, ids, rows, n, o->dim, &h->build);
    return hand_out(out, h, ix, st);
}

ken_status ken_index_open(ken_index **out, const char *path, int write, const ken_index_options *o)
{
    kn_index *ix = NULL;
    if (!out || !path || (o && o->size != sizeof *o))
        return kn_fail(KEN_E_INVALID, "ken_index_open: no place, path or options");
    ken_index *h = new_handle(o);
    if (!h)
        return KEN_E_NOMEM;
    ken_status st = kn_index_open(&ix, path, write);
    return hand_out(out, h, ix, st);
}

void ken_index_free(ken_index *h)
{
    if (!h)
        return;
    kn_index_free(h->ix);
    kn_free(h);
}

ken_status ken_index_save(ken_index *h, const char *path)
{
    return h && path ? kn_index_save(h->ix, path)
                     : kn_fail(KEN_E_INVALID, "ken_index_save: no index or path");
}

ken_status ken_index_import(ken_index **out, const char *path, const ken_index_options *o)
{
    kn_foreign f = { 0 };
    kn_index *ix = NULL;
    if (!out || !path || (o && o->size != sizeof *o))
        return kn_fail(KEN_E_INVALID, "ken_index_import: no place, path or options");
    ken_index *h = new_handle(o);
    if (!h)
        return KEN_E_NOMEM;
    ken_status st = kn_foreign_read(&f, path, o ? o->metric : NULL);
    st = st ? st : kn_foreign_index(&ix, &f, &h->build);
    return hand_out(out, h, ix, st);
}

ken_status ken_index_export(const ken_index *h, const char *to, const char *path)
{
    if (!h || !to || !path)
        return kn_fail(KEN_E_INVALID, "ken_index_export: no index, kind or path");
    if (strcmp(to, "faiss") && strcmp(to, "hnswlib"))
        return kn_fail(KEN_E_INVALID, "export to \"%s\": faiss or hnswlib", to);
    return kn_foreign_write(h->ix, strcmp(to, "faiss") ? KN_FOREIGN_HNSWLIB : KN_FOREIGN_FAISS, path);
}

ken_status ken_index_compact(ken_index *h)
{
    return h ? kn_index_compact(h->ix, &h->build)
             : kn_fail(KEN_E_INVALID, "ken_index_compact: no index");
}

static ken_status put(ken_index *h, const uint64_t *ids, const float *rows, size_t n, int replace)
{
    if (!h || (n && (!ids || !rows)))
        return kn_fail(KEN_E_INVALID, "no index, ids or rows to add");
    return kn_index_put(h->ix, ids, rows, n, replace);
}

ken_status ken_index_add(ken_index *h, const uint64_t *ids, const float *rows, size_t n)
{
    return put(h, ids, rows, n, 0);
}

ken_status ken_index_put(ken_index *h, const uint64_t *ids, const float *rows, size_t n)
{
    return put(h, ids, rows, n, 1);
}

ken_status ken_index_remove(ken_index *h, uint64_t id)
{
    int there = 0;
    if (!h)
        return kn_fail(KEN_E_INVALID, "ken_index_remove: no index");
    ken_status st = kn_index_has(h->ix, id, &there);
    if (!st && !there)
        st = kn_fail(KEN_E_NOTFOUND, "no id %llu", (unsigned long long)id);
    return st ? st : kn_index_remove(h->ix, &id, 1, NULL);
}

ken_status ken_index_remove_all(ken_index *h, const uint64_t *ids, size_t n, size_t *removed)
{
    if (!h || (n && !ids))
        return kn_fail(KEN_E_INVALID, "ken_index_remove_all: no index or ids");
    return kn_index_remove(h->ix, ids, n, removed);
}

static ken_index_point point_of(const kn_point *p)
{
    return (ken_index_point){ p->ef, p->nprobe, p->rerank, p->recall, p->low, p->us };
}

ken_status ken_index_pick(const ken_index *h, double recall, ken_index_point *out)
{
    kn_point p;
    if (!h || !out)
        return kn_fail(KEN_E_INVALID, "ken_index_pick: no index or place");
    const ken_status st = kn_index_pick(h->ix, recall, &p);
    if (!st)
        *out = point_of(&p);
    return st;
}

static ken_status pick(const ken_index *h, double recall, kn_find *p)
{
    ken_index_point point;
    const ken_status st = ken_index_pick(h, recall, &point);
    if (!st) {
        p->ef = point.ef;
        p->nprobe = point.nprobe;
        p->rerank = point.rerank;
    }
    return st;
}

ken_status ken_index_tune(ken_index *h, const float *queries, size_t nq)
{
    if (!h || (nq && !queries))
        return kn_fail(KEN_E_INVALID, "ken_index_tune: no index or queries");
    return kn_index_tune(h->ix, queries, nq, h->build.threads);
}

size_t ken_index_points(const ken_index *h, ken_index_point *points, size_t cap)
{
    kn_point all[KN_POINTS];
    const size_t n = kn_index_points(h->ix, all);
    for (size_t i = 0; i < n && i < cap; i++)
        points[i] = point_of(&all[i]);
    return n;
}

static kn_wide wide_of(const ken_find_options *o, const kn_find *p)
{
    return (kn_wide){ *p, o->exact, o->n_only || o->only ? o->only : NULL, o->n_only, o->group, o->cookie };
}

/* What each of many queries does when groups are asked for. */
typedef struct grouping {
    const kn_index *ix;
    const float *queries;
    size_t dim, k;
    kn_wide w;
    kn_near *near;
    size_t *found;
} grouping;

static ken_status group_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const grouping *g = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t q = begin; !st && q < end; q++)
        st = kn_index_groups(g->ix, g->queries + q * g->dim, g->k, &g->w, g->near + q * g->k, g->found + q);
    return st;
}

static ken_status find_near(const ken_index *h, const float *queries, size_t nq, const kn_find *p,
                            const ken_find_options *o, kn_near *near, size_t *found)
{
    const uint32_t threads = o->threads ? o->threads : h->build.threads;
    if (o->group) {
        grouping g = { h->ix, queries, kn_index_dim(h->ix), p->k, wide_of(o, p), near, found };
        return kn_parallel(nq, 1, threads, group_some, &g);
    }
    return o->exact ? kn_index_exact(h->ix, queries, nq, p->k, threads, near, found)
                    : kn_index_search(h->ix, queries, nq, p, o->only, o->n_only, threads, near, found);
}

ken_status ken_index_find(const ken_index *h, const float *queries, size_t nq, size_t k,
                          const ken_find_options *o, ken_hit *hits, size_t *found)
{
    const ken_find_options none = KEN_FIND_OPTIONS_INIT;
    if (!o)
        o = &none;
    if (!h || !found || (nq && (!queries || (k && !hits))) || o->size != sizeof *o
        || (o->n_only && !o->only))
        return kn_fail(KEN_E_INVALID, "no index, queries, options or place for hits");
    if (o->exact && o->only)
        return kn_fail(KEN_E_INVALID, "ken_index_find: exact answers among some ids are not there");
    const size_t len = ken_index_len(h), most = k < len ? k : len;
    kn_find p = { .k = most, .ef = o->ef, .nprobe = o->nprobe, .rerank = o->rerank };
    ken_status st = o->target_recall > 0 ? pick(h, o->target_recall, &p) : KEN_OK;
    kn_near *near = st ? NULL : kn_alloc(nq ? nq : 1, (most ? most : 1) * sizeof *near);
    if (!near)
        return st ? st : KEN_E_NOMEM;
    st = find_near(h, queries, nq, &p, o, near, found);
    for (size_t q = 0; !st && q < nq; q++)
        for (size_t i = 0; i < found[q]; i++) {
            const kn_near *e = &near[q * most + i];
            hits[q * k + i] = (ken_hit){ e->id, e->raw > 0 ? e->raw : 0, e->raw };
        }
    kn_free(near);
    return st;
}

ken_status ken_index_range(const ken_index *h, const float *query, float least, const ken_find_options *o,
                           ken_hit **hits, size_t *found)
{
    const ken_find_options none = KEN_FIND_OPTIONS_INIT;
    kn_near *near = NULL;
    size_t n = 0;
    if (!o)
        o = &none;
    if (!h || !query || !hits || !found || o->size != sizeof *o || (o->n_only && !o->only))
        return kn_fail(KEN_E_INVALID, "no index, query, options or place for hits");
    if ((o->exact && o->only) || !(least == least))
        return kn_fail(KEN_E_INVALID, "ken_index_range: exact answers among some ids are not there, nor is a "
                                      "range that is no number");
    kn_find p = { .ef = o->ef, .nprobe = o->nprobe, .rerank = o->rerank };
    ken_status st = o->target_recall > 0 ? pick(h, o->target_recall, &p) : KEN_OK;
    const kn_wide w = wide_of(o, &p);
    if (!st)
        st = kn_index_range(h->ix, query, least, &w, &near, &n);
    ken_hit *out = st ? NULL : kn_alloc(n ? n : 1, sizeof *out);
    if (!st && !out)
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++)
        out[i] = (ken_hit){ near[i].id, near[i].raw > 0 ? near[i].raw : 0, near[i].raw };
    kn_free(near);
    if (st)
        return st;
    *hits = out;
    *found = n;
    return KEN_OK;
}

void ken_hits_free(ken_hit *hits)
{
    kn_free(hits);
}

ken_status ken_index_search(const ken_index *h, const float *queries, size_t nq, size_t k,
                            ken_hit *hits, size_t *found)
{
    return ken_index_find(h, queries, nq, k, NULL, hits, found);
}

size_t ken_index_len(const ken_index *h)
{
    return kn_index_len(h->ix);
}

uint64_t ken_index_next_id(const ken_index *h)
{
    return kn_index_next_id(h->ix);
}

void ken_index_get_info(const ken_index *h, ken_index_info *out)
{
    kn_index_info i;
    kn_index_get_info(h->ix, &i);
    *out = (ken_index_info){ .kind = i.kind,
                             .metric = kn_metric_name(i.metric),
                             .dim = i.dim,
                             .len = i.n,
                             .base = i.base,
                             .gone = i.gone,
                             .pending = i.pending,
                             .bytes = i.bytes,
                             .bytes_hot = i.of_kind.bytes_hot,
                             .unreachable = i.of_kind.unreachable,
                             .ef = i.of_kind.ef,
                             .nprobe = i.of_kind.nprobe,
                             .rerank = i.of_kind.rerank };
}

ken_status ken_index_check(const ken_index *h, ken_problem_fn fn, void *cookie)
{
    return h ? kn_index_check(h->ix, fn, cookie)
             : kn_fail(KEN_E_INVALID, "ken_index_check: no index");
}
