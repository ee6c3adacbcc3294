/* check_outer.c - kernels/<level>/outer.c
 *
 * The oracle sums in double over all output pixels, by the text of kernels.h.  Whatever order the
 * chunks are turned in and the pieces are computed in, the bits are the same. */
#include "product.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct shape {
    uint32_t batch, h, w, cin, cout, kh, kw, stride, pad, dilation;
} shape;

/* A gradient of weights, with all that its oracle needs. */
typedef struct outer {
    kn_wgrad w;
    kn_type type;
    const void *dy;
    void *turned;
    size_t ldy;
    float *before; /* what dw held */
    size_t count;  /* of dw */
} outer;

static double get(kn_type type, const void *p, size_t i)
{
    return (double)(type == KN_BF16 ? ck_from_bf16(((const uint16_t *)p)[i])
                                    : ((const float *)p)[i]);
}

static kn_conv conv_of(const shape *s)
{
    kn_conv c = { .h = s->h, .w = s->w, .cin = s->cin, .kh = s->kh, .kw = s->kw,
                  .stride = s->stride, .pad = s->pad, .dilation = s->dilation };
    c.oh = (s->h + 2 * s->pad - s->dilation * (s->kh - 1) - 1) / s->stride + 1;
    c.ow = (s->w + 2 * s->pad - s->dilation * (s->kw - 1) - 1) / s->stride + 1;
    c.g.m = (size_t)s->batch * c.oh * c.ow;
    c.g.n = s->cout;
    c.g.k = (size_t)s->kh * s->kw * s->cin;
    return c;
}

static outer fill(ck *t, const shape *s, kn_math math, int add)
{
    outer o = { .type = math == KN_MATH_BF16 ? KN_BF16 : KN_F32 };
    kn_conv *c = &o.w.c;
    *c = conv_of(s);
    c->g.math = math;
    c->g.lda = s->cin + ck_rand() % 2 * 3;
    c->g.a = product_random(t, ((size_t)s->batch * s->h * s->w - 1) * c->g.lda + s->cin, o.type);
    o.ldy = s->cout + ck_rand() % 3 * 5;
    o.dy = product_random(t, (c->g.m - 1) * o.ldy + s->cout, o.type);
    o.count = c->g.n * c->g.k;
    o.before = product_random(t, o.count, KN_F32);
    o.turned = ck_guarded(t, kn_turned_bytes(c->g.m, c->g.n));
    o.w.turned = o.turned;
    o.w.dw = ck_guarded(t, o.count * sizeof(float));
    o.w.add = add;
    return o;
}

static size_t chunks_of(const outer *o)
{
    return (o->w.c.g.m + KN_TURN_ROWS - 1) / KN_TURN_ROWS;
}

static void turn(ck *t, outer *o, size_t c0, size_t c1)
{
    const kn_gemm *g = &o->w.c.g;
    t->now.turn(g->math, o->dy, o->ldy, g->m, g->n, c0, c1, o->turned);
}

/* x at output pixel m and column k of the weights; 0 outside the input */
static double input_at(const outer *o, size_t m, size_t k)
{
    const kn_conv *c = &o->w.c;
    const size_t ch = k % c->cin, kx = k / c->cin % c->kw, ky = k / c->cin / c->kw;
    const size_t ox = m % c->ow, oy = m / c->ow % c->oh, b = m / c->ow / c->oh;
    const int64_t y = (int64_t)(oy * c->stride + ky * c->dilation) - c->pad;
    const int64_t x = (int64_t)(ox * c->stride + kx * c->dilation) - c->pad;
    if (y < 0 || x < 0 || y >= c->h || x >= c->w)
        return 0;
    return get(o->type, c->g.a, ((b * c->h + (size_t)y) * c->w + (size_t)x) * c->g.lda + ch);
}

static void check_element(ck *t, const outer *o, size_t i)
{
    const kn_conv *c = &o->w.c;
    const size_t n = i / c->g.k, k = i % c->g.k;
    double sum = o->w.add ? (double)o->before[i] : 0, size = fabs(sum);
    for (size_t m = 0; m < c->g.m; m++) {
        const double term = get(o->type, o->dy, m * o->ldy + n) * input_at(o, m, k);
        sum += term;
        size += fabs(term);
    }
    ck_near(t, (double)o->w.dw[i], sum, ((double)c->g.m + 4) * (double)FLT_EPSILON * size,
            "%s%s %ux%ux%u to %zu k=%ux%u stride=%u pad=%u dilation=%u m=%zu at (%zu, %zu)",
            o->type == KN_BF16 ? "bf16" : "f32", o->w.add ? " add" : "", c->h, c->w, c->cin, c->g.n,
            c->kh, c->kw, c->stride, c->pad, c->dilation, c->g.m, n, k);
}

/* Once more: chunks and pieces from the last one on, few at a time. */
static void check_order(ck *t, outer *o)
{
    const kn_gemm *g = &o->w.c.g;
    float *whole = ck_guarded(t, o->count * sizeof *whole);
    memcpy(whole, o->w.dw, o->count * sizeof *whole);
    memcpy(o->w.dw, o->before, o->count * sizeof *whole);
    memset(o->turned, 0xff, kn_turned_bytes(g->m, g->n));
    for (size_t c = chunks_of(o); c-- > 0;)
        turn(t, o, c, c + 1);
    for (size_t end = kn_wgrad_pieces(g->n, g->k), p; end > 0; end = p) {
        p = end - 1 - ck_rand() % (end < 4 ? end : 4);
        t->now.wgrad(&o->w, p, end);
    }
    ck_equal(t, o->w.dw, whole, o->count * sizeof *whole, "in another order, m=%zu n=%zu k=%zu",
             g->m, g->n, g->k);
}

static void check_one(ck *t, const shape *s, kn_math math, int add)
{
    outer o = fill(t, s, math, add);
    const kn_gemm *g = &o.w.c.g;
    memset(o.turned, 0xff, kn_turned_bytes(g->m, g->n)); /* NaN where nothing is written */
    memcpy(o.w.dw, o.before, o.count * sizeof(float));
    turn(t, &o, 0, chunks_of(&o));
    t->now.wgrad(&o.w, 0, kn_wgrad_pieces(g->n, g->k));
    const size_t step = 1 + o.count * g->m / 300000;
    for (size_t i = ck_rand() % step; i < o.count; i += step)
        check_element(t, &o, i);
    check_order(t, &o);
    ck_release(t);
}

static void check_all(ck *t)
{
    static const shape known[] = {
        { 2, 33, 31, 3, 64, 7, 7, 2, 3, 1 },     /* the stem of a ResNet */
        { 3, 12, 13, 3, 33, 3, 3, 2, 1, 1 },     /* of a CLIP ResNet */
        { 2, 28, 28, 3, 40, 14, 14, 14, 0, 1 },  /* patches */
        { 2, 17, 16, 64, 64, 3, 3, 1, 1, 1 },    { 2, 16, 16, 32, 48, 3, 3, 2, 1, 1 },
        { 5, 9, 7, 48, 20, 1, 1, 1, 0, 1 },      { 2, 14, 14, 64, 33, 1, 1, 2, 0, 1 },
        { 2, 11, 10, 16, 17, 3, 3, 1, 2, 2 },    { 1, 10, 9, 20, 16, 3, 3, 1, 3, 3 },
        { 1, 3, 3, 1, 1, 5, 5, 1, 2, 1 },        { 2, 6, 40, 5, 8, 1, 9, 1, 4, 1 },
        { 1, 1, 1, 40, 300, 1, 1, 1, 0, 1 },     { 1, 256, 1, 33, 257, 1, 1, 1, 0, 1 },
        { 1, 257, 1, 64, 513, 1, 1, 1, 0, 1 },   { 1, 511, 1, 96, 96, 1, 1, 1, 0, 1 },
        { 197, 1, 1, 100, 700, 1, 1, 1, 0, 1 },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (unsigned kind = 0; kind < 4; kind++)
            check_one(t, &known[i], kind % 2 ? KN_MATH_BF16 : KN_MATH_F32, kind / 2);
    for (unsigned i = 0; i < 80; i++) {
        const uint32_t side = 1 + ck_rand() % 4;
        const shape s = { 1 + ck_rand() % 4,  7 + ck_rand() % 9,
                          7 + ck_rand() % 9,  i % 4 < 2 ? 1 + ck_rand() % 9 : 16 * (1 + ck_rand() % 3),
                          1 + ck_rand() % 70, side,
                          1 + ck_rand() % 4,  1 + ck_rand() % 3,
                          ck_rand() % side,   1 + ck_rand() % 2 };
        check_one(t, &s, i % 2 ? KN_MATH_BF16 : KN_MATH_F32, (int)(i / 2 % 2));
    }
}

static void all_pieces(const kn_kernels *k, const kn_wgrad *w)
{
    k->wgrad(w, 0, kn_wgrad_pieces(w->c.g.n, w->c.g.k));
}

/* A layer of a ResNet and one of a transformer. */
static void bench(ck *t, const shape *s, kn_math math, const char *label, int turning)
{
    if (!t->bench)
        return;
    outer o = fill(t, s, math, 0);
    const kn_gemm *g = &o.w.c.g;
    void *room = ck_guarded(t, kn_turned_bytes(g->m, g->n));
    kn_wgrad ref = o.w;
    ref.turned = room;
    t->ref.turn(math, o.dy, o.ldy, g->m, g->n, 0, chunks_of(&o), room);
    turn(t, &o, 0, chunks_of(&o));
    if (turning)
        CK_BENCH(t, label, (t->ref.turn(math, o.dy, o.ldy, g->m, g->n, 0, chunks_of(&o), room), 0),
                 (turn(t, &o, 0, chunks_of(&o)), 0));
    else
        CK_BENCH(t, label, (all_pieces(&t->ref, &ref), 0), (all_pieces(&t->now, &o.w), 0));
    ck_release(t);
}

static void bench_each(ck *t, int turning)
{
    static const shape conv = { 2, 28, 28, 64, 64, 3, 3, 1, 1, 1 };
    static const shape stem = { 1, 64, 64, 3, 64, 7, 7, 2, 3, 1 };
    bench(t, &conv, KN_MATH_F32, "3x3 f32", turning);
    bench(t, &conv, KN_MATH_BF16, "3x3 bf16", turning);
    bench(t, &stem, KN_MATH_BF16, "stem bf16", turning);
}

/* Turned rows have no meaning but through wgrad: a level that brings one brings both. */
void check_outer(ck *t)
{
    if (CK_BEGIN(t, turn)) {
        check_all(t);
        bench_each(t, 1);
    }
    if (CK_BEGIN(t, wgrad)) {
        check_all(t);
        bench_each(t, 0);
    }
}
