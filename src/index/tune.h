/* tune.h - measured recall, and the parameters that a wanted recall asks for. */
#ifndef INDEX_TUNE_H
#define INDEX_TUNE_H

#include "index/index.h"

enum { KN_POINTS = 64, KN_TUNE_K = 10 };

/* Parameters (0: they do not apply) and what they give, for ten hits. */
typedef struct kn_point {
    uint32_t ef, nprobe, rerank;
    double recall; /* of the kind of queries that fare worse */
    double low;    /* recall holds on other queries with 95 % confidence from here on */
    double us;     /* microseconds a query, on one thread */
} kn_point;

/* Against exact answers: stored rows, each left out of its own answer (500 at most, spread over all), and
 * nq queries (nq, dim), or none.  Written into the index's file, which it was opened from. */
KEN_CALL ken_status kn_index_tune(kn_index *ix, const float *queries, size_t nq, uint32_t threads);
/* What was measured, by rising time; points (KN_POINTS).  0: nothing was. */
size_t kn_index_points(const kn_index *ix, kn_point *points);
/* The fastest whose `low` reaches `recall`; if none does, the one that comes nearest to it.
 * KEN_E_INVALID if nothing was measured. */
KEN_CALL ken_status kn_index_pick(const kn_index *ix, double recall, kn_point *out);

#endif
