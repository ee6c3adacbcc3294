/* group.c - see group.h.  Hits are few: each is held against those that are kept. */
#include "engine/group.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "kernels/kernels.h"

#include <string.h>

typedef struct grouper {
    ken *k;
    kn_grouping how;
    size_t dim, kept;
    float *vectors; /* (kept, dim) KN_GROUP_NEAR, with room for one more */
    uint64_t *keys; /* (kept) else */
    size_t vectors_cap, keys_cap;
} grouper;

ken_status kn_group_named(kn_grouping *out, const char *name)
{
    static const char *const names[] = { "none", "near", "object", "dir" };
    *out = KN_GROUP_NONE;
    for (int i = 0; name && i < 4; i++)
        if (!strcmp(name, names[i])) {
            *out = (kn_grouping)i;
            return KEN_OK;
        }
    return name ? kn_fail(KEN_E_INVALID, "group \"%s\": one of near, object, dir", name) : KEN_OK;
}

/* A number that items of a group have in common. */
static ken_status key_of(const grouper *g, uint64_t id, uint64_t *key)
{
    ken_record *r = NULL;
    ken_status st = ken_get(g->k, id, &r);
    if (st)
        return st;
    const char *end = strrchr(r->path, '/');
    if (g->how == KN_GROUP_DIR)
        *key = kn_hash64(r->path, end ? (size_t)(end - r->path) : 0);
    else
        *key = r->object ? kn_hash64(r->object, strlen(r->object)) : kn_hash64(&id, sizeof id);
    ken_record_free(r);
    return KEN_OK;
}

static ken_status by_key(grouper *g, uint64_t id, int *fresh)
{
    uint64_t key = 0;
    uint64_t *keys = kn_room(g->keys, g->kept, &g->keys_cap, sizeof *keys);
    if (!keys)
        return KEN_E_NOMEM;
    g->keys = keys;
    ken_status st = key_of(g, id, &key);
    for (size_t i = 0; !st && i < g->kept; i++)
        *fresh &= keys[i] != key;
    keys[g->kept] = key;
    return st;
}

static ken_status by_likeness(grouper *g, uint64_t id, int *fresh)
{
    float *vectors = kn_room(g->vectors, g->kept, &g->vectors_cap, g->dim * sizeof *vectors);
    if (!vectors)
        return KEN_E_NOMEM;
    g->vectors = vectors;
    float *own = vectors + g->kept * g->dim;
    ken_status st = kn_collection_vector(g->k, id, (uint32_t)g->dim, own);
    for (size_t i = 0; !st && i < g->kept; i++)
        *fresh &= kn_kernels_get()->dot_f32(own, vectors + i * g->dim, g->dim) < KN_NEAR;
    return st;
}

ken_status kn_group_cut(ken *k, kn_grouping how, size_t dim, kn_near *hits, size_t *n, size_t most)
{
    grouper g = { .k = k, .how = how, .dim = dim };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && how != KN_GROUP_NONE && i < *n && g.kept < most; i++) {
        int fresh = 1;
        st = how == KN_GROUP_NEAR ? by_likeness(&g, hits[i].id, &fresh) : by_key(&g, hits[i].id, &fresh);
        if (st == KEN_E_NOTFOUND) /* removed since */
            st = KEN_OK;
        else if (!st && fresh)
            hits[g.kept++] = hits[i];
    }
    if (!st && how != KN_GROUP_NONE)
        *n = g.kept;
    kn_free(g.vectors);
    kn_free(g.keys);
    return st;
}
