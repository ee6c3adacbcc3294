/* model.h - what the rest of the engine needs of a model beyond ken.h. */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "image/image.h"
#include "ken.h"
#include "nn/net.h"

/* How pictures are fitted; NULL without an image network. */
const kn_prep *kn_model_prep(const ken_model *m);
const kn_net *kn_model_net(const ken_model *m);
/* A text of the file's metadata, or NULL. */
const char *kn_model_meta(const ken_model *m, const char *key);
/* ken_model_embed of n pictures that are fitted already, (n, crop[0], crop[1], 3). */
KEN_CALL ken_status kn_model_embed_pixels(const ken_model *m, const uint8_t *pixels, size_t n,
                                          float *vectors);

#endif
