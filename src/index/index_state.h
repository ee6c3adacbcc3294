/* index_state.h - what the frame's files share; for index*.c alone. */
#ifndef INDEX_INDEX_STATE_H
#define INDEX_INDEX_STATE_H

#include "index/idmap.h"
#include "index/index.h"
#include "index/log.h"

enum { KN_INDEX_POOL = 64 };

struct kn_index {
    kn_spec spec;
    char asked[KN_SPEC_TEXT]; /* "auto", or what spec says */
    kn_metric metric;
    uint32_t dim;
    uint64_t seed;
    const kn_kind *kind;

    kn_rows base;
    void *state;
    float *own_rows;    /* what base points to, unless it is mapped */
    uint64_t *own_ids;
    unsigned char *note; /* (note_bytes) to be saved; or NULL */
    size_t note_bytes;
    kn_index_file file; /* or all zero */
    uint64_t *live;     /* (base.n bits) or NULL while nothing is gone */
    size_t gone;

    kn_idmap map; /* id to slot, or to base.n + its place among the pending */
    int mapped;
    uint64_t *ids; /* (pending) */
    float *rows;   /* (pending, dim) */
    size_t pending, cap;

    int lost; /* a compaction failed: is the file still ours? */
    char *path; /* of an opened file, or NULL */
    kn_index_log *log;

    kn_scratch pool[KN_INDEX_POOL];
    size_t pooled;
};

/* The map from ids, unless it is made already.  Not by two threads at once. */
KEN_CALL ken_status kn_index_map_ids(kn_index *ix);
/* KEN_E_INVALID naming the first of n rows (n, dim) that is not finite, or too long for its square. */
KEN_CALL ken_status kn_index_check_vectors(const float *x, size_t n, size_t dim, const char *what);
/* A copy of n rows (n, dim) as they are kept, kn_free it; NULL: out of memory. */
float *kn_index_prepared(const kn_index *ix, const float *rows, size_t n);

#endif
