/*
 * index_wide.c - searches of which nobody knows beforehand how many rows they need: ranges and groups.
 *
 * More and more neighbours are asked for until the last of them lies beyond the range, or enough groups are
 * met; when that would be a good part of all rows, every row is compared.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "index/idmap.h"
#include "index/index.h"

enum {
    FIRST = 64, MORE = 4, /* neighbours at first, and so many times more each time */
    SHARE = 16            /* more than one row in so many: compare all */
};

/* The k nearest, or all that there are, into *near (grown). */
static ken_status nearest(const kn_index *ix, const float *query, const kn_wide *w, size_t k, kn_near **near,
                          size_t *found)
{
    kn_near *list = kn_grow(*near, k ? k : 1, sizeof *list);
    kn_find p = w->find;
    if (!list)
        return KEN_E_NOMEM;
    *near = list;
    p.k = k;
    return w->exact ? kn_index_exact(ix, query, 1, k, 1, list, found)
                    : kn_index_search(ix, query, 1, &p, w->only, w->n_only, 1, list, found);
}

/* How many to ask for next; all of them, exactly if that is possible, once it is a good part. */
static size_t widen(const kn_index *ix, kn_wide *w, size_t k)
{
    const size_t n = kn_index_len(ix);
    if (k * MORE < n / SHARE)
        return k * MORE;
    w->exact = w->exact || (!w->only && kn_index_has_rows(ix));
    return n > k ? n : k * MORE; /* n may fall beside a writer */
}

ken_status kn_index_range(const kn_index *ix, const float *query, float least, const kn_wide *wide,
                          kn_near **near, size_t *found)
{
    kn_wide w = *wide;
    size_t k = FIRST, n = 0;
    ken_status st = KEN_OK;
    *near = NULL;
    for (;;) {
        st = nearest(ix, query, &w, k, near, &n);
        if (st || n < k || (*near)[n - 1].raw < least)
            break;
        k = widen(ix, &w, k);
    }
    while (!st && n && (*near)[n - 1].raw < least)
        n--;
    if (st) {
        kn_free(*near);
        *near = NULL;
    }
    *found = st ? 0 : n;
    return st;
}

/* The best of each group among n, at most k of them. */
static ken_status pick(const kn_near *list, size_t n, const kn_wide *w, size_t k, kn_near *near,
                       size_t *found)
{
    kn_idmap seen = { 0 };
    size_t at;
    const ken_status st = kn_idmap_reserve(&seen, k < n ? k : n);
    *found = 0;
    for (size_t i = 0; !st && i < n && *found < k; i++) {
        const uint64_t group = w->group(list[i].id, w->cookie);
        if (kn_idmap_get(&seen, group, &at))
            continue;
        kn_idmap_put(&seen, group, i);
        near[(*found)++] = list[i];
    }
    kn_idmap_release(&seen);
    return st;
}

ken_status kn_index_groups(const kn_index *ix, const float *query, size_t k, const kn_wide *wide,
                           kn_near *near, size_t *found)
{
    kn_wide w = *wide;
    size_t ask = k < FIRST / MORE ? FIRST : k * MORE, n = 0;
    kn_near *list = NULL;
    ken_status st = KEN_OK;
    *found = 0;
    for (;;) {
        st = k ? nearest(ix, query, &w, ask, &list, &n) : KEN_OK;
        if (!st && k)
            st = pick(list, n, &w, k, near, found);
        if (st || *found == k || n < ask)
            break;
        ask = widen(ix, &w, ask);
    }
    kn_free(list);
    return st;
}
