/*
 * spaces.h - more than one model on a collection.
 *
 * A space is a collection of its own in DB/spaces/NAME, with another model; its items are those of the main
 * one by their paths.  Objects, descriptions and filters are the main collection's, and so are the ids of
 * answers: what a space has and the main collection has not is not answered.  "own", or the name of the
 * collection's model, is the main collection itself.
 */
#ifndef ENGINE_SPACES_H
#define ENGINE_SPACES_H

#include "engine/collection.h"

#define KN_SPACES "spaces" /* the folder of them */
#define KN_OWN "own"

/* DB/spaces/NAME, kn_free it.  KEN_E_INVALID for a name that is none, KEN_E_NOTFOUND without a DB. */
KEN_CALL ken_status kn_space_dir(char **out, const char *db, const char *name);
/* It belongs to k, is opened once and closed with it.  KEN_E_NOTFOUND. */
KEN_CALL ken_status kn_space_open(ken *k, const char *name, ken **out);
void kn_spaces_close(struct kn_spaces *s); /* for collection.c; NULL is fine */

/* Bring all spaces up to date with paths, as ken_scan() has just done with k. */
KEN_CALL ken_status kn_spaces_scan(ken *k, const char *const *paths, size_t n, const ken_scan_options *o);
/* Remove the items of these from all spaces, too. */
KEN_CALL ken_status kn_spaces_remove(ken *k, const uint64_t *ids, size_t n);
/* Tell fn what is wrong with them, as ken_check() does; KEN_E_CORRUPT. */
KEN_CALL ken_status kn_spaces_check(ken *k, ken_problem_fn fn, void *cookie);

/* ken_search() with o->spaces. */
KEN_CALL ken_status kn_spaces_search(ken *k, const ken_term *terms, size_t n, const ken_search_options *o,
                                     ken_hit *hits, size_t *found, ken_search_times *times);

#endif
