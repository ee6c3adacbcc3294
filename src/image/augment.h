/*
 * augment.h - a picture as it might have been taken: crop, turn, light, damage.
 *
 * Written as text, "crop:.3-1,flip,color:.4/.4/.2@.8": operations separated by commas, each
 * NAME[:VALUE[/VALUE…]][@CHANCE].  A value is a number, or LOW-HIGH where a range is meant.
 * Those left out have the defaults shown; CHANCE is how often the operation is done, 1 unless
 * shown otherwise.  A preset's name stands for its operations; a later operation of the same name
 * replaces the earlier.
 *
 *   part:.3             CHANCE; the upper or lower part only, .45-.65 of the shorter side
 *   crop:.08-1/.75-1.33 share of the area / proportions, as torchvision's RandomResizedCrop
 *   flip:.5             CHANCE; left and right
 *   rotate:10           degrees, either way; what comes into view repeats the border
 *   affine:10/.1/.8-1.2/10  degrees / shift as a share of the side / size / shear in degrees
 *   occlude:.3/.1-.4    CHANCE / share covered by an object: ellipses or boxes of a colour, or
 *                       another picture
 *   light:.3            exposure, colour temperature, and light from one side: 0 none, 1 strong
 *   gamma:.3            exponent 2^-x … 2^x
 *   color:.4/.4/.4/0    brightness / contrast / saturation / hue in random order, as torchvision's
 *                       ColorJitter
 *   gray:.2             CHANCE
 *   blur:.1/.1-2        CHANCE / sigma in pixels of a picture of 224
 *   noise:.03           largest standard deviation, of 1; evenly from 0 up to it
 *   jpeg:30-95          quality; chance .5
 *   cutout:.5/.02-.33   CHANCE / share of the area, one colour, as torchvision's RandomErasing
 *
 * They are done in this order.  Everything drawn depends on (seed, epoch, sample, operation) alone.
 * Without crop and part the largest centred square is taken.
 */
#ifndef IMAGE_AUGMENT_H
#define IMAGE_AUGMENT_H

#include "image/image.h"

typedef enum kn_augment_op {
    KN_AUG_PART,
    KN_AUG_CROP,
    KN_AUG_FLIP,
    KN_AUG_ROTATE,
    KN_AUG_AFFINE,
    KN_AUG_OCCLUDE,
    KN_AUG_LIGHT,
    KN_AUG_GAMMA,
    KN_AUG_COLOR,
    KN_AUG_GRAY,
    KN_AUG_BLUR,
    KN_AUG_NOISE,
    KN_AUG_JPEG,
    KN_AUG_CUTOUT,
    KN_AUG_OPS
} kn_augment_op;

typedef struct kn_augment {
    struct {
        float chance;  /* 0: not at all */
        float v[4][2]; /* values in the order above without CHANCE, lowest and highest; of single
                         * numbers both are the same */
    } op[KN_AUG_OPS];
} kn_augment;

/* "" and "none" are no operations.  KEN_E_INVALID says which part is wrong and what there is. */
KEN_CALL ken_status kn_augment_parse(kn_augment *out, const char *text);
/* What a preset stands for ("omniglot", "grocery", "toys", "none"); NULL: there is none of this
 * name. */
const char *kn_augment_preset(const char *name);

typedef struct kn_augment_key {
    uint64_t seed, epoch, sample;
} kn_augment_key;

/* img to (size, size, 3) RGB at `out`.  `other` (NULL: none) is what an occluder may show, for
 * part of them.  Any number may run at the same time.  KEN_E_INVALID: size 0. */
KEN_CALL ken_status kn_augment_run(const kn_augment *a, const ken_image *img,
                                   const ken_image *other, uint32_t size, kn_augment_key key,
                                   uint8_t *out);

/* The part of a picture that is taken: x, y, width, height. */
typedef struct kn_box {
    uint32_t x, y, w, h;
} kn_box;
kn_box kn_augment_box(const kn_augment *a, uint32_t width, uint32_t height, kn_augment_key key);

#endif
