/*
 * archive.h - a zip of pictures in folders, each folder a label: Omniglot's, for one.
 */
#ifndef IMAGE_ARCHIVE_H
#define IMAGE_ARCHIVE_H

#include "base/zip.h"

typedef struct kn_archive_picture {
    const kn_zip_entry *entry; /* kn_zip_read gives its bytes */
    const char *label; /* the folders it lies in, '/' between, without the one that all have in common:
                          "Greek/character01" */
} kn_archive_picture;

typedef struct kn_archive {
    kn_zip zip;
    kn_archive_picture *list; /* (n) in the order of names */
    size_t n;
    char *labels; /* where they lie */
} kn_archive;

/* Its pictures, by the names' endings; those in no folder of their own are left out.  Errors as
 * kn_zip_open. */
KEN_CALL ken_status kn_archive_open(kn_archive *out, const char *path);
void kn_archive_close(kn_archive *a);

#endif
