/*
 * weights.h - safetensors files: read in place, written in one step.
 *
 * The reader serves any safetensors file; format.h says what a ken model holds.
 * The file is untrusted: header and table are checked once at opening (the rules of the
 * safetensors reference reader), so that whoever gets a tensor needs no checks but its shape.
 */
#ifndef NN_WEIGHTS_H
#define NN_WEIGHTS_H

#include "ken.h"

typedef enum kn_dtype {
    KN_DT_BOOL, KN_DT_U8, KN_DT_I8, KN_DT_I16, KN_DT_U16, KN_DT_F16, KN_DT_BF16, KN_DT_I32, KN_DT_U32,
    KN_DT_F32, KN_DT_F64, KN_DT_I64, KN_DT_U64, KN_DT_OTHER
} kn_dtype;
size_t kn_dtype_bytes(kn_dtype t);       /* 0 for OTHER */
const char *kn_dtype_name(kn_dtype t);   /* safetensors' "F32" … */

enum { KN_MAX_RANK = 8 };

typedef struct kn_tensor {
    const char *name;
    kn_dtype dtype;
    uint32_t rank;
    uint64_t shape[KN_MAX_RANK];
    const void *data; /* in the mapping; any alignment in a foreign file; in ours 64, or its
                         element's size if `bytes` is no multiple of 64 */
    size_t bytes;
} kn_tensor;

typedef struct kn_weights kn_weights;

/* KEN_E_NOTFOUND, KEN_E_IO, KEN_E_FORMAT (naming tensor and fault), KEN_E_LIMIT. */
KEN_CALL ken_status kn_weights_open(kn_weights **out, const char *path);
/* bytes stay the caller's and must outlive *out. */
KEN_CALL ken_status kn_weights_from_memory(kn_weights **out, const void *bytes, size_t len);
void kn_weights_close(kn_weights *w);

size_t kn_weights_len(const kn_weights *w);
const kn_tensor *kn_weights_at(const kn_weights *w, size_t i); /* in the order of the file */
const kn_tensor *kn_weights_find(const kn_weights *w, const char *name); /* or NULL */
/* A string of __metadata__, or NULL. */
const char *kn_weights_meta(const kn_weights *w, const char *key);
size_t kn_weights_meta_len(const kn_weights *w);
void kn_weights_meta_at(const kn_weights *w, size_t i, const char **key, const char **value);
/* The bytes of all tensors, for the checksum. */
const void *kn_weights_data(const kn_weights *w, size_t *len);
uint64_t kn_weights_file_bytes(const kn_weights *w);

/* ---- writing ----
 * Declare every tensor, begin, write each one's bytes in any order, commit.  Tensors are laid
 * out so that all but those of odd sizes begin at a multiple of 64.  Memory: one header. */
typedef struct kn_writer kn_writer;
KEN_CALL ken_status kn_writer_new(kn_writer **out);
KEN_CALL ken_status kn_writer_meta(kn_writer *w, const char *key, const char *value); /* copied */
KEN_CALL ken_status kn_writer_declare(kn_writer *w, const char *name, kn_dtype dtype, uint32_t rank,
                                      const uint64_t *shape);
KEN_CALL ken_status kn_writer_begin(kn_writer *w, const char *path);
/* Where to put the bytes of a declared tensor: the output is mapped, the pages are the kernel's to
 * write back.  NULL for an unknown name. */
void *kn_writer_data(kn_writer *w, const char *name, size_t *bytes);
/* Adds "checksum" (XXH3-128 of the data) to the metadata, syncs, and puts the file in place. */
KEN_CALL ken_status kn_writer_commit(kn_writer *w);
void kn_writer_free(kn_writer *w); /* without a commit nothing is left */

#endif
