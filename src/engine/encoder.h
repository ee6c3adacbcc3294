/*
 * encoder.h - what a collection asks of a model, as a table: tests put a small one of their own
 * in the place of the networks.
 */
#ifndef ENGINE_ENCODER_H
#define ENGINE_ENCODER_H

#include "image/image.h"
#include "ken.h"

typedef struct kn_encoder {
    ken_status (*open)(ken_model **out, const char *name, const ken_model_options *opts);
    void (*close)(ken_model *m);
    const ken_model_info *(*info)(const ken_model *m);
    const kn_prep *(*prep)(const ken_model *m);
    ken_status (*pixels)(const ken_model *m, const uint8_t *pixels, size_t n, float *vectors);
    ken_status (*texts)(const ken_model *m, const char *const *texts, size_t n, float *vectors);
    float (*score)(const ken_model *m, const char *kinds, float raw);
    const char *(*meta)(const ken_model *m, const char *key); /* of the model file, or NULL; may be
                                                                 left out */
} kn_encoder;

extern const kn_encoder kn_encoder_model; /* ken_model_* */

/* ken_open with another encoder, which must outlive *out. */
KEN_CALL ken_status kn_collection_open(ken **out, const char *dir, const ken_options *opts,
                                       const kn_encoder *encoder);

#endif
