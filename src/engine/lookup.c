/*
 * lookup.c - asking the index and comparing what it does not cover.
 *
 * Both give the same score for the same row, by the same kernels on the same bytes, so their answers
 * are merged as if there were one.
 */
#include "engine/lookup.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/choice.h"

#include <math.h>
#include <string.h>

enum {
    ROWS_A_THREAD = 8192,
    DEEP = 16 /* whoever wants more than one row in so many has all of them compared */
};

typedef struct kn_allowed {
    const kn_run *runs;
    uint64_t *bits; /* or NULL: all */
    size_t n;
} kn_allowed;

/* ---- exactly ---- */

static uint32_t threads_for(const ken *k, size_t rows)
{
    const uint32_t most = k->models.threads;
    const size_t share = rows / ROWS_A_THREAD + 1;
    return share < most ? (uint32_t)share : most;
}

static size_t blocks_of(const kn_segment *s)
{
    return (s->rows + KN_BLOCK - 1) / KN_BLOCK;
}

static int plays(const kn_view *v, size_t i, const kn_seek *s)
{
    return (s->roles >> kn_lookup_role(v, i)) & 1;
}

static kn_run without(kn_run r, size_t front)
{
    r.rows = (const unsigned char *)r.rows + front * r.stride;
    r.ids += front * r.id_stride;
    r.skip_first += front;
    r.n -= front;
    return r;
}

/* The runs behind what the indexes cover; *n of them.  files: NULL for all. */
static size_t uncovered(const kn_view *v, const kn_seek *s, const kn_lookup_file *files, kn_run *out,
                        size_t *n)
{
    size_t at = 0, rows = 0;
    *n = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (!plays(v, i, s))
            continue;
        const kn_lookup_file *f = files ? &files[kn_lookup_role(v, i)] : NULL;
        const size_t done = f && f->ix ? f->covered[i] : 0, blocks = blocks_of(&v->segments[i]);
        for (size_t b = done / KN_BLOCK; b < blocks; b++) {
            const size_t front = b * KN_BLOCK < done ? done - b * KN_BLOCK : 0;
            if (front >= s->runs[at + b].n)
                continue;
            out[*n] = without(s->runs[at + b], front);
            rows += out[(*n)++].n;
        }
        at += blocks;
    }
    return rows;
}

static ken_status compare(const ken *k, const kn_view *v, const kn_seek *s, const kn_lookup_file *files,
                          kn_near *near, size_t *found)
{
    size_t blocks = 0, n;
    for (size_t i = 0; i < v->n; i++)
        blocks += blocks_of(&v->segments[i]);
    kn_run *runs = kn_alloc(blocks ? blocks : 1, sizeof *runs);
    if (!runs)
        return KEN_E_NOMEM;
    const size_t rows = uncovered(v, s, files, runs, &n);
    const kn_flat f = { runs, n, v->dim, KN_METRIC_DOT, threads_for(k, rows) };
    const ken_status st = kn_flat_search(&f, s->queries, s->nq, s->k, near, found);
    kn_free(runs);
    return st;
}

/* ---- which slots of an index may be answered ---- */

static int skips(const kn_run *run, uint32_t slot)
{
    const size_t bit = run->skip_first + slot % KN_BLOCK;
    return run->skip && (run->skip[bit / 64] >> bit % 64 & 1);
}

/* Into *out, whose bits are owned; none if all may. */
static ken_status allow(const kn_view *v, const kn_seek *s, const kn_lookup_file *f, kn_allowed *out)
{
    const kn_rows *r = kn_index_rows(f->ix);
    size_t *first = kn_alloc(v->n + 1, sizeof *first), at = 0, segment;
    uint64_t *bits = kn_zalloc(r->n / 64 + 1, sizeof *bits);
    uint32_t slot;
    *out = (kn_allowed){ .runs = s->runs };
    if (!first || !bits) {
        kn_free(first);
        kn_free(bits);
        return KEN_E_NOMEM;
    }
    for (size_t i = 0; i < v->n; i++) {
        first[i] = at;
        at += plays(v, i, s) ? blocks_of(&v->segments[i]) : 0;
    }
    for (size_t i = 0; i < r->n; i++)
        if (kn_place_find(v, r->ids[i], &segment, &slot) && plays(v, segment, s)
            && !skips(&s->runs[first[segment] + slot / KN_BLOCK], slot)) {
            bits[i / 64] |= UINT64_C(1) << i % 64;
            out->n++;
        }
    kn_free(first);
    if (out->n == r->n)
        kn_free(bits);
    else
        out->bits = bits;
    return KEN_OK;
}

/* Does the list live as long as the view?  The caller holds `lock`. */
static int is_views_own(const kn_view *v, const kn_run *runs)
{
    for (size_t i = 0; i < KN_CHOICES; i++)
        if (v->choices[i] && (runs == v->choices[i]->pictures || runs == v->choices[i]->views))
            return 1;
    return runs == v->visible || runs == v->all || runs == v->parts || runs == v->views
           || runs == v->all_views || (v->named && runs == v->named);
}

/* The same, found out once for each list of the view's own; else *own is set: free its bits. */
static ken_status allowed_for(ken *k, const kn_view *v, const kn_seek *s, kn_lookup_file *f,
                              kn_allowed *out, int *own)
{
    ken_status st = KEN_OK;
    size_t i = 0;
    pthread_mutex_lock(&k->lock);
    *own = !is_views_own(v, s->runs);
    if (*own) {
        pthread_mutex_unlock(&k->lock);
        return allow(v, s, f, out);
    }
    while (i < f->allowed_n && f->allowed[i].runs != s->runs)
        i++;
    if (i == f->allowed_n) {
        kn_allowed *list = kn_grow(f->allowed, i + 1, sizeof *list);
        st = list ? allow(v, s, f, &list[i]) : KEN_E_NOMEM;
        if (list)
            f->allowed = list;
        f->allowed_n += !st;
    }
    if (!st)
        *out = f->allowed[i];
    pthread_mutex_unlock(&k->lock);
    return st;
}

/* ---- both ---- */

/* Answers of the index, by places, join those of the comparison. */
static void join(const kn_view *v, const kn_seek *s, const kn_near *more, const size_t *more_n,
                 kn_near *room, kn_near *near, size_t *found)
{
    for (size_t q = 0; q < s->nq; q++) {
        kn_topk top;
        size_t segment;
        uint32_t slot;
        kn_topk_init(&top, room, s->k);
        for (size_t i = 0; i < found[q]; i++)
            kn_topk_offer(&top, near[q * s->k + i].id, near[q * s->k + i].raw);
        for (size_t i = 0; i < more_n[q]; i++)
            if (kn_place_find(v, more[q * s->k + i].id, &segment, &slot))
                kn_topk_offer(&top, kn_segment_id(&v->segments[segment], slot), more[q * s->k + i].raw);
        kn_topk_sort(&top);
        memcpy(near + q * s->k, room, top.len * sizeof *room);
        found[q] = top.len;
    }
}

static ken_status ask(ken *k, const kn_view *v, const kn_seek *s, kn_lookup_file *f, kn_near *near,
                      size_t *found)
{
    kn_allowed a = { 0 };
    int own = 0;
    kn_near *more = kn_alloc((s->nq + 1) * s->k, sizeof *more);
    size_t *n = kn_alloc(s->nq, sizeof *n);
    ken_status st = more && n ? allowed_for(k, v, s, f, &a, &own) : KEN_E_NOMEM;
    if (!st && a.n) {
        const kn_find p = { .k = s->k, .ef = s->ef, .allowed = a.bits, .n_allowed = a.bits ? a.n : 0 };
        st = kn_index_search(f->ix, s->queries, s->nq, &p, NULL, 0, threads_for(k, s->nq * ROWS_A_THREAD - 1),
                             more, n);
        if (!st)
            join(v, s, more, n, more + s->nq * s->k, near, found);
    }
    if (own)
        kn_free(a.bits);
    kn_free(more);
    kn_free(n);
    return st;
}

ken_status kn_lookup_need_locked(ken *k, kn_view *v)
{
    ken_status st = KEN_OK;
    kn_lookup_file *files = v->lookup ? NULL : kn_zalloc(KN_ROLES, sizeof *files);
    if (!v->lookup && !files)
        st = KEN_E_NOMEM;
    for (kn_role role = 0; files && !st && role < KN_ROLES; role++)
        st = kn_lookup_open(k, v, role, &files[role]);
    if (st)
        kn_lookup_free(files);
    else if (files)
        v->lookup = files;
    return st;
}

static ken_status need_files(ken *k, kn_view *v)
{
    pthread_mutex_lock(&k->lock);
    const ken_status st = kn_lookup_need_locked(k, v);
    pthread_mutex_unlock(&k->lock);
    return st;
}

ken_status kn_lookup(ken *k, kn_view *v, const kn_seek *s, kn_near *near, size_t *found)
{
    size_t rows = 0, indexed = 0;
    ken_status st = s->exact || !v->n ? KEN_OK : need_files(k, v);
    if (st)
        return st;
    for (size_t i = 0; i < v->n; i++)
        rows += plays(v, i, s) ? v->segments[i].rows : 0;
    const int deep = s->k > rows / DEEP;
    for (kn_role r = 0; !s->exact && !deep && v->lookup && r < KN_ROLES; r++)
        indexed += s->roles >> r & 1 && v->lookup[r].ix;
    st = compare(k, v, s, indexed ? v->lookup : NULL, near, found);
    for (kn_role r = 0; !st && indexed && r < KN_ROLES; r++)
        if (s->roles >> r & 1 && v->lookup[r].ix)
            st = ask(k, v, s, &v->lookup[r], near, found);
    return st;
}

void kn_lookup_close(kn_lookup_file *f)
{
    kn_index_free(f->ix);
    for (size_t i = 0; i < f->allowed_n; i++)
        kn_free(f->allowed[i].bits);
    kn_free(f->allowed);
    kn_free(f->covered);
    *f = (kn_lookup_file){ 0 };
}

void kn_lookup_free(kn_lookup_file *roles)
{
    for (kn_role r = 0; roles && r < KN_ROLES; r++)
        kn_lookup_close(&roles[r]);
    kn_free(roles);
}
