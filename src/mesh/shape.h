/*
 * shape.h - a model ready to be drawn, and the pictures of it.
 *
 * Only + - * / and sqrt of IEEE floats, in one fixed order: the same bits on every machine, at every
 * CPU level, in whatever thread.
 */
#ifndef MESH_SHAPE_H
#define MESH_SHAPE_H

#include "mesh/mesh.h"

typedef struct kn_shape {
    size_t n;
    float *points;  /* (n, 3, 3) corners, the bounding sphere brought to radius 1 around 0 */
    float *normals; /* (n, 3, 3) unit, of each triangle's corners: shared where surfaces meet smoothly */
    int closed;     /* 1: a surface without a border, all triangles turned one way and outward: backs are
                       never seen */
    double centre[3], radius; /* of the bounding sphere, in the file's unit */
} kn_shape;

/* Corners at the same place share a normal if their triangles meet at less than 30 degrees; weights
 * are N. Max's, "Weights for computing vertex normals from facet normals", J. Graphics Tools 4(2),
 * 1999: exact for spheres. */
KEN_CALL ken_status kn_shape_new(kn_shape *out, const kn_mesh *m);
/* From a file's bytes: kn_mesh_parse, then that. */
KEN_CALL ken_status kn_shape_parse(kn_shape *out, const char *kind, const void *bytes, size_t len);
void kn_shape_release(kn_shape *s); /* leaves it empty */

/* How a picture is taken.  Directions have any length but 0; those of lights are the camera's: right,
 * up, towards the viewer. */
typedef struct kn_shot {
    float eye[3];      /* from the middle of the model towards the camera */
    float up[3];       /* what is up in the picture; not along eye */
    float perspective; /* radius of the model over distance of the camera, 0 (parallel) .. .9 */
    float fill;        /* the bounding sphere's share of the picture's side */
    float key[3], fills[3];                         /* where the two lights are */
    float key_strength, fill_strength, ambient;     /* linear; a surface reflects their sum, at most 1 */
    uint8_t colour[3], background[3];               /* sRGB */
    uint32_t size;     /* pixels a side, 1 .. 2048 */
    uint32_t samples;  /* a pixel is so many squared, 1 .. 4 */
} kn_shot;

/* View 0, 224 pixels, 2 x 2 samples, light grey on white. */
void kn_shot_init(kn_shot *s);

/* The standard views: towards the corners of an icosahedron, so that any direction is within 37.4
 * degrees of one.  A view's name is the side that it shows most, then the other one that it shows:
 * "front-right".  Front is -y, right +x, top +z. */
enum { KN_VIEWS = 12 };
const char *kn_view_named(uint32_t view); /* NULL from KN_VIEWS on */
void kn_shot_view(kn_shot *s, uint32_t view); /* sets eye and up */

float kn_linear(uint8_t v); /* light of an sRGB value, 0..1; the curve is taken for a square */

/* (size, size, 3) sRGB into rgb, and how much of each pixel the model covers, 0..255, into cover
 * (size, size); what is NULL is not wanted.  KEN_E_INVALID for a shot out of range. */
KEN_CALL ken_status kn_shape_render(const kn_shape *s, const kn_shot *shot, uint8_t *rgb,
                                    uint8_t *cover);
/* The surface's normals as the camera sees them (right, up, towards it) into normals (size, size, 3), 0
 * where nothing is, and its cover, 0 or 255, into cover (size, size): for light from anywhere.  They are
 * interpolated between unit normals of corners and not brought back to length 1: at most that.  The lights
 * of the shot are not used.  KEN_E_INVALID for a shot out of range, or of more than one sample a pixel. */
KEN_CALL ken_status kn_shape_normals(const kn_shape *s, const kn_shot *shot, float *normals,
                                     uint8_t *cover);

#endif
