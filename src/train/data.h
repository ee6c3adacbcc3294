/*
 * data.h - labelled pictures for a trainer: lists, folders, zips, and toys made on the fly.
 *
 * Everything but toys is read once, when the set is opened: broken files are left out and counted,
 * pictures larger than a training crop needs are brought down to it.  Labels are numbers from 0,
 * in the order in which the classes are met; classes of the same name are one.
 */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include "image/augment.h"
#include "ken.h"
#include "toys/toys.h"

typedef struct kn_data kn_data;

typedef struct kn_data_options {
    uint32_t size;     /* side of the pictures to come */
    uint32_t turns;    /* 4: each quarter turn of a class is a class of its own; else 1 */
    uint64_t seed;     /* of the toys' photographs */
    uint32_t threads;
    const ken_decode_options *decode; /* or NULL */
    ken_progress_fn progress;
    void *cookie;
} kn_data_options;

typedef struct kn_data_report {
    uint64_t pictures, classes, broken, single; /* single: classes of one picture */
    uint64_t copies; /* pictures whose file another one has to the byte */
    char first_broken[512]; /* which, and why */
} kn_data_report;

/* Each source is a list, or the name of a zip of pictures (folder/of/class/picture.png), or
 * "toys:A-B[,views=MODE:N+MODE:N,size=N]".  KEN_E_INVALID, KEN_E_NOTFOUND; KEN_E_FORMAT if no
 * picture can be read. */
KEN_CALL ken_status kn_data_open(kn_data **out, const ken_data *sources, size_t n,
                                 const kn_data_options *o);
void kn_data_close(kn_data *d); /* NULL is fine */

size_t kn_data_len(const kn_data *d);
const uint32_t *kn_data_labels(const kn_data *d);
const uint32_t *kn_data_photos(const kn_data *d); /* the same number: copies of one photograph */
uint32_t kn_data_classes(const kn_data *d);
const char *kn_data_class(const kn_data *d, uint32_t label); /* a name; of toys the id */
uint32_t kn_data_own_classes(const kn_data *d); /* the first ones: all but the toys */
const kn_data_report *kn_data_about(const kn_data *d);
/* What to call sample i in a message; belongs to d, valid until the next call. */
const char *kn_data_name(kn_data *d, size_t i);

/* The toy of sample i: its id, and the view number that `epoch` gives; 0 if it is no toy. */
int kn_data_toy(const kn_data *d, size_t i, uint64_t epoch, uint64_t *id, kn_toy_mode *mode,
                uint32_t *number);

/* How the pictures of a batch are changed: those in memory, and the toys. */
typedef struct kn_data_augment {
    const kn_augment *shots, *toys; /* NULL: not at all */
} kn_data_augment;

/* Samples list[0 .. n-1] to out (n, size, size, 3), by all threads: augmented by (seed, epoch,
 * sample), or with aug NULL as inference fits them.  Toys are other photographs in each epoch. */
KEN_CALL ken_status kn_data_pictures(kn_data *d, const uint32_t *list, size_t n,
                                     const kn_data_augment *aug, uint64_t seed, uint64_t epoch,
                                     uint8_t *out);

#endif
