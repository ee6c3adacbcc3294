/*
 * flat.h - exact search: every query against every row, wherever the rows lie.
 *
 * The oracle of every other index.  Results do not depend on how rows are cut into runs, on the
 * number of threads, or on how many queries come at once.
 */
#ifndef INDEX_FLAT_H
#define INDEX_FLAT_H

#include "index/topk.h"
#include "kernels/kernels.h"
#include "ken.h"

typedef enum kn_metric { /* in files: numbers never change */
    KN_METRIC_DOT = 0,   /* raw: the inner product */
    KN_METRIC_L2 = 1,    /* raw: minus the squared distance; f32 rows only */
    KN_METRIC_COSINE = 2 /* raw: the inner product; rows and queries are unit vectors or zero */
} kn_metric;

/* Rows that lie one behind the other. */
typedef struct kn_run {
    const void *rows; /* (n, dim) of type f32 or f16; i8: each its scale (f32), then (dim) */
    kn_type type;
    size_t n;
    const unsigned char *ids; /* u64, id_stride bytes from one to the next, any alignment */
    size_t id_stride;
    const uint64_t *skip; /* a bitmap, or NULL: row i is left out if bit skip_first + i is set */
    size_t skip_first;
    size_t stride; /* bytes from one row to the next; read for i8 alone */
} kn_run;

typedef struct kn_flat {
    const kn_run *runs;
    size_t n; /* runs */
    size_t dim;
    kn_metric metric;
    uint32_t threads; /* at most; 0: one */
} kn_flat;

/* queries (nq, dim) to near (nq, k), best first, and found (nq). */
KEN_CALL ken_status kn_flat_search(const kn_flat *f, const float *queries, size_t nq, size_t k,
                                   kn_near *near, size_t *found);

#endif
