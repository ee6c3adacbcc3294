/* index_state.h - what the frame's files share; for index*.c alone. */
#ifndef INDEX_INDEX_STATE_H
#define INDEX_INDEX_STATE_H

#include "index/idmap.h"
#include "index/index.h"
#include "index/log.h"
#include "index/readers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KN_INDEX_POOL = 64, KN_INDEX_TRASH = 8 };

/* Scratch memory for searches of one kind's state. */
typedef struct kn_pool {
    _Atomic(kn_scratch *) at[KN_INDEX_POOL];
} kn_pool;

/* What a search sees: one state of the index, which nobody changes. */
typedef struct kn_shot {
    const kn_kind *kind;
    const void *state; /* or NULL */
    kn_rows base;
    const uint64_t *live; /* (base.n bits) or NULL: all */
    size_t gone;
    const uint64_t *ids; /* (pending) */
    const float *rows;   /* (pending, dim) */
    const uint64_t *dead; /* (pending bits) of those that are gone again, or NULL */
    size_t pending, n;   /* n: rows that live */
    kn_pool *pool;
} kn_shot;

struct kn_index {
    kn_metric metric;
    uint32_t dim;
    _Atomic(kn_shot *) now; /* for readers, between kn_readers_enter and _leave */
    kn_readers *readers;
    pthread_mutex_t writing; /* one writer */
    pthread_mutex_t lock;    /* the map, and that it agrees with `now` */

    /* The writer's own, from here on; a compaction exchanges all of it. */
    kn_spec spec;
    char asked[KN_SPEC_TEXT]; /* "auto", or what spec says */
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
    uint64_t *dead; /* (cap bits) of pending ones, or NULL */
    size_t pending, cap, dropped; /* dropped: pending ones that are dead */
    int live_mine, dead_mine; /* copies that no reader has seen: bits may be changed */
    void *trash[KN_INDEX_TRASH]; /* replaced, and still in `now` */
    size_t n_trash;
    kn_shot *spare; /* what becomes `now` next, so that publishing cannot fail */

    int lost; /* a compaction failed: is the file still ours? */
    char *path; /* of an opened file, or NULL */
    kn_index_log *log;
    kn_pool *pool;
};

/* The map from ids, unless it is made already.  The caller holds `lock`, or nobody else is there. */
KEN_CALL ken_status kn_index_map_ids(kn_index *ix);
/* KEN_E_INVALID naming the first of n rows (n, dim) that is not finite, or too long for its square. */
KEN_CALL ken_status kn_index_check_vectors(const float *x, size_t n, size_t dim, const char *what);
/* A copy of n rows (n, dim) as they are kept, kn_free it; NULL: out of memory. */
float *kn_index_prepared(const kn_index *ix, const float *rows, size_t n);

int kn_index_is_dead(const kn_index *ix, size_t i); /* pending row i */

/* ---- index.c ---- */

/* Room for the next publishing, which then cannot fail. */
KEN_CALL ken_status kn_index_get_ready(kn_index *ix);
/* After kn_index_get_ready().  The caller holds `lock`, or nobody else is there. */
void kn_index_publish(kn_index *ix);

/* ---- index_change.c ---- */

/* rows (n, dim) as they are kept, or NULL to remove; removed may be NULL.  The caller holds `writing`, or
 * nobody else is there. */
KEN_CALL ken_status kn_index_change(kn_index *ix, const uint64_t *ids, const float *rows, size_t n,
                                    int replace, size_t *removed);
/* KEN_E_EXISTS naming the first of the ids that is present, or comes twice. */
KEN_CALL ken_status kn_index_refuse_present(kn_index *ix, const uint64_t *ids, size_t n);

/* ---- index_file.c ---- */

/* The log goes with what the file held before: it is left over from the moment of the replacement. */
KEN_CALL ken_status kn_index_write(const kn_index *ix, const char *path);
/* The file may have been replaced since it was opened: changes would go into the log of another. */
KEN_CALL ken_status kn_index_still_the_same(const kn_index *ix);

#endif
