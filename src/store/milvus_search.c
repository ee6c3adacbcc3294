/* milvus_search.c - vectors of a remote store's items, and searches among them. */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_AT_ONCE = 8192, VECTORS_AT_ONCE = 256, EF_MAX = 32768, EXPR_MAX = 1 << 20 };

static kn_remote *of(kn_store *s)
{
    return (kn_remote *)s;
}

/* ---- vectors ---- */

/* Row j of the answer is number `at` of the item's. */
static size_t number_of(const kn_mv_text *key)
{
    char text[64];
    const size_t n = key->n < sizeof text - 1 ? key->n : sizeof text - 1;
    memcpy(text, key->bytes, n);
    text[n] = 0;
    const char *slash = strchr(text, '/');
    return slash ? (size_t)strtoul(slash + 1, NULL, 10) : 0;
}

/* Vectors that are asked for, and where each item's lie in out. */
typedef struct wanted {
    const uint64_t *ids;
    const uint32_t *counts; /* or NULL: one each */
    size_t n, rows;
    uint32_t dim;
    float *out;
} wanted;

static float *place_of(const wanted *w, uint64_t id, size_t number)
{
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        const size_t count = w->counts ? w->counts[i] : 1;
        if (w->ids[i] == id)
            return number < count ? w->out + (at + number) * w->dim : NULL;
        at += count;
    }
    return NULL;
}

static ken_status fetch(kn_remote *r, kn_share share, const wanted *w)
{
    const int whole = share == KN_WHOLES;
    kn_mv_result got[] = { { .name = whole ? "id" : "owner", .type = KN_MV_LONG },
                           { .name = "vector", .type = KN_MV_VECTOR },
                           { .name = "key", .type = KN_MV_TEXT } };
    kn_buf answer = { 0 }, expr;
    size_t there = 0;
    kn_buf_init(&expr, EXPR_MAX);
    ken_status st = kn_remote_name_ids(&expr, got[0].name, (const int64_t *)w->ids, w->n);
    if (!st && whole)
        st = kn_buf_adds(&expr, " && state < 2");
    if (!st)
        st = kn_milvus_query(r->m, whole ? r->items : r->parts, expr.data, (uint32_t)w->rows + 1, got,
                             whole ? 2 : 3, &answer);
    if (!st && got[0].n && got[1].dim != w->dim)
        st = kn_fail(KEN_E_CORRUPT, "%s: vectors of %u numbers", r->url.plain, got[1].dim);
    for (size_t i = 0; !st && i < got[0].n; i++) {
        float *to = place_of(w, (uint64_t)got[0].longs[i], whole ? 0 : number_of(&got[2].texts[i]));
        there += to != NULL;
        if (to)
            memcpy(to, got[1].floats + i * w->dim * sizeof *to, w->dim * sizeof *to);
    }
    if (!st && there != w->rows)
        st = kn_fail(KEN_E_NOTFOUND, "%s: item %" PRIu64 "%s %zu vectors there, not %zu", r->url.plain,
                     w->ids[0], w->n > 1 ? " and those behind it have" : " has", there, w->rows);
    kn_mv_results_release(got, 3);
    kn_buf_release(&answer);
    kn_buf_release(&expr);
    return st;
}

ken_status kn_remote_vectors(kn_store *s, kn_share share, const uint64_t *ids, const uint32_t *counts,
                             size_t n, uint32_t dim, float *out)
{
    kn_remote *r = of(s);
    ken_status st = KEN_OK;
    if (dim != r->dim)
        return kn_fail(KEN_E_MODEL, "the collection at %s has vectors of %u numbers", r->url.plain, r->dim);
    for (size_t from = 0, to; !st && from < n; from = to) {
        wanted w = { .ids = ids + from, .counts = counts ? counts + from : NULL, .dim = dim, .out = out };
        for (to = from; to < n && to - from < VECTORS_AT_ONCE; to++)
            w.rows += counts ? counts[to] : 1;
        w.n = to - from;
        st = fetch(r, share, &w);
        out += w.rows * dim;
    }
    return st;
}

/* ---- searching ---- */

typedef struct seen {
    int there, hidden;
} seen;

static int note_seen(const kn_item *item, void *cookie)
{
    *(seen *)cookie = (seen){ 1, item->hidden };
    return 1;
}

/* Only what the records here know, too: what was deleted meanwhile, or is not quite there, is no hit. */
static ken_status keep_known(kn_remote *r, const kn_store_query *q, ken_hit *hits, size_t *n)
{
    size_t kept = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < *n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = hits[i].id };
        seen s = { 0 };
        st = r->near->v->items(r->near, &which, note_seen, &s);
        if (s.there && (q->hidden || q->share == KN_PARTS || !s.hidden))
            hits[kept++] = hits[i];
    }
    *n = kept;
    return st;
}

/* One search, with a further condition or "". */
static ken_status search_once(kn_remote *r, const kn_store_query *q, size_t k, const char *and,
                              ken_hit *hits, size_t *found)
{
    const int whole = q->share == KN_WHOLES;
    kn_buf expr;
    kn_buf_init(&expr, EXPR_MAX);
    ken_status st = KEN_OK;
    if (whole)
        st = kn_buf_addf(&expr, "%s%s", q->hidden ? "state < 2" : "state == 0",
                         q->labelled ? " && object != \"\"" : "");
    else if (q->share == KN_VIEWS_OF_MODELS)
        st = kn_buf_adds(&expr, "views == 1");
    if (!st && *and)
        st = kn_buf_addf(&expr, "%s%s", expr.len ? " && " : "", and);
    const kn_mv_search s = { .collection = whole ? r->items : r->parts,
                             .expr = expr.data ? expr.data : "",
                             .metric = whole ? r->metric : "IP",
                             .index = r->index,
                             .vectors = q->vectors,
                             .nq = (uint32_t)q->nq,
                             .dim = q->dim,
                             .k = (uint32_t)k,
                             .ef = q->ef < EF_MAX ? q->ef : EF_MAX };
    if (!st)
        st = kn_milvus_search(r->m, &s, hits, found);
    kn_buf_release(&expr);
    for (size_t i = 0; !st && i < q->nq; i++)
        st = keep_known(r, q, hits + i * k, &found[i]);
    return st;
}

/* more (n) into hits (*len of at most k), best first. */
static void merge(ken_hit *hits, size_t *len, size_t k, ken_hit *both, const ken_hit *more, size_t n)
{
    memcpy(both, hits, *len * sizeof *hits);
    memcpy(both + *len, more, n * sizeof *hits);
    if (*len + n)
        qsort(both, *len + n, sizeof *both, kn_mv_best_first);
    *len = *len + n < k ? *len + n : k;
    memcpy(hits, both, *len * sizeof *hits);
}

/* Among chosen items alone: their ids are named, so many at once; the best of all is the best of each. */
static ken_status search_some(kn_remote *r, const kn_store_query *q, size_t k, ken_hit *hits, size_t *found)
{
    kn_buf names;
    ken_hit *more = kn_alloc(q->nq, k * sizeof *more), *both = kn_alloc(2 * k, sizeof *both);
    size_t *counts = kn_alloc(q->nq, sizeof *counts);
    ken_status st = more && both && counts ? KEN_OK : KEN_E_NOMEM;
    kn_buf_init(&names, EXPR_MAX);
    for (size_t at = 0; !st && at < q->n_only; at += IDS_AT_ONCE) {
        const size_t n = q->n_only - at < IDS_AT_ONCE ? q->n_only - at : IDS_AT_ONCE;
        st = kn_remote_name_ids(&names, q->share == KN_WHOLES ? "id" : "owner",
                                (const int64_t *)q->only + at, n);
        if (!st)
            st = search_once(r, q, k, names.data, more, counts);
        for (size_t i = 0; !st && i < q->nq; i++)
            merge(hits + i * k, &found[i], k, both, more + i * k, counts[i]);
    }
    kn_buf_release(&names);
    kn_free(more);
    kn_free(both);
    kn_free(counts);
    return st;
}

ken_status kn_remote_find(kn_store *store, const kn_store_query *q, ken_hit *hits, size_t *found)
{
    kn_remote *r = of(store);
    const size_t k = q->k < KN_MV_MOST ? q->k : KN_MV_MOST;
    memset(found, 0, q->nq * sizeof *found);
    if (q->exact && strcmp(r->index, "FLAT"))
        return kn_fail(KEN_E_UNSUPPORTED,
                       "the server's index is %s: only a collection made with ?index=FLAT "
                       "answers exactly",
                       r->index);
    if (!r->made || !k || !q->nq || (q->share == KN_VIEWS_OF_MODELS && !r->views))
        return KEN_OK;
    if (q->dim != r->dim)
        return kn_fail(KEN_E_MODEL, "the collection at %s has vectors of %u numbers", r->url.plain, r->dim);
    ken_status st = q->some ? search_some(r, q, k, hits, found) : search_once(r, q, k, "", hits, found);
    for (size_t i = q->nq; !st && k < q->k && i-- > 0;) /* the server's lists are shorter than ours */
        memmove(hits + i * q->k, hits + i * k, found[i] * sizeof *hits);
    return st;
}

#endif
