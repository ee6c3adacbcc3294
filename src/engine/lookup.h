/*
 * lookup.h - the nearest vectors of a view: by a search index where there is one, else by comparing all.
 *
 * Vectors play three roles, and each role has an index of its own: a file beside the store, derived from
 * it, which holds places (segment and slot) and codes but no vector: the last word on a score is always
 * the row's in its segment.  What an index does not cover is compared row by row, so that it may lag
 * behind; it is built anew at the end of a scan or on request, never inside a search.  A missing,
 * stale or damaged file costs time, nothing else.
 */
#ifndef ENGINE_LOOKUP_H
#define ENGINE_LOOKUP_H

#include "engine/writer.h"
#include "index/index.h"

typedef enum kn_role {
    KN_ROLE_WHOLE, /* whole pictures */
    KN_ROLE_PART,  /* parts of pictures */
    KN_ROLE_VIEW,  /* views of 3-D models */
    KN_ROLES
} kn_role;

/* Of segment i of v. */
kn_role kn_lookup_role(const kn_view *v, size_t i);

typedef struct kn_seek {
    const float *queries; /* (nq, v->dim) */
    size_t nq, k;
    const kn_run *runs; /* a list of the view's, or one of the same blocks with other slots skipped */
    unsigned roles;     /* 1 << kn_role: whose blocks these are */
    int exact;          /* 1: compare all */
    uint32_t ef;        /* of HNSW; 0: the index's choice */
} kn_seek;

/* The k nearest to each query that are not skipped, best first: their items' ids, an item as often as it
 * has vectors among them.  near (nq, k), found (nq).  Takes `lock` now and then. */
KEN_CALL ken_status kn_lookup(ken *k, kn_view *v, const kn_seek *s, kn_near *near, size_t *found);

/* ---- files ---- */

/* A role's index as a view sees it. */
typedef struct kn_lookup_file {
    kn_index *ix;      /* or NULL: nothing is covered */
    kn_source source;  /* its cookie is the view */
    uint32_t *covered; /* (v->n) so many slots of a segment are in it or were dead already */
    int stale;         /* 1: there is a file, and it is of no use; 2: it is whole, but of another time:
                          newer than the view, or made before a re-embedding */
    struct kn_allowed *allowed; /* which slots of the index may be answered, for each list of runs */
    size_t allowed_n;
} kn_lookup_file;

char *kn_lookup_path(const ken *k, kn_role role); /* kn_free; NULL: out of memory */
/* A file that cannot be used is KEN_OK, with `stale` set and the reason logged. */
KEN_CALL ken_status kn_lookup_open(ken *k, kn_view *v, kn_role role, kn_lookup_file *f);
/* v->lookup, (KN_ROLES): made at the first search with the view that is not exact, or when they are counted;
 * they stay open as long as the view.  The caller holds `lock`. */
KEN_CALL ken_status kn_lookup_need_locked(ken *k, kn_view *v);
void kn_lookup_close(kn_lookup_file *f);
void kn_lookup_free(kn_lookup_file *roles); /* (KN_ROLES), or NULL: of a view */

/* Live vectors of a role, and how far its index follows. */
typedef struct kn_lookup_count {
    char kind[KN_SPEC_TEXT]; /* of the index; Flat: there is none */
    char wanted[KN_SPEC_TEXT];
    uint64_t live, dead_rows; /* dead_rows: of the segments */
    uint64_t n, covered;      /* in the index; of them live */
    int stale;
} kn_lookup_count;
/* asked: the collection's kind, "auto" or another. */
KEN_CALL ken_status kn_lookup_counts(const kn_view *v, kn_role role, const kn_lookup_file *f,
                                     const char *asked, kn_lookup_count *out);
/* Pending and dead pass 5 % of it, or it is not what is wanted. */
int kn_lookup_is_due(const kn_lookup_count *c);

/* KEN_E_INVALID for what a collection cannot be searched by. */
KEN_CALL ken_status kn_lookup_check_kind(const char *kind, uint32_t dim);
/* The kind that the store remembers, into asked.  The caller holds `lock`. */
KEN_CALL ken_status kn_lookup_asked(ken *k, char asked[KN_SPEC_TEXT]);
/* Build what is due, all of it with `force`.  kind: what to remember from now on, or NULL.  Between
 * kn_edit_begin and kn_edit_end, with no transaction open. */
KEN_CALL ken_status kn_lookup_update(kn_edit *w, const char *kind, int force, ken_progress_fn progress,
                                     void *cookie);
/* Tell fn what is wrong with the files; *bad counts it.  Takes `lock`. */
KEN_CALL ken_status kn_lookup_check(ken *k, ken_problem_fn fn, void *cookie);

/* ---- places: what an index calls ids ---- */

static inline uint64_t kn_place_id(uint32_t segment, uint32_t slot)
{
    return (uint64_t)segment << 32 | slot;
}
/* The segment's position in v and the slot; 0 if there is no such row. */
int kn_place_find(const kn_view *v, uint64_t place, size_t *segment, uint32_t *slot);

/* What is saved as the index's note, then as many covered segments. */
typedef struct kn_lookup_note {
    uint32_t version, segments;
    char fingerprint[40];
} kn_lookup_note;
typedef struct kn_covered {
    uint32_t segment, rows;
    uint64_t check; /* of the last row's entry: is it still the same segment? */
} kn_covered;
uint64_t kn_covered_check(const kn_segment *s, uint32_t rows);
enum { KN_LOOKUP_NOTE = 1 };

#endif
