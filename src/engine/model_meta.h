/* model_meta.h - a model file again, with some of its metadata replaced. */
#ifndef ENGINE_MODEL_META_H
#define ENGINE_MODEL_META_H

#include "ken.h"

typedef struct kn_meta_change {
    const char *key, *value;
} kn_meta_change;

/* The file of m to path, in one step; all but these keys and the checksum stays.  path may be the file
 * itself. */
KEN_CALL ken_status kn_model_rewrite(const ken_model *m, const kn_meta_change *changes, size_t n,
                                     const char *path);

#endif
