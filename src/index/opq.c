/*
 * opq.c - rotation and codebooks in turns.
 *
 * With the codes fixed, the rotation R that brings X R nearest to the decoded Y is the orthogonal
 * factor of X'Y (Procrustes).  It is found by Newton and Schulz's iteration, A <- A (3 - A'A) / 2, which
 * pushes every singular value to 1 and needs products alone.  Codebooks of 16 do for this: they are
 * told apart by the same spread that codebooks of 256 are.
 */
#include "index/opq.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "index/pq.h"
#include "index/fixed.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 10, SCHULZ = 60, SAMPLE = 8192 };
static const float near_enough = 2e-6f, orthogonal = 1e-3f;

typedef struct work {
    size_t n, dim;
    uint32_t threads;
    float *x_t;         /* (dim, n): rows turned over */
    float *turned;      /* (n, dim) rows times the rotation */
    float *y;           /* (n, dim) decoded */
    float *a, *b, *c;   /* (dim, dim) */
    float *centroids;   /* (dim, 16) */
    uint8_t *codes;     /* (n, m) */
} work;

/* Rows of normal numbers, made orthogonal by Gram and Schmidt. */
static void random_rotation(float *r, size_t dim, uint64_t seed)
{
    kn_rand_fill_normal(r, dim * dim, seed, 0x6f7071, 1);
    for (size_t i = 0; i < dim; i++) {
        float *row = r + i * dim;
        double square = 0;
        for (size_t j = 0; j < i; j++) {
            double dot = 0;
            for (size_t e = 0; e < dim; e++)
                dot += (double)row[e] * (double)r[j * dim + e];
            for (size_t e = 0; e < dim; e++)
                row[e] = (float)((double)row[e] - dot * (double)r[j * dim + e]);
        }
        for (size_t e = 0; e < dim; e++)
            square += (double)row[e] * (double)row[e];
        for (size_t e = 0; e < dim; e++)
            row[e] = (float)((double)row[e] / sqrt(square));
    }
}

static ken_status product(const work *w, const float *x, const float *b, int transposed, float *out)
{
    return kn_fixed_product(x, w->dim, w->dim, b, w->dim, transposed, w->threads, out);
}

static void turn_over(const float *in, size_t rows, size_t columns, float *out)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            out[j * rows + i] = in[i * columns + j];
}

/* w->a becomes its own orthogonal factor; *off: the largest of |A'A - 1|. */
static ken_status polar(work *w, float *off)
{
    const size_t dim = w->dim;
    double square = 0;
    for (size_t i = 0; i < dim * dim; i++)
        square += (double)w->a[i] * (double)w->a[i];
    /* all singular values below sqrt 3, and the most of them well above 0 */
    const double scale = square > 0 ? sqrt((double)dim / square) / 4 : 0;
    for (size_t i = 0; i < dim * dim; i++)
        w->a[i] = (float)((double)w->a[i] * scale);
    *off = INFINITY;
    for (int turn = 0; turn < SCHULZ; turn++) {
        turn_over(w->a, dim, dim, w->c);
        const ken_status st = product(w, w->c, w->c, 1, w->b); /* A'A */
        if (st)
            return st;
        *off = 0;
        for (size_t i = 0; i < dim * dim; i++) {
            const float unit = i / dim == i % dim ? 1 : 0, d = fabsf(w->b[i] - unit);
            *off = d <= *off ? *off : d;
            w->b[i] = 1.5f * unit - 0.5f * w->b[i];
        }
        if (!(*off > near_enough) || !isfinite(*off))
            return KEN_OK;
        const ken_status next = product(w, w->a, w->b, 0, w->c);
        if (next)
            return next;
        memcpy(w->a, w->c, dim * dim * sizeof *w->a);
    }
    return KEN_OK;
}

static ken_status improve(work *w, const float *rows, size_t m, uint64_t seed, float *rotation,
                          int *better)
{
    const kn_pq pq = { { m, 16, w->dim / m, w->centroids }, w->dim };
    float off = INFINITY;
    ken_status st = kn_fixed_product(rows, w->n, w->dim, rotation, w->dim, 0, w->threads, w->turned);
    st = st ? st : kn_pq_train(&pq, w->turned, w->n, seed, w->threads, w->centroids);
    st = st ? st : kn_pq_encode(&pq, w->turned, w->n, w->threads, w->codes);
    if (st)
        return st;
    for (size_t i = 0; i < w->n; i++)
        kn_pq_decode(&pq, w->codes + i * m, w->y + i * w->dim);
    st = kn_fixed_product(w->x_t, w->dim, w->n, w->y, w->dim, 0, w->threads, w->a);
    st = st ? st : polar(w, &off);
    *better = !st && off < orthogonal; /* rows that fill too few dimensions have no such factor */
    if (*better)
        memcpy(rotation, w->a, w->dim * w->dim * sizeof *rotation);
    return st;
}

ken_status kn_opq_train(const float *rows, size_t n, size_t dim, size_t m, uint64_t seed,
                        uint32_t threads, float *rotation)
{
    work w = { .n = n < SAMPLE ? n : SAMPLE, .dim = dim, .threads = threads };
    const size_t cells = w.n * dim + 1, square = dim * dim;
    ken_status st = KEN_OK;
    int better = 1;
    random_rotation(rotation, dim, seed);
    w.x_t = kn_alloc_aligned(cells, sizeof(float));
    w.turned = kn_alloc_aligned(cells, sizeof(float));
    w.y = kn_alloc_aligned(cells, sizeof(float));
    w.a = kn_alloc_aligned(square, sizeof(float));
    w.b = kn_alloc_aligned(square, sizeof(float));
    w.c = kn_alloc_aligned(square, sizeof(float));
    w.centroids = kn_alloc_aligned(dim * 16, sizeof(float));
    w.codes = kn_alloc(w.n + 1, m);
    if (!w.x_t || !w.turned || !w.y || !w.a || !w.b || !w.c || !w.centroids || !w.codes)
        st = KEN_E_NOMEM;
    else
        turn_over(rows, w.n, dim, w.x_t);
    for (int i = 0; !st && better && i < ROUNDS; i++)
        st = improve(&w, rows, m, seed, rotation, &better);
    kn_free(w.x_t);
    kn_free(w.turned);
    kn_free(w.y);
    kn_free(w.a);
    kn_free(w.b);
    kn_free(w.c);
    kn_free(w.centroids);
    kn_free(w.codes);
    return st;
}
