/*
 * features.h - vectors of texts and pictures that queries have asked for before, in memory.
 *
 * The same words, or the same pixels, are encoded once as long as they are remembered: a few thousand
 * vectors, those that were asked for longest ago forgotten first.
 */
#ifndef ENGINE_FEATURES_H
#define ENGINE_FEATURES_H

#include "engine/collection.h"

/* n texts, or pictures, to unit vectors (n, dim); what is not known goes through the network at once.
 * Take `lock` for moments. */
KEN_CALL ken_status kn_features_texts(ken *k, const ken_model *m, const char *const *texts, size_t n,
                                      float *vectors);
KEN_CALL ken_status kn_features_images(ken *k, const ken_model *m, const ken_image *const *images, size_t n,
                                       float *vectors);
void kn_features_free(struct kn_features *f); /* for collection.c */

#endif
