/* group.h - of hits that belong together the best alone. */
#ifndef ENGINE_GROUP_H
#define ENGINE_GROUP_H

#include "engine/collection.h"
#include "index/topk.h"

typedef enum kn_grouping {
    KN_GROUP_NONE,
    KN_GROUP_NEAR,   /* the same picture, or nearly: KN_NEAR */
    KN_GROUP_OBJECT, /* items without an object stand alone */
    KN_GROUP_DIR     /* the folder that the file lies in */
} kn_grouping;

/* From this cosine on two pictures are called the same one: copies in another size or quality are above
 * it. */
#define KN_NEAR .97f

/* NULL is KN_GROUP_NONE; KEN_E_INVALID names those there are. */
KEN_CALL ken_status kn_group_named(kn_grouping *out, const char *name);
/* Keep the first of each group among *n hits, best first, at most `most`. */
KEN_CALL ken_status kn_group_cut(ken *k, kn_grouping how, size_t dim, kn_near *hits, size_t *n, size_t most);

#endif
