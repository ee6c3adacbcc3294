/*
 * read.h - checkpoints to sets of tensors.
 *
 * The kind of a file is told by its content.  All files are mapped, and the set keeps them; what
 * they say is checked by their readers, so that no tensor reaches outside its file.
 */
#ifndef CONVERT_READ_H
#define CONVERT_READ_H

#include "tools/convert/tensor.h"

/* A file, an *.index.json with its shards, or a hub folder.  KEN_E_NOTFOUND, KEN_E_IO, KEN_E_FORMAT,
 * KEN_E_UNSUPPORTED, KEN_E_LIMIT; the reason names the file and the place.  The set is not
 * sealed. */
KEN_CALL ken_status cv_read(cv_set *s, const char *path);

/* The readers of one kind.  bytes must outlive the set; file is for messages and is not copied. */
KEN_CALL ken_status cv_read_safetensors(cv_set *s, const void *bytes, size_t len, const char *file);
KEN_CALL ken_status cv_read_zip(cv_set *s, const void *bytes, size_t len, const char *file);
KEN_CALL ken_status cv_read_legacy(cv_set *s, const void *bytes, size_t len, const char *file);

/* By content, one of the three above. */
KEN_CALL ken_status cv_read_bytes(cv_set *s, const void *bytes, size_t len, const char *file);

#endif
