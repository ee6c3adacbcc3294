/*
 * loss_product.c - products of a batch with itself and with classes, through the kernels.
 *
 * Factors are packed on the spot: a batch is new each time.  Rows of the result are spread over
 * the threads, which the kernels promise not to change a bit.
 */
#include "train/loss_state.h"

#include "base/alloc.h"
#include "base/parallel.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16, PANEL_ROWS = 1024 };

void *kn_loss_room(kn_loss *l, int which, size_t n, size_t size)
{
    if (n > SIZE_MAX / size || l->room[which].bytes < n * size || !l->room[which].p) {
        kn_free(l->room[which].p);
        l->room[which].p = kn_alloc_aligned(n, size);
        l->room[which].bytes = l->room[which].p ? n * size : 0;
    }
    return l->room[which].p;
}

/* ---- rows over threads ---- */

typedef struct rows_loop {
    kn_loss_rows_fn *fn;
    void *cookie;
} rows_loop;

static ken_status rows_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const rows_loop *r = cookie;
    (void)worker;
    r->fn(begin, end, r->cookie);
    return KEN_OK;
}

ken_status kn_loss_rows(const kn_loss *l, size_t n, kn_loss_rows_fn *fn, void *cookie)
{
    rows_loop r = { fn, cookie };
    return kn_parallel(n, ROWS, l->c.threads, rows_piece, &r);
}

row_sum kn_loss_total(const row_sum *rows, size_t n)
{
    row_sum t = { 0 };
    for (size_t i = 0; i < n; i++) {
        t.loss += rows[i].loss;
        t.terms += rows[i].terms;
        t.active += rows[i].active;
        t.tried += rows[i].tried;
    }
    return t;
}

/* ---- products ---- */

typedef struct product {
    const float *a, *b;
    size_t m, k, n;
    float *panels, *c;
} product;

/* Panels begin … end - 1 of b. */
static void pack_panels(size_t begin, size_t end, void *cookie)
{
    const product *p = cookie;
    const size_t row = begin * KN_PANEL, stop = end * KN_PANEL < p->n ? end * KN_PANEL : p->n;
    kn_kernels_get()->pack(p->b + row * p->k, stop - row, p->k, KN_F32, p->panels + row * p->k);
}

static void multiply_rows(size_t begin, size_t end, void *cookie)
{
    const product *p = cookie;
    const kn_gemm g = { .math = KN_MATH_F32,
                        .m = end - begin,
                        .n = p->n,
                        .k = p->k,
                        .a = p->a + begin * p->k,
                        .lda = p->k,
                        .w = p->panels,
                        .w_type = KN_F32,
                        .c = p->c + begin * p->n,
                        .ldc = p->n,
                        .c_type = KN_F32 };
    kn_kernels_get()->gemm(&g);
}

ken_status kn_loss_abt(kn_loss *l, const float *a, size_t m, size_t k, const float *b, size_t n,
                       float *c)
{
    const size_t panels = (n + KN_PANEL - 1) / KN_PANEL;
    product p = { .a = a, .b = b, .m = m, .k = k, .n = n, .c = c };
    p.panels = kn_loss_room(l, ROOM_PANELS, panels * k, KN_PANEL * sizeof(float));
    if (!p.panels)
        return KEN_E_NOMEM;
    ken_status st = kn_loss_rows(l, panels, pack_panels, &p);
    return st ? st : kn_loss_rows(l, m, multiply_rows, &p);
}

typedef struct turning {
    const float *in; /* (rows, columns) */
    size_t rows, columns;
    float *out; /* (columns, rows) */
} turning;

/* In squares of ROWS, so that both sides stay in the cache. */
static void turn_columns(size_t begin, size_t end, void *cookie)
{
    const turning *t = cookie;
    for (size_t i = 0; i < t->rows; i += ROWS)
        for (size_t j = begin; j < end; j++)
            for (size_t y = i; y < i + ROWS && y < t->rows; y++)
                t->out[j * t->rows + y] = t->in[y * t->columns + j];
}

static ken_status turned(kn_loss *l, int room, const float *in, size_t rows, size_t columns,
                         const float **out)
{
    turning t = { in, rows, columns, kn_loss_room(l, room, rows * columns, sizeof(float)) };
    *out = t.out;
    return t.out ? kn_loss_rows(l, columns, turn_columns, &t) : KEN_E_NOMEM;
}

ken_status kn_loss_ab(kn_loss *l, const float *a, size_t m, size_t k, const float *b, size_t n,
                      float *c)
{
    const float *bt;
    const ken_status st = turned(l, ROOM_TURNED, b, k, n, &bt);
    return st ? st : kn_loss_abt(l, a, m, k, bt, n, c);
}

ken_status kn_loss_atb(kn_loss *l, const float *a, size_t k, size_t m, const float *b, size_t n,
                       float *c)
{
    const float *at;
    const ken_status st = turned(l, ROOM_TURNED2, a, k, m, &at);
    return st ? st : kn_loss_ab(l, at, m, k, b, n, c);
}

/* ---- unit vectors, as torch.nn.functional.normalize ---- */

#define EPS 1e-12

typedef struct unit_loop {
    const float *in, *z, *dz;
    float *length, *out;
    const float *known;
    size_t d;
} unit_loop;

static double dot(const float *a, const float *b, size_t n)
{
    double lane[4] = { 0 }, sum = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++)
            lane[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum + (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void unit_rows(size_t begin, size_t end, void *cookie)
{
    const unit_loop *u = cookie;
    for (size_t i = begin; i < end; i++) {
        const float *e = u->in + i * u->d;
        const double length = sqrt(dot(e, e, u->d));
        const float factor = (float)(1 / (length > EPS ? length : EPS));
        u->length[i] = (float)length;
        for (size_t j = 0; j < u->d; j++)
            u->out[i * u->d + j] = e[j] * factor;
    }
}

ken_status kn_loss_unit(const kn_loss *l, const float *e, size_t n, size_t d, float *z,
                        float *length)
{
    unit_loop u = { .in = e, .length = length, .out = z, .d = d };
    return kn_loss_rows(l, n, unit_rows, &u);
}

/* de = (dz - z (z . dz)) / |e|; a vector shorter than EPS is only scaled. */
static void unit_back_rows(size_t begin, size_t end, void *cookie)
{
    const unit_loop *u = cookie;
    for (size_t i = begin; i < end; i++) {
        const float *z = u->z + i * u->d, *dz = u->dz + i * u->d;
        const double length = (double)u->known[i];
        const float along = length > EPS ? (float)dot(z, dz, u->d) : 0;
        const float factor = (float)(1 / (length > EPS ? length : EPS));
        for (size_t j = 0; j < u->d; j++)
            u->out[i * u->d + j] = (dz[j] - z[j] * along) * factor;
    }
}

ken_status kn_loss_unit_back(const kn_loss *l, const float *z, const float *length, const float *dz,
                             size_t n, size_t d, float *de)
{
    unit_loop u = { .z = z, .dz = dz, .known = length, .out = de, .d = d };
    return kn_loss_rows(l, n, unit_back_rows, &u);
}
