/*
 * view.h - what a search sees: the segments mapped, and which of their slots count.
 *
 * A view is one state of the collection.  It is made anew when the store's generation has changed,
 * and lives until its last user lets go.
 */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include "index/flat.h"
#include "store/segment.h"
#include "store/store.h"

enum { KN_CHOICES = 8 };

typedef struct kn_view {
    uint64_t generation;
    unsigned users; /* guarded by the collection's lock */
    uint32_t dim;   /* 0: no segment yet */
    size_t n, rows; /* rows: of whole pictures */
    kn_segment *segments;  /* (n) by number */
    uint64_t **dead;       /* (n) bitmaps or NULL */
    uint64_t **gone;       /* (n) dead or hidden; may be the same pointer as dead[i] */
    kn_run *visible, *all; /* (runs_n) that leave out gone, and dead, slots */
    size_t runs_n;
    kn_run *parts; /* (parts_n) of parts of pictures and views of models, all that are not dead */
    size_t parts_n, part_rows;
    unsigned char *of_models; /* (n) 1: a segment of views of models … */
    kn_run *views; /* … (views_n), whose runs these are, without those that are gone … */
    kn_run *all_views; /* … and without those that are dead */
    size_t views_n, view_rows;
    /* Since kn_view_name, guarded by the collection's lock until then: */
    int counted;
    kn_counts counts;   /* of the store, at that time */
    uint64_t **unnamed; /* (n) bitmaps of what is of no object … */
    kn_run *named;      /* (runs_n) … and the runs without it; NULL: every picture has an object */
    struct kn_described *described; /* of described.h, or NULL; guarded by the collection's lock … */
    int described_known;            /* … until it was looked for */
    struct kn_choice *choices[KN_CHOICES]; /* of choice.h, the first ones; guarded by the collection's lock */
    struct kn_lookup_file *lookup; /* indexes (lookup.h) since the first search that uses them, or NULL;
                                      set while the collection's lock is held */
} kn_view;

/* The present view, with one user more; let go with kn_view_release.  Takes `lock`. */
KEN_CALL ken_status kn_view_get(ken *k, kn_view **out);
/* The same while the caller holds `lock`, outside of a transaction. */
KEN_CALL ken_status kn_view_get_locked(ken *k, kn_view **out);
/* Let go of *v for a new one, which nobody else has yet; on failure it is NULL. */
KEN_CALL ken_status kn_view_renew_locked(ken *k, kn_view **v);
void kn_view_release(ken *k, kn_view *v); /* takes `lock` */
void kn_view_release_locked(kn_view *v);

/* Fill in counted … named.  Takes `lock`. */
KEN_CALL ken_status kn_view_name(ken *k, kn_view *v);
void kn_view_unname(kn_view *v); /* for view.c */

/* The vector at a slot as dim floats; KEN_E_CORRUPT if it is not there. */
KEN_CALL ken_status kn_view_vector(const kn_view *v, uint32_t segment, uint32_t slot, float *out);

#endif
