/*
 * tensor.h - the tensors of a checkpoint, wherever its files keep them.
 *
 * Readers add tensors to a set; nothing is copied: a tensor is a place in a mapped file with shape
 * and strides, checked by its reader to lie inside.  A view is a tensor seen as rows of floats, its
 * axes in another order; rows are read one at a time, so that memory stays small whatever the
 * size of the checkpoint.
 */
#ifndef CONVERT_TENSOR_H
#define CONVERT_TENSOR_H

#include "base/file.h"
#include "nn/weights.h"

struct kn_zip_entry;

typedef struct cv_tensor {
    char *name;
    kn_dtype dtype;
    uint32_t rank;
    uint64_t shape[KN_MAX_RANK];
    uint64_t stride[KN_MAX_RANK];      /* in elements */
    const unsigned char *data;         /* element 0; any alignment.  NULL if deflated … */
    const struct kn_zip_entry *packed; /* … then here, behind `skip` bytes once inflated */
    size_t skip;
    const char *file;    /* where it comes from, for messages */
    const char *problem; /* why it cannot be read, or NULL */
} cv_tensor;

/* Something that a set keeps until it is closed. */
typedef struct cv_kept {
    void *p;
    void (*close)(void *p);
} cv_kept;

typedef struct cv_set {
    cv_tensor *list; /* (len), by name once sealed */
    size_t len, cap;
    cv_kept *kept;
    size_t kept_len, kept_cap;
    int openai;                /* marked as one of OpenAI's archives */
    const cv_tensor *inflated; /* whose bytes are in `scratch` */
    unsigned char *scratch;
} cv_set;

void cv_set_release(cv_set *s);
/* The set closes p with `close` at its end, or now if there is no memory. */
KEN_CALL ken_status cv_set_keep(cv_set *s, void *p, void (*close)(void *p));
/* A copy of t under a copy of name. */
KEN_CALL ken_status cv_set_add(cv_set *s, const char *name, const cv_tensor *t);
/* Sorts by name.  KEN_E_FORMAT for a name that appears twice. */
KEN_CALL ken_status cv_set_seal(cv_set *s);
const cv_tensor *cv_set_find(const cv_set *s, const char *name); /* once sealed; or NULL */

/* Strides of a row-major tensor. */
void cv_contiguous(cv_tensor *t);
/* Checks that each element lies within the first `elements` from t->data on.  KEN_E_FORMAT. */
KEN_CALL ken_status cv_check_inside(const cv_tensor *t, uint64_t elements);
/* "F16 [768, 3, 32, 32]" */
void cv_describe(const cv_tensor *t, char *out, size_t cap);

typedef struct cv_view {
    const cv_tensor *t;
    uint32_t rank;
    uint64_t shape[KN_MAX_RANK], stride[KN_MAX_RANK];
    uint64_t offset; /* of the first element */
} cv_view;

cv_view cv_view_of(const cv_tensor *t);
/* Axis i of the result is axis order[i] of v. */
cv_view cv_view_permuted(const cv_view *v, const uint32_t *order);
uint64_t cv_view_rows(const cv_view *v); /* shape[0]; 1 for a scalar */
uint64_t cv_view_cols(const cv_view *v); /* elements of a row */
/* Row i as floats.  F16, BF16, F32 and F64 only; KEN_E_FORMAT for others. */
KEN_CALL ken_status cv_view_row(cv_set *s, const cv_view *v, uint64_t i, float *out);
/* All elements. */
KEN_CALL ken_status cv_view_all(cv_set *s, const cv_view *v, float *out);

#endif
