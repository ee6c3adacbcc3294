/* bench_product.c - products and convolutions of real networks: GFLOP/s, the share of the peak
 * measured in the same moments, the bandwidth of the weights read, and OpenBLAS beside it. */
#include "bench_product.h"

#include "base/alloc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *what;
    size_t m, n, k;
} shapes[] = {
    { "ViT-B/32 x32 qkv", 1600, 2304, 768 }, { "ViT-B/32 x32 out", 1600, 768, 768 },
    { "ViT-B/32 x32 fc1", 1600, 3072, 768 }, { "ViT-B/32 x32 fc2", 1600, 768, 3072 },
    { "ViT-B/32 x1 qkv", 50, 2304, 768 },    { "ViT-B/32 x1 fc2", 50, 768, 3072 },
    { "CLS row fc1", 1, 3072, 768 },         { "CLS row fc2", 1, 768, 3072 },
    { "text 8 tokens qkv", 8, 1536, 512 },   { "text 8 tokens out", 8, 512, 512 },
    { "text 8 tokens fc1", 8, 2048, 512 },   { "text 8 tokens fc2", 8, 512, 2048 },
    { "RN50 x8 1x1 56", 25088, 64, 256 },    { "RN50 x8 1x1 56", 25088, 256, 64 },
    { "RN50 x8 1x1 28", 6272, 128, 512 },    { "RN50 x8 1x1 28", 6272, 512, 128 },
    { "RN50 x8 1x1 14", 1568, 256, 1024 },   { "RN50 x8 1x1 14", 1568, 1024, 256 },
    { "RN50 x8 1x1 7", 392, 512, 2048 },     { "RN50 x8 1x1 7", 392, 2048, 512 },
};

static const struct {
    const char *what;
    uint32_t side, cin, cout, kernel, stride, pad;
} convs[] = {
    { "RN50 x8 stem 7x7", 224, 3, 64, 7, 2, 3 }, { "RN50 x8 3x3 56", 56, 64, 64, 3, 1, 1 },
    { "RN50 x8 3x3 28", 28, 128, 128, 3, 1, 1 }, { "RN50 x8 3x3 14", 14, 256, 256, 3, 1, 1 },
    { "RN50 x8 3x3 7", 7, 512, 512, 3, 1, 1 },   { "RN50 x8 3x3 s2", 28, 256, 256, 3, 2, 1 },
    { "patches of 32", 224, 3, 768, 32, 32, 0 },
};

static const struct {
    const char *name;
    kn_math math;
    kn_type w;
} maths[] = {
    { "f32", KN_MATH_F32, KN_F32 },        { "f32 w=bf16", KN_MATH_F32, KN_BF16 },
    { "f32 w=f16", KN_MATH_F32, KN_F16 },  { "bf16", KN_MATH_BF16, KN_BF16 },
    { "bf16x3", KN_MATH_BF16X3, KN_BF16 },
};
enum { MATHS = sizeof maths / sizeof *maths };

/* Weights go round in a pool larger than any cache, as a network's do. */
enum { POOL = 512 << 20, ROWS_POOL = 64 << 20 };
typedef struct pools {
    char *a, *w, *c;
    float *bias;
} pools;

static const double seconds = 0.25; /* for one line */

typedef void sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);

/* OpenBLAS' product on one thread, or NULL. */
static sgemm *openblas(void)
{
    static sgemm *found;
    unsetenv("OPENBLAS_CORETYPE");
    void *lib = found ? NULL : dlopen("libopenblas.so.0", RTLD_NOW);
    if (lib) {
        void (*threads)(int);
        *(void **)&threads = dlsym(lib, "openblas_set_num_threads");
        *(void **)&found = dlsym(lib, "cblas_sgemm");
        if (threads)
            threads(1);
    }
    return found;
}

typedef struct lap {
    double best, begin;
} lap;

static void lap_end(lap *l)
{
    const double took = ck_now() - l->begin;
    l->best = l->best == 0 || took < l->best ? took : l->best;
}

static double peak_time(ck *t, kn_math math, lap *l)
{
    l->begin = ck_now();
    const double done = t->now.peak(math, 4000);
    lap_end(l);
    return done / l->best;
}

static void print_line(ck *t, const char *kernel, const char *math, const char *what,
                       const kn_gemm *g, double took, double peak, double blas)
{
    const double work = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    const double bytes = (double)kn_panel_bytes(g->n, g->k, g->w_type) * (g->w_lo ? 2 : 1);
    printf("%-4s %-10s %-10s %-18s %5zux%4zux%4zu %8.1f us %7.1f GFLOP/s %5.3f of peak", kernel,
           t->level, math, what, g->m, g->n, g->k, took * 1e6, work / took * 1e-9,
           work / took / peak);
    if (g->m <= 64)
        printf(" %6.1f GB/s", bytes / took * 1e-9);
    if (blas > 0)
        printf("  openblas %7.1f, x%.2f", work / blas * 1e-9, blas / took);
    printf("\n");
    fflush(stdout);
}

/* Weights for turn i. */
static void turn_weights(const pools *p, kn_gemm *g, size_t i)
{
    const size_t bytes = kn_panel_bytes(g->n, g->k, g->w_type), room = POOL / bytes / 2;
    g->w = p->w + i % room * bytes * 2;
    g->w_lo = g->math == KN_MATH_BF16X3 ? (const char *)g->w + bytes : NULL;
}

/* What the next layer wants to read. */
static kn_type c_type(size_t math)
{
    return maths[math].math == KN_MATH_BF16 ? KN_BF16 : KN_F32;
}

static void bench_shape(ck *t, const pools *p, size_t shape, size_t math)
{
    kn_gemm g = { .math = maths[math].math,
                  .w_type = maths[math].w,
                  .m = shapes[shape].m,
                  .n = shapes[shape].n,
                  .k = shapes[shape].k,
                  .a = p->a,
                  .c = p->c,
                  .bias = p->bias,
                  .act = KN_ACT_RELU,
                  .c_type = c_type(math) };
    lap own = { 0 }, blas = { 0 }, top = { 0 };
    sgemm *peer = math == 0 ? openblas() : NULL;
    double peak = 0;
    g.lda = g.k;
    g.ldc = g.n;
    const double end = ck_now() + seconds;
    for (size_t i = 0; i < 3 || ck_now() < end; i++) {
        peak = peak_time(t, g.math, &top);
        turn_weights(p, &g, i);
        own.begin = ck_now();
        t->now.gemm(&g);
        lap_end(&own);
        if (peer) { /* row major, b transposed */
            blas.begin = ck_now();
            peer(101, 111, 112, (int)g.m, (int)g.n, (int)g.k, 1, g.a, (int)g.k, g.w, (int)g.k, 0,
                 g.c, (int)g.n);
            lap_end(&blas);
        }
    }
    print_line(t, "gemm", maths[math].name, shapes[shape].what, &g, own.best, peak, blas.best);
}

static void bench_one_conv(ck *t, const pools *p, size_t shape, size_t math)
{
    const uint32_t side = convs[shape].side, k = convs[shape].kernel;
    const uint32_t out = (side + 2 * convs[shape].pad - k) / convs[shape].stride + 1;
    kn_conv c = { .h = side,
                  .w = side,
                  .cin = convs[shape].cin,
                  .kh = k,
                  .kw = k,
                  .stride = convs[shape].stride,
                  .pad = convs[shape].pad,
                  .dilation = 1,
                  .oh = out,
                  .ow = out };
    c.g = (kn_gemm){ .math = maths[math].math,
                     .w_type = maths[math].w,
                     .m = (size_t)8 * out * out,
                     .n = convs[shape].cout,
                     .k = (size_t)k * k * c.cin,
                     .a = p->a,
                     .c = p->c,
                     .lda = c.cin,
                     .ldc = convs[shape].cout,
                     .bias = p->bias,
                     .act = KN_ACT_RELU,
                     .c_type = c_type(math) };
    lap own = { 0 }, top = { 0 };
    double peak = 0;
    const double end = ck_now() + seconds;
    for (size_t i = 0; i < 3 || ck_now() < end; i++) {
        peak = peak_time(t, c.g.math, &top);
        turn_weights(p, &c.g, i);
        own.begin = ck_now();
        t->now.conv(&c, 0, c.g.m);
        lap_end(&own);
    }
    print_line(t, "conv", maths[math].name, convs[shape].what, &c.g, own.best, peak, 0);
}

static void bench(ck *t, size_t count, void (*one)(ck *, const pools *, size_t, size_t))
{
    pools p = { kn_alloc_aligned(ROWS_POOL, 1), kn_alloc_aligned(POOL, 1),
                kn_alloc_aligned(ROWS_POOL, 1), kn_alloc_aligned(4096, sizeof(float)) };
    if (!p.a || !p.w || !p.c || !p.bias)
        abort();
    for (size_t i = 0; i < ROWS_POOL / 4; i++) /* small numbers as f32, f16 and bf16 alike */
        ((uint32_t *)(void *)p.a)[i] = 0x3c003c00 | (ck_rand() & 0x03ff03ff);
    for (size_t i = 0; i < POOL / 4; i++)
        ((uint32_t *)(void *)p.w)[i] = 0x3c003c00 | (ck_rand() & 0x03ff03ff);
    for (size_t i = 0; i < 4096; i++)
        p.bias[i] = 1;
    for (size_t math = 0; math < MATHS; math++)
        for (size_t i = 0; i < count; i++)
            one(t, &p, i, math);
    kn_free(p.a);
    kn_free(p.w);
    kn_free(p.c);
    kn_free(p.bias);
}

/* Level c is a definition, not a contestant. */
void bench_gemm(ck *t)
{
    if (t->bench && t->now.gemm != t->ref.gemm)
        bench(t, sizeof shapes / sizeof *shapes, bench_shape);
}

void bench_conv(ck *t)
{
    if (t->bench && t->now.conv != t->ref.conv)
        bench(t, sizeof convs / sizeof *convs, bench_one_conv);
}
