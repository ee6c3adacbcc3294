/*
 * eval_match.c - blocks of queries against blocks of the gallery.
 *
 * For a ranking the scores of a query's own pictures come first; then, as the others pass by, it is
 * counted before which of them they go.  That is exact, and needs one pass.
 */
#include "engine/eval_match.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "engine/parts.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUERIES = 64, PICTURES = 512, GROUP = 8 };

typedef struct scored {
    float score;
    uint32_t place;
} scored;

/* One query of the block, for its ranking. */
typedef struct ranking {
    scored *own;     /* (n) best first */
    uint64_t *ahead; /* (n) others that go before own[i] and after own[i - 1] */
    size_t n;
    uint64_t *met;   /* a bitmap of labels that come up to own[0] */
    uint64_t objects;
} ranking;

typedef struct block {
    const kn_match *m;
    const float *queries; /* (now, 1 + looks, dim) */
    size_t from, now;     /* queries */
    const float *rows;    /* (pictures, 1 + crops, dim) */
    size_t place, pictures;
    float *scores;        /* (workers, GROUP * (1 + looks), PICTURES * (1 + crops)) */
    size_t scores_each;
    ranking ranks[QUERIES];
} block;

static int is_better(scored a, scored b)
{
    return a.score > b.score || (a.score == b.score && a.place < b.place);
}

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return is_better(*y, *x) - is_better(*x, *y);
}

/* ---- the first answers ---- */

static void offer(kn_first *f, scored s, uint32_t label)
{
    if (f->label == UINT32_MAX || is_better(s, (scored){ f->raw, f->place })) {
        if (f->label != UINT32_MAX && f->label != label)
            f->other = f->raw;
        f->raw = s.score;
        f->place = s.place;
        f->label = label;
    } else if (label != f->label && s.score > f->other) {
        f->other = s.score;
    }
}

static void offer_all(const kn_match *m, size_t query, scored s, uint32_t label)
{
    kn_first *f = m->first + query * m->variants_n;
    unsigned set = m->variants ? m->variants[s.place] : 1;
    for (size_t v = 0; set; v++, set >>= 1)
        if (set & 1 && s.score >= f[v].other)
            offer(&f[v], s, label);
}

/* ---- rankings ---- */

static void count_ahead(ranking *r, scored s, uint32_t label)
{
    size_t low = 0, high = r->n;
    if (!is_better(s, r->own[r->n - 1]))
        return;
    while (low < high) { /* the first of its own that s goes before */
        const size_t mid = (low + high) / 2;
        if (is_better(s, r->own[mid]))
            high = mid;
        else
            low = mid + 1;
    }
    r->ahead[low]++;
    if (low == 0 && !(r->met[label / 64] >> label % 64 & 1)) {
        r->met[label / 64] |= (uint64_t)1 << label % 64;
        r->objects++;
    }
}

static void release_ranking(ranking *r)
{
    kn_free(r->own);
    kn_free(r->ahead);
    kn_free(r->met);
    *r = (ranking){ 0 };
}

/* A picture's score of its (1 + crops) rows for a query's (1 + looks): the best of all, which lie
 * `stride` apart. */
static float best_of(const float *scores, size_t looks, size_t stride, size_t rows)
{
    float best = scores[0];
    for (size_t l = 0; l < looks; l++)
        for (size_t i = 0; i < rows; i++)
            best = scores[l * stride + i] > best ? scores[l * stride + i] : best;
    return best;
}

/* The scores of the query's own pictures, with the bits that the blocks will give. */
static ken_status score_own(const block *b, size_t q, ranking *r)
{
    const kn_eval_data *d = b->m->d;
    const size_t looks = 1 + d->r.looks, rows = 1 + d->r.crops, label = (size_t)d->truth[b->from + q];
    const float *own;
    float scores[(1 + KN_LOOKS_MAX) * (1 + KN_PARTS_MAX)];
    float *room = kn_alloc_aligned(rows * d->dim, sizeof *room);
    ken_status st = room ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < r->n; i++) {
        const uint32_t place = d->places[d->first[label] + i];
        st = kn_spill_get(&d->gallery, place * rows, rows, room, &own);
        if (st)
            break;
        kn_kernels_get()->dots_batch_f32(b->queries + q * looks * d->dim, looks, own, rows, d->dim,
                                         scores, rows);
        r->own[i] = (scored){ best_of(scores, looks, rows, rows), place };
    }
    kn_free(room);
    if (!st)
        qsort(r->own, r->n, sizeof *r->own, best_first);
    return st;
}

static ken_status begin_ranking(block *b, size_t q)
{
    const kn_eval_data *d = b->m->d;
    ranking *r = &b->ranks[q];
    const int64_t label = d->truth[b->from + q];
    *r = (ranking){ 0 };
    if (!b->m->ranking || label < 0)
        return KEN_OK;
    r->n = d->first[label + 1] - d->first[label];
    r->own = kn_alloc(r->n, sizeof *r->own);
    r->ahead = kn_zalloc(r->n, sizeof *r->ahead);
    r->met = kn_zalloc(d->labels_n / 64 + 1, sizeof *r->met);
    return r->own && r->ahead && r->met ? score_own(b, q, r) : KEN_E_NOMEM;
}

/* ahead becomes the ranks. */
static void end_ranking(block *b, size_t q)
{
    ranking *r = &b->ranks[q];
    uint64_t before = 0;
    for (size_t i = 0; i < r->n; i++) {
        before += r->ahead[i];
        r->ahead[i] = before + i + 1;
    }
    if (r->n)
        b->m->ranking(b->from + q, r->ahead, r->n, r->objects + 1, b->m->cookie);
    release_ranking(r);
}

/* ---- blocks ---- */

static void take_scores(block *b, size_t q, const float *scores, size_t looks, size_t stride)
{
    const kn_eval_data *d = b->m->d;
    const size_t rows = 1 + d->r.crops;
    ranking *r = &b->ranks[q];
    const int64_t truth = d->truth[b->from + q];
    for (size_t p = 0; p < b->pictures; p++) {
        const scored s = { best_of(scores + p * rows, looks, stride, rows), (uint32_t)(b->place + p) };
        const uint32_t label = d->label[s.place];
        offer_all(b->m, b->from + q, s, label);
        if (r->n && (int64_t)label != truth)
            count_ahead(r, s, label);
    }
}

static ken_status score_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    block *b = cookie;
    const kn_eval_data *d = b->m->d;
    const size_t looks = 1 + d->r.looks, rows = b->pictures * (1 + d->r.crops);
    float *scores = b->scores + worker * b->scores_each;
    for (size_t q = begin; q < end; q += GROUP) {
        const size_t now = end - q < GROUP ? end - q : GROUP;
        kn_kernels_get()->dots_batch_f32(b->queries + q * looks * d->dim, now * looks, b->rows, rows,
                                         d->dim, scores, rows);
        for (size_t i = 0; i < now; i++)
            take_scores(b, q + i, scores + i * looks * rows, looks, rows);
    }
    return KEN_OK;
}

static ken_status scan_gallery(block *b, float *room, uint32_t workers)
{
    const kn_eval_data *d = b->m->d;
    const size_t rows = 1 + d->r.crops;
    ken_status st = KEN_OK;
    for (b->place = 0; !st && b->place < d->n; b->place += PICTURES) {
        b->pictures = d->n - b->place < PICTURES ? d->n - b->place : PICTURES;
        st = kn_spill_get(&d->gallery, b->place * rows, b->pictures * rows, room, &b->rows);
        if (!st)
            st = kn_parallel(b->now, 1, workers, score_piece, b);
    }
    return st;
}

static ken_status run_block(block *b, float *rows, float *queries, uint32_t workers)
{
    const kn_eval_data *d = b->m->d;
    const size_t looks = 1 + d->r.looks;
    ken_status st = kn_spill_get(&d->queries, b->from * looks, b->now * looks, queries, &b->queries);
    for (size_t q = 0; !st && q < b->now; q++)
        st = begin_ranking(b, q);
    if (!st)
        st = scan_gallery(b, rows, workers);
    for (size_t q = 0; q < b->now; q++) {
        if (!st)
            end_ranking(b, q);
        release_ranking(&b->ranks[q]);
    }
    return st;
}

ken_status kn_match_all(const kn_match *m)
{
    const kn_eval_data *d = m->d;
    const size_t all = d->known + d->unknown, looks = 1 + d->r.looks, rows = 1 + d->r.crops;
    const uint32_t workers = kn_processors();
    kn_meter meter;
    block *b = kn_zalloc(1, sizeof *b);
    float *room = kn_alloc_aligned(PICTURES * rows * d->dim, sizeof *room);
    float *queries = kn_alloc_aligned(QUERIES * looks * d->dim, sizeof *queries);
    ken_status st = b && room && queries ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        b->m = m;
        b->scores_each = GROUP * looks * PICTURES * rows;
        b->scores = kn_alloc_aligned(workers * b->scores_each, sizeof *b->scores);
        st = b->scores ? KEN_OK : KEN_E_NOMEM;
    }
    for (size_t i = 0; !st && i < all * m->variants_n; i++)
        m->first[i] = (kn_first){ -INFINITY, -INFINITY, UINT32_MAX, 0 };
    kn_meter_start(&meter, "compare", "queries", all, m->progress, m->progress_cookie);
    for (size_t q = 0; !st && q < all; q += QUERIES) {
        b->from = q;
        b->now = all - q < QUERIES ? all - q : QUERIES;
        st = kn_meter_tell(&meter, q, NULL);
        if (!st)
            st = run_block(b, room, queries, workers);
    }
    kn_meter_end(&meter);
    if (b)
        kn_free(b->scores);
    kn_free(b);
    kn_free(room);
    kn_free(queries);
    return st;
}
