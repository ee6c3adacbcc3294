/* check_conv.c - kernels/<level>/conv.c
 *
 * The oracle walks kernel positions by the text of kernels.h.  Pixels that lie in the padding add
 * nothing; what surrounds the input is not mapped. */
#include "bench_product.h"
#include "product.h"

#include <stdio.h>
#include <string.h>

typedef struct shape {
    uint32_t batch, h, w, cin, cout, kh, kw, stride, pad, dilation;
} shape;

static const char *shape_name(const kn_conv *c)
{
    static char text[160];
    snprintf(text, sizeof text, "%ux%ux%u k=%ux%u stride=%u pad=%u dilation=%u", c->h, c->w, c->cin,
             c->kh, c->kw, c->stride, c->pad, c->dilation);
    return text;
}

static void fill(ck *t, kn_conv *c, product *p, const shape *s)
{
    kn_gemm *g = &p->g;
    *c = (kn_conv){ .h = s->h,
                    .w = s->w,
                    .cin = s->cin,
                    .kh = s->kh,
                    .kw = s->kw,
                    .stride = s->stride,
                    .pad = s->pad,
                    .dilation = s->dilation };
    c->oh = (s->h + 2 * s->pad - s->dilation * (s->kh - 1) - 1) / s->stride + 1;
    c->ow = (s->w + 2 * s->pad - s->dilation * (s->kw - 1) - 1) / s->stride + 1;
    g->m = (size_t)s->batch * c->oh * c->ow;
    g->n = s->cout;
    g->k = (size_t)s->kh * s->kw * s->cin;
    g->lda = s->cin + ck_rand() % 2 * 3;
    g->a = product_random(t, ((size_t)s->batch * s->h * s->w - 1) * g->lda + s->cin,
                          g->math == KN_MATH_BF16 ? KN_BF16 : KN_F32);
    product_fill(t, p, s->cout + ck_rand() % 3 * 7);
    c->g = *g;
}

static void add_position(const product *p, const kn_conv *c, product_sum *s, const int64_t at[3],
                         size_t column, size_t k)
{
    const int64_t y = at[1], x = at[2];
    if (y < 0 || x < 0 || y >= c->h || x >= c->w)
        return;
    const size_t pixel = ((size_t)at[0] * c->h + (size_t)y) * c->w + (size_t)x;
    for (size_t ch = 0; ch < c->cin; ch++)
        product_add(p, s, pixel * p->g.lda + ch, column, k + ch);
}

static void check_element(ck *t, const product *p, const kn_conv *c, size_t m, size_t column)
{
    product_sum s = { 0 };
    const size_t ox = m % c->ow, oy = m / c->ow % c->oh, b = m / c->ow / c->oh;
    size_t k = 0;
    for (uint32_t y = 0; y < c->kh; y++)
        for (uint32_t x = 0; x < c->kw; x++, k += c->cin) {
            const int64_t iy = (int64_t)(oy * c->stride + y * c->dilation) - c->pad;
            const int64_t ix = (int64_t)(ox * c->stride + x * c->dilation) - c->pad;
            add_position(p, c, &s, (const int64_t[]){ (int64_t)b, iy, ix }, column, k);
        }
    product_check(t, p, m, column, &s);
}

static void check_pieces(ck *t, const product *p, const kn_conv *c)
{
    const size_t rows = 1 + ck_rand() % p->g.m;
    void *whole = ck_guarded(t, p->c_bytes);
    memcpy(whole, p->g.c, p->c_bytes);
    memcpy(p->g.c, p->c_before, p->c_bytes);
    for (size_t m = 0; m < p->g.m; m += rows)
        t->now.conv(c, m, m + rows < p->g.m ? m + rows : p->g.m);
    ck_equal(t, p->g.c, whole, p->c_bytes, "%s %s in pieces of %zu", shape_name(c),
             product_name(&p->g), rows);
}

static void check_one(ck *t, unsigned kind, const shape *s)
{
    product p = { 0 };
    kn_conv c;
    product_kind(&p.g, kind);
    fill(t, &c, &p, s);
    t->now.conv(&c, 0, p.g.m);
    const int wrong = t->wrong;
    const size_t count = p.g.m * p.g.n, step = 1 + count * p.g.k / 200000;
    for (size_t i = ck_rand() % step; i < count; i += step)
        check_element(t, &p, &c, i / p.g.n, i % p.g.n);
    if (t->wrong != wrong)
        printf("  in %s\n", shape_name(&c));
    product_check_gaps(t, &p);
    check_pieces(t, &p, &c);
    ck_release(t);
}

void check_conv(ck *t)
{
    static const shape known[] = {
        { 2, 17, 19, 3, 24, 7, 7, 2, 3, 1 },    /* the stem of a ResNet */
        { 1, 12, 13, 3, 33, 3, 3, 2, 1, 1 },    /* of a CLIP ResNet */
        { 1, 28, 28, 3, 40, 14, 14, 14, 0, 1 }, /* patches */
        { 2, 9, 7, 64, 64, 3, 3, 1, 1, 1 },     { 1, 8, 8, 32, 48, 3, 3, 2, 1, 1 },
        { 3, 6, 5, 48, 20, 1, 1, 1, 0, 1 },     { 2, 7, 7, 64, 33, 1, 1, 2, 0, 1 },
        { 1, 11, 10, 16, 17, 3, 3, 1, 2, 2 },   { 1, 10, 9, 20, 16, 3, 3, 1, 3, 3 },
        { 1, 5, 5, 600, 16, 3, 3, 1, 1, 1 },    { 1, 3, 3, 1, 1, 5, 5, 1, 2, 1 },
        { 1, 6, 40, 5, 8, 1, 9, 1, 4, 1 },
    };
    if (!CK_BEGIN(t, conv))
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (unsigned kind = 0; kind < 6; kind++)
            check_one(t, kind + 6 * (unsigned)i, &known[i]);
    for (unsigned i = 0; i < 120; i++) {
        const uint32_t side = 1 + ck_rand() % 4;
        const shape s = { 1 + ck_rand() % 2,  7 + ck_rand() % 6,
                          7 + ck_rand() % 6,  i % 2 ? 1 + ck_rand() % 9 : 16 * (1 + ck_rand() % 3),
                          1 + ck_rand() % 40, side,
                          1 + ck_rand() % 4,  1 + ck_rand() % 3,
                          ck_rand() % side,   1 + ck_rand() % 2 };
        check_one(t, i, &s);
    }
    bench_conv(t);
}
