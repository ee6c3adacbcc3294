/*
 * vector_cache.h - what a network made of pixels, on disk: the same picture goes through it once.
 *
 * A file a fingerprint (weights and precision) and CPU level, of a size that does not grow: a hash table of
 * four places a row, each a vector with its key (a hash of the pixels as the network sees them) and a
 * checksum.  Whatever lies there that does not answer to its checksum is not believed, so that readers and
 * writers of any number of processes need no lock, and a file that is cut or damaged costs time only.
 * Nothing depends on it: where it cannot be written, all goes through the network.
 */
#ifndef ENGINE_VECTOR_CACHE_H
#define ENGINE_VECTOR_CACHE_H

#include "engine/collection.h"

/* n pictures as the model's rules fit them, (n, crop, crop, 3), to unit vectors (n, dim): bit for bit what
 * the encoder gives.  KEN_E_UNSUPPORTED without an image network, KEN_E_NOMEM, and what the encoder says;
 * never for the cache's sake.  Any threads; takes `lock` for moments. */
KEN_CALL ken_status kn_encode_pixels(ken *k, const ken_model *m, const uint8_t *pixels, size_t n,
                                     float *vectors);
/* The same of pictures as they are. */
KEN_CALL ken_status kn_encode_images(ken *k, const ken_model *m, const ken_image *const *images, size_t n,
                                     float *vectors);
void kn_vector_caches_close(struct kn_vector_cache *c); /* a collection's; NULL is fine */

#endif
