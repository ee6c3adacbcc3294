/* train_step.c - where the time of a training step goes.
 *
 *   train_step ARCH SIZE BATCH f32|bf16 [THREADS [SECONDS]]
 *
 * Random weights and pictures.  ARCH is a published one, or resnet18-strided.  Prints the best step's
 * milliseconds, each kind of operation's share, and each kernel's time (of all threads).  With one
 * thread everything is processor time, which other programs disturb less. */
#include "nn/graph_state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(watch, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- operations ---- */

enum { MAX_OPS = 1024 };
static const kn_op_class *real[MAX_OPS];
static kn_op_class timed[MAX_OPS];
static double spent[MAX_OPS][2];

static void timed_forward(kn_graph *g, kn_op *op)
{
    const double start = now();
    real[op - g->ops]->forward(g, op);
    spent[op - g->ops][0] += now() - start;
}

static void timed_backward(kn_graph *g, kn_op *op)
{
    const double start = now();
    real[op - g->ops]->backward(g, op);
    spent[op - g->ops][1] += now() - start;
}

static void time_operations(kn_graph *g)
{
    for (size_t i = 0; i < g->ops_len && i < MAX_OPS; i++) {
        real[i] = g->ops[i].class;
        timed[i] = *real[i];
        timed[i].forward = timed_forward;
        timed[i].backward = timed_backward;
        g->ops[i].class = &timed[i];
    }
}

static void say_operations(const kn_graph *g, int steps)
{
    for (size_t i = 0; i < g->ops_len; i++) {
        double both[2] = { 0, 0 };
        if (!real[i])
            continue;
        for (size_t j = g->ops_len; j-- > i;)
            if (real[j] && !strcmp(real[j]->name, real[i]->name)) {
                both[0] += spent[j][0];
                both[1] += spent[j][1];
                real[j] = j == i ? real[j] : NULL;
            }
        printf("  %-14s forward %8.2f ms   backward %8.2f ms\n", real[i]->name, both[0] * 1e3 / steps,
               both[1] * 1e3 / steps);
    }
}

/* ---- kernels ---- */

static kn_kernels plain, watched;

/* Each a counter, and a kernel that adds to it: name, parameters, arguments. */
#define KERNELS(X)                                                                                 \
    X(gemm, (const kn_gemm *a), (a))                                                               \
    X(conv, (const kn_conv *a, size_t b, size_t c), (a, b, c))                                     \
    X(pack, (const float *a, size_t b, size_t c, kn_type d, void *e), (a, b, c, d, e))             \
    X(pack_turned, (const float *a, size_t b, size_t c, size_t d, size_t e, kn_type f, void *h),   \
      (a, b, c, d, e, f, h))                                                                       \
    X(turn, (kn_math a, const void *b, size_t c, size_t d, size_t e, size_t f, size_t h, void *i), \
      (a, b, c, d, e, f, h, i))                                                                    \
    X(wgrad, (const kn_wgrad *a, size_t b, size_t c), (a, b, c))                                   \
    X(attention, (const kn_attention *a), (a))                                                     \
    X(layernorm_grad, (const void *a, kn_type b, const float *c, size_t d, const float *e, float f,\
                       float *h, float *i, float *j), (a, b, c, d, e, f, h, i, j))                 \
    X(activate, (float *a, size_t b, kn_act c), (a, b, c))                                         \
    X(activate_grad, (const float *a, float *b, size_t c, kn_act d), (a, b, c, d))                 \
    X(moments, (const void *a, kn_type b, size_t c, size_t d, const float *e, float *f, float *h), \
      (a, b, c, d, e, f, h))                                                                       \
    X(affine, (const void *a, kn_type b, size_t c, size_t d, const float *e, const float *f,       \
               const void *h, int i, void *j), (a, b, c, d, e, f, h, i, j))                        \
    X(affine_sums, (const void *a, const void *b, const void *c, kn_type d, size_t e, size_t f,    \
                    const float *h, float *i, float *j), (a, b, c, d, e, f, h, i, j))              \
    X(affine_grad, (const void *a, const void *b, const void *c, kn_type d, size_t e, size_t f,    \
                    const float *h, const float *i, const float *j, void *l, void *m, int n),      \
      (a, b, c, d, e, f, h, i, j, l, m, n))                                                        \
    X(sum_rows, (const float *const *a, size_t b, size_t c, kn_type d, void *e, int f),            \
      (a, b, c, d, e, f))                                                                          \
    X(maxpool, (const void *a, kn_type b, uint32_t c, uint32_t d, uint32_t e, uint32_t f,          \
                uint32_t h, uint32_t i, void *j), (a, b, c, d, e, f, h, i, j))                     \
    X(maxpool_grad, (const void *a, const void *b, kn_type c, uint32_t d, uint32_t e, uint32_t f,  \
                     uint32_t h, uint32_t i, uint32_t j, void *l), (a, b, c, d, e, f, h, i, j, l))

#define WATCH(name, parameters, arguments)                                                         \
    static atomic_llong ns_##name;                                                                 \
    static void watch_##name parameters                                                            \
    {                                                                                              \
        const double start = now();                                                                \
        plain.name arguments;                                                                      \
        atomic_fetch_add(&ns_##name, (long long)((now() - start) * 1e9));                          \
    }
KERNELS(WATCH)

static void watch_kernels(kn_graph *g)
{
    plain = watched = *g->crew.k;
#define PUT(name, parameters, arguments) watched.name = watch_##name;
    KERNELS(PUT)
    g->crew.k = &watched;
}

static void say_kernels(int steps)
{
#define SAY(name, parameters, arguments)                                                           \
    if (ns_##name)                                                                                 \
        printf("  %-14s %8.2f ms\n", #name, (double)ns_##name * 1e-6 / steps);
    KERNELS(SAY)
}

/* ---- the step ---- */

static kn_graph *make(const char *arch, uint32_t size, const kn_graph_options *o)
{
    kn_net_config c;
    kn_graph *g = NULL;
    const int strided = !strcmp(arch, "resnet18-strided");
    if (!kn_arch_find(&c, strided ? "resnet18" : arch)) {
        fprintf(stderr, "no architecture %s\n", arch);
        exit(2);
    }
    if (strided)
        c.resnet.stem = KN_STEM_STRIDED;
    c.prep.crop[0] = c.prep.crop[1] = c.resnet.input[0] = c.resnet.input[1] = size;
    c.vit.grid[0] = c.vit.grid[1] = c.image == KN_NET_VIT ? size / c.vit.patch : 0;
    if (kn_graph_new(&g, &c, o)) {
        fprintf(stderr, "%s\n", ken_last_error());
        exit(1);
    }
    return g;
}

static double step(kn_graph *g, const uint8_t *pixels, const float *dout, size_t batch)
{
    const float *out;
    const double start = now();
    kn_graph_changed(g);
    kn_graph_zero_gradients(g);
    if (kn_graph_images(g, pixels, batch, 1, 0, &out))
        exit(1);
    kn_graph_backward(g, dout);
    return now() - start;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    const uint32_t size = (uint32_t)atoi(argv[2]), batch = (uint32_t)atoi(argv[3]);
    const kn_graph_options o = { .batch = batch,
                                 .math = strcmp(argv[4], "bf16") ? KN_MATH_F32 : KN_MATH_BF16,
                                 .threads = argc > 5 ? (uint32_t)atoi(argv[5]) : 0 };
    watch = o.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    const double seconds = argc > 6 ? atof(argv[6]) : 3;
    kn_graph *g = make(argv[1], size, &o);
    const size_t bytes = (size_t)batch * size * size * 3, floats = (size_t)batch * kn_graph_dim(g);
    uint8_t *pixels = malloc(bytes);
    float *dout = malloc(floats * sizeof *dout);
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(i * i * 31 / 7 + i * 13);
    for (size_t i = 0; i < floats; i++)
        dout[i] = (float)(i * 37 % 101) * 1e-3F - 0.05F;
    step(g, pixels, dout, batch);
    double best = 1e30;
    for (const double start = now(); now() - start < seconds;) {
        const double took = step(g, pixels, dout, batch);
        best = took < best ? took : best;
    }
    printf("%s %u batch %u %s: %.2f ms, %.1f a second, %.1f Gflop/s\n", argv[1], size, batch, argv[4],
           best * 1e3, batch / best, 6 * kn_graph_macs(g) * batch / best * 1e-9);
    time_operations(g);
    watch_kernels(g);
    int steps = 0;
    for (const double start = now(); now() - start < seconds; steps++)
        step(g, pixels, dout, batch);
    say_operations(g, steps);
    say_kernels(steps);
    free(pixels);
    free(dout);
    kn_graph_free(g);
    return 0;
}
