/* remote.h - a store that keeps the vectors and searches itself. */
#ifndef ENGINE_REMOTE_H
#define ENGINE_REMOTE_H

#include "engine/collection.h"
#include "index/topk.h"

/* The nearest of all q->nq queries as one list of *found <= q->nq * q->k, one query's behind the other's,
 * each best first.  Takes `lock`. */
KEN_CALL ken_status kn_remote_search(ken *k, const kn_store_query *q, kn_near *near, size_t *found);
/* kn_collection_vector of such a store. */
KEN_CALL ken_status kn_remote_vector(ken *k, uint64_t id, uint32_t dim, float *out);
/* Have the store make what was written ready to be searched, where it wants that.  A server that does not do
 * it in time is told in the log: all is stored.  Takes `lock`. */
KEN_CALL ken_status kn_remote_settle(ken *k);

#endif
