/* eval_data.h - the pictures of an evaluation as vectors. */
#ifndef ENGINE_EVAL_DATA_H
#define ENGINE_EVAL_DATA_H

#include "engine/recognition.h"
#include "engine/spill.h"
#include "image/image.h"

typedef struct kn_eval_data {
    const ken_model *m;
    const kn_prep *prep;
    const ken_decode_options *decode;
    size_t dim;
    kn_recognition r; /* of the model, as the caller changed it: crops and looks are those in force */
    size_t n;         /* pictures of the gallery */
    uint32_t *label;  /* (n) */
    const char **paths; /* (n) */
    size_t labels_n;
    const char **names; /* (labels_n) in the order of their bytes */
    size_t *first;      /* (labels_n + 1) … */
    uint32_t *places;   /* (n) … the pictures of label l are places[first[l]] to places[first[l+1]-1] */
    size_t known, unknown;
    int64_t *truth;     /* (known + unknown) the label, or -1 */
    kn_spill gallery;   /* (n, 1 + crops): the whole, then its parts */
    kn_spill queries;   /* (known + unknown, 1 + looks) */
} kn_eval_data;

/* Lists to vectors.  KEN_E_INVALID for a list or an option that makes no sense. */
KEN_CALL ken_status kn_eval_load(kn_eval_data *d, const ken_model *m, const ken_labelled *gallery,
                                 const ken_labelled *queries, const ken_labelled *unknown,
                                 const ken_eval_options *o);
void kn_eval_unload(kn_eval_data *d);

/* The vectors of a list of pictures, whole, in its order: (n, dim) into out. */
KEN_CALL ken_status kn_eval_embed(const ken_model *m, const char *const *paths, size_t n,
                                  const ken_decode_options *decode, ken_progress_fn progress,
                                  void *cookie, float *out);

#endif
