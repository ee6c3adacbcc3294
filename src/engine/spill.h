/*
 * spill.h - a table of vectors that may be larger than memory: up to a limit it lies there, beyond
 * it in a file without a name, in $TMPDIR or /tmp.
 */
#ifndef ENGINE_SPILL_H
#define ENGINE_SPILL_H

#include "ken.h"

typedef struct kn_spill {
    size_t dim, n, limit; /* limit: rows that are kept in memory */
    float *memory;        /* (min(n, limit), dim) */
    size_t cap;
    int fd; /* of the rows behind them, or -1 */
} kn_spill;

/* bytes: how much memory it may take, at least one row. */
void kn_spill_init(kn_spill *r, size_t dim, size_t bytes);
void kn_spill_release(kn_spill *r);
KEN_CALL ken_status kn_spill_add(kn_spill *r, const float *rows, size_t n);
/* Rows first .. first + n - 1, (n, dim), read only: where they lie, or copied to `room`.  Threads may
 * read at the same time. */
KEN_CALL ken_status kn_spill_get(const kn_spill *r, size_t first, size_t n, float *room,
                                const float **out);

#endif
