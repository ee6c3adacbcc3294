/*
 * foreign_faiss.c - reading faiss's files.
 *
 * A file is an index in an index: four letters, a header, and what that kind holds.  The layouts are
 * those of faiss/impl/index_write.cpp; 1.7 and 1.15 agree on what is read here.  Every count is held
 * against the bytes that are left before it is believed.
 */
#include "index/foreign.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { DEEPEST = 8, MOST_DIM = 1 << 16, MOST_LISTS = 1 << 24 };

static ken_status read_index(kn_foreign *out, kn_reader *r, int depth);

/* ---- pieces --------------------------------------------------------------------- */

typedef struct header {
    uint32_t dim;
    uint64_t n;
    kn_metric metric;
} header;

static ken_status read_header(kn_reader *r, header *h)
{
    h->dim = kn_reader_u32(r, "a header");
    h->n = kn_reader_u64(r, "a header");
    kn_reader_take(r, 16, 1, "a header");
    const unsigned char *trained = kn_reader_take(r, 1, 1, "a header");
    const uint32_t metric = kn_reader_u32(r, "a header");
    if (r->st)
        return r->st;
    if (metric > 1)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "metric %u: only inner product (0) and L2 (1)",
                              metric);
    if (!h->dim || h->dim > MOST_DIM || h->n >= 1u << 31 || *trained > 1)
        return kn_reader_fail(r, KEN_E_CORRUPT, "%llu vectors of dimension %u",
                              (unsigned long long)h->n, h->dim);
    if (!*trained)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "the index is not trained");
    h->metric = metric ? KN_METRIC_L2 : KN_METRIC_DOT;
    return KEN_OK;
}

/* A vector's elements, which must be `want`; *p is at any alignment. */
static ken_status read_exact(kn_reader *r, uint64_t want, size_t size, const char *what,
                             const unsigned char **p)
{
    const uint64_t n = kn_reader_u64(r, what);
    if (!r->st && n != want)
        return kn_reader_fail(r, KEN_E_CORRUPT, "%llu elements of %s, not %llu",
                              (unsigned long long)n, what, (unsigned long long)want);
    *p = kn_reader_take(r, n, size, what);
    return r->st;
}

static ken_status read_floats(kn_reader *r, size_t want, const char *what, float **out)
{
    const unsigned char *p;
    if (read_exact(r, want, 4, what, &p))
        return r->st;
    *out = kn_alloc_aligned(want ? want : 1, 4);
    if (!*out)
        return r->st = KEN_E_NOMEM;
    memcpy(*out, p, want * 4);
    for (size_t i = 0; i < want; i++)
        if (!isfinite((*out)[i])) {
            kn_free(*out);
            *out = NULL;
            return kn_reader_fail(r, KEN_E_CORRUPT, "number %zu of %s is not finite", i, what);
        }
    return KEN_OK;
}

/* 0, 1, 2 … */
static ken_status count_ids(kn_foreign *f)
{
    f->ids = kn_alloc(f->n + 1, sizeof *f->ids);
    for (size_t i = 0; f->ids && i < f->n; i++)
        f->ids[i] = i;
    return f->ids ? KEN_OK : KEN_E_NOMEM;
}

static void take_header(kn_foreign *f, const header *h)
{
    f->dim = h->dim;
    f->metric = h->metric;
    f->n = (size_t)h->n;
}

/* ---- flat, and ids --------------------------------------------------------------- */

static ken_status read_flat(kn_foreign *f, kn_reader *r)
{
    header h;
    ken_status st = read_header(r, &h);
    if (st)
        return st;
    take_header(f, &h);
    st = read_floats(r, f->n * f->dim, "vectors", &f->rows);
    return st ? st : count_ids(f);
}

static ken_status read_id_map(kn_foreign *f, kn_reader *r, int depth)
{
    header h;
    const unsigned char *p = NULL;
    ken_status st = read_header(r, &h);
    st = st ? st : read_index(f, r, depth);
    st = st ? st : read_exact(r, f->n, 8, "ids", &p);
    for (size_t i = 0; !st && i < f->n; i++) {
        const uint64_t from = f->ids[i];
        if (from >= f->n)
            return kn_reader_fail(r, KEN_E_CORRUPT, "vector %llu of %zu",
                                  (unsigned long long)from, f->n);
        memcpy(&f->ids[i], p + 8 * from, 8);
    }
    return st;
}

/* ---- scalar quantisers ------------------------------------------------------------ */

typedef struct scalar {
    uint32_t type;
    size_t code_size;
    float *trained; /* what there is */
} scalar;

enum { SQ_8, SQ_4, SQ_8_UNIFORM, SQ_4_UNIFORM, SQ_F16, SQ_DIRECT, SQ_6, SQ_BF16, SQ_SIGNED, SQS };

static ken_status read_scalar(kn_reader *r, size_t dim, scalar *q)
{
    static const uint8_t bits[SQS] = { 8, 4, 8, 4, 16, 8, 6, 16, 8 };
    q->type = kn_reader_u32(r, "a scalar quantiser");
    kn_reader_take(r, 8, 1, "a scalar quantiser");
    const uint64_t d = kn_reader_u64(r, "a scalar quantiser");
    q->code_size = (size_t)kn_reader_u64(r, "a scalar quantiser");
    if (r->st)
        return r->st;
    if (q->type >= SQS)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "scalar quantiser of type %u", q->type);
    if (d != dim || q->code_size != (dim * bits[q->type] + 7) / 8)
        return kn_reader_fail(r, KEN_E_CORRUPT, "a scalar code of %zu bytes for %llu dimensions",
                              q->code_size, (unsigned long long)d);
    const int uniform = q->type == SQ_8_UNIFORM || q->type == SQ_4_UNIFORM;
    const int ranges = q->type == SQ_8 || q->type == SQ_4 || q->type == SQ_6;
    return read_floats(r, uniform ? 2 : ranges ? 2 * dim : 0, "trained ranges", &q->trained);
}

static unsigned six_bits(const unsigned char *c, size_t i)
{
    const unsigned char *p = c + i / 4 * 3;
    switch (i % 4) {
    case 0:
        return p[0] & 63;
    case 1:
        return (p[0] >> 6 | (p[1] & 15u) << 2);
    case 2:
        return (p[1] >> 4 | (p[2] & 3u) << 4);
    default:
        return p[2] >> 2;
    }
}

static float decode_one(const scalar *q, size_t dim, const unsigned char *c, size_t i)
{
    const int uniform = q->type == SQ_8_UNIFORM || q->type == SQ_4_UNIFORM;
    float x, half;
    uint16_t word;
    switch (q->type) {
    case SQ_F16:
    case SQ_BF16:
        word = (uint16_t)kn_little16(c + 2 * i);
        (q->type == SQ_F16 ? kn_kernels_get()->f16_to_f32 : kn_kernels_get()->bf16_to_f32)(&word,
                                                                                        &half, 1);
        return half;
    case SQ_DIRECT:
        return c[i];
    case SQ_SIGNED:
        return (float)c[i] - 128;
    case SQ_4:
    case SQ_4_UNIFORM:
        x = ((float)(c[i / 2] >> i % 2 * 4 & 15) + 0.5f) / 15;
        break;
    case SQ_6:
        x = ((float)six_bits(c, i) + 0.5f) / 63;
        break;
    default:
        x = ((float)c[i] + 0.5f) / 255;
    }
    return q->trained[uniform ? 0 : i] + x * q->trained[uniform ? 1 : dim + i];
}

static void decode_scalar(const scalar *q, size_t dim, const unsigned char *code, float *out)
{
    for (size_t i = 0; i < dim; i++)
        out[i] = decode_one(q, dim, code, i);
}

static ken_status read_scalar_index(kn_foreign *f, kn_reader *r)
{
    header h;
    scalar q = { 0 };
    const unsigned char *p;
    ken_status st = read_header(r, &h);
    st = st ? st : read_scalar(r, h.dim, &q);
    st = st ? st : read_exact(r, h.n * q.code_size, 1, "codes", &p);
    if (!st) {
        take_header(f, &h);
        f->rows = kn_alloc_aligned(f->n * f->dim + 1, sizeof *f->rows);
        st = f->rows ? count_ids(f) : KEN_E_NOMEM;
    }
    for (size_t i = 0; !st && i < f->n; i++)
        decode_scalar(&q, f->dim, p + i * q.code_size, f->rows + i * f->dim);
    kn_free(q.trained);
    return st;
}

/* ---- product quantisers ------------------------------------------------------------ */

static ken_status read_pq(kn_reader *r, size_t dim, kn_pq *pq, float **centroids)
{
    float *rows = NULL;
    const uint64_t d = kn_reader_u64(r, "a product quantiser");
    const uint64_t m = kn_reader_u64(r, "a product quantiser");
    const uint64_t bits = kn_reader_u64(r, "a product quantiser");
    if (r->st)
        return r->st;
    if (d != dim || !m || m > dim || dim % m)
        return kn_reader_fail(r, KEN_E_CORRUPT, "%llu pieces of %llu dimensions",
                              (unsigned long long)m, (unsigned long long)d);
    if (bits != 4 && bits != 8)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "product codes of %llu bits: only 4 and 8",
                              (unsigned long long)bits);
    *pq = (kn_pq){ { (size_t)m, bits == 4 ? 16 : 256, dim / (size_t)m, NULL }, dim };
    ken_status st = read_floats(r, dim * pq->space.k, "centroids", &rows);
    *centroids = st ? NULL : kn_alloc_aligned(dim * pq->space.k, sizeof **centroids);
    if (!st && !*centroids)
        st = r->st = KEN_E_NOMEM;
    if (!st) {
        kn_pq_from_rows(pq, rows, *centroids);
        pq->space.centroids = *centroids;
    }
    kn_free(rows);
    return st;
}

static size_t pq_bytes(const kn_pq *pq)
{
    return pq->space.k == 16 ? (pq->space.m + 1) / 2 : pq->space.m;
}

/* A byte for each piece. */
static void unpack_code(const kn_pq *pq, const unsigned char *code, uint8_t *out)
{
    for (size_t s = 0; s < pq->space.m; s++)
        out[s] = pq->space.k == 16 ? code[s / 2] >> s % 2 * 4 & 15 : code[s];
}

/* ---- inverted lists ---------------------------------------------------------------- */

typedef struct lists {
    kn_foreign *f;
    uint32_t *near;  /* (n) the list of each slot */
    unsigned char *codes; /* (n, code_size) as they stand in the file; byte codes of blocks */
    size_t code_size, at;
} lists;

static ken_status lists_new(lists *l, kn_foreign *f, const kn_reader *r, size_t code_size)
{
    if (f->n > r->len / 8) /* each has its id in the file */
        return kn_fail(KEN_E_CORRUPT, "%s: %zu vectors in %zu bytes", r->name, f->n, r->len);
    *l = (lists){ .f = f, .code_size = code_size };
    l->near = kn_alloc(f->n + 1, sizeof *l->near);
    l->codes = kn_alloc(f->n + 1, code_size);
    f->ids = kn_alloc(f->n + 1, sizeof *f->ids);
    return l->near && l->codes && f->ids ? KEN_OK : KEN_E_NOMEM;
}

static void lists_release(lists *l)
{
    kn_free(l->near);
    kn_free(l->codes);
}

static ken_status add_list(lists *l, kn_reader *r, size_t list, size_t n, const unsigned char *ids)
{
    if (r->st)
        return r->st;
    if (n > l->f->n - l->at)
        return kn_reader_fail(r, KEN_E_CORRUPT, "list %zu: more vectors than the %zu of the index",
                              list, l->f->n);
    memcpy(l->f->ids + l->at, ids, n * 8);
    for (size_t i = 0; i < n; i++)
        l->near[l->at + i] = (uint32_t)list;
    l->at += n;
    return KEN_OK;
}

/* Sizes come whole, or as pairs of list and size; either way (n_lists) of them. */
static ken_status read_sizes(kn_reader *r, size_t n_lists, uint64_t *sizes)
{
    const unsigned char *p, *kind = kn_reader_take(r, 1, 4, "the kind of sizes");
    if (r->st)
        return r->st;
    if (!memcmp(kind, "full", 4)) {
        if (!read_exact(r, n_lists, 8, "list sizes", &p))
            memcpy(sizes, p, n_lists * 8);
        return r->st;
    }
    if (memcmp(kind, "sprs", 4))
        return kn_reader_fail(r, KEN_E_CORRUPT, "list sizes of kind \"%.4s\"", (const char *)kind);
    const uint64_t n = kn_reader_u64(r, "list sizes");
    p = kn_reader_take(r, n, 8, "list sizes");
    for (uint64_t i = 0; !r->st && i + 1 < n; i += 2) {
        uint64_t pair[2];
        memcpy(pair, p + 8 * i, 16);
        if (pair[0] >= n_lists)
            return kn_reader_fail(r, KEN_E_CORRUPT, "list %llu of %zu",
                                  (unsigned long long)pair[0], n_lists);
        sizes[pair[0]] = pair[1];
    }
    return r->st;
}

static ken_status read_arrays(lists *l, kn_reader *r, size_t n_lists)
{
    uint64_t *sizes = kn_zalloc(n_lists, sizeof *sizes);
    ken_status st = sizes ? read_sizes(r, n_lists, sizes) : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n_lists; i++) {
        const size_t at = l->at;
        const unsigned char *codes = kn_reader_take(r, sizes[i], l->code_size, "a list's codes");
        const unsigned char *ids = kn_reader_take(r, sizes[i], 8, "a list's ids");
        st = add_list(l, r, i, (size_t)sizes[i], ids);
        if (!st)
            memcpy(l->codes + at * l->code_size, codes, (size_t)sizes[i] * l->code_size);
    }
    kn_free(sizes);
    return st;
}

/* Lists of blocks of 32: codes get a byte for each piece. */
static ken_status read_blocks(lists *l, kn_reader *r, size_t n_lists, size_t m)
{
    const size_t bytes = kn_pq4_block_bytes(m);
    const uint64_t each = kn_reader_u64(r, "a block"), block = kn_reader_u64(r, "a block");
    if (!r->st && (each != KN_PQ4_BLOCK || block != bytes))
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "blocks of %llu vectors in %llu bytes",
                              (unsigned long long)each, (unsigned long long)block);
    for (size_t i = 0; !r->st && i < n_lists; i++) {
        const size_t at = l->at;
        const unsigned char *codes = NULL;
        const uint64_t n = kn_reader_u64(r, "a list's ids");
        const unsigned char *ids = kn_reader_take(r, n, 8, "a list's ids");
        if (!r->st && !read_exact(r, kn_pq4_blocks((size_t)n) * bytes, 1, "a list's blocks", &codes))
            add_list(l, r, i, (size_t)n, ids);
        for (size_t v = 0; !r->st && v < n; v++)
            kn_pq4_unpack(codes, m, v, l->codes + (at + v) * m);
    }
    return r->st;
}

/* m: pieces of fast-scan codes; 0 for all other lists. */
static ken_status read_lists(lists *l, kn_reader *r, size_t n_lists, size_t m)
{
    const unsigned char *kind = kn_reader_take(r, 1, 4, "inverted lists");
    const int blocks = kind && !memcmp(kind, "ilbl", 4);
    if (r->st)
        return r->st;
    if (!blocks && memcmp(kind, "ilar", 4))
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "inverted lists of kind \"%.4s\"%s",
                              (const char *)kind,
                              memcmp(kind, "ilod", 4) ? "" : ": they are in another file");
    const uint64_t n = kn_reader_u64(r, "inverted lists"), size = kn_reader_u64(r, "inverted lists");
    if (!r->st && (n != n_lists || blocks != (m > 0) || (!blocks && size != l->code_size)))
        return kn_reader_fail(r, KEN_E_CORRUPT, "%llu lists of codes of %llu bytes, not %zu of %zu",
                              (unsigned long long)n, (unsigned long long)size, n_lists,
                              l->code_size);
    ken_status st = r->st ? r->st : blocks ? read_blocks(l, r, n_lists, m) : read_arrays(l, r, n_lists);
    if (!st && l->at != l->f->n)
        st = kn_reader_fail(r, KEN_E_CORRUPT, "lists hold %zu vectors, not %zu", l->at, l->f->n);
    return st;
}

static ken_status read_direct_map(kn_reader *r)
{
    const unsigned char *type = kn_reader_take(r, 1, 1, "the direct map");
    kn_reader_take(r, kn_reader_u64(r, "the direct map"), 8, "the direct map");
    if (!r->st && *type == 2)
        kn_reader_take(r, kn_reader_u64(r, "the direct map"), 16, "the direct map");
    if (!r->st && *type > 2)
        kn_reader_fail(r, KEN_E_CORRUPT, "a direct map of type %u", *type);
    return r->st;
}

/* Header, coarse quantiser and direct map: an IVF state with centres. */
static ken_status read_ivf_header(kn_foreign *f, kn_reader *r, int depth)
{
    header h;
    kn_foreign coarse = { 0 };
    ken_status st = read_header(r, &h);
    const uint64_t n_lists = kn_reader_u64(r, "nlist"), nprobe = kn_reader_u64(r, "nprobe");
    if (!r->st && (!n_lists || n_lists > MOST_LISTS))
        st = kn_reader_fail(r, KEN_E_CORRUPT, "%llu lists", (unsigned long long)n_lists);
    st = st ? st : r->st ? r->st : read_index(&coarse, r, depth);
    if (!st && (!coarse.rows || coarse.ivf || coarse.n != n_lists || coarse.dim != h.dim
                || coarse.metric != h.metric))
        st = kn_reader_fail(r, KEN_E_UNSUPPORTED,
                            "a coarse quantiser that is not %llu vectors of dimension %u by the same metric",
                            (unsigned long long)n_lists, h.dim);
    st = st ? st : read_direct_map(r);
    if (!st) {
        take_header(f, &h);
        const kn_rows none = { .n = f->n, .dim = f->dim, .metric = f->metric };
        st = kn_ivf_new(&f->ivf, &none);
    }
    if (!st) {
        f->ivf->lists = (uint32_t)n_lists;
        f->ivf->nprobe = (uint32_t)(nprobe < n_lists ? nprobe ? nprobe : 1 : n_lists);
        f->ivf->trained = f->n;
        f->ivf->centres = coarse.rows;
        f->ivf->owned[f->ivf->n_owned++] = coarse.rows;
        coarse.rows = NULL;
    }
    kn_foreign_release(&coarse);
    return st;
}

static ken_status read_residual(kn_foreign *f, kn_reader *r)
{
    const unsigned char *by = kn_reader_take(r, 1, 1, "by_residual");
    if (!r->st && *by > 1)
        kn_reader_fail(r, KEN_E_CORRUPT, "by_residual is %u", *by);
    if (!r->st)
        f->ivf->residual = *by;
    return r->st;
}

/* ---- kinds of IVF ------------------------------------------------------------------ */

static ken_status read_ivf_flat(kn_foreign *f, kn_reader *r, int depth)
{
    lists l = { 0 };
    ken_status st = read_ivf_header(f, r, depth);
    st = st ? st : lists_new(&l, f, r, 4 * (size_t)f->dim);
    st = st ? st : read_lists(&l, r, f->ivf->lists, 0);
    if (!st) {
        f->rows = kn_alloc_aligned(f->n * f->dim + 1, sizeof *f->rows);
        st = f->rows ? KEN_OK : KEN_E_NOMEM;
    }
    if (!st) {
        memcpy(f->rows, l.codes, f->n * l.code_size);
        st = kn_ivf_lay_out(f->ivf, l.near, NULL);
    }
    lists_release(&l);
    return st;
}

/* Decoded, residuals put back on their centres. */
static ken_status read_ivf_scalar(kn_foreign *f, kn_reader *r, int depth)
{
    scalar q = { 0 };
    lists l = { 0 };
    ken_status st = read_ivf_header(f, r, depth);
    st = st ? st : read_scalar(r, f->dim, &q);
    const uint64_t size = kn_reader_u64(r, "a code's size");
    st = st ? st : r->st ? r->st : read_residual(f, r);
    if (!st && size != q.code_size)
        st = kn_reader_fail(r, KEN_E_CORRUPT, "a scalar code of %llu bytes", (unsigned long long)size);
    st = st ? st : lists_new(&l, f, r, q.code_size);
    st = st ? st : read_lists(&l, r, f->ivf->lists, 0);
    if (!st) {
        f->rows = kn_alloc_aligned(f->n * f->dim + 1, sizeof *f->rows);
        st = f->rows ? KEN_OK : KEN_E_NOMEM;
    }
    for (size_t i = 0; !st && i < f->n; i++) {
        float *row = f->rows + i * f->dim;
        decode_scalar(&q, f->dim, l.codes + i * q.code_size, row);
        for (size_t e = 0; f->ivf->residual && e < f->dim; e++)
            row[e] += f->ivf->centres[l.near[i] * f->dim + e];
    }
    if (!st)
        f->ivf->residual = 0;
    st = st ? st : kn_ivf_lay_out(f->ivf, l.near, NULL);
    kn_free(q.trained);
    lists_release(&l);
    return st;
}

static ken_status read_own_pq(kn_foreign *f, kn_reader *r)
{
    float *centroids = NULL;
    const ken_status st = read_pq(r, f->dim, &f->ivf->pq, &centroids);
    if (!st)
        f->ivf->owned[f->ivf->n_owned++] = centroids;
    return st;
}

/* Codes of the file to a byte for each piece, in the lists' order. */
static ken_status lay_out_packed(kn_foreign *f, const lists *l)
{
    const size_t m = f->ivf->pq.space.m;
    uint8_t *codes = kn_alloc(f->n + 1, m);
    if (!codes)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < f->n; i++)
        unpack_code(&f->ivf->pq, l->codes + i * l->code_size, codes + i * m);
    const ken_status st = kn_ivf_lay_out(f->ivf, l->near, codes);
    kn_free(codes);
    return st;
}

static ken_status read_ivf_pq(kn_foreign *f, kn_reader *r, int depth)
{
    lists l = { 0 };
    ken_status st = read_ivf_header(f, r, depth);
    st = st ? st : read_residual(f, r);
    const uint64_t size = kn_reader_u64(r, "a code's size");
    st = st ? st : r->st ? r->st : read_own_pq(f, r);
    if (!st && size != pq_bytes(&f->ivf->pq))
        st = kn_reader_fail(r, KEN_E_CORRUPT, "a code of %llu bytes", (unsigned long long)size);
    st = st ? st : lists_new(&l, f, r, (size_t)size);
    st = st ? st : read_lists(&l, r, f->ivf->lists, 0);
    st = st ? st : lay_out_packed(f, &l);
    lists_release(&l);
    return st;
}

/* A second quantiser of what the first one leaves, by id: together they are rows to refine with. */
static ken_status read_ivf_pqr(kn_foreign *f, kn_reader *r, int depth)
{
    kn_pq second = { 0 };
    float *centroids = NULL, *row = NULL;
    const unsigned char *codes = NULL;
    ken_status st = read_ivf_pq(f, r, depth);
    st = st ? st : read_pq(r, f->dim, &second, &centroids);
    st = st ? st : read_exact(r, f->n * pq_bytes(&second), 1, "second codes", &codes);
    kn_reader_u32(r, "k_factor");
    st = st ? st : r->st;
    if (!st) {
        f->rows = kn_alloc_aligned(f->n * f->dim + 1, sizeof *f->rows);
        row = kn_alloc(2 * (size_t)f->dim, sizeof *row);
        st = f->rows && row ? KEN_OK : KEN_E_NOMEM;
    }
    for (size_t l = 0; !st && l < f->ivf->lists; l++)
        for (size_t i = f->ivf->first[l]; !st && i < f->ivf->first[l + 1]; i++) {
            uint8_t code[MOST_DIM];
            const size_t slot = f->ivf->slots[i];
            float *out = f->rows + slot * f->dim;
            kn_ivf_code(f->ivf, l, i, code);
            kn_ivf_decode(f->ivf, l, code, row);
            if (f->ids[slot] >= f->n) {
                st = kn_reader_fail(r, KEN_E_CORRUPT, "no second code for id %llu",
                                    (unsigned long long)f->ids[slot]);
                break;
            }
            unpack_code(&second, codes + f->ids[slot] * pq_bytes(&second), code);
            kn_pq_decode(&second, code, out);
            for (size_t e = 0; e < f->dim; e++)
                out[e] += row[e];
        }
    if (!st)
        f->ivf->refine = 1;
    kn_free(centroids);
    kn_free(row);
    return st;
}

static ken_status read_ivf_fast_scan(kn_foreign *f, kn_reader *r, int depth)
{
    lists l = { 0 };
    ken_status st = read_ivf_header(f, r, depth);
    st = st ? st : read_residual(f, r);
    kn_reader_take(r, 8 + 4 + 8 + 4 + 8, 1, "fast-scan settings");
    st = st ? st : r->st ? r->st : read_own_pq(f, r);
    if (!st && f->ivf->pq.space.k != 16)
        st = kn_reader_fail(r, KEN_E_CORRUPT, "fast-scan codes of 8 bits");
    st = st ? st : lists_new(&l, f, r, f->ivf->pq.space.m);
    st = st ? st : read_lists(&l, r, f->ivf->lists, f->ivf->pq.space.m);
    st = st ? st : kn_ivf_lay_out(f->ivf, l.near, l.codes);
    lists_release(&l);
    return st;
}

/* ---- product codes without lists: one list around the origin ------------------------- */

static ken_status one_list(kn_foreign *f, const header *h)
{
    take_header(f, h);
    const kn_rows none = { .n = f->n, .dim = f->dim, .metric = f->metric };
    ken_status st = kn_ivf_new(&f->ivf, &none);
    float *centre = st ? NULL : kn_ivf_own(f->ivf, f->dim, sizeof *centre);
    if (!centre)
        return st ? st : KEN_E_NOMEM;
    memset(centre, 0, f->dim * sizeof *centre);
    f->ivf->lists = f->ivf->nprobe = 1;
    f->ivf->centres = centre;
    f->ivf->trained = f->n;
    return KEN_OK;
}

/* blocks: the fast-scan form. */
static ken_status read_pq_index(kn_foreign *f, kn_reader *r, int blocks)
{
    header h;
    const unsigned char *p = NULL;
    uint32_t *near = NULL;
    uint8_t *codes = NULL;
    ken_status st = read_header(r, &h);
    st = st ? st : one_list(f, &h);
    st = st ? st : read_own_pq(f, r);
    const size_t m = st ? 0 : f->ivf->pq.space.m;
    if (blocks)
        kn_reader_take(r, 4 + 4 + 4 + 8 + 8, 1, "fast-scan settings");
    if (!st && blocks && f->ivf->pq.space.k != 16)
        st = kn_reader_fail(r, KEN_E_CORRUPT, "fast-scan codes of 8 bits");
    const size_t bytes = st       ? 0
                         : blocks ? kn_pq4_blocks(f->n) * kn_pq4_block_bytes(m)
                                  : f->n * pq_bytes(&f->ivf->pq);
    st = st ? st : read_exact(r, bytes, 1, "codes", &p);
    if (!blocks)
        kn_reader_take(r, 4 + 1 + 4, 1, "search settings");
    st = st ? st : r->st;
    if (!st) {
        near = kn_zalloc(f->n + 1, sizeof *near);
        codes = kn_alloc(f->n + 1, m);
        st = near && codes ? count_ids(f) : KEN_E_NOMEM;
    }
    for (size_t i = 0; !st && i < f->n; i++)
        if (blocks)
            kn_pq4_unpack(p, m, i, codes + i * m);
        else
            unpack_code(&f->ivf->pq, p + i * pq_bytes(&f->ivf->pq), codes + i * m);
    st = st ? st : kn_ivf_lay_out(f->ivf, near, codes);
    kn_free(near);
    kn_free(codes);
    return st;
}

/* ---- graphs ------------------------------------------------------------------------ */

/* Links are read past: rows are what counts, and a graph of ours is built over them. */
static ken_status read_hnsw(kn_foreign *f, kn_reader *r, int depth)
{
    header h;
    uint32_t m = 0;
    ken_status st = read_header(r, &h);
    kn_reader_take(r, kn_reader_u64(r, "level chances"), 8, "level chances");
    const uint64_t levels = kn_reader_u64(r, "links a level");
    const unsigned char *p = kn_reader_take(r, levels, 4, "links a level");
    if (!r->st && levels >= 2)
        m = kn_little32(p + 4) / 2;
    kn_reader_take(r, kn_reader_u64(r, "levels"), 4, "levels");
    kn_reader_take(r, kn_reader_u64(r, "offsets"), 8, "offsets");
    kn_reader_take(r, kn_reader_u64(r, "links"), 4, "links");
    kn_reader_take(r, 5, 4, "the entry point");
    st = st ? st : r->st;
    if (!st && (m < 1 || m > 1024))
        st = kn_reader_fail(r, KEN_E_CORRUPT, "a graph of %u links", m);
    st = st ? st : read_index(f, r, depth);
    if (!st && (!f->rows || f->ivf || f->n != h.n || f->dim != h.dim))
        st = kn_reader_fail(r, KEN_E_UNSUPPORTED, "a graph over what is not %llu plain vectors",
                            (unsigned long long)h.n);
    if (!st)
        f->links = m;
    return st;
}

/* ---- what stands in front of, or behind, another index -------------------------------- */

/* The refining index has the rows by the base's ids, so these are the slots, and there are no others. */
static ken_status slots_by_id(kn_foreign *f, kn_reader *r)
{
    uint64_t *seen = kn_zalloc(f->n / 64 + 1, sizeof *seen);
    uint32_t *slots = f->ivf ? kn_ivf_own(f->ivf, f->n, sizeof *slots) : NULL;
    ken_status st = seen && (slots || !f->ivf) ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < f->n; i++) {
        const uint64_t id = f->ids[i];
        if (id >= f->n || (seen[id / 64] >> id % 64 & 1))
            st = kn_reader_fail(r, KEN_E_CORRUPT, "id %llu has no row of its own to refine with",
                                (unsigned long long)id);
        else
            seen[id / 64] |= 1ull << id % 64;
    }
    for (size_t i = 0; !st && f->ivf && i < f->n; i++)
        slots[i] = (uint32_t)f->ids[f->ivf->slots[i]];
    if (!st && f->ivf)
        f->ivf->slots = slots;
    for (size_t i = 0; !st && i < f->n; i++)
        f->ids[i] = i;
    kn_free(seen);
    return st;
}

static ken_status read_refine(kn_foreign *f, kn_reader *r, int depth)
{
    header h;
    kn_foreign rows = { 0 };
    ken_status st = read_header(r, &h);
    st = st ? st : read_index(f, r, depth);
    st = st ? st : read_index(&rows, r, depth);
    kn_reader_u32(r, "k_factor");
    st = st ? st : r->st;
    if (!st && (!rows.rows || rows.ivf || rows.links || rows.n != f->n || rows.dim != f->dim))
        st = kn_reader_fail(r, KEN_E_UNSUPPORTED, "a refining index that is not Flat over the same vectors");
    st = st ? st : slots_by_id(f, r);
    if (!st) {
        kn_free(f->rows);
        f->rows = rows.rows;
        rows.rows = NULL;
    }
    if (!st && f->ivf)
        f->ivf->refine = 1;
    kn_foreign_release(&rows);
    return st;
}

typedef struct linear {
    uint32_t in, out;
    float *a, *b; /* (out, in), (out) or NULL */
} linear;

static ken_status read_linear(kn_reader *r, linear *t)
{
    const unsigned char *kind = kn_reader_take(r, 1, 4, "a transform");
    if (r->st)
        return r->st;
    const int pca = !memcmp(kind, "Pcam", 4);
    if (!pca && memcmp(kind, "rrot", 4) && memcmp(kind, "LTra", 4))
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "a transform of kind \"%.4s\"",
                              (const char *)kind);
    if (pca) {
        kn_reader_take(r, 4 + 4 + 1 + 4, 1, "a transform");
        for (int i = 0; i < 3; i++)
            kn_reader_take(r, kn_reader_u64(r, "a transform"), 4, "a transform");
    }
    const unsigned char *biased = kn_reader_take(r, 1, 1, "a transform");
    const uint64_t n = kn_reader_u64(r, "a matrix");
    const unsigned char *a = kn_reader_take(r, n, 4, "a matrix");
    const uint64_t n_b = kn_reader_u64(r, "a bias");
    const unsigned char *b = kn_reader_take(r, n_b, 4, "a bias");
    t->in = kn_reader_u32(r, "a transform");
    t->out = kn_reader_u32(r, "a transform");
    kn_reader_take(r, 1, 1, "a transform");
    if (r->st)
        return r->st;
    if (!t->in || t->in > MOST_DIM || !t->out || t->out > t->in || n != (uint64_t)t->in * t->out
        || (*biased && n_b != t->out))
        return kn_reader_fail(r, KEN_E_CORRUPT, "a matrix of %llu for %u to %u dimensions",
                              (unsigned long long)n, t->in, t->out);
    t->a = kn_alloc((size_t)n, sizeof *t->a);
    t->b = *biased ? kn_alloc(t->out, sizeof *t->b) : NULL;
    if (!t->a || (*biased && !t->b))
        return r->st = KEN_E_NOMEM;
    memcpy(t->a, a, (size_t)n * 4);
    if (*biased)
        memcpy(t->b, b, t->out * sizeof *t->b);
    return KEN_OK;
}

/* Distances are kept by rows of length 1 at right angles, and by no others. */
static ken_status check_orthonormal(kn_reader *r, const linear *t)
{
    for (size_t i = 0; i < t->out; i++)
        for (size_t j = 0; j <= i; j++) {
            double s = i == j ? -1 : 0;
            for (size_t e = 0; e < t->in; e++)
                s += (double)t->a[i * t->in + e] * (double)t->a[j * t->in + e];
            if (!(fabs(s) < 1e-3))
                return kn_reader_fail(r, KEN_E_UNSUPPORTED,
                                      "a transform that changes distances (rows %zu and %zu)", i, j);
        }
    return KEN_OK;
}

/* Rows back in the space they came from: a'(y - b).  Distances to them are the old ones plus what a
 * query has outside the space of the transform, so their order stays. */
static ken_status rows_back(kn_foreign *f, const linear *t)
{
    float *rows = kn_alloc_aligned(f->n * t->in + 1, sizeof *rows);
    if (!rows)
        return KEN_E_NOMEM;
    memset(rows, 0, f->n * t->in * sizeof *rows);
    for (size_t i = 0; i < f->n; i++)
        for (size_t o = 0; o < t->out; o++) {
            const float y = f->rows[i * t->out + o] - (t->b ? t->b[o] : 0);
            for (size_t e = 0; e < t->in; e++)
                rows[i * t->in + e] += y * t->a[o * t->in + e];
        }
    kn_free(f->rows);
    f->rows = rows;
    f->dim = t->in;
    return KEN_OK;
}

static ken_status set_rotation(kn_foreign *f, const linear *t)
{
    const size_t dim = f->dim;
    float *rotation = kn_ivf_own(f->ivf, dim * dim, sizeof *rotation);
    float *columns = kn_ivf_own(f->ivf, dim * dim, sizeof *columns);
    if (!rotation || !columns)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < dim * dim; i++)
        rotation[i % dim * dim + i / dim] = t->a[i];
    memcpy(columns, t->a, dim * dim * sizeof *columns);
    f->ivf->rotation = rotation;
    f->ivf->columns = columns;
    return KEN_OK;
}

static ken_status apply_linear(kn_foreign *f, kn_reader *r, const linear *t)
{
    int biased = 0;
    for (size_t i = 0; t->b && i < t->out; i++)
        biased |= t->b[i] != 0;
    if (t->out != f->dim)
        return kn_reader_fail(r, KEN_E_CORRUPT, "a transform to %u dimensions before %u", t->out,
                              f->dim);
    if (biased && f->metric == KN_METRIC_DOT)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "a shift before an inner product");
    if (f->rows && !f->ivf)
        return rows_back(f, t);
    if (f->rows || biased || t->out != t->in || f->ivf->rotation)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED,
                              "lists behind a transform that is not one rotation of codes");
    return set_rotation(f, t);
}

static ken_status read_transformed(kn_foreign *f, kn_reader *r, int depth)
{
    header h;
    linear t = { 0 };
    ken_status st = read_header(r, &h);
    const uint32_t n = kn_reader_u32(r, "transforms");
    if (!r->st && n != 1)
        kn_reader_fail(r, KEN_E_UNSUPPORTED, "%u transforms in a row: only one", n);
    st = st ? st : r->st ? r->st : read_linear(r, &t);
    st = st ? st : check_orthonormal(r, &t);
    st = st ? st : read_index(f, r, depth);
    st = st ? st : apply_linear(f, r, &t);
    if (!st && f->dim != h.dim)
        st = kn_reader_fail(r, KEN_E_CORRUPT, "dimension %u behind %u", f->dim, h.dim);
    kn_free(t.a);
    kn_free(t.b);
    return st;
}

/* ---- all ----------------------------------------------------------------------------- */

static int is(const unsigned char *kind, const char *name)
{
    return !memcmp(kind, name, 4);
}

static ken_status read_index(kn_foreign *out, kn_reader *r, int depth)
{
    const unsigned char *k = kn_reader_take(r, 1, 4, "the kind of an index");
    if (r->st)
        return r->st;
    if (depth > DEEPEST)
        return kn_reader_fail(r, KEN_E_UNSUPPORTED, "indexes nested more than %d deep", DEEPEST);
    if (is(k, "IxFI") || is(k, "IxF2") || is(k, "IxFl"))
        return read_flat(out, r);
    if (is(k, "IxMp") || is(k, "IxM2"))
        return read_id_map(out, r, depth + 1);
    if (is(k, "IxSQ"))
        return read_scalar_index(out, r);
    if (is(k, "IxPq") || is(k, "IPfs"))
        return read_pq_index(out, r, is(k, "IPfs"));
    if (is(k, "IHNf") || is(k, "IHNs"))
        return read_hnsw(out, r, depth + 1);
    if (is(k, "IwFl"))
        return read_ivf_flat(out, r, depth + 1);
    if (is(k, "IwPQ"))
        return read_ivf_pq(out, r, depth + 1);
    if (is(k, "IwQR"))
        return read_ivf_pqr(out, r, depth + 1);
    if (is(k, "IwPf"))
        return read_ivf_fast_scan(out, r, depth + 1);
    if (is(k, "IwSq"))
        return read_ivf_scalar(out, r, depth + 1);
    if (is(k, "IxRF"))
        return read_refine(out, r, depth + 1);
    if (is(k, "IxPT"))
        return read_transformed(out, r, depth + 1);
    return kn_reader_fail(r, KEN_E_UNSUPPORTED, "an index of kind \"%.4s\"", (const char *)k);
}

ken_status kn_foreign_faiss(kn_foreign *out, kn_reader *r)
{
    return read_index(out, r, 0);
}
