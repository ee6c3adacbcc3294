/*
 * segment.h - files of vectors: append-only, checksummed, read in place.
 *
 * A segment is a header page and blocks of KN_BLOCK slots.  A block is its slots' entries (id and
 * checksum), then their rows without gaps:
 *
 *     header 4096 | entries 256 x 16 | rows 256 x row_bytes | entries | rows | …
 *
 * so that the address of a slot is computed, a scan meets 256 rows in one piece, and a search needs
 * no other file to know whose row it is.  How many rows count is the store's to say: whatever lies
 * behind them is left over from a writer that died, and overwritten.  A committed byte is never
 * written again.
 *
 * All numbers are little-endian.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "ken.h"

enum { KN_BLOCK = 256, KN_SEGMENT_MAX_DIM = 1 << 16 };

typedef enum kn_element { /* in files: numbers never change */
    KN_ELEMENT_F32 = 1,
    KN_ELEMENT_F16 = 2,
    KN_ELEMENT_I8 = 3 /* a row is its scale (f32), then dim bytes, padded to a multiple of 4 */
} kn_element;
size_t kn_row_bytes(kn_element e, uint32_t dim); /* 0 for an unknown element */

/* A row of KN_ELEMENT_I8: the largest component becomes +-127.  To nearest, ties to even. */
void kn_row_pack_i8(const float *vector, uint32_t dim, void *row);
void kn_row_unpack_i8(const void *row, uint32_t dim, float *vector);

typedef struct kn_segment_info {
    uint32_t number; /* > 0; its file is vectors-NUMBER.seg */
    uint32_t dim;
    kn_element element;
    char fingerprint[33]; /* of the model that made the vectors */
} kn_segment_info;

/* ---- writing ---- */

typedef struct kn_segment_writer kn_segment_writer;

/* A new file, its name durable.  A left-over of that number is replaced. */
KEN_CALL ken_status kn_segment_create(kn_segment_writer **out, const char *dir,
                                      const kn_segment_info *info);
/* Go on behind the first `rows` rows, the committed ones; what lies behind is cut off.
 * KEN_E_CORRUPT if there are fewer. */
KEN_CALL ken_status kn_segment_continue(kn_segment_writer **out, const char *dir, uint32_t number,
                                        uint32_t rows);
const kn_segment_info *kn_segment_writer_info(const kn_segment_writer *w);
uint32_t kn_segment_writer_rows(const kn_segment_writer *w);
/* n rows of row_bytes each, at slots rows() …; not durable before the sync. */
KEN_CALL ken_status kn_segment_append(kn_segment_writer *w, const uint64_t *ids, const void *rows,
                                      size_t n);
KEN_CALL ken_status kn_segment_sync(kn_segment_writer *w);
/* Forget the rows behind the first `rows`: their commit has failed. */
void kn_segment_rewind(kn_segment_writer *w, uint32_t rows);
void kn_segment_writer_close(kn_segment_writer *w);

/* Remove a segment's file; a missing one is KEN_OK. */
KEN_CALL ken_status kn_segment_unlink(const char *dir, uint32_t number);
/* Remove each segment file whose number `keep` answers with 0. */
KEN_CALL ken_status kn_segment_sweep(const char *dir, int (*keep)(uint32_t number, void *cookie),
                                     void *cookie);

/* ---- reading ---- */

typedef struct kn_segment {
    kn_segment_info info;
    size_t row_bytes;
    uint32_t rows;
    const unsigned char *data; /* the mapping, for segment.c */
    size_t len;
} kn_segment;

/* Map the first `rows` rows.  Checks the header and the length, not the rows.
 * KEN_E_NOTFOUND, KEN_E_CORRUPT, KEN_E_VERSION. */
KEN_CALL ken_status kn_segment_map(kn_segment *out, const char *dir, uint32_t number,
                                   uint32_t rows);
/* The same over bytes in memory, which must outlive *out. */
KEN_CALL ken_status kn_segment_from_memory(kn_segment *out, const void *bytes, size_t len,
                                           uint32_t rows);
void kn_segment_unmap(kn_segment *s);

/* slot < s->rows for all of these. */
const void *kn_segment_row(const kn_segment *s, uint32_t slot);
uint64_t kn_segment_id(const kn_segment *s, uint32_t slot);
int kn_segment_intact(const kn_segment *s, uint32_t slot); /* 1 if the checksum holds */

/* The rows of block b (slots b * KN_BLOCK …): how many there are, 0 behind the last. */
size_t kn_segment_block(const kn_segment *s, uint32_t b, const void **rows,
                        const unsigned char **entries);
enum { KN_ENTRY_BYTES = 16 }; /* an entry begins with the id */

#endif
