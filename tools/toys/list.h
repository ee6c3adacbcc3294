/* list.h - a LIST (path,label lines) with a vector for each picture. */
#ifndef TOOLS_TOYS_LIST_H
#define TOOLS_TOYS_LIST_H

#include "ken.h"

enum { TT_BINS = 64 };

typedef struct tt_entry {
    const char *path, *label; /* in the list's own bytes */
    uint32_t rank;            /* for whoever ranks */
} tt_entry;

typedef struct tt_list {
    char *bytes, *dir;
    tt_entry *e;
    size_t n;
    float *v; /* (n, dim) of unit length, or NULL */
    size_t dim;
} tt_list;

KEN_CALL ken_status tt_list_read(tt_list *out, const char *path); /* *out was zeroed */
void tt_list_release(tt_list *t);

/* The colour histogram of each picture as its vector. */
KEN_CALL ken_status tt_list_histograms(tt_list *t, uint32_t threads);
/* Vectors of `ken embed -o`, a row a line of the list. */
KEN_CALL ken_status tt_list_vectors(tt_list *t, const char *npy);
/* The product of two vectors. */
float tt_likeness(const tt_list *a, size_t i, const tt_list *b, size_t j);

#endif
