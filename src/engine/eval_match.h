/*
 * eval_match.h - every query against every picture of a gallery, in blocks.
 *
 * A picture scores as its best vector, an object as its best picture.  Ties go to the picture that
 * was listed first.  Nothing is kept of a ranking but what is asked for.
 */
#ifndef ENGINE_EVAL_MATCH_H
#define ENGINE_EVAL_MATCH_H

#include "engine/eval_data.h"

/* The first answer to a query, and how near the best other object comes. */
typedef struct kn_first {
    float raw, other;  /* -INFINITY where there is none */
    uint32_t label;    /* of the gallery; UINT32_MAX where there is none */
    uint32_t place;    /* of the picture */
} kn_first;

enum { KN_VARIANTS_MAX = 16 };

/* Where the right pictures of a known query are: ranks (relevant) as in metrics.h, object_rank: how
 * many objects, its own included, come up to it.  Called for one query at a time, from any thread. */
typedef void (*kn_ranking_fn)(size_t query, const uint64_t *ranks, size_t relevant,
                              uint64_t object_rank, void *cookie);

typedef struct kn_match {
    const kn_eval_data *d;
    const uint16_t *variants; /* (n) bit v: the picture belongs to gallery v; NULL: one gallery */
    size_t variants_n;
    kn_first *first;          /* (known + unknown, variants_n), to be filled */
    kn_ranking_fn ranking;    /* in the first gallery, which must be whole; or NULL */
    void *cookie;
    ken_progress_fn progress;
    void *progress_cookie;
} kn_match;

KEN_CALL ken_status kn_match_all(const kn_match *m);

#endif
