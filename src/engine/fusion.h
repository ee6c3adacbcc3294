/*
 * fusion.h - several rankings of the same items as one.
 *
 *   rrf        the sum of w / (60 + rank) over the lists that an item is in (G. V. Cormack, C. L. A. Clarke,
 *              S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
 *              Methods", SIGIR 2009), over the greatest sum that there may be: 1 is the first in every list
 *   weighted   the mean, by weights, of each list's cosines brought to 0 … 1 between its least and its
 *              greatest (min-max, of E. A. Fox, J. A. Shaw, "Combination of Multiple Searches", TREC-2); an
 *              item that is not in a list has 0 there
 */
#ifndef ENGINE_FUSION_H
#define ENGINE_FUSION_H

#include "ken.h"

typedef enum kn_fusion { KN_FUSION_RRF, KN_FUSION_WEIGHTED } kn_fusion;
/* NULL is KN_FUSION_RRF; KEN_E_INVALID names those there are. */
KEN_CALL ken_status kn_fusion_named(kn_fusion *out, const char *name);

typedef struct kn_ranking {
    const ken_hit *hits; /* (n) best first, each id once */
    size_t n;
    float weight;        /* > 0 */
} kn_ranking;

/* Best first into out, with room for all hits of all lists; equal ones by smaller id.  `raw` is that of the
 * first list that has the item. */
KEN_CALL ken_status kn_fuse(const kn_ranking *lists, size_t n, kn_fusion how, ken_hit *out, size_t *found);

#endif
