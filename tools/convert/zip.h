/*
 * zip.h - the entries of a zip archive, in place.
 *
 * The archive is untrusted.  Every entry is checked at opening: it lies inside, apart from the
 * others, under the same plain relative name in both of its headers.  Nothing is ever unpacked to
 * a file.
 */
#ifndef CONVERT_ZIP_H
#define CONVERT_ZIP_H

#include "ken.h"

typedef struct cv_zip_entry {
    char *name;
    const unsigned char *data; /* as stored */
    uint64_t stored, size;     /* bytes there, and unpacked */
    uint32_t crc; /* of the unpacked bytes; some writers of checkpoints leave it wrong */
    int deflated;
} cv_zip_entry;

typedef struct cv_zip {
    cv_zip_entry *list; /* (len), by name */
    size_t len;
} cv_zip;

/* bytes must outlive *out.  KEN_E_FORMAT names the entry and its fault; KEN_E_UNSUPPORTED for
 * encryption and methods other than store and deflate. */
KEN_CALL ken_status cv_zip_open(cv_zip *out, const void *bytes, size_t len);
void cv_zip_close(cv_zip *z);
const cv_zip_entry *cv_zip_find(const cv_zip *z, const char *name); /* or NULL */

/* The unpacked bytes of a deflated entry, e->size of them, checksum verified; kn_free them. */
KEN_CALL ken_status cv_zip_inflate(const cv_zip_entry *e, unsigned char **out);

#endif
