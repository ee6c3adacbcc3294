/* idmap.h - from ids to positions. */
#ifndef INDEX_IDMAP_H
#define INDEX_IDMAP_H

#include "ken.h"

typedef struct kn_idmap {
    struct kn_idmap_slot *slots; /* (cap), cap a power of two or 0 */
    size_t len, cap;
} kn_idmap; /* all zero: empty */

void kn_idmap_release(kn_idmap *m);
/* Room for `more` further ids, so that as many puts cannot fail. */
KEN_CALL ken_status kn_idmap_reserve(kn_idmap *m, size_t more);
/* New or changed; there must be room. */
void kn_idmap_put(kn_idmap *m, uint64_t id, size_t position);
/* 1 and the position, or 0. */
int kn_idmap_get(const kn_idmap *m, uint64_t id, size_t *position);
void kn_idmap_remove(kn_idmap *m, uint64_t id);

#endif
