/* remote.h - vectors of a store that keeps them and searches itself, for search.c and recognize.c. */
#ifndef ENGINE_REMOTE_H
#define ENGINE_REMOTE_H

#include "engine/collection.h"
#include "index/topk.h"

/* The nearest of all q->nq queries as one list of *found <= q->nq * q->k, one query's behind the other's, each
 * best first.  Takes `lock`. */
KEN_CALL ken_status kn_remote_search(ken *k, const kn_store_query *q, kn_near *near, size_t *found);
/* kn_collection_vector of such a store. */
KEN_CALL ken_status kn_remote_vector(ken *k, uint64_t id, uint32_t dim, float *out);

#endif
