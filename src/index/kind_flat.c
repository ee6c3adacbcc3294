/*
 * kind_flat.c - the kind Flat: every row is compared, so the answer is exact.
 *
 * Batches go through the matrix kernel.  A query alone first meets the rows' 1-bit codes: the best k by
 * estimate are compared in f32, and then every row whose estimate could be wrong by so much that it
 * belongs among them.  "So much" is SURE deviations of the estimate's error, which a random rotation
 * makes normal (Gao and Long, "RaBitQ", SIGMOD 2024): a row that belongs there is missed less than once
 * in 10^11.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "index/code.h"
#include "index/index.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK = 256, GROUP = 64, /* rows and queries at once: 64 KB of scores */
    ALONE = 4,               /* queries that are asked one by one */
    CODED_DIM = 256, CODED_ROWS = 2048 /* from which codes are worth it */
};
static const float SURE = 7;

/* What an estimate needs beside the bits. */
typedef struct factor {
    float factor, rest, norm2; /* rest: the length of what the signs do not say of R y */
} factor;

typedef struct flat {
    kn_rows rows;
    kn_coder coder;        /* all zero: no codes */
    const uint8_t *bits;   /* (n, padded / 8) */
    const factor *factors; /* (n) */
    void *own_bits, *own_factors;
} flat;

typedef struct head { /* section "coder" */
    uint64_t seed;
    float scale;
    uint32_t zero;
} head;

static void release(void *state)
{
    flat *f = state;
    if (!f)
        return;
    kn_coder_release(&f->coder);
    kn_free(f->own_bits);
    kn_free(f->own_factors);
    kn_free(f);
}

/* ---- codes ---- */

static ken_status encode(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    flat *f = cookie;
    const size_t padded = f->coder.padded, bytes = padded / 8;
    float *y = kn_alloc_aligned(padded, sizeof *y);
    (void)worker;
    if (!y)
        return KEN_E_NOMEM;
    for (size_t i = begin; i < end; i++) {
        factor *to = (factor *)f->own_factors + i;
        kn_coder_centre(&f->coder, f->rows.f32 + i * f->rows.dim, 1, y);
        kn_coder_rotate(&f->coder, y);
        to->factor = kn_code_bits(y, padded, (uint8_t *)f->own_bits + i * bytes, &to->norm2);
        const float rest = to->factor * to->factor * (float)padded - to->norm2;
        to->rest = rest > 0 ? sqrtf(rest) : 0;
    }
    kn_free(y);
    return KEN_OK;
}

static ken_status build(void **state, const kn_rows *rows, const kn_spec *spec, const kn_build *b)
{
    flat *f = kn_zalloc(1, sizeof *f);
    ken_status st = KEN_OK;
    (void)spec;
    if (!f)
        return KEN_E_NOMEM;
    f->rows = *rows;
    if (rows->n >= CODED_ROWS && rows->dim >= CODED_DIM && rows->dim <= KN_CODE_MAX_DIM) {
        st = kn_coder_train(&f->coder, rows->f32, rows->n, rows->dim, rows->dim, b->seed, b->threads);
        f->bits = f->own_bits = st ? NULL : kn_alloc_aligned(rows->n, f->coder.padded / 8);
        f->factors = f->own_factors = st ? NULL : kn_alloc(rows->n, sizeof *f->factors);
        if (!st && (!f->bits || !f->factors))
            st = KEN_E_NOMEM;
        if (!st)
            st = kn_parallel(rows->n, 256, b->threads ? b->threads : 1, encode, f);
    }
    if (st)
        release(f);
    else
        *state = f;
    return st;
}

static ken_status open_codes(flat *f, const kn_index_file *file)
{
    const void *p = NULL, *centre = NULL;
    head h;
    ken_status st = kn_index_file_get(file, "coder", 1, sizeof h, &p);
    if (!st) {
        memcpy(&h, p, sizeof h);
        st = kn_index_file_get(file, "centre", f->rows.dim, sizeof(float), &centre);
    }
    if (!st && (!(h.scale > 0) || !isfinite(h.scale)))
        st = kn_fail(KEN_E_CORRUPT, "section coder: its scale is out of range");
    if (!st)
        st = kn_coder_restore(&f->coder, f->rows.dim, h.seed, h.scale, centre);
    if (!st)
        st = kn_index_file_get(file, "bits", f->rows.n, f->coder.padded / 8, &p);
    f->bits = p;
    if (!st)
        st = kn_index_file_get(file, "factors", f->rows.n, sizeof *f->factors, &p);
    f->factors = p;
    return st;
}

static ken_status open_it(void **state, const kn_rows *rows, const kn_spec *spec,
                          const kn_index_file *file)
{
    flat *f = kn_zalloc(1, sizeof *f);
    size_t bytes;
    (void)spec;
    if (!f)
        return KEN_E_NOMEM;
    f->rows = *rows;
    ken_status st = kn_index_file_find(file, "coder", &bytes) ? open_codes(f, file) : KEN_OK;
    if (st)
        release(f);
    else
        *state = f;
    return st;
}

static ken_status save(const void *state, kn_index_writer *w)
{
    const flat *f = state;
    const head h = { f->coder.seed, f->coder.scale, 0 };
    if (!f->coder.padded)
        return KEN_OK;
    ken_status st = kn_index_writer_put(w, "coder", &h, sizeof h);
    if (!st)
        st = kn_index_writer_put(w, "centre", f->coder.centre, f->rows.dim * sizeof(float));
    if (!st)
        st = kn_index_writer_put(w, "bits", f->bits, f->rows.n * f->coder.padded / 8);
    return st ? st
              : kn_index_writer_put(w, "factors", f->factors, f->rows.n * sizeof *f->factors);
}

/* ---- a query alone ---- */

typedef struct asking {
    uint8_t *planes;
    float *v, *estimates, *reach; /* (n) raw by estimate, and how much more it may be */
    kn_near *best;
    float step, norm, offset; /* |v|; what all rows' raw scores have in common */
} asking;

static size_t room_for(const flat *f, size_t k, unsigned char *p, asking *a)
{
    size_t at = 0;
    const size_t n = f->rows.n, padded = f->coder.padded;
    void **const to[] = { (void **)&a->planes, (void **)&a->v, (void **)&a->estimates,
                          (void **)&a->reach, (void **)&a->best };
    const size_t bytes[] = { KN_PLANES * padded / 8, padded * sizeof(float), n * sizeof(float),
                             n * sizeof(float), k * sizeof(kn_near) };
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        if (p)
            *to[i] = p + at;
        at += (bytes[i] + 63) / 64 * 64;
    }
    return at;
}

static void ask(const flat *f, asking *a, const float *query)
{
    const int l2 = f->rows.metric == KN_METRIC_L2;
    double norm = 0, along = 0;
    kn_coder_centre(&f->coder, query, l2, a->v);
    for (size_t j = 0; j < f->rows.dim; j++) {
        norm += (double)a->v[j] * (double)a->v[j];
        along += (double)f->coder.centre[j] * (double)query[j];
    }
    a->norm = (float)sqrt(norm);
    a->offset = (float)(l2 ? -norm : along);
    kn_coder_rotate(&f->coder, a->v);
    a->step = kn_code_planes(a->v, f->coder.padded, a->planes);
}

/* From the differing bits of rows first .. first + n-1: about their raw scores, and the reach. */
static void estimate(const flat *f, const asking *a, size_t first, size_t n, const uint32_t *differ)
{
    const float d = (float)f->coder.padded, base = 7.5f * d, back = 1 / f->coder.scale;
    const float spread = a->norm * a->norm / d, grain = a->step * a->step * d / 12;
    for (size_t i = 0; i < n; i++) {
        const factor *t = &f->factors[first + i];
        const float dot = t->factor * a->step * (base - (float)differ[i]);
        const float far = SURE * sqrtf(t->rest * t->rest * spread + t->factor * t->factor * grain)
                          + 1e-5f * a->norm * sqrtf(t->norm2);
        const int l2 = f->rows.metric == KN_METRIC_L2;
        a->estimates[first + i] =
            l2 ? (a->offset + 2 * dot - t->norm2) * back * back : a->offset + dot * back;
        a->reach[first + i] = l2 ? 2 * far * back * back : far * back;
    }
}

static float exact(const kn_rows *r, const float *query, size_t slot)
{
    const float *row = r->f32 + slot * r->dim;
    return r->metric == KN_METRIC_L2 ? -kn_kernels_get()->l2sq_f32(query, row, r->dim)
                                     : kn_kernels_get()->dot_f32(query, row, r->dim);
}

static void search_alone(const flat *f, asking *a, const float *query, const kn_find *p,
                         kn_topk *top)
{
    const kn_rows *r = &f->rows;
    uint32_t differ[BLOCK];
    kn_topk best;
    kn_topk_init(&best, a->best, top->k);
    ask(f, a, query);
    for (size_t i = 0; i < r->n; i += BLOCK) {
        const size_t n = r->n - i < BLOCK ? r->n - i : BLOCK, bytes = f->coder.padded / 8;
        kn_kernels_get()->code_differ(a->planes, f->bits + i * bytes, bytes, NULL, n, differ);
        estimate(f, a, i, n, differ);
        for (size_t j = i; j < i + n; j++)
            if (a->estimates[j] >= kn_topk_floor(&best) && kn_find_allows(p, j))
                kn_topk_offer(&best, j, a->estimates[j]);
    }
    for (size_t i = 0; i < best.len; i++) {
        const size_t slot = (size_t)best.heap[i].id;
        kn_topk_offer(top, r->ids[slot], exact(r, query, slot));
        a->reach[slot] = -INFINITY; /* done */
    }
    for (size_t i = 0; i < r->n; i++)
        if (a->estimates[i] + a->reach[i] >= kn_topk_floor(top) && kn_find_allows(p, i))
            kn_topk_offer(top, r->ids[i], exact(r, query, i));
}

/* ---- many ---- */

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

static ken_status search_many(const kn_rows *r, const float *queries, size_t nq, const kn_find *p,
                              kn_scratch *scratch, kn_topk *top)
{
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

static ken_status search(const void *state, const float *queries, size_t nq, const kn_find *p,
                         kn_scratch *scratch, kn_topk *top)
{
    const flat *f = state;
    asking a;
    if (!f->coder.padded || nq > ALONE)
        return search_many(&f->rows, queries, nq, p, scratch, top);
    unsigned char *room = kn_scratch_room(scratch, room_for(f, p->k, NULL, &a));
    if (!room)
        return KEN_E_NOMEM;
    room_for(f, p->k, room, &a);
    for (size_t q = 0; q < nq; q++)
        search_alone(f, &a, queries + q * f->rows.dim, p, &top[q]);
    return KEN_OK;
}

static void info(const void *state, kn_kind_info *out)
{
    const flat *f = state;
    *out = (kn_kind_info){ .bytes_hot = f->rows.n * (f->coder.padded / 8
                                                     + (f->coder.padded ? sizeof(factor) : 0)) };
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
                               .release = release,
                               .search = search,
                               .info = info,
                               .check = check };
