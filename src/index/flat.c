/*
 * flat.c - blocks of rows through the dot kernels, a heap for each query.
 *
 * Queries go in groups, so that the rows of a block meet all of them while they are in the cache;
 * threads share out the runs and their heaps are merged.  A kernel's result for a pair depends on
 * nothing but the pair, and the order of hits is total, so neither changes the outcome.
 */
#include "index/flat.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"

#include <string.h>

enum { GROUP = 64, BLOCK = 256 }; /* queries and rows at once: 64 KB of scores */

typedef struct job {
    const kn_flat *f;
    const kn_kernels *kern;
    const float *queries;
    size_t nq, k;     /* of this group */
    kn_near *heaps;   /* (workers, nq, k) */
    kn_topk *top;     /* (workers, nq) */
    float *scores;    /* (workers, GROUP, BLOCK) */
} job;

/* The scale stands in front of a row's bytes, at any alignment. */
static void score_i8(const job *j, const kn_run *run, size_t first, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *row = (const unsigned char *)run->rows + (first + i) * run->stride;
        float scale;
        memcpy(&scale, row, sizeof scale);
        for (size_t q = 0; q < j->nq; q++)
            out[q * BLOCK + i] = scale
                                 * j->kern->dot_i8(j->queries + q * j->f->dim,
                                                   (const int8_t *)row + sizeof scale, j->f->dim);
    }
}

static void score_block(const job *j, const kn_run *run, size_t first, size_t n, float *out)
{
    const size_t dim = j->f->dim;
    const float *f32 = (const float *)run->rows + first * dim;
    const uint16_t *f16 = (const uint16_t *)run->rows + first * dim;
    if (j->f->metric == KN_METRIC_L2) {
        for (size_t q = 0; q < j->nq; q++)
            for (size_t i = 0; i < n; i++)
                out[q * BLOCK + i] = -j->kern->l2sq_f32(j->queries + q * dim, f32 + i * dim, dim);
    } else if (run->type == KN_I8)
        score_i8(j, run, first, n, out);
    else if (run->type == KN_F16 && j->nq == 1)
        j->kern->dots_f16(j->queries, f16, n, dim, out);
    else if (run->type == KN_F16)
        j->kern->dots_batch_f16(j->queries, j->nq, f16, n, dim, out, BLOCK);
    else if (j->nq == 1)
        j->kern->dots_f32(j->queries, f32, n, dim, out);
    else
        j->kern->dots_batch_f32(j->queries, j->nq, f32, n, dim, out, BLOCK);
}

static int skipped(const kn_run *run, size_t i)
{
    const size_t bit = run->skip_first + i;
    return run->skip && (run->skip[bit / 64] >> bit % 64 & 1);
}

static void offer_block(kn_topk *t, const kn_run *run, size_t first, size_t n, const float *scores)
{
    float floor = kn_topk_floor(t);
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        if (!(scores[i] >= floor) || skipped(run, first + i))
            continue;
        memcpy(&id, run->ids + (first + i) * run->id_stride, sizeof id);
        kn_topk_offer(t, id, scores[i]);
        floor = kn_topk_floor(t);
    }
}

static ken_status search_runs(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const job *j = cookie;
    float *scores = j->scores + (size_t)worker * GROUP * BLOCK;
    kn_topk *top = j->top + worker * j->nq;
    for (size_t r = begin; r < end; r++) {
        const kn_run *run = &j->f->runs[r];
        for (size_t i = 0; i < run->n; i += BLOCK) {
            const size_t n = run->n - i < BLOCK ? run->n - i : BLOCK;
            score_block(j, run, i, n, scores);
            for (size_t q = 0; q < j->nq; q++)
                offer_block(&top[q], run, i, n, scores + q * BLOCK);
        }
    }
    return KEN_OK;
}

/* All workers' heaps of query q into near, which is worker 0's no longer. */
static size_t merge(const job *j, uint32_t workers, size_t q, kn_near *near)
{
    kn_topk all;
    kn_topk_init(&all, near, j->k);
    for (uint32_t w = 0; w < workers; w++) {
        const kn_topk *t = &j->top[w * j->nq + q];
        for (size_t i = 0; i < t->len; i++)
            kn_topk_offer(&all, t->heap[i].id, t->heap[i].raw);
    }
    kn_topk_sort(&all);
    return all.len;
}

static ken_status search_group(job *j, uint32_t workers, kn_near *near, size_t stride,
                               size_t *found)
{
    for (size_t i = 0; i < workers * j->nq; i++)
        kn_topk_init(&j->top[i], j->heaps + i * j->k, j->k);
    ken_status st = kn_parallel(j->f->n, 1, workers, search_runs, j);
    for (size_t q = 0; !st && q < j->nq; q++)
        found[q] = merge(j, workers, q, near + q * stride);
    return st;
}

static ken_status check(const kn_flat *f)
{
    for (size_t r = 0; r < f->n; r++)
        if (f->runs[r].type != KN_F32
            && ((f->runs[r].type != KN_F16 && f->runs[r].type != KN_I8)
                || f->metric == KN_METRIC_L2))
            return kn_fail(KEN_E_INVALID, "rows of this type cannot be searched");
    return KEN_OK;
}

static size_t count_rows(const kn_flat *f)
{
    size_t n = 0;
    for (size_t r = 0; r < f->n; r++)
        n += f->runs[r].n;
    return n;
}

ken_status kn_flat_search(const kn_flat *f, const float *queries, size_t nq, size_t k,
                          kn_near *near, size_t *found)
{
    const size_t rows = count_rows(f), group = nq < GROUP ? nq : GROUP;
    uint32_t workers = f->threads ? f->threads : 1;
    if (workers > f->n)
        workers = f->n ? (uint32_t)f->n : 1;
    job j = { .f = f, .kern = kn_kernels_get(), .k = k < rows ? k : rows };
    ken_status st = check(f);
    if (st || !nq)
        return st;
    j.heaps = kn_alloc(workers * group, (j.k ? j.k : 1) * sizeof *j.heaps);
    j.top = kn_alloc(workers * group, sizeof *j.top);
    j.scores = kn_alloc_aligned((size_t)workers * GROUP * BLOCK, sizeof *j.scores);
    if (!j.heaps || !j.top || !j.scores)
        st = KEN_E_NOMEM;
    for (size_t q = 0; !st && q < nq; q += group) {
        j.queries = queries + q * f->dim;
        j.nq = nq - q < group ? nq - q : group;
        st = search_group(&j, workers, near + q * k, k, found + q);
    }
    kn_free(j.heaps);
    kn_free(j.top);
    kn_free(j.scores);
    return st;
}
