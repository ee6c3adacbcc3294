/* index_state.h - what the frame's files share; for index*.c alone. */
#ifndef INDEX_INDEX_STATE_H
#define INDEX_INDEX_STATE_H

#include "base/bits.h"
#include "index/idmap.h"
#include "index/index.h"
#include "index/log.h"
#include "index/readers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KN_INDEX_POOL = 64, KN_INDEX_TRASH = 8 };

/* Scratch memory between searches, of one kind: a search takes one out, or makes one where there is none.
 * What the base and the tier want differs only in bytes: it grows to the larger. */
typedef struct kn_pool {
    _Atomic(kn_scratch *) at[KN_INDEX_POOL];
} kn_pool;

/* Rows that were added to the base and are linked among themselves since; nobody changes it. */
typedef struct kn_tier {
    const kn_kind *kind;
    void *state;
    kn_rows rows;
    float *own_rows; /* what rows point to */
    uint64_t *own_ids;
} kn_tier;

/* What a search sees: one state of the index, which nobody changes. */
typedef struct kn_shot {
    const kn_kind *kind;
    const void *state; /* or NULL */
    kn_rows base;
    const kn_tier *tier;       /* or NULL */
    const uint64_t *tier_live; /* (tier->rows.n bits) or NULL: all */
    size_t tier_gone;
    const uint64_t *live; /* (base.n bits) or NULL: all */
    size_t gone;
    const uint64_t *ids; /* (pending) */
    const float *rows;   /* (pending, dim) */
    const uint64_t *dead; /* (pending bits) of those that are gone again, or NULL */
    size_t pending, n;   /* n: rows that live */
    kn_pool *pool;
} kn_shot;

/* The thread that makes tiers. */
typedef struct kn_linker {
    pthread_mutex_t lock; /* the fields; the thread itself never takes it */
    pthread_t thread;
    int started;          /* to be joined */
    int held;             /* so many want that none is started */
    _Atomic int stop, busy;
} kn_linker;

struct kn_index {
    kn_metric metric;
    uint32_t dim;
    _Atomic(kn_shot *) now; /* for readers, between kn_readers_enter and _leave */
    kn_readers *readers;
    pthread_mutex_t writing; /* one writer */
    pthread_mutex_t lock;    /* the map, and that it agrees with `now` */
    kn_linker linker;

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

    kn_tier *tier;       /* or NULL */
    uint64_t *tier_live; /* (tier->rows.n bits): what of it has not gone; NULL without a tier */
    size_t tier_gone;
    size_t patience;     /* fewer pending rows are not linked: the last turn failed; or 0 */

    kn_idmap map; /* id to slot, then to base.n + slot of the tier, then to a place among the pending */
    int mapped;
    uint64_t *ids; /* (pending) */
    float *rows;   /* (pending, dim) */
    uint64_t *dead; /* (cap bits) of pending ones, or NULL */
    size_t pending, cap, dropped; /* dropped: pending ones that are dead */
    int live_mine, tier_mine, dead_mine; /* copies that no reader has seen: bits may be changed */
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

int kn_index_is_dead(const kn_index *ix, size_t i);    /* pending row i */
int kn_index_tier_lives(const kn_index *ix, size_t i); /* row i of the tier */

/* Where the pending begin in the map's numbers. */
static inline size_t kn_index_tier_end(const kn_index *ix)
{
    return ix->base.n + (ix->tier ? ix->tier->rows.n : 0);
}

/* Live rows that are not of the base. */
static inline size_t kn_index_added(const kn_index *ix)
{
    return kn_index_tier_end(ix) - ix->base.n - ix->tier_gone + ix->pending - ix->dropped;
}

/* Locks of an index that only tells: the thread that links may be about to put its work in place. */
static inline pthread_mutex_t *kn_index_lock_of(const kn_index *ix)
{
    return &((kn_index *)(uintptr_t)ix)->lock;
}

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
/* p, which `now` has still, goes when it is published next.  The caller holds `lock`. */
void kn_index_throw_away(kn_index *ix, void *p);
/* Pending rows from the from-th on go to where there is room for n more, the map's from `begin` on; dead
 * ones stay behind unless all are wanted, as a thread wants them that knows them by their places: then from
 * is 0.  The caller holds `lock`. */
KEN_CALL ken_status kn_index_move_pending(kn_index *ix, size_t from, size_t begin, size_t n, int all);
/* KEN_E_EXISTS naming the first of the ids that is present, or comes twice. */
KEN_CALL ken_status kn_index_refuse_present(kn_index *ix, const uint64_t *ids, size_t n);

/* ---- index_link.c ---- */

void kn_tier_free(void *tier); /* or NULL */
/* After a change: start the thread if it is time.  The caller holds `writing`. */
void kn_index_link_if_due(kn_index *ix);
/* No thread works from here to kn_index_link_go_on, and none is started.  The caller holds nothing. */
void kn_index_link_stop(kn_index *ix);
void kn_index_link_go_on(kn_index *ix);

/* ---- index_file.c ---- */

/* The log goes with what the file held before: it is left over from the moment of the replacement. */
KEN_CALL ken_status kn_index_write(const kn_index *ix, const char *path);
/* The file may have been replaced since it was opened: changes would go into the log of another. */
KEN_CALL ken_status kn_index_still_the_same(const kn_index *ix);

#endif
