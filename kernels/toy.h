/*
 * toy.h - what the photograph kernel draws: signed-distance primitives, materials, one light, a room.
 *
 * src/toys fills a kn_toy_scene; kn_kernels.toy_rows turns it into linear RGB.  Units: a toy is about
 * 2 high; y is up; the toy looks along +z.  All of it is plain data without pointers to outside.
 */
#ifndef KERNELS_TOY_H
#define KERNELS_TOY_H

#include <stdint.h>

enum { KN_TOY_PRIMS = 96, KN_TOY_MATERIALS = 40, KN_TOY_DECALS = 4 };

typedef enum kn_toy_shape {
    KN_TOY_ELLIPSOID, /* size: three radii */
    KN_TOY_CONE,      /* size: radius below, radius above, half length along local y; round ends */
    KN_TOY_TORUS, /* size: ring radius, tube radius, height of the tube over its width; axis y */
    KN_TOY_BOX    /* size: half sides; rounded by `round` */
} kn_toy_shape;

typedef struct kn_toy_prim {
    int32_t shape;
    int32_t material;
    int32_t object; /* 0 the toy, 1 something in front of it, 2 something beside or behind */
    int32_t casts;  /* 1: throws a shadow */
    float center[3];
    float axis[9]; /* rows: the local axes in world coordinates */
    float size[3];
    float round;
    float blend; /* width of the smooth union with what came before */
    float bound; /* radius of a sphere about the centre that holds it */
} kn_toy_prim;

typedef enum kn_toy_pattern {
    KN_TOY_PLAIN,
    KN_TOY_SPOTS,
    KN_TOY_STRIPES,
    KN_TOY_PATCHWORK,
    KN_TOY_TWO_TONE,
    KN_TOY_GRADIENT,
    KN_TOY_RINGS,
    KN_TOY_CHECKS,
    KN_TOY_PATTERNS
} kn_toy_pattern;

typedef enum kn_toy_decal_kind {
    KN_TOY_NO_DECAL,
    KN_TOY_DISK,
    KN_TOY_SMILE, /* a stitched arc, open upwards */
    KN_TOY_HEART,
    KN_TOY_STAR,
    KN_TOY_LINE /* a vertical seam */
} kn_toy_decal_kind;

/* Painted on the side that looks along local +z, at local x, y over the primitive's size. */
typedef struct kn_toy_decal {
    int32_t kind;
    int32_t mirrored; /* 1: at -x too */
    float x, y, size;
    float color[3];
} kn_toy_decal;

typedef struct kn_toy_material {
    int32_t pattern;
    float color[3][3]; /* linear RGB: ground, figure, third of patchwork */
    float frequency;
    float phase[4];
    float fur, fur_frequency; /* depth of the pile's light and dark; 0 is smooth cloth */
    float ribs;               /* > 0: knitted, lines a unit */
    float gloss;              /* highlight of buttons and beads */
    float cloth_from,
        cloth_to; /* local y over size[1], between which the cloth below is worn; from > to: none */
    int32_t cloth_pattern;
    float cloth[2][3];
    float cloth_frequency;
    kn_toy_decal decal[KN_TOY_DECALS];
} kn_toy_material;

typedef enum kn_toy_room {
    KN_TOY_STUDIO, /* a plain sweep */
    KN_TOY_FLOOR,  /* floor and wall */
    KN_TOY_SHELF,  /* a board, with boxes and books behind */
    KN_TOY_GARDEN, /* grass and sky */
    KN_TOY_CLOTH,  /* folds of a sofa or a bed */
    KN_TOY_ROOMS
} kn_toy_room;

typedef struct kn_toy_scene {
    uint32_t width, height;
    uint32_t prims, materials;
    kn_toy_prim prim[KN_TOY_PRIMS];
    kn_toy_material material[KN_TOY_MATERIALS];
    /* camera: origin, and the world vectors of view direction, right and up; the picture's half
     * height at distance 1 */
    float eye[3], forward[3], right[3], up[3];
    float tan_half;
    /* light: towards it, its colour, the sky's and the ground's */
    float light[3], light_color[3], sky[3], ground[3];
    float softness; /* of shadows, 1 hard … 0.1 soft */
    /* the room */
    int32_t room;
    int32_t floor_pattern; /* 0 plain, 1 planks, 2 tiles, 3 carpet */
    float floor_y;         /* -inf: none */
    float back_z;          /* where the wall stands */
    float floor_color[2][3], wall_color[2][3];
    float room_frequency, room_phase[2];
    uint32_t seed;
} kn_toy_scene;

/* Rows y0 .. y1-1: rgb (rows, width, 3) linear light, object (rows, width) 255 where no primitive
 * is, else kn_toy_prim.object; either may be NULL.  Every level gives the same bits. */
typedef void kn_toy_rows_fn(const kn_toy_scene *s, uint32_t y0, uint32_t y1, float *rgb,
                            uint8_t *object);

#endif
