/* milvus_check.c - whether the records here and the rows on the server are of one mind. */
#include "store/milvus.h"

#ifdef KEN_MILVUS
#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { PAGE = 256 };

static int note_there(const kn_item *item, void *cookie)
{
    (void)item;
    *(int *)cookie = 1;
    return 1;
}

typedef struct checker {
    kn_remote *r;
    ken_problem_fn fn;
    void *cookie;
    uint64_t rows, problems;
    ken_status st;
} checker;

static void tell(checker *c, const char *what)
{
    c->problems++;
    if (c->fn)
        c->fn(c->r->url.plain, what, c->cookie);
}

static int check_row(uint64_t id, void *cookie)
{
    checker *c = cookie;
    const kn_select which = { .by = KN_BY_ID, .number = id };
    char what[96];
    int there = 0;
    c->rows++;
    c->st = c->r->near->v->items(c->r->near, &which, note_there, &there);
    snprintf(what, sizeof what, "row %" PRIu64 " is in no record here", id);
    if (!c->st && !there)
        tell(c, what);
    return c->st != KEN_OK;
}

static int add_parts(const kn_item *item, void *cookie)
{
    *(uint64_t *)cookie += item->part_segment ? item->parts : 0;
    return 0;
}

/* The ids of a page of items that have vectors, and the last id of all. */
typedef struct page {
    uint64_t ids[PAGE], last;
    size_t n, met;
} page;

static int add_id(const kn_item *item, void *cookie)
{
    page *p = cookie;
    p->last = item->id;
    p->met++;
    if (item->segment)
        p->ids[p->n++] = item->id;
    return 0;
}

static void check_lengths(checker *c, const page *p, const float *vectors)
{
    const uint32_t dim = c->r->dim;
    for (size_t i = 0; i < p->n; i++) {
        char what[96];
        double sum = 0;
        for (uint32_t d = 0; d < dim; d++)
            sum += (double)vectors[i * dim + d] * (double)vectors[i * dim + d];
        snprintf(what, sizeof what, "item %" PRIu64 " has a vector of length %.4g there", p->ids[i],
                 sqrt(sum));
        if (!(fabs(sum - 1) < 1e-3))
            tell(c, what);
    }
}

/* Every item's vector is there, and a unit vector. */
static ken_status check_vectors(checker *c)
{
    kn_store *near = c->r->near;
    page *p = kn_zalloc(1, sizeof *p);
    float *vectors = kn_alloc(PAGE, c->r->dim * sizeof *vectors);
    ken_status st = p && vectors ? KEN_OK : KEN_E_NOMEM;
    while (!st) {
        const kn_select which = { .by = KN_AFTER, .number = p->last, .limit = PAGE };
        p->n = p->met = 0;
        st = near->v->items(near, &which, add_id, p);
        if (st || !p->met)
            break;
        st = p->n ? kn_remote_vectors(&c->r->base, KN_WHOLES, p->ids, NULL, p->n, c->r->dim, vectors)
                  : KEN_OK;
        if (!st)
            check_lengths(c, p, vectors);
        if (st == KEN_E_NOTFOUND) {
            tell(c, ken_last_error());
            st = KEN_OK;
        }
    }
    kn_free(p);
    kn_free(vectors);
    return st;
}

/* Every row has its record, every record its row, and there are as many parts as items say. */
static ken_status check_rows(checker *c)
{
    kn_remote *r = c->r;
    const kn_select all = { .by = KN_AFTER };
    char what[128];
    kn_counts counts = { 0 };
    uint64_t parts = 0, there = 0;
    ken_status st = kn_remote_ids(r, check_row, c);
    if (!st)
        st = c->st ? c->st : r->near->v->counts(r->near, &counts);
    snprintf(what, sizeof what, "%" PRIu64 " rows for %" PRIu64 " items", c->rows, counts.items);
    if (!st && c->rows != counts.items)
        tell(c, what);
    if (!st)
        st = r->near->v->items(r->near, &all, add_parts, &parts);
    if (!st)
        st = kn_milvus_count(r->m, r->parts, "owner > 0", &there);
    snprintf(what, sizeof what, "%" PRIu64 " rows of parts; the items say %" PRIu64, there, parts);
    if (!st && there != parts)
        tell(c, what);
    return st ? st : check_vectors(c);
}

ken_status kn_remote_check(kn_store *s, ken_problem_fn fn, void *cookie)
{
    checker c = { .r = (kn_remote *)s, .fn = fn, .cookie = cookie };
    ken_status st = c.r->near->v->check(c.r->near, fn, cookie);
    if (!st && c.r->made)
        st = check_rows(&c);
    return st           ? st
           : c.problems ? kn_fail(KEN_E_CORRUPT, "%s: %" PRIu64 " problems", c.r->url.plain, c.problems)
                        : KEN_OK;
}

#endif
