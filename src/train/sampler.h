/*
 * sampler.h - which samples make a batch: a pure function of (seed, step).
 *
 *   PK        `classes` different classes with `images` samples of each, class by class.  Classes
 *             come in shuffled cycles, each class once a cycle; the samples of a class take turns.
 *             A batch repeats a sample only where its class has fewer than `images`.
 *   SHUFFLE   `batch` different samples, in shuffled cycles over all of them.
 *   EPISODES  `classes` different classes drawn anew each time, and `images` different samples of
 *             each: independent of other steps.
 */
#ifndef TRAIN_SAMPLER_H
#define TRAIN_SAMPLER_H

#include "ken.h"

typedef enum kn_sampler_kind {
    KN_SAMPLER_PK,
    KN_SAMPLER_SHUFFLE,
    KN_SAMPLER_EPISODES
} kn_sampler_kind;

typedef struct kn_sampler_config {
    kn_sampler_kind kind;
    uint64_t seed;
    uint32_t classes, images; /* PK, EPISODES (images: shots + queries) */
    uint32_t batch;           /* SHUFFLE */
    uint32_t least;           /* PK, EPISODES: classes with fewer samples stay out; 0 is 1 */
    uint32_t repeat;          /* PK: labels below `repeated` come round so often in a cycle, 0 is 1 */
    uint32_t repeated;        /* … and may then meet themselves in a batch, with other samples */
} kn_sampler_config;

typedef struct kn_sampler kn_sampler;
/* Of n samples with labels (n).  photos (n) or NULL: samples with the same number are copies of one
 * photograph, and do not meet in a batch while their class has others.  Neither is kept.
 * KEN_E_INVALID: fewer classes or samples than one batch takes. */
KEN_CALL ken_status kn_sampler_new(kn_sampler **out, const kn_sampler_config *c,
                                   const uint32_t *labels, const uint32_t *photos, size_t n);
void kn_sampler_free(kn_sampler *s);

size_t kn_sampler_batch(const kn_sampler *s);   /* samples of a batch */
size_t kn_sampler_classes(const kn_sampler *s); /* classes that take part */
/* Steps until every class (PK, EPISODES) or sample (SHUFFLE) can have been seen once,
 * rounded up. */
uint64_t kn_sampler_epoch(const kn_sampler *s);

/* The batch of a step into samples (batch): positions 0 … n - 1.  Any order of steps gives the
 * same batches; the next one is the quickest. */
void kn_sampler_get(kn_sampler *s, uint64_t step, uint32_t *samples);

#endif
