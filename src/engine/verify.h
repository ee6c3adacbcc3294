/*
 * verify.h - 3-D models that a search has found, held against the picture that asked for them.
 *
 * What a network says of a part depends on what it has been taught; that a part's outline, seen from
 * somewhere, is the picture's, depends on nothing.  The outlines of each model from everywhere are kept in
 * DIR/outlines, a file a content: derived, made at indexing, drawn again where they are missing or damaged.
 */
#ifndef ENGINE_VERIFY_H
#define ENGINE_VERIFY_H

#include "engine/collection.h"
#include "mesh/shape.h"

/* So many hits are looked through for each model that is to be verified. */
enum { KN_VERIFY_LOOKS = 8, KN_VERIFY_DEFAULT = 14 };

/* Put the models among the hits in order of how well their outlines cover the picture's; all else stays
 * where it is, and so do the places' scores.  The `most` likeliest by the outlines kept are brought
 * as near as they come, the others follow by the likeness of the kept ones.  Nothing is done where
 * nothing stands out from the picture's background.  Takes `lock`. */
KEN_CALL ken_status kn_verify_models(ken *k, const ken_image *img, uint32_t most, ken_hit *hits,
                                     size_t n);

/* Keep the outlines of a shape under its file's hash.  What cannot be kept is drawn when it is needed. */
void kn_verify_keep(const ken *k, const kn_shape *s, const char *hash);
/* Forget those of models that the collection no longer has.  Takes `lock`. */
KEN_CALL ken_status kn_verify_sweep(ken *k);

#endif
