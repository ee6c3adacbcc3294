/*
 * views.h - a 3-D model as pictures of it, for a network to see.
 *
 * An item of kind "model" has the vectors of the standard views as its parts, in segments of their own,
 * and their mean as its own vector.  A search compares with all of them: the nearest counts.
 */
#ifndef ENGINE_VIEWS_H
#define ENGINE_VIEWS_H

#include "image/image.h"
#include "mesh/outline.h"

struct ken_mesh {
    kn_shape shape;
};

/* Pixels a side of a view that is drawn for p. */
uint32_t kn_views_side(const kn_prep *p);
/* The standard views, drawn and fitted: (KN_VIEWS, crop[0], crop[1], 3).  The same for any threads. */
KEN_CALL ken_status kn_views_fit(const kn_shape *s, const kn_prep *p, uint32_t threads,
                                 uint8_t *pixels);
/* What stands out in a picture; KEN_E_FORMAT if nothing does. */
KEN_CALL ken_status kn_views_thing(kn_thing *out, const ken_image *img);
/* The mean of (KN_VIEWS, dim) vectors, brought to length 1. */
void kn_views_mean(const float *vectors, size_t dim, float *mean);

#endif
