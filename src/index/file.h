/*
 * file.h - the file of an index: named sections behind a header, mapped.
 *
 *     header 4096 | table page 4096 | section | section | …      each at a multiple of 4096
 *
 * The header holds what the index is and, for each section, its place, length and XXH3; a checksum
 * of its own covers it.  Opening verifies the header and that every section lies inside the file, in
 * microseconds; kn_index_file_check() reads the rest.  So whoever reads a section may trust its
 * length but not a single number in it.  The table page (measured recall) is outside the header's
 * checksum and may be rewritten in place: equal inputs give files that are equal but for it.
 *
 * All numbers are little-endian; the file is written beside its place and renamed.
 */
#ifndef INDEX_FILE_H
#define INDEX_FILE_H

#include "base/file.h"
#include "base/hash.h"
#include "index/spec.h"

enum { KN_SECTIONS = 48, KN_SECTION_NAME = 16, KN_INDEX_TABLE_BYTES = 4096 };

/* What the header says beside the sections. */
typedef struct kn_index_about {
    char spec[KN_SPEC_TEXT];
    kn_metric metric;
    uint32_t dim;
    uint64_t n;      /* rows */
    uint64_t seed;
} kn_index_about;

typedef struct kn_section {
    char name[KN_SECTION_NAME]; /* NUL-terminated */
    uint64_t offset, bytes, check;
} kn_section;

/* ---- writing ---- */

typedef struct kn_index_writer {
    kn_replace file;
    uint64_t at; /* bytes written */
    kn_hash *hash;
    uint32_t n;
    kn_section sections[KN_SECTIONS];
} kn_index_writer; /* all zero: none */

KEN_CALL ken_status kn_index_writer_begin(kn_index_writer *w, const char *path);
/* Begin a section (a name that is new, shorter than KN_SECTION_NAME); what follows goes into it. */
KEN_CALL ken_status kn_index_writer_section(kn_index_writer *w, const char *name);
KEN_CALL ken_status kn_index_writer_add(kn_index_writer *w, const void *bytes, size_t n);
/* Both. */
KEN_CALL ken_status kn_index_writer_put(kn_index_writer *w, const char *name, const void *bytes,
                                        size_t n);
/* Header, sync, rename.  On failure the old file is untouched; w is empty either way. */
KEN_CALL ken_status kn_index_writer_commit(kn_index_writer *w, const kn_index_about *about);
void kn_index_writer_abort(kn_index_writer *w); /* harmless after commit, and on a zeroed struct */

/* ---- reading ---- */

typedef struct kn_index_file {
    kn_index_about about;
    uint64_t check; /* of the header, and so of all that its checksums cover: what a log goes with */
    kn_map map;
    int borrowed; /* the bytes are the caller's */
    uint32_t n;
    kn_section sections[KN_SECTIONS];
} kn_index_file; /* all zero: none */

/* KEN_E_NOTFOUND, KEN_E_FORMAT (no index), KEN_E_CORRUPT, KEN_E_VERSION. */
KEN_CALL ken_status kn_index_file_open(kn_index_file *out, const char *path);
/* Bytes in memory, which must outlive *out and lie at a multiple of 64. */
KEN_CALL ken_status kn_index_file_from_memory(kn_index_file *out, const void *bytes, size_t len);
void kn_index_file_close(kn_index_file *f);

/* The section's bytes, at a multiple of 4096 in the file.  NULL if there is none. */
const void *kn_index_file_find(const kn_index_file *f, const char *name, size_t *bytes);
/* The section, of exactly n elements of `size` bytes.  KEN_E_CORRUPT names section and offset if it
 * is missing or of another length. */
KEN_CALL ken_status kn_index_file_get(const kn_index_file *f, const char *name, size_t n,
                                      size_t size, const void **out);
/* Tells fn (or NULL) of a fault, and gives KEN_E_CORRUPT with the same words. */
ken_status kn_index_complain(ken_problem_fn fn, void *cookie, const char *where, const char *what);
/* One section against its checksum; KEN_OK if there is none of that name. */
KEN_CALL ken_status kn_index_file_check_section(const kn_index_file *f, const char *name);
/* Every byte against its checksum.  fn gets each section that fails; KEN_E_CORRUPT if any. */
KEN_CALL ken_status kn_index_file_check(const kn_index_file *f, ken_problem_fn fn, void *cookie);

/* The table page's text (at most KN_INDEX_TABLE_BYTES - 16), or NULL if there is none or it is
 * damaged; and its replacement, in place. */
const char *kn_index_file_table(const kn_index_file *f);
KEN_CALL ken_status kn_index_file_set_table(const char *path, const char *text);

#endif
