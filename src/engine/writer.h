/*
 * writer.h - changing a collection: the lock, the segment that grows, one transaction at a time.
 *
 *     kn_writer_begin            lock; leftovers of a dead writer are swept away
 *       kn_writer_vectors        append vectors: not durable, not visible
 *       kn_writer_open           sync them; a transaction begins, `lock` is held
 *         kn_store_put …         through w->k->store
 *       kn_writer_close          commit or roll back, `lock` is let go
 *     kn_writer_end
 */
#ifndef ENGINE_WRITER_H
#define ENGINE_WRITER_H

#include "engine/collection.h"
#include "store/lock.h"

typedef struct kn_place {
    uint32_t segment, slot;
} kn_place;

typedef struct kn_writer {
    ken *k;
    kn_lock lock;
    int pending;             /* new vectors are those of a re-embedding: set before the first */
    const ken_model *model;  /* whose vectors are written; needed by kn_writer_vectors alone */
    int fresh;               /* the next vector begins a new segment */
    kn_segment_writer *seg;  /* NULL until the first vector */
    uint32_t committed;      /* of its rows */
    uint64_t next_id;        /* ids are given out by the caller: next_id++ */
    uint64_t next_segment;
} kn_writer;

/* Waits for other writers as the collection's options say; KEN_E_BUSY names the holder.
 * KEN_E_INVALID if the collection is open read-only. */
KEN_CALL ken_status kn_writer_begin(kn_writer *w, ken *k);
void kn_writer_end(kn_writer *w); /* harmless on a zeroed struct */

/* n <= KN_BLOCK unit vectors (n, dim); places (n) is where they are. */
KEN_CALL ken_status kn_writer_vectors(kn_writer *w, const uint64_t *ids, const float *vectors,
                                      size_t n, kn_place *places);
/* Let go of vectors that are not committed. */
void kn_writer_forget(kn_writer *w);
KEN_CALL ken_status kn_writer_open(kn_writer *w);
/* st: whether what was done since kn_writer_open went well; the first failure comes back. */
KEN_CALL ken_status kn_writer_close(kn_writer *w, ken_status st);

#endif
