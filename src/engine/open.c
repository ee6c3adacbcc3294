/* open.c - the collection of ken.h works with the models of ken.h. */
#include "engine/encoder.h"
#include "engine/model.h"

const kn_encoder kn_encoder_model = {
    .open = ken_model_open,
    .close = ken_model_close,
    .info = ken_model_get_info,
    .prep = kn_model_prep,
    .pixels = kn_model_embed_pixels,
    .texts = ken_model_embed_texts,
    .score = ken_model_score,
    .meta = kn_model_meta,
};

ken_status ken_open(ken **out, const char *dir, const ken_options *opts)
{
    return kn_collection_open(out, dir, opts, &kn_encoder_model);
}
