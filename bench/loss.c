/* loss.c - time of a loss with its mining and of an optimiser's step, in CPU seconds of this process.
 *
 *   bench/loss [N [DIM [CLASSES]]]      a line a kind: milliseconds, best of ten
 */
#include "train/loss.h"
#include "base/alloc.h"
#include "base/rand.h"
#include "train/optim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 10, IMAGES = 4 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct data {
    size_t n, dim, classes;
    float *e, *v, *de, *dv;
    uint32_t *labels;
} data;

static int one(const data *d, kn_loss_kind kind, kn_mining mining)
{
    kn_loss_config c = kn_loss_defaults(kind);
    kn_loss_report r;
    kn_loss *l;
    double best = 1e9;
    c.mining = mining;
    c.dim = (uint32_t)d->dim;
    c.classes = kn_loss_of_classes(kind) ? (uint32_t)d->classes : 0;
    ken_status st = kn_loss_new(&l, &c);
    if (st)
        return 1;
    for (int i = 0; i < ROUNDS && !st; i++) {
        const double t = now();
        st = kn_loss_of_pairs(kind) ? kn_loss_run_pairs(l, d->e, d->v, d->n, NULL, d->de, d->dv, &r)
                                    : kn_loss_run(l, d->e, d->labels, d->n, d->de, &r);
        const double took = now() - t;
        best = took < best ? took : best;
    }
    printf("%-12s %-9s %8.2f ms\n", kn_loss_name(kind), kn_mining_name(mining), best * 1e3);
    kn_loss_free(l);
    return st != KEN_OK;
}

static int step_time(kn_optim_kind kind, size_t n)
{
    const kn_optim_config c = kn_optim_defaults(kind);
    const kn_param_range all = { 0, n, 1, 1, 0 };
    float *w = kn_alloc_aligned(n, sizeof *w), *g = kn_alloc_aligned(n, sizeof *g);
    kn_optim *o = NULL;
    double best = 1e9;
    if (!w || !g || kn_optim_new(&o, &c, n))
        return 1;
    kn_rand_fill_normal(w, n, 1, 1, 1);
    kn_rand_fill_normal(g, n, 1, 2, 1);
    for (int i = 0; i < ROUNDS; i++) {
        const double t = now();
        if (kn_optim_step(o, w, g, &all, 1, 1e-3))
            return 1;
        const double took = now() - t;
        best = took < best ? took : best;
    }
    printf("%-22s %8.3f ns a parameter\n", kn_optim_name(kind), best * 1e9 / (double)n);
    kn_optim_free(o);
    kn_free(w);
    kn_free(g);
    return 0;
}

int main(int argc, char **argv)
{
    data d = { .n = argc > 1 ? strtoul(argv[1], NULL, 10) : 512 };
    d.dim = argc > 2 ? strtoul(argv[2], NULL, 10) : 512;
    d.classes = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    const size_t floats = d.n * d.dim;
    d.e = kn_alloc_aligned(floats, sizeof *d.e);
    d.v = kn_alloc_aligned(floats, sizeof *d.v);
    d.de = kn_alloc_aligned(floats, sizeof *d.de);
    d.dv = kn_alloc_aligned(floats, sizeof *d.dv);
    d.labels = kn_alloc(d.n, sizeof *d.labels);
    if (!d.e || !d.v || !d.de || !d.dv || !d.labels)
        return 1;
    kn_rand_fill_normal(d.e, floats, 1, 1, 1);
    kn_rand_fill_normal(d.v, floats, 1, 2, 1);
    for (size_t i = 0; i < d.n; i++)
        d.labels[i] = (uint32_t)(i / IMAGES % d.classes);
    int failed = 0;
    for (int m = KN_MINING_ALL; m < KN_MINING_AUTO; m++)
        failed |= one(&d, KN_LOSS_TRIPLET, (kn_mining)m);
    for (int k = KN_LOSS_CONTRASTIVE; k < KN_LOSS_KINDS; k++)
        failed |= one(&d, (kn_loss_kind)k, KN_MINING_ALL);
    for (int k = KN_OPTIM_SGD; k <= KN_OPTIM_LION; k++)
        failed |= step_time((kn_optim_kind)k, (size_t)1 << 24);
    return failed;
}
