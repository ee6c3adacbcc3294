/*
 * kmeans.h - Lloyd's algorithm: k centres for n rows, and which centre each row is nearest to.
 *
 * The same rows, options and seed give the same bits for any number of threads and at any CPU level:
 * matrix products only narrow the choice, to the centres that their error bound cannot exclude, and
 * those are compared by sums of doubles in one fixed order; centres are sums of their rows in the
 * order of the rows.
 */
#ifndef INDEX_KMEANS_H
#define INDEX_KMEANS_H

#include "ken.h"

typedef struct kn_kmeans {
    size_t k, dim;
    int spherical;       /* centres have length 1: rows of cosine and inner product */
    int plus_plus;       /* starts far apart (Arthur, Vassilvitskii: k-means++, 2007); 0: any k rows */
    uint32_t iterations; /* at most; ends early when fewer than one row in a thousand moves */
    size_t sample;       /* rows a centre that are trained on, at most; 0: all */
    uint64_t seed;
    uint32_t threads;    /* at most; 0: one */
} kn_kmeans;

/* centres (k, dim) of finite rows (n, dim).  With fewer than k distinct rows some centres come twice;
 * with n = 0 all are zero. */
KEN_CALL ken_status kn_kmeans_train(const kn_kmeans *km, const float *rows, size_t n,
                                    float *centres);

/* near (n): the nearest centre of each row by squared distance (or, with `dot`, of the greatest inner
 * product), the lowest of equal ones; equal is what a float sum of so many terms cannot tell apart. */
KEN_CALL ken_status kn_kmeans_assign(const float *centres, size_t k, size_t dim, int dot,
                                     const float *rows, size_t n, uint32_t threads,
                                     uint32_t *near);

#endif
