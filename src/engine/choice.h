/*
 * choice.h - the slots of a view that a filter lets through.
 *
 * A filter is held against the records, which are in the store; a scan meets rows.  A choice is the way
 * from one to the other: runs that leave out all rows but those of items that match.
 */
#ifndef ENGINE_CHOICE_H
#define ENGINE_CHOICE_H

#include "engine/collection.h"

typedef struct kn_choice {
    char *where;
    int hidden;
    size_t items;    /* that match */
    uint64_t *ids;   /* (items) ascending */
    uint64_t **skip; /* (segments of the view) bitmaps of what is left out */
    size_t segments;
    kn_run *pictures, *views; /* (runs_n) and (views_n) of the view */
} kn_choice;

/* The present view, to be released, and what of it matches `where` (NULL: everything, and *choice is NULL);
 * hidden: vanished files too.  The choice belongs to the view, which keeps the last few.  Takes `lock`.
 * KEN_E_INVALID for an expression that is none. */
KEN_CALL ken_status kn_choice_get(ken *k, const char *where, int hidden, kn_view **view,
                                  const kn_choice **choice);
int kn_choice_has(const kn_choice *c, uint64_t id); /* 1 or 0 */
void kn_choice_free(kn_choice *c);                  /* for view.c */

#endif
