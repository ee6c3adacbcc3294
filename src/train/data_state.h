/* data_state.h - what a set holds; for data*.c alone. */
#ifndef TRAIN_DATA_STATE_H
#define TRAIN_DATA_STATE_H

#include "train/data.h"

/* Toys A .. B-1; each has the views of `modes`, one behind the other. */
typedef struct kn_toy_range {
    uint64_t from, to;
    uint32_t views, size;       /* size 0: that of the set */
    kn_toy_mode mode[64];       /* (views) */
    size_t first;               /* sample */
    uint32_t first_label;
} kn_toy_range;

typedef struct kn_shot {
    ken_image *image;
    char *name;
} kn_shot;

struct kn_data {
    kn_data_options o;
    ken_decode_options decode;
    kn_data_report report;
    kn_shot *shots;             /* pictures that lie in memory */
    size_t shots_len, shots_cap;
    kn_toy_range *toys;
    size_t toys_len;
    uint32_t *labels, *photos;  /* (len) all samples: turns of shots, then toys */
    size_t len;
    uint32_t *shot_label;       /* (shots) without turns */
    char **classes;             /* (names) of shots, without turns */
    uint32_t names, classes_cap, total;
    kn_toy_camera **cameras;    /* (threads) */
    char said[600];
};

/* "A-B,views=…": KEN_E_INVALID says what is wrong. */
KEN_CALL ken_status kn_toy_range_parse(kn_toy_range *out, const char *text);

#endif
