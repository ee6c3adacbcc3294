/*
 * ann_data.c - vectors that look like those of pictures of objects, for comparing indexes.
 *
 *   ann_data DIM N PER NOISE LATENT DIR [QUERIES]      writes DIR/base.fbin and DIR/query.fbin
 *
 * N / PER classes, each a normal point in a space of LATENT coordinates of falling weight; a vector is
 * its class's point plus NOISE times a normal one, mapped into DIM dimensions, plus a mean that all
 * share and a little noise of its own, and has length 1.  Queries (1,000) are further vectors of random
 * classes.  The comparison of the README: 512 100000 2 0.5 64.
 */
#include "base/alloc.h"
#include "base/rand.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct world {
    size_t dim, n, per, latent;
    float noise;
    float *map;  /* (latent, dim) */
    float *mean; /* (dim) */
} world;

enum { SEED = 7, OF_MAP = 1, OF_MEAN, OF_CHOICE, FIRST_CLASS = 1 << 20, FIRST_ROW = 1 << 30 };

static void make_row(const world *w, size_t row, size_t class, float *x)
{
    kn_rand of_class = kn_rand_at(SEED, FIRST_CLASS + class), own = kn_rand_at(SEED, FIRST_ROW + row);
    double square = 0;
    for (size_t j = 0; j < w->dim; j++)
        x[j] = w->mean[j] + 0.3f * kn_rand_normal(&own);
    for (size_t l = 0; l < w->latent; l++) {
        const float a = kn_rand_normal(&of_class) + w->noise * kn_rand_normal(&own);
        for (size_t j = 0; j < w->dim; j++)
            x[j] += a * w->map[l * w->dim + j];
    }
    for (size_t j = 0; j < w->dim; j++)
        square += (double)x[j] * (double)x[j];
    for (size_t j = 0; j < w->dim; j++)
        x[j] = (float)((double)x[j] / sqrt(square));
}

static int write_rows(const world *w, const char *dir, const char *name, size_t first, size_t n)
{
    char path[4096];
    const uint32_t shape[2] = { (uint32_t)n, (uint32_t)w->dim };
    kn_rand choice = kn_rand_at(SEED, OF_CHOICE);
    float *x = kn_alloc(w->dim, sizeof *x);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = x ? fopen(path, "wb") : NULL;
    int ok = f && fwrite(shape, sizeof shape, 1, f) == 1;
    for (size_t i = 0; ok && i < n; i++) {
        const size_t class =
            first ? kn_rand_below(&choice, (uint32_t)(w->n / w->per)) : i / w->per;
        make_row(w, first + i, class, x);
        ok = fwrite(x, sizeof *x, w->dim, f) == w->dim;
    }
    if (f && fclose(f))
        ok = 0;
    kn_free(x);
    if (!ok)
        perror(path);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fputs("usage: ann_data DIM N PER NOISE LATENT DIR [QUERIES]\n", stderr);
        return 2;
    }
    world w = { strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10),
                strtoul(argv[5], NULL, 10), strtof(argv[4], NULL), NULL, NULL };
    const size_t queries = argc > 7 ? strtoul(argv[7], NULL, 10) : 1000;
    if (!w.dim || !w.per || w.n < w.per || !w.latent)
        return 2;
    w.map = kn_alloc(w.latent * w.dim, sizeof *w.map);
    w.mean = kn_alloc(w.dim, sizeof *w.mean);
    if (!w.map || !w.mean)
        return 2;
    for (size_t l = 0; l < w.latent; l++)
        kn_rand_fill_normal(w.map + l * w.dim, w.dim, SEED, OF_MAP + (l << 8),
                            powf(1 + (float)l, -0.35f));
    kn_rand_fill_normal(w.mean, w.dim, SEED, OF_MEAN, 1.5f);
    const int ok = write_rows(&w, argv[6], "base.fbin", 0, w.n)
                   && write_rows(&w, argv[6], "query.fbin", w.n, queries);
    kn_free(w.map);
    kn_free(w.mean);
    return ok ? 0 : 2;
}
