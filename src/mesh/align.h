/*
 * align.h - holding a picture against a shape: where it may have been taken from, and how much of it
 * the shape, seen from there, explains.
 *
 * The thing in the picture is what differs from the colour of the picture's border.  Many directions are
 * tried by outline, the best by outline and by light are refined, and what is left between the picture and
 * the best sum of the shape's pictures under lights from five sides is the measure.  Nothing is learnt: it
 * works for any shape of one dull colour before a plain background, and for little else.
 */
#ifndef MESH_ALIGN_H
#define MESH_ALIGN_H

#include "mesh/outline.h"

typedef struct kn_alignment {
    float agreement; /* 0..1: 1 less the share of the picture's variance that is neither explained nor
                        noise */
    float outline;   /* 0..1: what both outlines cover over what either does */
    kn_shot shot;    /* as it seems to have been taken: eye, up, perspective; else as kn_shot_init sets it */
} kn_alignment;

/* rgb (side, side, 3) sRGB, side 32 .. 512.  Deterministic.  KEN_E_FORMAT if nothing stands out from the
 * background; KEN_E_INVALID. */
KEN_CALL ken_status kn_align(const kn_shape *s, const uint8_t *rgb, uint32_t side, kn_alignment *out);

#endif
