/*
 * encode_queue.h - words and pictures of several requests, encoded in one pass.
 *
 * One thread takes everything that has come while the network was busy: whoever comes alone waits for
 * nobody, and under load the batches grow by themselves.
 */
#ifndef SERVE_ENCODE_QUEUE_H
#define SERVE_ENCODE_QUEUE_H

#include "ken.h"

typedef struct kn_encoder kn_encoder;

/* Told after each pass: how many, of what ("text" or "image"), and how long it took. */
typedef void (*kn_encoded_fn)(const char *what, size_t n, double seconds, void *cookie);

/* db: the collection whose searches it encodes for, with its model m; NULL: none. */
KEN_CALL ken_status kn_encoder_start(kn_encoder **out, const ken_model *m, ken *db, kn_encoded_fn fn,
                                     void *cookie);
/* As ken_model_embed_texts(), ken_model_embed() and ken_model_embed_fitted(), bit for bit; they wait. */
KEN_CALL ken_status kn_encoder_texts(kn_encoder *e, const char *const *texts, size_t n, float *vectors);
KEN_CALL ken_status kn_encoder_images(kn_encoder *e, const ken_image *const *images, size_t n,
                                      float *vectors);
KEN_CALL ken_status kn_encoder_fitted(kn_encoder *e, const ken_image *const *images, size_t n,
                                      float *vectors);
/* What searches are about to ask for: their ken_search() finds it ready (ken_search_ahead()), and what the
 * collection remembers costs nothing.  expand: of the searches, or NULL.  They wait. */
KEN_CALL ken_status kn_encoder_texts_ahead(kn_encoder *e, const char *const *texts, size_t n,
                                           const char *expand);
KEN_CALL ken_status kn_encoder_images_ahead(kn_encoder *e, const ken_image *const *images, size_t n);
size_t kn_encoder_waiting(kn_encoder *e); /* texts and pictures */
void kn_encoder_stop(kn_encoder *e);      /* when nobody waits any more; NULL is fine */

#endif
