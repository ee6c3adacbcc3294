/* foreign_write.c - files of faiss and hnswlib, written: what foreign_faiss.c and foreign_hnswlib.c
 * read. */
#include "index/foreign.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { ROOM = 1 << 16 };

typedef struct writer {
    kn_replace file;
    unsigned char room[ROOM];
    size_t n;
    ken_status st; /* the first failure; what is put after it is dropped */
} writer;

static void flush(writer *w)
{
    if (!w->st && w->n)
        w->st = kn_write(w->file.fd, w->room, w->n);
    w->n = 0;
}

static void put(writer *w, const void *bytes, size_t n)
{
    if (n > ROOM - w->n)
        flush(w);
    if (n > ROOM) {
        w->st = w->st ? w->st : kn_write(w->file.fd, bytes, n);
        return;
    }
    if (n)
        memcpy(w->room + w->n, bytes, n);
    w->n += n;
}

static void put8(writer *w, uint8_t x)
{
    put(w, &x, 1);
}

static void put32(writer *w, uint32_t x)
{
    put(w, &x, 4);
}

static void put64(writer *w, uint64_t x)
{
    put(w, &x, 8);
}

static void put_vector(writer *w, const void *p, size_t n, size_t size)
{
    put64(w, n);
    put(w, p, n * size);
}

static void put_header(writer *w, const char *kind, const kn_rows *r)
{
    put(w, kind, 4);
    put32(w, r->dim);
    put64(w, r->n);
    put64(w, 1 << 20); /* two fields of old, with their old values */
    put64(w, 1 << 20);
    put8(w, 1);
    put32(w, r->metric == KN_METRIC_L2);
}

static void put_flat(writer *w, const kn_rows *r, const float *f32, size_t n)
{
    kn_rows these = *r;
    these.n = n;
    put_header(w, r->metric == KN_METRIC_L2 ? "IxF2" : "IxFI", &these);
    put_vector(w, f32, n * r->dim, 4);
}

/* ---- lists ------------------------------------------------------------------------ */

static void put_pq(writer *w, const kn_pq *pq, float *rows)
{
    put64(w, pq->dim);
    put64(w, pq->space.m);
    put64(w, pq->space.k == 16 ? 4 : 8);
    kn_pq_to_rows(pq, rows);
    put_vector(w, rows, pq->dim * pq->space.k, 4);
}

/* Positions are slots under a refining index, which has rows by them; else ids. */
static void put_ids(writer *w, const kn_ivf *x, size_t begin, size_t end, int slots)
{
    for (size_t i = begin; i < end; i++)
        put64(w, slots ? x->slots[i] : x->rows.ids[x->slots[i]]);
}

static void put_arrays(writer *w, const kn_ivf *x, int slots)
{
    const size_t dim = x->rows.dim, m = x->pq.space.m, size = m ? m : 4 * dim;
    put(w, "ilar", 4);
    put64(w, x->lists);
    put64(w, size);
    size_t used = 0;
    for (size_t l = 0; l < x->lists; l++)
        used += x->first[l + 1] > x->first[l];
    const int sparse = used <= x->lists / 2;
    put(w, sparse ? "sprs" : "full", 4);
    put64(w, sparse ? 2 * used : x->lists);
    for (size_t l = 0; l < x->lists; l++) {
        const size_t n = x->first[l + 1] - x->first[l];
        if (sparse && n)
            put64(w, l);
        if (!sparse || n)
            put64(w, n);
    }
    for (size_t l = 0; l < x->lists; l++) {
        const size_t begin = x->first[l], end = x->first[l + 1];
        if (m)
            put(w, x->codes + begin * m, (end - begin) * m);
        for (size_t i = begin; !m && i < end; i++)
            put(w, x->rows.f32 + x->slots[i] * dim, 4 * dim);
        put_ids(w, x, begin, end, slots);
    }
}

static void put_blocks(writer *w, const kn_ivf *x, int slots)
{
    const size_t bytes = kn_pq4_block_bytes(x->pq.space.m);
    put(w, "ilbl", 4);
    put64(w, x->lists);
    put64(w, UINT64_MAX);
    put64(w, KN_PQ4_BLOCK);
    put64(w, bytes);
    for (size_t l = 0; l < x->lists; l++) {
        put64(w, x->first[l + 1] - x->first[l]);
        put_ids(w, x, x->first[l], x->first[l + 1], slots);
        put_vector(w, x->codes + x->blocks[l] * bytes, (x->blocks[l + 1] - x->blocks[l]) * bytes, 1);
    }
}

static ken_status put_lists(writer *w, const kn_ivf *x, int slots)
{
    const size_t m = x->pq.space.m;
    const int small = m && kn_ivf_bits(x) == 4;
    float *rows = kn_alloc((size_t)x->rows.dim * 256, sizeof *rows);
    if (!rows)
        return KEN_E_NOMEM;
    put_header(w, !m ? "IwFl" : small ? "IwPf" : "IwPQ", &x->rows);
    put64(w, x->lists);
    put64(w, kn_ivf_nprobe(x));
    put_flat(w, &x->rows, x->centres, x->lists);
    put8(w, 0); /* no direct map */
    put64(w, 0);
    if (m) {
        put8(w, (uint8_t)x->residual);
        put64(w, small ? (m + 1) / 2 : m);
    }
    if (small) {
        put32(w, KN_PQ4_BLOCK);
        put64(w, (m + 1) / 2 * 2);
        put32(w, 0); /* the search is the reader's to choose */
        put64(w, 0);
    }
    if (m)
        put_pq(w, &x->pq, rows);
    if (small)
        put_blocks(w, x, slots);
    else
        put_arrays(w, x, slots);
    kn_free(rows);
    return KEN_OK;
}

static void put_rotation(writer *w, const kn_ivf *x)
{
    const uint32_t dim = x->rows.dim;
    put_header(w, "IxPT", &x->rows);
    put32(w, 1);
    put(w, "LTra", 4);
    put8(w, 0);
    put_vector(w, x->columns, (size_t)dim * dim, 4);
    put64(w, 0);
    put32(w, dim);
    put32(w, dim);
    put8(w, 1);
}

/* ---- graphs ------------------------------------------------------------------------- */

/* All nodes are in the base layer alone. */
static void put_graph(writer *w, const kn_rows *r, const kn_foreign_graph *g)
{
    const double all = 1;
    put_header(w, "IHNf", r);
    put_vector(w, &all, 1, sizeof all); /* the chance of the base layer */
    put64(w, 2);                        /* links up to each level: */
    put32(w, 0);
    put32(w, g->degree);
    put64(w, r->n);
    for (size_t i = 0; i < r->n; i++)
        put32(w, 1);
    put64(w, r->n + 1);
    for (size_t i = 0; i <= r->n; i++)
        put64(w, i * g->degree);
    put_vector(w, g->links, r->n * g->degree, 4); /* -1 behind the last, as ours */
    put32(w, r->n ? g->entry : UINT32_MAX);
    put32(w, r->n ? 0 : UINT32_MAX); /* the top level */
    put32(w, 40);                    /* efConstruction, efSearch: faiss's own */
    put32(w, 16);
    put32(w, 1);
}

static void put_hnswlib(writer *w, const kn_rows *r, const kn_foreign_graph *g)
{
    const uint64_t m = g->degree / 2, data = 4 * (uint64_t)g->degree + 4;
    const uint64_t label = data + 4 * (uint64_t)r->dim;
    const double mult = 1 / log(m > 1 ? (double)m : 2);
    put64(w, 0);
    put64(w, r->n);
    put64(w, r->n);
    put64(w, label + 8);
    put64(w, label);
    put64(w, data);
    put32(w, r->n ? 0 : UINT32_MAX);
    put32(w, r->n ? g->entry : UINT32_MAX);
    put64(w, m);
    put64(w, g->degree);
    put64(w, m);
    put(w, &mult, sizeof mult);
    put64(w, 200); /* ef_construction: its own */
    for (size_t i = 0; i < r->n; i++) {
        const uint32_t *links = g->links + i * g->degree;
        uint32_t n = 0;
        while (n < g->degree && links[n] != UINT32_MAX)
            n++;
        put32(w, n);
        put(w, links, n * sizeof *links);
        for (uint32_t rest = n; rest < g->degree; rest++)
            put32(w, 0);
        put(w, r->f32 + i * r->dim, r->dim * sizeof(float));
        put64(w, r->ids[i]);
    }
    for (size_t i = 0; i < r->n; i++)
        put32(w, 0); /* no upper links */
}

/* ---- the file ----------------------------------------------------------------------- */

static int plain_ids(const kn_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->ids[i] != i)
            return 0;
    return 1;
}

static ken_status put_faiss(writer *w, const kn_rows *rows, const kn_ivf *ivf,
                            const kn_foreign_graph *graph)
{
    const int refine = ivf && ivf->refine && rows->f32;
    const int mapped = (!ivf || refine) && !plain_ids(rows);
    const float factor = 1;
    ken_status st = KEN_OK;
    if (mapped)
        put_header(w, "IxM2", rows);
    if (refine)
        put_header(w, "IxRF", rows);
    if (ivf && ivf->rotation)
        put_rotation(w, ivf);
    if (ivf)
        st = put_lists(w, ivf, refine);
    if (graph)
        put_graph(w, rows, graph);
    if (!ivf || refine)
        put_flat(w, rows, rows->f32, rows->n);
    if (refine)
        put(w, &factor, 4);
    if (mapped)
        put_vector(w, rows->ids, rows->n, 8);
    return st;
}

static ken_status begin(writer **w, const char *path)
{
    *w = kn_alloc(1, sizeof **w);
    if (!*w)
        return KEN_E_NOMEM;
    (*w)->n = 0;
    return (*w)->st = kn_replace_begin(&(*w)->file, path);
}

static ken_status end(writer *w, ken_status st)
{
    flush(w);
    st = st ? st : w->st;
    if (!st)
        st = kn_replace_commit(&w->file);
    else
        kn_replace_abort(&w->file);
    kn_free(w);
    return st;
}

ken_status kn_foreign_write_faiss(const kn_rows *rows, const kn_ivf *ivf,
                                  const kn_foreign_graph *graph, const char *path)
{
    writer *w;
    ken_status st = begin(&w, path);
    if (!w)
        return st;
    return end(w, st ? st : put_faiss(w, rows, ivf, graph));
}

ken_status kn_foreign_write_hnswlib(const kn_rows *rows, const kn_foreign_graph *graph,
                                    const char *path)
{
    writer *w;
    ken_status st = begin(&w, path);
    if (!w)
        return st;
    if (!st)
        put_hnswlib(w, rows, graph);
    return end(w, st);
}
