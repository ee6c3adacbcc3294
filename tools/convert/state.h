/* state.h - from the graph of a pickle to named tensors. */
#ifndef CONVERT_STATE_H
#define CONVERT_STATE_H

#include "tools/convert/pickle.h"
#include "tools/convert/tensor.h"

/* The bytes behind a persistent id. */
typedef struct cv_storage {
    kn_dtype dtype;
    const unsigned char *data;
    uint64_t elements;
} cv_storage;

/* ('storage', class, key, location, elements[, view]) of a persistent id, its parts. */
typedef struct cv_storage_id {
    kn_dtype dtype;
    const char *key;
    size_t key_len;
    uint64_t elements;
    uint32_t view; /* node, or 0 */
} cv_storage_id;
KEN_CALL ken_status cv_storage_id_read(const cv_pickle *p, uint32_t ref, cv_storage_id *out);

typedef ken_status (*cv_storage_fn)(void *cookie, const cv_pickle *p, uint32_t ref,
                                    cv_storage *out);

/* Adds what is named in the pickle's state dict: the root itself, or what it holds as "state_dict",
 * "model_state_dict" or "model"; or the attributes of the module that it is, part by part with dots
 * between.  What is no tensor is left out; a call that is not known is added with its `problem`.
 * KEN_E_FORMAT names the tensor. */
KEN_CALL ken_status cv_state_read(cv_set *s, const cv_pickle *p, cv_storage_fn storage,
                                  void *cookie, const char *file);

#endif
