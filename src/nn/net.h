/*
 * net.h - a model file made ready to run: pixels and tokens to vectors.
 *
 * The memory plan is computed when the model is opened: a kn_work holds all that one call needs,
 * for a micro-batch that suits the network; nothing is allocated per picture.
 */
#ifndef NN_NET_H
#define NN_NET_H

#include "image/image.h"
#include "ken.h"
#include "text/text.h"

typedef struct kn_net kn_net; /* immutable once open */

typedef struct kn_net_options {
    const char *precision; /* NULL is "auto"; "f32", "bf16x3", "bf16" */
    uint32_t threads;      /* at most; 0: one per processor */
    int info_only;         /* 1: for kn_net_info() alone; no tensor is touched */
} kn_net_options;

/* Maps the file.  Matrices whose stored type and layout fit the precision are used in place, others
 * are packed now.  KEN_E_MODEL missing, KEN_E_FORMAT, KEN_E_VERSION. */
KEN_CALL ken_status kn_net_open(kn_net **out, const char *path, const kn_net_options *opts);
/* The same from a published configuration and random weights (normal, of deviation 1/sqrt(k), so
 * that activations keep their size): see kn_net_archs.  KEN_E_NOTFOUND for an unknown name. */
KEN_CALL ken_status kn_net_random(kn_net **out, const char *arch, uint64_t seed,
                                  const kn_net_options *opts);
void kn_net_close(kn_net *n);
const char *const *kn_net_archs(void);

/* All but name and path are filled; strings belong to n. */
const ken_model_info *kn_net_info(const kn_net *n);
const kn_prep *kn_net_prep(const kn_net *n);           /* NULL without an image network */
const kn_tokenizer *kn_net_tokenizer(const kn_net *n); /* NULL where the file has none */
/* Random networks only, which have no tokenizer: start, one pseudo-random id for each word, end; at
 * most info->context of them.  0 and nothing for any other network. */
size_t kn_net_stand_in(const kn_net *n, const char *text, int32_t *ids);
const char *kn_net_label(const kn_net *n, uint32_t i); /* NULL for none of that number */
float kn_net_logit_scale(const kn_net *n);
/* A text of the file's metadata, or NULL. */
const char *kn_net_meta(const kn_net *n, const char *key);
/* 1 and the pair (a, b), or 0. */
int kn_net_calibration(const kn_net *n, const char *kinds, float ab[2]);

/* Raw features before L2 normalisation, (n, dim).  pixels: n pictures (H, W, 3) one behind the other,
 * as kn_image_fit gives them.  Many calls may run at once; each takes a work area from the pool. */
KEN_CALL ken_status kn_net_images(const kn_net *net, const uint8_t *pixels, size_t n, float *out);
/* ids: all texts one behind the other, text i has lens[i] of them (start and end included). */
KEN_CALL ken_status kn_net_texts(const kn_net *net, const int32_t *ids, const size_t *lens, size_t n,
                                 float *out);
/* Logits of the trained head over features (n, dim). */
KEN_CALL ken_status kn_net_head(const kn_net *net, const float *features, size_t n, float *logits);

double kn_net_image_macs(const kn_net *n);
double kn_net_text_macs(const kn_net *n, size_t tokens);

#endif
