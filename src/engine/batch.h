/*
 * batch.h - a few pictures on their way from files to vectors.
 *
 *     read and hash (parallel) -> the caller decides -> decode and fit (parallel) -> encode
 */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "engine/scan.h"
#include "engine/views.h"

enum { KN_BATCH = 64 /* <= KN_BLOCK: kn_edit_vectors takes it at once */, KN_WHY = 200 };

typedef struct kn_task {
    const char *path;    /* borrowed */
    uint64_t size;       /* as expected */
    unsigned char *data; /* (len) the file, until it is decoded */
    size_t len;
    char hash[33];
    uint32_t width, height;
    int encode;          /* set by the caller: the pixels are needed */
    int vector;          /* row of its vector in the batch, or -1 */
    int model;           /* a 3-D model, by its name: its vector is the mean of its views' */
    uint8_t *drawn;      /* of a model: (KN_VIEWS, fit_bytes) until it is encoded */
    int views;           /* of a model: the first row of its views' vectors, or -1 */
    ken_status st;       /* what went wrong with this one … */
    char why[KN_WHY];    /* … in words */
} kn_task;

typedef struct kn_batch {
    kn_scan *s;
    kn_task tasks[KN_BATCH];
    size_t n;
    size_t want;    /* how many to take next: so that a batch takes about half a second */
    double began;
    size_t fit_bytes;
    uint8_t *pixels; /* (KN_BATCH, fit_bytes) */
    float *vectors;  /* (KN_BATCH, dim) */
    size_t vectors_n;
    float *views;    /* (KN_BATCH * KN_VIEWS, dim); NULL until the first model */
    size_t views_n;
} kn_batch;

KEN_CALL ken_status kn_batch_new(kn_batch **out, kn_scan *s);
void kn_batch_free(kn_batch *b);
/* Forget the tasks; the time that they took sets `want`. */
void kn_batch_clear(kn_batch *b);
/* KEN_E_NOMEM and KEN_E_CANCELED fail the batch, all else its task alone. */
KEN_CALL ken_status kn_batch_read(kn_batch *b);
/* Those with `encode`. */
KEN_CALL ken_status kn_batch_encode(kn_batch *b);

#endif
