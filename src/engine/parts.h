/*
 * parts.h - one picture as several: the whole, and parts of it.
 *
 * A reference is encoded whole and in overlapping parts, so that a photograph of a part of the
 * object finds its like; a query is encoded whole and, if asked, nearer and further away.
 */
#ifndef ENGINE_PARTS_H
#define ENGINE_PARTS_H

#include "image/image.h"

enum { KN_PARTS_MAX = 7, KN_LOOKS_MAX = 4 };

/* (1 + n) fitted pictures, (crop[0], crop[1], 3) each: the whole, then n <= KN_PARTS_MAX parts. */
KEN_CALL ken_status kn_parts_fit(const ken_image *img, const kn_prep *p, uint32_t n,
                                 uint8_t *pixels);
/* (1 + n) likewise: the whole, then n <= KN_LOOKS_MAX other looks at it, the first of which is from
 * further away. */
KEN_CALL ken_status kn_looks_fit(const ken_image *img, const kn_prep *p, uint32_t n,
                                 uint8_t *pixels);

#endif
