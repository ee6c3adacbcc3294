/* check_gemm.c - kernels/<level>/gemm.c and pack.c
 *
 * Sums of products are compared with sums in double, within the bound that any order of f32
 * additions keeps.  The same product is then computed in pieces, as threads would: equal to the bit. */
#include "bench_product.h"
#include "product.h"

#include <string.h>

static void fill(ck *t, product *p, size_t m, size_t n, size_t k)
{
    kn_gemm *g = &p->g;
    g->m = m;
    g->n = n;
    g->k = k;
    g->lda = k + ck_rand() % 3 * 5;
    g->a = product_random(t, (m - 1) * g->lda + k, g->math == KN_MATH_BF16 ? KN_BF16 : KN_F32);
    product_fill(t, p, n + ck_rand() % 3 * 7);
}

static void check_element(ck *t, const product *p, size_t i, size_t j)
{
    product_sum s = { 0 };
    for (size_t k = 0; k < p->g.k; k++)
        product_add(p, &s, i * p->g.lda + k, j, k);
    product_check(t, p, i, j, &s);
}

/* Rows m0 .. m1-1 and columns n0 .. n1-1 of g alone; n0 is a multiple of 16. */
static kn_gemm piece(const kn_gemm *g, size_t m0, size_t m1, size_t n0, size_t n1)
{
    const size_t c_size = g->c_type == KN_F32 ? 4 : 2, r_size = g->residual_type == KN_F32 ? 4 : 2;
    kn_gemm part = *g;
    part.m = m1 - m0;
    part.n = n1 - n0;
    part.a = (const char *)g->a + m0 * g->lda * product_a_size(g);
    part.w = (const char *)g->w + kn_panel_bytes(n0, g->k, g->w_type);
    part.w_lo = g->w_lo ? (const char *)g->w_lo + kn_panel_bytes(n0, g->k, KN_BF16) : NULL;
    part.bias = g->bias ? g->bias + n0 : NULL;
    part.residual = g->residual ? (const char *)g->residual + (m0 * g->ldr + n0) * r_size : NULL;
    part.c = (char *)g->c + (m0 * g->ldc + n0) * c_size;
    return part;
}

static void check_pieces(ck *t, product *p)
{
    const kn_gemm *g = &p->g;
    void *whole = ck_guarded(t, p->c_bytes);
    memcpy(whole, g->c, p->c_bytes);
    memcpy(g->c, p->c_before, p->c_bytes);
    size_t rows = 1 + ck_rand() % g->m, columns = 16 * (1 + ck_rand() % ((g->n + 15) / 16));
    for (size_t m = 0; m < g->m; m += rows)
        for (size_t n = 0; n < g->n; n += columns) {
            const size_t m1 = m + rows < g->m ? m + rows : g->m;
            const kn_gemm part = piece(g, m, m1, n, n + columns < g->n ? n + columns : g->n);
            t->now.gemm(&part);
        }
    ck_equal(t, g->c, whole, p->c_bytes, "%s in pieces of (%zu, %zu)", product_name(g), rows,
             columns);
}

/* All elements, or some of each row where they are many. */
static void check_one(ck *t, unsigned kind, size_t m, size_t n, size_t k)
{
    product p = { 0 };
    product_kind(&p.g, kind);
    fill(t, &p, m, n, k);
    t->now.gemm(&p.g);
    const size_t step = m * n * k > 200000 ? 1 + m * n * k / 200000 : 1;
    for (size_t i = ck_rand() % step; i < m * n; i += step)
        check_element(t, &p, i / n, i % n);
    check_element(t, &p, m - 1, n - 1);
    product_check_gaps(t, &p);
    check_pieces(t, &p);
    ck_release(t);
}

static void check_sizes(ck *t)
{
    static const size_t big[][3] = { { 130, 48, 77 }, { 29, 100, 700 }, { 9, 40, 3072 },
                                     { 250, 17, 64 }, { 57, 300, 33 },  { 1, 200, 1100 } };
    for (unsigned i = 0; i < 240; i++) {
        const size_t m = 1 + ck_rand() % 20, n = 1 + ck_rand() % 70, k = 1 + ck_rand() % 100;
        check_one(t, i, i % 3 ? m : 1 + m % 4, n, i % 5 ? k : 1 + k % 3);
    }
    for (unsigned kind = 0; kind < 6; kind++)
        for (size_t i = 0; i < sizeof big / sizeof *big; i++)
            check_one(t, kind + 6 * (unsigned)i, big[i][0], big[i][1], big[i][2]);
    for (unsigned kind = 0; kind < 3; kind++)
        check_one(t, kind, 31, 48, 4200); /* k in several pieces … */
    for (unsigned kind = 0; kind < 2; kind++)
        check_one(t, kind, 57, 290, 3601); /* … and columns in several of them */
    check_one(t, 0, 24, 610, 4201);        /* … at a level with small tiles too */
}

static void check_empty(ck *t)
{
    float c[4] = { 1, 2, 3, 4 }, w[16] = { 0 };
    kn_gemm g = { .n = 4, .k = 1, .lda = 1, .ldc = 4, .a = w, .w = w, .c = c };
    t->now.gemm(&g);
    ck_near(t, c[0], 1, 0, "m=0");
    g.m = 1;
    g.n = 0;
    t->now.gemm(&g);
    ck_near(t, c[0], 1, 0, "n=0");
    g.n = 4;
    g.k = 0;
    t->now.gemm(&g);
    for (int j = 0; j < 4; j++)
        ck_near(t, c[j], 0, 0, "k=0");
}

/* Zeros of the padding must not meet whatever lies behind a row of a: infinity times 0 is NaN. */
static void check_padding(ck *t)
{
    product p = { .g = { .math = KN_MATH_BF16, .w_type = KN_BF16 } };
    uint16_t *a = ck_guarded(t, 2 * 64 * sizeof *a);
    p.g.m = 2;
    p.g.n = 16;
    p.g.k = 33;
    p.g.lda = 64;
    for (size_t i = 0; i < 128; i++)
        a[i] = i % 64 < 33 ? ck_to_bf16(1.0 / (double)(i + 1)) : 0x7f80;
    p.g.a = a;
    product_fill(t, &p, 16);
    t->now.gemm(&p.g);
    for (size_t i = 0; i < 32; i++)
        check_element(t, &p, i / 16, i % 16);
}

void check_gemm(ck *t)
{
    if (CK_BEGIN(t, gemm)) {
        check_empty(t);
        check_padding(t);
        check_sizes(t);
        bench_gemm(t);
    }
}
