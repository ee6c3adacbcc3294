/* ivf.c - training, filling and storing inverted lists. */
#include "index/ivf.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "index/kmeans.h"
#include "index/opq.h"
#include "index/fixed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MANY_LISTS = 256,    /* whose centres are found by their codes */
    PER_LIST = 56,       /* rows that a centre is trained on, at most … */
    PER_CENTROID = 256,  /* … and those that a code is */
    ITERATIONS = 10,
    CHUNK = 8192,        /* rows that are rotated, assigned and encoded together */
    GROWN = 2            /* times the rows it was trained on: time to train anew */
};

/* ---- memory -------------------------------------------------------------------- */

ken_status kn_ivf_new(kn_ivf **out, const kn_rows *rows)
{
    kn_ivf *x = kn_zalloc(1, sizeof *x);
    if (!x)
        return KEN_E_NOMEM;
    x->rows = *rows;
    *out = x;
    return KEN_OK;
}

void *kn_ivf_own(kn_ivf *x, size_t n, size_t size)
{
    void *p = kn_alloc_aligned(n ? n : 1, size);
    if (p)
        x->owned[x->n_owned++] = p;
    return p;
}

void kn_ivf_release(void *state)
{
    kn_ivf *x = state;
    for (uint32_t i = 0; x && i < x->n_owned; i++)
        kn_free(x->owned[i]);
    kn_free(x);
}

static int is_l2(const kn_ivf *x)
{
    return x->rows.metric == KN_METRIC_L2;
}

/* ---- codes ---------------------------------------------------------------------- */

void kn_ivf_code(const kn_ivf *x, size_t list, size_t position, uint8_t *code)
{
    const size_t m = x->pq.space.m;
    if (kn_ivf_bits(x) == 8)
        memcpy(code, x->codes + position * m, m);
    else
        kn_pq4_unpack(x->codes + x->blocks[list] * kn_pq4_block_bytes(m), m,
                      position - x->first[list], code);
}

/* In the space of the centres. */
static void decode(const kn_ivf *x, size_t list, const uint8_t *code, float *out)
{
    kn_pq_decode(&x->pq, code, out);
    for (size_t e = 0; x->residual && e < x->rows.dim; e++)
        out[e] += x->centres[list * x->rows.dim + e];
}

void kn_ivf_decode(const kn_ivf *x, size_t list, const uint8_t *code, float *out)
{
    const size_t dim = x->rows.dim;
    decode(x, list, code, out);
    for (size_t e = 0; x->rotation && e < dim; e++) { /* out times the transpose, behind itself */
        double sum = 0;
        for (size_t t = 0; t < dim; t++)
            sum += (double)out[t] * (double)x->rotation[e * dim + t];
        out[dim + e] = (float)sum;
    }
    if (x->rotation)
        memmove(out, out + dim, dim * sizeof *out);
}

/* |r|^2 + 2 c.r: what a residual code adds to a squared distance besides -2 q.r. */
static float term(const kn_ivf *x, size_t list, const uint8_t *code, float *row)
{
    const float *c = x->centres + list * x->rows.dim;
    double sum = 0;
    kn_pq_decode(&x->pq, code, row);
    for (size_t e = 0; e < x->rows.dim; e++)
        sum += (double)row[e] * ((double)row[e] + 2 * (double)c[e]);
    return (float)sum;
}

/* Centres by the rows' own codebooks: near enough to find out which of them are worth a look. */
static ken_status code_centres(kn_ivf *x)
{
    const size_t m = x->pq.space.m;
    uint8_t *codes = kn_alloc(x->lists, m);
    uint8_t *blocks = kn_ivf_own(x, kn_pq4_blocks(x->lists), kn_pq4_block_bytes(m));
    ken_status st = codes && blocks ? kn_pq_encode(&x->pq, x->centres, x->lists, 1, codes)
                                    : KEN_E_NOMEM;
    if (!st)
        kn_pq4_pack(codes, x->lists, m, blocks);
    x->coarse = st ? NULL : blocks;
    kn_free(codes);
    return st;
}

ken_status kn_ivf_derive(kn_ivf *x)
{
    const size_t dim = x->rows.dim;
    float *halves = kn_ivf_own(x, x->lists, sizeof *halves);
    float *columns = x->rotation ? kn_ivf_own(x, dim * dim, sizeof *columns) : NULL;
    uint64_t *blocks = kn_ivf_own(x, (size_t)x->lists + 1, sizeof *blocks);
    if (!halves || !blocks || (x->rotation && !columns))
        return KEN_E_NOMEM;
    for (size_t i = 0; columns && i < dim * dim; i++)
        columns[i % dim * dim + i / dim] = x->rotation[i];
    x->columns = columns;
    blocks[0] = 0;
    for (size_t l = 0; l < x->lists; l++) {
        double sum = 0;
        for (size_t e = 0; is_l2(x) && e < dim; e++)
            sum += (double)x->centres[l * dim + e] * (double)x->centres[l * dim + e];
        halves[l] = (float)(sum / 2);
        blocks[l + 1] = blocks[l] + kn_pq4_blocks(x->first[l + 1] - x->first[l]);
    }
    x->halves = halves;
    x->blocks = blocks;
    return x->pq.space.k == 16 && !x->residual && x->lists >= MANY_LISTS ? code_centres(x) : KEN_OK;
}

static ken_status lay_codes(kn_ivf *x, const uint8_t *codes)
{
    const size_t m = x->pq.space.m, n = x->rows.n, bytes = kn_pq4_block_bytes(m);
    const int small = kn_ivf_bits(x) == 4;
    uint8_t *sorted = small ? kn_alloc(n + 1, m) : kn_ivf_own(x, n, m);
    uint8_t *blocks = small ? kn_ivf_own(x, x->blocks[x->lists], bytes) : NULL;
    const int with_terms = x->residual && is_l2(x) && !small;
    float *terms = with_terms ? kn_ivf_own(x, n, sizeof *terms) : NULL;
    float *row = kn_alloc(x->rows.dim, sizeof *row);
    ken_status st = sorted && (blocks || !small) && (terms || !with_terms) && row ? KEN_OK
                                                                                  : KEN_E_NOMEM;
    for (size_t l = 0; !st && l < x->lists; l++) {
        const size_t first = x->first[l], end = x->first[l + 1];
        for (size_t i = first; i < end; i++) {
            memcpy(sorted + i * m, codes + x->slots[i] * m, m);
            if (with_terms)
                terms[i] = term(x, l, sorted + i * m, row);
        }
        if (small)
            kn_pq4_pack(sorted + first * m, end - first, m, blocks + x->blocks[l] * bytes);
    }
    x->codes = small ? blocks : sorted;
    x->terms = terms;
    kn_free(row);
    if (small)
        kn_free(sorted);
    return st;
}

ken_status kn_ivf_lay_out(kn_ivf *x, const uint32_t *near, const uint8_t *codes)
{
    const size_t n = x->rows.n;
    uint64_t *first = kn_ivf_own(x, (size_t)x->lists + 1, sizeof *first);
    uint32_t *slots = kn_ivf_own(x, n, sizeof *slots);
    if (!first || !slots)
        return KEN_E_NOMEM;
    memset(first, 0, ((size_t)x->lists + 1) * sizeof *first);
    for (size_t i = 0; i < n; i++)
        first[near[i]]++;
    uint64_t at = 0;
    for (size_t l = 0; l <= x->lists; l++) {
        const uint64_t count = l < x->lists ? first[l] : 0;
        first[l] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++)
        slots[first[near[i]]++] = (uint32_t)i;
    memmove(first + 1, first, x->lists * sizeof *first);
    first[0] = 0;
    x->first = first;
    x->slots = slots;
    const ken_status st = kn_ivf_derive(x);
    return st || !x->pq.space.m ? st : lay_codes(x, codes);
}

/* ---- filling -------------------------------------------------------------------- */

typedef struct filler {
    kn_ivf *x;
    uint32_t threads;
    float *turned;   /* (CHUNK, dim) */
    float *rest;     /* (CHUNK, dim) residuals */
    uint32_t *near;  /* (n) */
    uint8_t *codes;  /* (n, m) */
    kn_meter meter;
} filler;

static void filler_release(filler *f)
{
    kn_free(f->turned);
    kn_free(f->rest);
    kn_free(f->near);
    kn_free(f->codes);
}

static ken_status filler_new(filler *f, kn_ivf *x, const kn_build *b)
{
    const size_t n = x->rows.n, dim = x->rows.dim, m = x->pq.space.m;
    *f = (filler){ .x = x, .threads = b->threads };
    f->turned = x->rotation ? kn_alloc_aligned(CHUNK * dim, sizeof(float)) : NULL;
    f->rest = x->residual ? kn_alloc_aligned(CHUNK * dim, sizeof(float)) : NULL;
    f->near = kn_alloc(n + 1, sizeof *f->near);
    f->codes = m ? kn_alloc(n + 1, m) : NULL;
    kn_meter_start(&f->meter, "add", "vectors", n, b->progress, b->cookie);
    if ((x->rotation && !f->turned) || (x->residual && !f->rest) || !f->near || (m && !f->codes))
        return KEN_E_NOMEM;
    return KEN_OK;
}

static void subtract(const kn_ivf *x, const float *rows, const uint32_t *near, size_t n, float *out)
{
    const size_t dim = x->rows.dim;
    for (size_t i = 0; i < n; i++)
        for (size_t e = 0; e < dim; e++)
            out[i * dim + e] = rows[i * dim + e] - x->centres[near[i] * dim + e];
}

/* Lists and codes of the slots begin .. end-1. */
static ken_status fill_slots(filler *f, size_t begin, size_t end)
{
    kn_ivf *x = f->x;
    const size_t dim = x->rows.dim, m = x->pq.space.m;
    ken_status st = KEN_OK;
    for (size_t i = begin; !st && i < end; i += CHUNK) {
        const size_t n = end - i < CHUNK ? end - i : CHUNK;
        const float *rows = x->rows.f32 + i * dim;
        if (x->rotation)
            st = kn_fixed_product(rows, n, dim, x->rotation, dim, 0, f->threads, f->turned);
        rows = x->rotation ? f->turned : rows;
        st = st ? st
                : kn_kmeans_assign(x->centres, x->lists, dim, !is_l2(x), rows, n, f->threads,
                                   f->near + i);
        if (!st && x->residual)
            subtract(x, rows, f->near + i, n, f->rest);
        if (!st && m)
            st = kn_pq_encode(&x->pq, x->residual ? f->rest : rows, n, f->threads,
                              f->codes + i * m);
        st = st ? st : kn_meter_tell(&f->meter, i + n, NULL);
    }
    return st;
}

/* ---- building ------------------------------------------------------------------- */

/* Rows spread evenly over all of them; NULL: out of memory. */
static float *sample(const kn_rows *rows, size_t n)
{
    float *out = kn_alloc_aligned(n ? n * rows->dim : 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        memcpy(out + i * rows->dim, rows->f32 + (uint64_t)i * rows->n / n * rows->dim,
               rows->dim * sizeof *out);
    return out;
}

static ken_status train_codes(kn_ivf *x, float *rows, size_t n, const kn_build *b)
{
    const size_t dim = x->rows.dim;
    const kn_pq_space *p = &x->pq.space;
    float *centroids = kn_ivf_own(x, dim * p->k, sizeof *centroids);
    uint32_t *near = x->residual ? kn_alloc(n + 1, sizeof *near) : NULL;
    ken_status st = centroids && (near || !x->residual) ? KEN_OK : KEN_E_NOMEM;
    x->pq.space.centroids = centroids;
    if (!st && x->residual) {
        st = kn_kmeans_assign(x->centres, x->lists, dim, !is_l2(x), rows, n, b->threads, near);
        if (!st)
            subtract(x, rows, near, n, rows);
    }
    if (!st)
        st = kn_pq_train(&x->pq, rows, n, b->seed, b->threads, centroids);
    kn_free(near);
    return st;
}

/* The rotation, and *rows through it. */
static ken_status train_rotation(kn_ivf *x, float **rows, size_t n, const kn_build *b)
{
    const size_t dim = x->rows.dim;
    float *rotation = kn_ivf_own(x, dim * dim, sizeof *rotation);
    float *turned = kn_alloc_aligned(n * dim + 1, sizeof *turned);
    ken_status st = rotation && turned ? KEN_OK : KEN_E_NOMEM;
    st = st ? st : kn_opq_train(*rows, n, dim, x->opq, b->seed, b->threads, rotation);
    st = st ? st : kn_fixed_product(*rows, n, dim, rotation, dim, 0, b->threads, turned);
    x->rotation = rotation;
    kn_free(*rows);
    *rows = turned;
    return st;
}

static ken_status train(kn_ivf *x, const kn_build *b)
{
    const size_t dim = x->rows.dim, wish = (size_t)PER_LIST * x->lists;
    const size_t codes = x->pq.space.m ? (size_t)PER_CENTROID * x->pq.space.k : 0;
    const size_t most = wish > codes ? wish : codes, n = x->rows.n < most ? x->rows.n : most;
    float *centres = kn_ivf_own(x, (size_t)x->lists * dim, sizeof *centres);
    float *rows = sample(&x->rows, n);
    ken_status st = centres && rows ? KEN_OK : KEN_E_NOMEM;
    x->centres = centres;
    x->trained = x->rows.n;
    if (!st && x->opq)
        st = train_rotation(x, &rows, n, b);
    const kn_kmeans km = { .k = x->lists,
                           .dim = dim,
                           .spherical = !is_l2(x),
                           .iterations = ITERATIONS,
                           .seed = b->seed,
                           .threads = b->threads };
    st = st ? st : kn_kmeans_train(&km, rows, n, centres);
    if (!st && x->pq.space.m)
        st = train_codes(x, rows, n, b);
    kn_free(rows);
    return st;
}

static ken_status build(void **state, const kn_rows *rows, const kn_spec *spec, const kn_build *b)
{
    kn_ivf *x = NULL;
    filler f = { 0 };
    if (!rows->f32 && rows->n)
        return kn_fail(KEN_E_UNSUPPORTED,
                       "this index was imported as codes alone: without its rows it cannot be built anew");
    ken_status st = kn_ivf_new(&x, rows);
    if (st)
        return st;
    x->lists = spec->lists;
    x->opq = spec->opq;
    x->refine = spec->refine;
    if (spec->pq) {
        x->pq.dim = rows->dim;
        x->pq.space =
            (kn_pq_space){ spec->pq, spec->bits == 4 ? 16 : 256, rows->dim / spec->pq, NULL };
        x->residual = spec->bits == 8; /* as faiss has it */
    }
    st = train(x, b);
    st = st ? st : filler_new(&f, x, b);
    st = st ? st : fill_slots(&f, 0, rows->n);
    st = st ? st : kn_ivf_lay_out(x, f.near, f.codes);
    filler_release(&f);
    if (st)
        kn_ivf_release(x);
    else
        *state = x;
    return st;
}

/* ---- changing ------------------------------------------------------------------- */

/* A copy that the new state owns; NULL for NULL and when memory is out. */
static const float *copy(kn_ivf *to, const float *from, size_t n)
{
    float *p = from ? kn_ivf_own(to, n, sizeof *p) : NULL;
    if (p)
        memcpy(p, from, n * sizeof *p);
    return p;
}

static ken_status copy_trained(kn_ivf *to, const kn_ivf *from)
{
    const size_t dim = from->rows.dim;
    to->lists = from->lists;
    to->refine = from->refine;
    to->residual = from->residual;
    to->opq = from->opq;
    to->nprobe = from->nprobe;
    to->trained = from->trained;
    to->pq = from->pq;
    to->rotation = copy(to, from->rotation, dim * dim);
    to->centres = copy(to, from->centres, from->lists * dim);
    to->pq.space.centroids = copy(to, from->pq.space.centroids, dim * from->pq.space.k);
    return !to->centres || (from->rotation && !to->rotation)
                   || (from->pq.space.centroids && !to->pq.space.centroids)
               ? KEN_E_NOMEM
               : KEN_OK;
}

/* Old rows keep list and code; their new slots are the old ones without what is gone.  *kept: how
 * many they are. */
static ken_status carry_over(filler *f, const kn_ivf *old, const uint64_t *gone, size_t *kept)
{
    const size_t n = old->rows.n, m = old->pq.space.m;
    uint32_t *to = kn_alloc(n + 1, sizeof *to);
    *kept = 0;
    if (!to)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        to[i] = gone && (gone[i / 64] >> i % 64 & 1) ? UINT32_MAX : (uint32_t)(*kept)++;
    for (size_t l = 0; l < old->lists; l++)
        for (size_t i = old->first[l]; i < old->first[l + 1]; i++) {
            const uint32_t slot = old->slots[i] < n ? to[old->slots[i]] : UINT32_MAX;
            if (slot == UINT32_MAX || slot >= f->x->rows.n)
                continue;
            f->near[slot] = (uint32_t)l;
            if (m)
                kn_ivf_code(old, l, i, f->codes + slot * m);
        }
    kn_free(to);
    return KEN_OK;
}

/* Centres and codebooks are kept until the rows have doubled. */
static ken_status change(void **next, const void *state, const uint64_t *gone, const kn_rows *rows,
                         const kn_build *b)
{
    const kn_ivf *old = state;
    kn_ivf *x = NULL;
    filler f = { 0 };
    size_t kept = 0;
    const kn_spec spec = { .kind = KN_KIND_IVF,
                           .lists = old->lists,
                           .opq = old->opq,
                           .pq = (uint32_t)old->pq.space.m,
                           .bits = (uint32_t)kn_ivf_bits(old),
                           .refine = old->refine };
    if (rows->f32 && rows->n > GROWN * old->trained)
        return build(next, rows, &spec, b);
    ken_status st = kn_ivf_new(&x, rows);
    st = st ? st : copy_trained(x, old);
    st = st ? st : filler_new(&f, x, b);
    if (!st && f.near)
        memset(f.near, 0, rows->n * sizeof *f.near);
    st = st ? st : carry_over(&f, old, gone, &kept);
    if (!st && kept < rows->n && !rows->f32)
        st = kn_fail(KEN_E_UNSUPPORTED,
                     "this index was imported as codes alone: rows cannot be added to it");
    st = st || kept >= rows->n ? st : fill_slots(&f, kept, rows->n);
    st = st ? st : kn_ivf_lay_out(x, f.near, f.codes);
    filler_release(&f);
    if (st)
        kn_ivf_release(x);
    else
        *next = x;
    return st;
}

/* ---- files ---------------------------------------------------------------------- */

typedef struct head { /* section "ivf" */
    uint64_t trained;
    uint32_t lists, residual, nprobe, m, bits, rotated, opq, reserved;
} head;

static ken_status save(const void *state, kn_index_writer *w)
{
    const kn_ivf *x = state;
    const size_t dim = x->rows.dim, n = x->rows.n, m = x->pq.space.m;
    const size_t code_bytes = kn_ivf_bits(x) == 8 ? n * m
                                                  : x->blocks[x->lists] * kn_pq4_block_bytes(m);
    const head h = { x->trained,  x->lists, (uint32_t)x->residual, x->nprobe, (uint32_t)m,
                     (uint32_t)kn_ivf_bits(x), x->rotation != NULL, x->opq, 0 };
    ken_status st = kn_index_writer_put(w, "ivf", &h, sizeof h);
    st = st ? st : kn_index_writer_put(w, "ivf.centres", x->centres, x->lists * dim * 4);
    st = st ? st : kn_index_writer_put(w, "ivf.first", x->first, ((size_t)x->lists + 1) * 8);
    st = st ? st : kn_index_writer_put(w, "ivf.slots", x->slots, n * 4);
    if (!st && x->rotation)
        st = kn_index_writer_put(w, "ivf.rotation", x->rotation, dim * dim * 4);
    if (!st && m)
        st = kn_index_writer_put(w, "ivf.centroids", x->pq.space.centroids,
                                 dim * x->pq.space.k * 4);
    if (!st && m)
        st = kn_index_writer_put(w, "ivf.codes", x->codes, code_bytes);
    if (!st && x->terms)
        st = kn_index_writer_put(w, "ivf.terms", x->terms, n * 4);
    return st;
}

static ken_status take_head(kn_ivf *x, const kn_index_file *f)
{
    const head *h = NULL;
    const void *p;
    ken_status st = kn_index_file_get(f, "ivf", 1, sizeof *h, &p);
    if (st)
        return st;
    h = p;
    const uint32_t dim = x->rows.dim;
    if (!h->lists || h->lists > 1u << 24 || h->residual > 1 || h->rotated > 1 || h->m > dim
        || (h->opq && dim % h->opq)
        || (h->m && (dim % h->m || (h->bits != 4 && h->bits != 8))))
        return kn_fail(KEN_E_CORRUPT, "section ivf: %u lists, codes of %u x %u bits for %u dimensions",
                       h->lists, h->m, h->bits, dim);
    x->trained = h->trained;
    x->lists = h->lists;
    x->residual = (int)h->residual;
    x->nprobe = h->nprobe;
    x->opq = h->opq;
    x->pq.dim = dim;
    x->pq.space = (kn_pq_space){ h->m, h->bits == 4 ? 16 : 256, h->m ? dim / h->m : 0, NULL };
    const size_t lists = h->lists;
    st = kn_index_file_get(f, "ivf.centres", lists * dim, 4, (const void **)&x->centres);
    if (!st && h->rotated)
        st = kn_index_file_get(f, "ivf.rotation", (size_t)dim * dim, 4,
                               (const void **)&x->rotation);
    return st;
}

/* Searches read by these without looking. */
static ken_status take_lists(kn_ivf *x, const kn_index_file *f)
{
    const size_t lists = x->lists, n = x->rows.n;
    ken_status st = kn_index_file_get(f, "ivf.first", lists + 1, 8, (const void **)&x->first);
    st = st ? st : kn_index_file_get(f, "ivf.slots", n, 4, (const void **)&x->slots);
    for (size_t l = 0; !st && l < lists; l++)
        if (x->first[l] > x->first[l + 1] || x->first[l + 1] > n)
            st = kn_fail(KEN_E_CORRUPT, "section ivf.first: list %zu is from %llu to %llu of %zu", l,
                         (unsigned long long)x->first[l], (unsigned long long)x->first[l + 1], n);
    if (!st && (x->first[0] || x->first[lists] != n))
        st = kn_fail(KEN_E_CORRUPT, "section ivf.first: lists hold %llu rows of %zu",
                     (unsigned long long)x->first[lists], n);
    return st;
}

static ken_status take_codes(kn_ivf *x, const kn_index_file *f)
{
    const size_t m = x->pq.space.m, n = x->rows.n, dim = x->rows.dim;
    const int small = kn_ivf_bits(x) == 4;
    ken_status st = m ? kn_index_file_get(f, "ivf.centroids", dim * x->pq.space.k, 4,
                                          (const void **)&x->pq.space.centroids)
                      : KEN_OK;
    st = st ? st : kn_ivf_derive(x);
    if (st || !m)
        return st;
    st = kn_index_file_get(f, "ivf.codes", small ? x->blocks[x->lists] : n,
                           small ? kn_pq4_block_bytes(m) : m, (const void **)&x->codes);
    if (!st && x->residual && is_l2(x) && !small)
        st = kn_index_file_get(f, "ivf.terms", n, 4, (const void **)&x->terms);
    return st;
}

static ken_status find_places(kn_ivf *x)
{
    const size_t n = x->rows.n;
    uint32_t *places = kn_ivf_own(x, n, sizeof *places);
    if (!places)
        return KEN_E_NOMEM;
    memset(places, 255, n * sizeof *places);
    for (size_t i = 0; i < n; i++)
        if (x->slots[i] < n)
            places[x->slots[i]] = (uint32_t)i;
    x->places = places;
    return KEN_OK;
}

static ken_status open_file(void **state, const kn_rows *rows, const kn_spec *spec,
                            const kn_index_file *f)
{
    kn_ivf *x = NULL;
    ken_status st = kn_ivf_new(&x, rows);
    if (st)
        return st;
    st = take_head(x, f);
    st = st ? st : take_lists(x, f);
    st = st ? st : take_codes(x, f);
    if (!st && (x->lists != spec->lists || x->pq.space.m != spec->pq))
        st = kn_fail(KEN_E_CORRUPT, "section ivf: %u lists of %zu pieces are not an %s", x->lists,
                     x->pq.space.m, spec->text);
    if (!st && !rows->f32 && rows->n && !x->pq.space.m)
        st = kn_fail(KEN_E_CORRUPT, "neither rows nor codes are there");
    x->refine = spec->refine;
    if (!st && !rows->f32)
        st = find_places(x);
    if (st)
        kn_ivf_release(x);
    else
        *state = x;
    return st;
}

/* ---- the rest ------------------------------------------------------------------- */

static void info(const void *state, kn_kind_info *out)
{
    const kn_ivf *x = state;
    const size_t m = x->pq.space.m;
    *out = (kn_kind_info){ .bytes_hot = x->rows.n * (4 + (m ? m * kn_ivf_bits(x) / 8 : 0)
                                                     + (x->terms ? 4 : 0))
                                        + (uint64_t)x->lists * x->rows.dim * 4,
                           .nprobe = kn_ivf_nprobe(x),
                           .rerank = x->refine ? (uint32_t)kn_ivf_rerank(x, 10) : 0 };
}

static ken_status check(const void *state, ken_problem_fn fn, void *cookie)
{
    const kn_ivf *x = state;
    const size_t n = x->rows.n;
    uint64_t *seen = kn_zalloc(n / 64 + 1, sizeof *seen);
    size_t wrong = 0, floats = 0;
    if (!seen)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const uint32_t s = x->slots[i];
        if (s >= n || (seen[s / 64] >> s % 64 & 1))
            wrong++;
        else
            seen[s / 64] |= 1ull << s % 64;
    }
    for (size_t i = 0; i < (size_t)x->lists * x->rows.dim; i++)
        floats += !isfinite(x->centres[i]);
    for (size_t i = 0; x->pq.space.m && i < x->rows.dim * x->pq.space.k; i++)
        floats += !isfinite(x->pq.space.centroids[i]);
    kn_free(seen);
    char text[96];
    snprintf(text, sizeof text, "%zu of %zu rows are in no list or in two", wrong, n);
    if (wrong && fn)
        fn("section ivf.slots", text, cookie);
    if (floats && fn)
        fn("section ivf.centres", "some numbers are not finite", cookie);
    return wrong || floats ? kn_fail(KEN_E_CORRUPT, "%s", wrong ? text : "centres are not finite")
                           : KEN_OK;
}

static size_t place_of(const kn_ivf *x, size_t slot)
{
    size_t i = 0;
    if (x->places)
        return x->places[slot];
    while (i < x->rows.n && x->slots[i] != slot)
        i++;
    return i;
}

static size_t list_of(const kn_ivf *x, size_t place)
{
    size_t low = 0, high = x->lists;
    while (high - low > 1) {
        const size_t mid = low + (high - low) / 2;
        if (x->first[mid] <= place)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static ken_status reconstruct(const void *state, size_t slot, float *out)
{
    const kn_ivf *x = state;
    const size_t m = x->pq.space.m, dim = x->rows.dim;
    if (!m || slot >= x->rows.n)
        return kn_fail(KEN_E_UNSUPPORTED, "slot %zu has no code", slot);
    const size_t place = place_of(x, slot);
    if (place >= x->rows.n)
        return kn_fail(KEN_E_CORRUPT, "slot %zu is in no list", slot);
    uint8_t *code = kn_alloc(m, 1);
    float *row = kn_alloc(2 * dim, sizeof *row);
    const ken_status st = code && row ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        kn_ivf_code(x, list_of(x, place), place, code);
        kn_ivf_decode(x, list_of(x, place), code, row);
        memcpy(out, row, dim * sizeof *out);
    }
    kn_free(code);
    kn_free(row);
    return st;
}

const kn_kind kn_kind_ivf = { .build = build,
                              .open = open_file,
                              .save = save,
                              .release = kn_ivf_release,
                              .change = change,
                              .search = kn_ivf_search,
                              .info = info,
                              .check = check,
                              .reconstruct = reconstruct };
