/*
 * described.h - what people say of their pictures, searched beside the pictures.
 *
 * The "description" in an item's metadata becomes a vector of the text network, which lies in the same space
 * as the pictures'.  The vectors are a derived file, written anew as a whole when descriptions change and
 * checked against the records when something is found: a missing or old one costs answers by description
 * until the next `ken index`, nothing else.
 *
 *     "KNDESC1\0" | dim u32 | 0 u32 | fingerprint 32 | n u64 | XXH3-64 of all behind u64
 *     ids u64 (n) ascending | XXH3-64 of the descriptions u64 (n) | rows f32 (n, dim)
 */
#ifndef ENGINE_DESCRIBED_H
#define ENGINE_DESCRIBED_H

#include "engine/choice.h"
#include "engine/writer.h"

#define KN_KEY_DESCRIPTIONS "descriptions" /* text of the store: how many, so that a change is seen */

typedef struct kn_described kn_described; /* of a view */
void kn_described_free(kn_described *d);  /* for view.c */

/* Bring the file up to date, inside kn_edit_begin and outside of a transaction.  Nothing to do for a model
 * without a text network, or while nothing is described. */
KEN_CALL ken_status kn_described_sync(kn_edit *w);

/* The k best by their descriptions into near (k), best first.  Texts are nearer to each other than pictures
 * are to texts, so a cosine is brought to the pictures' scale: as many deviations above the mean of the
 * descriptions as it is, so many above the pictures' mean it comes to be.  The very words of the query are
 * nearer than any picture. */
KEN_CALL ken_status kn_described_search(ken *k, kn_view *v, const kn_choice *c, int hidden,
                                        const float *query, size_t most, kn_near *near, size_t *n);

#endif
