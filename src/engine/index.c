/*
 * index.c - the index half of ken.h: vectors in memory, searched exactly.
 *
 * A removed row's place is taken by the last one: the order of rows means nothing, since hits of
 * equal score are ordered by id.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "index/flat.h"
#include "index/idmap.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { RUN = 1024, MAX_DIM = 1 << 16 };

struct ken_index {
    size_t dim, len, cap;
    int unit; /* cosine: rows and queries are normalised */
    kn_metric metric;
    uint32_t threads;
    uint64_t *ids; /* (len) */
    float *rows;   /* (len, dim) */
    kn_idmap map;
};

static ken_status check_options(const ken_index_options *o, int *unit, kn_metric *metric)
{
    const char *name = o->metric ? o->metric : "cosine";
    if (!o->dim || o->dim > MAX_DIM)
        return kn_fail(KEN_E_INVALID, "an index of dimension %u", o->dim);
    if (o->kind && strcasecmp(o->kind, "Flat"))
        return kn_fail(KEN_E_UNSUPPORTED, "index \"%s\": this build has Flat", o->kind);
    *unit = !strcmp(name, "cosine");
    *metric = !strcmp(name, "l2") ? KN_METRIC_L2 : KN_METRIC_DOT;
    if (!*unit && *metric == KN_METRIC_DOT && strcmp(name, "ip"))
        return kn_fail(KEN_E_INVALID, "metric \"%s\": one of cosine, l2, ip", name);
    return KEN_OK;
}

ken_status ken_index_new(ken_index **out, const ken_index_options *opts)
{
    int unit = 0;
    kn_metric metric = KN_METRIC_DOT;
    if (!out || !opts || opts->size != sizeof *opts)
        return kn_fail(KEN_E_INVALID, "ken_index_new: no place, or no options");
    ken_status st = check_options(opts, &unit, &metric);
    if (st)
        return st;
    ken_index *ix = kn_zalloc(1, sizeof *ix);
    if (!ix)
        return KEN_E_NOMEM;
    ix->dim = opts->dim;
    ix->unit = unit;
    ix->metric = metric;
    ix->threads = opts->threads ? opts->threads : 1;
    *out = ix;
    return KEN_OK;
}

void ken_index_free(ken_index *ix)
{
    if (!ix)
        return;
    kn_idmap_release(&ix->map);
    kn_free(ix->ids);
    kn_free(ix->rows);
    kn_free(ix);
}

size_t ken_index_len(const ken_index *ix)
{
    return ix->len;
}

static ken_status check_finite(const float *rows, size_t n, size_t dim, const char *what)
{
    for (size_t i = 0; i < n * dim; i++)
        if (!isfinite(rows[i]))
            return kn_fail(KEN_E_INVALID, "%s %zu is not finite", what, i / dim);
    return KEN_OK;
}

/* Room for n more rows and ids. */
static ken_status reserve(ken_index *ix, size_t n)
{
    size_t cap = ix->cap ? ix->cap : 64;
    if (n > SIZE_MAX / 4 - ix->len)
        return kn_fail(KEN_E_NOMEM, "out of memory (%zu rows)", n);
    while (cap < ix->len + n)
        cap *= 2;
    if (cap > ix->cap) {
        uint64_t *ids = kn_grow(ix->ids, cap, sizeof *ids);
        if (!ids)
            return KEN_E_NOMEM;
        ix->ids = ids;
        float *rows = kn_grow(ix->rows, cap, ix->dim * sizeof *rows);
        if (!rows)
            return KEN_E_NOMEM;
        ix->rows = rows;
        ix->cap = cap;
    }
    return kn_idmap_reserve(&ix->map, n);
}

/* Enter all ids, or none. */
static ken_status enter_ids(ken_index *ix, const uint64_t *ids, size_t n)
{
    size_t done = 0, at;
    while (done < n && !kn_idmap_get(&ix->map, ids[done], &at)) {
        kn_idmap_put(&ix->map, ids[done], ix->len + done);
        done++;
    }
    if (done == n)
        return KEN_OK;
    ken_status st = kn_fail(KEN_E_EXISTS, "id %llu is present", (unsigned long long)ids[done]);
    while (done)
        kn_idmap_remove(&ix->map, ids[--done]);
    return st;
}

ken_status ken_index_add(ken_index *ix, const uint64_t *ids, const float *rows, size_t n)
{
    if (!ix || (n && (!ids || !rows)))
        return kn_fail(KEN_E_INVALID, "ken_index_add: no index, ids or rows");
    ken_status st = check_finite(rows, n, ix->dim, "row");
    if (!st)
        st = reserve(ix, n);
    if (!st)
        st = enter_ids(ix, ids, n);
    if (st || !n)
        return st;
    memcpy(ix->ids + ix->len, ids, n * sizeof *ids);
    memcpy(ix->rows + ix->len * ix->dim, rows, n * ix->dim * sizeof *rows);
    for (size_t i = 0; ix->unit && i < n; i++)
        kn_kernels_get()->l2_normalize(ix->rows + (ix->len + i) * ix->dim, ix->dim);
    ix->len += n;
    return KEN_OK;
}

ken_status ken_index_remove(ken_index *ix, uint64_t id)
{
    size_t at;
    if (!ix)
        return kn_fail(KEN_E_INVALID, "ken_index_remove: no index");
    if (!kn_idmap_get(&ix->map, id, &at))
        return kn_fail(KEN_E_NOTFOUND, "no id %llu", (unsigned long long)id);
    kn_idmap_remove(&ix->map, id);
    if (at != --ix->len) {
        ix->ids[at] = ix->ids[ix->len];
        memcpy(ix->rows + at * ix->dim, ix->rows + ix->len * ix->dim, ix->dim * sizeof(float));
        kn_idmap_put(&ix->map, ix->ids[at], at);
    }
    return KEN_OK;
}

static void cut_into_runs(const ken_index *ix, kn_run *runs, size_t n)
{
    for (size_t r = 0; r < n; r++) {
        const size_t first = r * RUN;
        runs[r] = (kn_run){ .rows = ix->rows + first * ix->dim,
                            .type = KN_F32,
                            .n = ix->len - first < RUN ? ix->len - first : RUN,
                            .ids = (const unsigned char *)(ix->ids + first),
                            .id_stride = sizeof *ix->ids };
    }
}

/* The queries as they are, or normalised copies. */
static ken_status prepare(const ken_index *ix, const float **queries, float **copy, size_t nq)
{
    ken_status st = check_finite(*queries, nq, ix->dim, "query");
    if (st || !ix->unit)
        return st;
    *copy = kn_alloc_aligned(nq * ix->dim, sizeof **copy);
    if (!*copy)
        return KEN_E_NOMEM;
    memcpy(*copy, *queries, nq * ix->dim * sizeof **copy);
    for (size_t q = 0; q < nq; q++)
        kn_kernels_get()->l2_normalize(*copy + q * ix->dim, ix->dim);
    *queries = *copy;
    return KEN_OK;
}

ken_status ken_index_search(const ken_index *ix, const float *queries, size_t nq, size_t k,
                            ken_hit *hits, size_t *found)
{
    if (!ix || !found || (nq && (!queries || (k && !hits))))
        return kn_fail(KEN_E_INVALID, "ken_index_search: no index, queries or place for hits");
    float *copy = NULL;
    const size_t n = (ix->len + RUN - 1) / RUN;
    kn_run *runs = kn_alloc(n, sizeof *runs);
    kn_near *near = kn_alloc(nq, (k ? k : 1) * sizeof *near);
    ken_status st = runs && near ? prepare(ix, &queries, &copy, nq) : KEN_E_NOMEM;
    if (!st) {
        const kn_flat f = { runs, n, ix->dim, ix->metric, ix->threads };
        cut_into_runs(ix, runs, n);
        st = kn_flat_search(&f, queries, nq, k, near, found);
    }
    for (size_t q = 0; !st && q < nq; q++)
        for (size_t i = 0; i < found[q]; i++) {
            const kn_near *e = &near[q * k + i];
            hits[q * k + i] = (ken_hit){ e->id, e->raw > 0 ? e->raw : 0, e->raw };
        }
    kn_free(runs);
    kn_free(near);
    kn_free(copy);
    return st;
}
