/*
 * teacher.h - another model's vectors of a batch, for a network to learn from.
 *
 * A teacher sees the very pixels that the network in training sees, brought to its own size where that
 * differs.
 */
#ifndef TRAIN_TEACHER_H
#define TRAIN_TEACHER_H

#include "ken.h"

typedef struct kn_teacher kn_teacher;

/* path: a model file with an image network.  It is given batches of at most `batch` pictures (side, side, 3).
 * KEN_E_UNSUPPORTED: the file has no image network; else as kn_net_open. */
KEN_CALL ken_status kn_teacher_open(kn_teacher **out, const char *path, uint32_t side, uint32_t batch,
                                    uint32_t threads);
void kn_teacher_close(kn_teacher *t); /* NULL is fine */

uint32_t kn_teacher_dim(const kn_teacher *t);
const char *kn_teacher_fingerprint(const kn_teacher *t); /* belongs to t */

/* Vectors of pixels (n, side, side, 3), n <= batch, not normalised: *out (n, dim) belongs to t and is good
 * until the next call. */
KEN_CALL ken_status kn_teacher_see(kn_teacher *t, const uint8_t *pixels, size_t n, const float **out);

#endif
