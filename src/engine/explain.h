/*
 * explain.h - an explanation in the making: what two sides give to their cosine, place by place.
 *
 *     places of the network -> pairs of them -> a map over each whole picture -> regions -> a sentence
 */
#ifndef ENGINE_EXPLAIN_H
#define ENGINE_EXPLAIN_H

#include "image/image.h"
#include "ken.h"
#include "nn/places.h"

/* One of the two. */
typedef struct kn_side {
    const ken_term *term;
    size_t places;        /* h w of the network's grid; 1 of what is no picture */
    uint32_t hw[2];
    kn_grid grid;
    float *vector;        /* (dim) unit */
    uint8_t *pixels;      /* of a picture: as the network sees it … */
    float norm;           /* … and the length of its features */
    float *parts;         /* (places, dim) summing to vector, or NULL */
    float *heat;          /* (places) >= 0, summing to 1, or NULL */
    double *rows, *cols;  /* (grid, h), (grid, w): how much of each cell of the whole picture is a place's is
                             the product of one of each; the cells of what the network sees sum to 1 */
    float *map;           /* (grid, grid), or NULL of what is no picture */
} kn_side;

typedef struct kn_explaining {
    const ken_model *model;
    size_t dim;
    uint32_t grid;
    kn_side side[2];
    double *pairs;        /* (places of a, places of b): what each pair gives */
    const char *language; /* of the sentence: "en", "zh"; NULL: that of the words */
} kn_explaining;

/* explain_regions.c: from the pairs, e->side[].map, and rows and cols before. */
KEN_CALL ken_status kn_explain_maps(kn_explaining *e, const kn_prep *p);
/* At most `most` regions, best first. */
KEN_CALL ken_status kn_explain_regions(const kn_explaining *e, ken_region *regions, size_t most,
                                       size_t *found);
/* explain_say.c: a sentence, kn_free it.  by: what is named as its source, "Grad-CAM", or "". */
KEN_CALL ken_status kn_explain_sentence(const kn_explaining *e, const char *by,
                                        const ken_region *regions, size_t n, char **out);

#endif
