/*
 * toys.h - the procedural photographer: an id becomes a toy, a toy becomes pictures and captions.
 *
 * An id is the same toy for ever: its parameters come from counter-based random numbers by IEEE
 * single-precision additions and products alone, so that they are equal on every machine.
 * Splits by id (never reuse): training 0 .. 999,999 · validation 1,000,000 .. 1,099,999 · test
 * 1,100,000 .. 1,199,999 · unknown 1,200,000 and up.
 */
#ifndef TOYS_TOYS_H
#define TOYS_TOYS_H

#include "ken.h"
#include "kernels/toy.h"

enum { KN_TOY_COLORS = 6, KN_TOY_POSE = 8 };
enum { KN_TOY_COLOR_NAMES = 12, KN_TOY_SPECIES = 16 };

typedef enum kn_toy_plan { KN_TOY_SITTING, KN_TOY_STANDING, KN_TOY_BIRD, KN_TOY_BLOB } kn_toy_plan;
typedef enum kn_toy_ear {
    KN_TOY_EAR_ROUND,
    KN_TOY_EAR_POINTED,
    KN_TOY_EAR_LONG,
    KN_TOY_EAR_FLOPPY,
    KN_TOY_EAR_NONE,
    KN_TOY_EARS
} kn_toy_ear;
typedef enum kn_toy_wear {
    KN_TOY_BARE,
    KN_TOY_SCARF,
    KN_TOY_BOW,
    KN_TOY_HAT,
    KN_TOY_BELT,
    KN_TOY_COLLAR,
    KN_TOY_GLASSES,
    KN_TOY_BACKPACK,
    KN_TOY_FLOWER,
    KN_TOY_CROWN,
    KN_TOY_WEARS
} kn_toy_wear;
typedef enum kn_toy_cloth {
    KN_TOY_NAKED,
    KN_TOY_SHIRT,
    KN_TOY_TROUSERS,
    KN_TOY_CLOTHES
} kn_toy_cloth;
typedef enum kn_toy_emblem {
    KN_TOY_NO_EMBLEM,
    KN_TOY_EMBLEM_HEART,
    KN_TOY_EMBLEM_STAR,
    KN_TOY_EMBLEM_DISK,
    KN_TOY_EMBLEMS
} kn_toy_emblem;
typedef enum kn_toy_fabric {
    KN_TOY_PLUSH,
    KN_TOY_LONG_FUR,
    KN_TOY_FELT,
    KN_TOY_KNIT,
    KN_TOY_FABRICS
} kn_toy_fabric;

/* Colours: 0 the coat, 1 its second, 2 belly and muzzle, 3 ears and feet, 4 what it wears, 5 nose. */
typedef struct kn_toy {
    uint64_t id;
    int32_t species, plan, ear, pattern, fabric, wear, cloth, emblem, tail, muzzle;
    int32_t limbs; /* 0 as the coat, 1 second colour, 2 tips in the colour of the ears */
    int32_t eyes;  /* 0 beads, 1 buttons with a ring, 2 large */
    int32_t blush, belly, cloth_pattern;
    int32_t name[KN_TOY_COLORS];   /* colour names, index of kn_toy_color_name */
    float color[KN_TOY_COLORS][3]; /* linear RGB */
    float head, head_wide, body[3], ear_long, ear_wide, ear_apart, snout, eye, eye_apart, eye_high;
    float arm_long, arm_thick, leg_long, leg_thick, neck, belly_size;
    float frequency, phase[4], fur, fur_frequency;
} kn_toy;

void kn_toy_make(kn_toy *out, uint64_t id);
/* The same toy but for one attribute, chosen by the id; *attribute names it ("hat", "ears" …). */
void kn_toy_twin(kn_toy *out, uint64_t id, const char **attribute);

typedef enum kn_toy_mode {
    KN_TOY_CLEAN,    /* catalogue: light plain ground, nearly from the front */
    KN_TOY_FULL,     /* the whole toy, any light and room, sometimes something in front */
    KN_TOY_HEAD,     /* the head alone */
    KN_TOY_PART,     /* lower or side part */
    KN_TOY_OCCLUDED, /* a hand, a box, another toy in front: 20 .. 60 % hidden */
    KN_TOY_LIGHT,    /* very dark, very bright or coloured light */
    KN_TOY_MIXED,    /* one of the five above, or clean */
    KN_TOY_MODES
} kn_toy_mode;
KEN_CALL ken_status kn_toy_mode_named(kn_toy_mode *out, const char *name); /* KEN_E_INVALID */
const char *kn_toy_mode_name(kn_toy_mode m);

/* A photograph to be taken. */
typedef struct kn_toy_view {
    int32_t mode;
    uint64_t seed;
    float azimuth, elevation, roll, distance, half_field; /* radians; half of the field of view */
    float target[3];
    float pose[KN_TOY_POSE];
    float light[3], light_color[3], sky[3], ground[3], softness;
    int32_t room, floor_pattern;
    float floor_color[2][3], wall_color[2][3], room_frequency, room_phase[2], back_z;
    int32_t occluders, neighbours; /* other things in front, and beside */
    float exposure, warmth, noise, blur, vignette, contrast, saturation;
    int32_t jpeg; /* quality, 0: none */
} kn_toy_view;

/* The view `number` of a toy in a mode under a seed: a pure function. */
void kn_toy_view_make(kn_toy_view *out, const kn_toy *t, kn_toy_mode mode, uint64_t seed,
                      uint32_t number);

/* What the camera saw. */
typedef struct kn_toy_truth {
    float box[4];  /* of the visible toy: x, y, width, height in pixels; zeros if nothing shows */
    float visible; /* share of the picture that it covers */
    float hidden;  /* share of the toy in the frame that something else covers */
} kn_toy_truth;

/* Working memory of one thread, for pictures up to `side`. */
typedef struct kn_toy_camera kn_toy_camera;
KEN_CALL ken_status kn_toy_camera_new(kn_toy_camera **out, uint32_t side);
void kn_toy_camera_free(kn_toy_camera *c);

/* A size x size picture: rgb (size, size, 3) bytes.  mask (size, size), 255 on the toy, and truth may be
 * NULL. KEN_E_LIMIT beyond the camera's side. */
KEN_CALL ken_status kn_toy_shoot(kn_toy_camera *c, const kn_toy *t, const kn_toy_view *v,
                                 uint32_t size, uint8_t *rgb, uint8_t *mask, kn_toy_truth *truth);

/* All at once: view `number` of toy `id`, as a trainer wants it.  mask and truth may be NULL.  A pure
 * function of all but the camera: one camera a thread. */
KEN_CALL ken_status kn_toy_picture(kn_toy_camera *c, uint64_t id, kn_toy_mode mode, uint64_t seed,
                                   uint32_t number, uint32_t size, uint8_t *rgb, uint8_t *mask,
                                   kn_toy_truth *truth);

/* How much of the toy in the picture looks different on its twin under the same view: share[0] of what a
 * shows, share[1] of what b shows (0 where it does not show).  Compared in even light without shadows. */
KEN_CALL ken_status kn_toy_differs(kn_toy_camera *c, const kn_toy *a, const kn_toy *b,
                                   const kn_toy_view *v, uint32_t size, float share[2]);

/* Primitives and materials of a toy in a pose, and the camera of a view: what kn_toy_shoot hands to the
 * kernel. */
void kn_toy_scene_make(kn_toy_scene *out, const kn_toy *t, const kn_toy_view *v, uint32_t width,
                       uint32_t height);
void kn_toy_body(kn_toy_scene *s, const kn_toy *t, const float pose[KN_TOY_POSE]);
float kn_toy_head_height(const kn_toy *t); /* of its centre */

/* What can be said of a toy and of its photograph. */
typedef enum kn_tell {
    KN_TELL_SPECIES,
    KN_TELL_COLOR,
    KN_TELL_PATTERN,
    KN_TELL_SECOND, /* the pattern's other colour */
    KN_TELL_EARS,
    KN_TELL_WORN,
    KN_TELL_CLOTHES,
    KN_TELL_EMBLEM,
    KN_TELL_BELLY,
    KN_TELL_LIMBS,
    KN_TELL_FEET,
    KN_TELL_FABRIC,
    KN_TELL_EYES,
    KN_TELL_VIEW,
    KN_TELL_LIGHT,
    KN_TELLS
} kn_tell;
const char *kn_tell_name(kn_tell what);

/* Each as numbers that are equal where it is the same: [0] the kind, [1] its colour (an index of
 * kn_toy_color_name); -1 where the toy has no such thing.  KN_TELL_VIEW and _LIGHT, which are no toy's, are
 * -1. */
void kn_toy_tells(const kn_toy *t, int32_t values[KN_TELLS][2]);

enum { KN_TOY_CAPTION = 640 }; /* room for any caption */

/* A sentence about the toy, in English and Chinese, from the same attributes; `says` names them,
 * comma-separated (kn_tell_name).  v may be NULL: nothing is said of the view.  variant chooses words, order
 * and how much is told; 0 tells all.  wrong: 1 puts exactly one of them wrong, otherwise word for word the
 * same; says marks it with '!'. Each buffer holds KN_TOY_CAPTION bytes. */
void kn_toy_caption(const kn_toy *t, const kn_toy_view *v, uint32_t variant, int wrong, char *en,
                    char *zh, char *says);
const char *kn_toy_color_name(int32_t i, int chinese);
const char *kn_toy_species_name(int32_t i, int chinese);

/* XXH3 of the parameters of ids first .. first + n - 1, for the test that they never change. */
uint64_t kn_toy_identity_hash(uint64_t first, uint64_t n);

#endif
