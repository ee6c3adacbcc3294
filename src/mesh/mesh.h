/*
 * mesh.h - files of 3-D models to triangles.
 *
 * Data flow: kn_mesh_load -> kn_shape_new (shape.h) -> kn_shape_render: a picture.
 *
 * Lengths are in whatever unit the file has; none of these formats says which.  z is taken for up.
 */
#ifndef MESH_MESH_H
#define MESH_MESH_H

#include "ken.h"

/* Triangles without any order or connection. */
typedef struct kn_mesh {
    float *corners; /* (n, 3, 3): triangle, corner, x y z; finite, each triangle has an area */
    size_t n, cap;
    size_t dropped; /* triangles of the file that have no area */
    float low[3], high[3]; /* bounds */
} kn_mesh;

enum { KN_MESH_MAX = 1 << 23 }; /* triangles */

/* What a file's name says: "stl", "obj", "ply", or NULL. */
const char *kn_mesh_kind(const char *path);

/* A model of that kind from bytes in memory.  STL: binary or ASCII, told apart by the lengths and
 * words inside, not by how it begins.  OBJ: v and f, polygons as fans.  PLY: ascii and
 * binary_little_endian.  KEN_E_FORMAT names line, triangle or byte; KEN_E_LIMIT beyond KN_MESH_MAX;
 * KEN_E_UNSUPPORTED.  *out is released by the caller, untouched on failure. */
KEN_CALL ken_status kn_mesh_parse(kn_mesh *out, const char *kind, const void *bytes, size_t len);
/* The same of a file, its kind by its name; reasons name the file. */
KEN_CALL ken_status kn_mesh_load(kn_mesh *out, const char *path);
void kn_mesh_release(kn_mesh *m); /* leaves it empty */

/* Sums in the order of triangles, in double.  The volume is signed: positive where corners run
 * counter-clockwise seen from outside, and means something for closed surfaces alone. */
double kn_mesh_area(const kn_mesh *m);
double kn_mesh_volume(const kn_mesh *m);

#endif
