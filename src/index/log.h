/*
 * log.h - what has been added to an index and removed from it since its file was written.
 *
 *     magic, version, number, dim, check | two places for the commit | batches
 *
 * A batch is a head (what, how many, the checksum of all of it), then ids, then rows (f32) if rows are
 * added.  It is written behind the last one and synced; then the length is written into the older of
 * the two places and synced: that is the commit.  Whatever lies behind the committed length was never
 * acknowledged and is overwritten.  A log whose number is not the file's (its header's checksum) is left
 * over from before a compaction and counts as empty.
 */
#ifndef INDEX_LOG_H
#define INDEX_LOG_H

#include "ken.h"

typedef enum kn_index_log_op { /* in files: numbers never change */
    KN_LOG_PUT = 1,
    KN_LOG_REMOVE = 2
} kn_index_log_op;

/* rows (n, dim) for KN_LOG_PUT, at any alignment of 4, else NULL. */
typedef ken_status (*kn_index_log_fn)(kn_index_log_op op, const uint64_t *ids, const float *rows, size_t n,
                                void *cookie);

/* Each committed batch, in order; a missing log is empty.  KEN_E_CORRUPT names the place. */
KEN_CALL ken_status kn_index_log_replay(const char *path, uint64_t number, uint32_t dim, kn_index_log_fn fn,
                                  void *cookie);

typedef struct kn_index_log kn_index_log;
/* For writing: the one writer (KEN_E_BUSY if there is another), made if missing or left over. */
KEN_CALL ken_status kn_index_log_open(kn_index_log **out, const char *path, uint64_t number, uint32_t dim);
/* Durable when it returns; on failure the log is as before. */
KEN_CALL ken_status kn_index_log_append(kn_index_log *l, kn_index_log_op op, const uint64_t *ids,
                                        const float *rows, size_t n);
void kn_index_log_close(kn_index_log *l);

#endif
