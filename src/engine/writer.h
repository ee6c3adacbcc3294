/*
 * writer.h - changing a collection: the lock, the segments that grow, one transaction at a time.
 *
 *     kn_edit_begin            lock; leftovers of a dead writer are swept away
 *       kn_edit_vectors        append vectors: not durable, not visible; likewise kn_edit_parts and
 *                              kn_edit_views
 *       kn_edit_open           sync them; a transaction begins, `lock` is held
 *         kn_store_put …         through w->k->store
 *       kn_edit_close          commit or roll back, `lock` is let go
 *     kn_edit_end
 */
#ifndef ENGINE_WRITER_H
#define ENGINE_WRITER_H

#include "engine/collection.h"
#include "store/lock.h"

typedef struct kn_place {
    uint32_t segment, slot;
} kn_place;

/* A segment that grows. */
typedef struct kn_tail {
    kn_segment_writer *seg; /* NULL until the first vector */
    uint32_t committed;     /* of its rows */
    int fresh;              /* the next vector begins a new segment */
} kn_tail;

typedef struct kn_edit {
    ken *k;
    kn_lock lock;
    int pending;             /* new vectors are those of a re-embedding: set before the first */
    const ken_model *model;  /* whose vectors are written; needed to append alone */
    kn_tail whole, parts, views;
    uint64_t next_id;        /* ids are given out by the caller: next_id++ */
    uint64_t next_segment;
} kn_edit;

/* Waits for other writers as the collection's options say; KEN_E_BUSY names the holder.
 * KEN_E_INVALID if the collection is open read-only. */
KEN_CALL ken_status kn_edit_begin(kn_edit *w, ken *k);
void kn_edit_end(kn_edit *w); /* harmless on a zeroed struct */

/* n <= KN_BLOCK unit vectors (n, dim); places (n) is where they are. */
KEN_CALL ken_status kn_edit_vectors(kn_edit *w, const uint64_t *ids, const float *vectors,
                                      size_t n, kn_place *places);
/* n vectors of parts of pictures; they get slots one behind the other from *first on.  Once between
 * two commits. */
KEN_CALL ken_status kn_edit_parts(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                                  kn_place *first);
/* The same for views of 3-D models, which keep the numbers that pictures' vectors do: models are nearer to
 * each other than bytes can tell. */
KEN_CALL ken_status kn_edit_views(kn_edit *w, const uint64_t *ids, const float *vectors, size_t n,
                                  kn_place *first);
/* Let go of vectors that are not committed. */
void kn_edit_forget(kn_edit *w);
KEN_CALL ken_status kn_edit_open(kn_edit *w);
/* st: whether what was done since kn_edit_open went well; the first failure comes back. */
KEN_CALL ken_status kn_edit_close(kn_edit *w, ken_status st);

#endif
