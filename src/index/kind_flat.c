/* kind_flat.c - the kind Flat: every row is compared, so the answer is exact. */
#include "base/alloc.h"
#include "base/error.h"
#include "index/index.h"

enum { BLOCK = 256, GROUP = 64 }; /* rows and queries at once: 64 KB of scores */

typedef struct flat {
    kn_rows rows;
} flat;

static ken_status make(void **state, const kn_rows *rows)
{
    flat *f = kn_alloc(1, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    f->rows = *rows;
    *state = f;
    return KEN_OK;
}

static ken_status build(void **state, const kn_rows *rows, const kn_spec *spec, const kn_build *b)
{
    (void)spec;
    (void)b;
    return make(state, rows);
}

static ken_status open_it(void **state, const kn_rows *rows, const kn_spec *spec,
                          const kn_index_file *f)
{
    (void)spec;
    (void)f;
    return make(state, rows);
}

static ken_status save(const void *state, kn_index_writer *w)
{
    (void)state;
    (void)w;
    return KEN_OK;
}

static void score(const kn_rows *r, const float *queries, size_t nq, size_t first, size_t n,
                  float *out)
{
    const kn_kernels *k = kn_kernels_get();
    const float *rows = r->f32 + first * r->dim;
    if (r->metric == KN_METRIC_L2)
        for (size_t q = 0; q < nq; q++)
            for (size_t i = 0; i < n; i++)
                out[q * BLOCK + i] = -k->l2sq_f32(queries + q * r->dim, rows + i * r->dim, r->dim);
    else
        k->dots_batch_f32(queries, nq, rows, n, r->dim, out, BLOCK);
}

static void offer(const kn_rows *r, const kn_find *p, size_t first, size_t n, const float *scores,
                  kn_topk *top)
{
    float floor = kn_topk_floor(top);
    for (size_t i = 0; i < n; i++)
        if (scores[i] >= floor && kn_find_allows(p, first + i)) {
            kn_topk_offer(top, r->ids[first + i], scores[i]);
            floor = kn_topk_floor(top);
        }
}

static ken_status search(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top)
{
    const kn_rows *r = &((const flat *)state)->rows;
    float *scores = kn_scratch_room(scratch, (size_t)GROUP * BLOCK * sizeof *scores);
    if (!scores)
        return KEN_E_NOMEM;
    for (size_t q = 0; q < nq; q += GROUP) {
        const size_t m = nq - q < GROUP ? nq - q : GROUP;
        for (size_t i = 0; i < r->n; i += BLOCK) {
            const size_t n = r->n - i < BLOCK ? r->n - i : BLOCK;
            score(r, queries + q * r->dim, m, i, n, scores);
            for (size_t j = 0; j < m; j++)
                offer(r, p, i, n, scores + j * BLOCK, &top[q + j]);
        }
    }
    return KEN_OK;
}

static void info(const void *state, kn_kind_info *out)
{
    (void)state;
    *out = (kn_kind_info){ 0 };
}

static ken_status check(const void *state, ken_problem_fn fn, void *cookie)
{
    (void)state;
    (void)fn;
    (void)cookie;
    return KEN_OK;
}

const kn_kind kn_kind_flat = { .build = build,
                               .open = open_it,
                               .save = save,
                               .release = kn_free,
                               .search = search,
                               .info = info,
                               .check = check };
