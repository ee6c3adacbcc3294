/*
 * outline.h - a shape's outlines from many directions, and which of them a picture's outline is like.
 *
 * The thing in a picture is what differs from the colour of the picture's border.  Its outline is brought
 * to a frame of fixed size: centroid in the middle, root mean square radius the same for all, so that only
 * direction and turn are left to be found.  Nothing is learnt: it works for any shape before a plain
 * background, and says little of one that others hide.
 */
#ifndef MESH_OUTLINE_H
#define MESH_OUTLINE_H

#include "mesh/shape.h"

enum {
    KN_FRAME = 56,      /* pixels a side of what is compared */
    KN_DIRECTIONS = 218, /* whole numbers up to 3, the largest of them 3 */
    KN_TURNS = 24,      /* of the picture around the line of sight */
    KN_OUTLINE_BYTES = KN_FRAME * KN_FRAME / 8
};

/* One bit a pixel of a frame, as a bitmap. */
typedef struct kn_outline {
    uint8_t bits[KN_OUTLINE_BYTES];
    uint32_t n; /* of them that are set */
} kn_outline;

/* The outlines of a shape seen from everywhere. */
typedef struct kn_outlines {
    kn_outline from[KN_DIRECTIONS];
} kn_outlines;

/* Draw them: about 0.1 s for ten thousand triangles.  Deterministic. */
KEN_CALL ken_status kn_outlines_draw(kn_outlines *out, const kn_shape *s);

/* What stands out in a picture. */
typedef struct kn_thing {
    float grey[KN_FRAME * KN_FRAME];  /* linear */
    float cover[KN_FRAME * KN_FRAME]; /* 0..1 */
    double noise;                     /* variance of grey, of what is no signal */
    kn_outline turned[KN_TURNS];
} kn_thing;

/* rgb (side, side, 3) sRGB, side 32 .. 512.  KEN_E_FORMAT if nothing stands out from the background. */
KEN_CALL ken_status kn_thing_find(kn_thing *out, const uint8_t *rgb, uint32_t side);

/* How a picture may have been taken. */
typedef struct kn_pose {
    float eye[3], up[3], perspective; /* as of kn_shot; unit vectors at a right angle */
    float shift[2], zoom; /* of what is drawn, beyond bringing centroid and radius together; in radii */
    float score;
} kn_pose;

/* The poses whose outlines cover most of what either covers, best first, at most `most` of them, one a
 * direction; how many.  score is that share. */
size_t kn_outlines_match(const kn_outlines *o, const kn_thing *t, kn_pose *best, size_t most);

/* Where a pose is drawn, for outlines and for light. */
typedef struct kn_canvas {
    uint32_t side;
    uint8_t *mask;  /* (side, side) */
    float *values;  /* (side, side) */
    float *normals; /* (side, side, 3) as of kn_shape_normals; NULL where only outlines are wanted */
} kn_canvas;
/* normals: 1 with room for them, 0 without: drawing them costs more than a cover alone. */
KEN_CALL ken_status kn_canvas_new(kn_canvas *c, uint32_t side, int normals);
void kn_canvas_release(kn_canvas *c); /* zeroed is fine */

/* Where the thing lies among the drawn pixels. */
typedef struct kn_extent {
    double x, y, radius; /* centroid; root mean square distance from it */
} kn_extent;

/* The frame of the shape's cover in a pose, into out (KN_FRAME, KN_FRAME); and its normals, where the
 * canvas has room for them. */
KEN_CALL ken_status kn_pose_draw(kn_canvas *c, const kn_shape *s, const kn_pose *p, float *out,
                                 kn_extent *e);
/* The frame of c->values at an extent. */
void kn_canvas_frame(const kn_canvas *c, const kn_extent *e, float *out);

/* Set p->score. */
typedef ken_status kn_pose_score(void *cookie, kn_pose *p);
/* Climb from p by steps from `first` down to `last`, halved each time. */
KEN_CALL ken_status kn_pose_refine(kn_pose *p, kn_pose_score *score, void *cookie, float first,
                                   float last);

/* Climb by outline, and the score that comes of it; steps as above.  The canvas may be used by one thread
 * at a time. */
KEN_CALL ken_status kn_outline_refine(kn_canvas *c, const kn_shape *s, const kn_thing *t, kn_pose *p,
                                      float first, float last);
/* The score as it is. */
KEN_CALL ken_status kn_outline_score(kn_canvas *c, const kn_shape *s, const kn_thing *t, kn_pose *p);

#endif
