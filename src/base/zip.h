/*
 * zip.h - the entries of a zip archive, in place.
 *
 * The archive is untrusted.  Every entry is checked at opening: it lies inside, apart from the
 * others, under the same plain relative name in both of its headers.  Nothing is ever unpacked to
 * a file.
 */
#ifndef BASE_ZIP_H
#define BASE_ZIP_H

#include "ken.h"

typedef struct kn_zip_entry {
    char *name;
    const unsigned char *data; /* as stored */
    uint64_t stored, size;     /* bytes there, and unpacked */
    uint32_t crc; /* of the unpacked bytes; some writers of checkpoints leave it wrong */
    int deflated;
} kn_zip_entry;

typedef struct kn_zip {
    kn_zip_entry *list;   /* (len), by name; folders, whose names end in '/', among them */
    size_t len;
    unsigned char *owned; /* the archive, of kn_zip_open */
} kn_zip;

/* Reads the file.  KEN_E_FORMAT names the entry and its fault; KEN_E_UNSUPPORTED for encryption and
 * methods other than store and deflate; KEN_E_NOTFOUND, KEN_E_IO, KEN_E_LIMIT. */
KEN_CALL ken_status kn_zip_open(kn_zip *out, const char *path);
/* The same over bytes, which must outlive *out. */
KEN_CALL ken_status kn_zip_from_memory(kn_zip *out, const void *bytes, size_t len);
void kn_zip_close(kn_zip *z); /* leaves it empty */
const kn_zip_entry *kn_zip_find(const kn_zip *z, const char *name); /* or NULL */

/* The unpacked bytes, e->size of them, checksum verified; kn_free them.  Threads may read entries
 * of one archive at the same time. */
KEN_CALL ken_status kn_zip_read(const kn_zip_entry *e, unsigned char **out);

/* 1 if the file begins as a zip does. */
int kn_zip_is(const char *path);

#endif
