/*
 * journal.h - the file store's log: a header, then one frame for each commit.
 *
 *     "KENLOG1\n" version u32, zero u32
 *     frame: magic u32, length u32, XXH3-64 of the payload u64, payload
 *
 * A payload is a list of operations.  Only the last frame can be torn, because a frame is written
 * after the one before it was synced.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/buf.h"
#include "store/memory.h"

enum { KN_JOURNAL_HEADER = 16, KN_FRAME_HEADER = 16, KN_JOURNAL_VERSION = 2 };
#define KN_FRAME_MAX (1u << 30)

/* ---- operations, appended to a payload ---- */
KEN_CALL ken_status kn_journal_put(kn_buf *b, const kn_item *item);
KEN_CALL ken_status kn_journal_drop(kn_buf *b, uint64_t id);
KEN_CALL ken_status kn_journal_put_segment(kn_buf *b, const kn_segment_record *row);
KEN_CALL ken_status kn_journal_drop_segment(kn_buf *b, uint32_t number);
KEN_CALL ken_status kn_journal_put_dead(kn_buf *b, uint32_t segment, uint32_t slot);
KEN_CALL ken_status kn_journal_put_reject(kn_buf *b, const kn_reject *r);
KEN_CALL ken_status kn_journal_drop_reject(kn_buf *b, const char *path);
KEN_CALL ken_status kn_journal_set_text(kn_buf *b, const char *key, const char *value);
/* The number that the commit of this frame gets, where it is not the one before it plus one. */
KEN_CALL ken_status kn_journal_generation(kn_buf *b, uint64_t generation);

/* ---- frames ---- */
void kn_journal_header(unsigned char out[KN_JOURNAL_HEADER]);
/* Fill the room that was left at the payload's front. */
void kn_journal_seal(unsigned char *frame, size_t payload);

/* Replay the frames of bytes from *at (0: the header too) into m; *at becomes the end of the last
 * whole frame.  A torn frame at the end is left out; one with whole frames behind it is
 * KEN_E_CORRUPT, as is a frame that does not make sense.  KEN_E_VERSION. */
KEN_CALL ken_status kn_journal_replay(kn_memory *m, const unsigned char *bytes, size_t len,
                                      uint64_t *at, uint64_t *generation);

#endif
