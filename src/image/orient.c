/*
 * orient.c - turning pictures upright.
 *
 * EXIF's eight orientations (CIPA DC-008, 4.6.4.A): 2 to 4 mirror one axis or both, 5 to 8 change
 * the axes over as well.
 */
#include "base/alloc.h"
#include "image/decode.h"

#include <string.h>

/* Pixels of a block that is turned at once, so that its rows and columns stay in the cache. */
enum { BLOCK = 32 };

int kn_orient_mirrors(int orientation, int vertical)
{
    static const unsigned char across[9] = { 0, 0, 1, 1, 0, 0, 1, 1, 0 };
    static const unsigned char down[9] = { 0, 0, 0, 1, 1, 0, 0, 1, 1 };
    return vertical ? down[orientation] : across[orientation];
}

typedef struct turning {
    const uint8_t *from;    /* the stored pixel that becomes the upright picture's first */
    ptrdiff_t right, below; /* bytes from it to its neighbours' */
    uint8_t *to;
    size_t stride;
} turning;

static void turn_block(const turning *t, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
    for (uint32_t v = y; v < y + h; v++) {
        const uint8_t *from = t->from + (ptrdiff_t)v * t->below + (ptrdiff_t)x * t->right;
        uint8_t *to = t->to + v * t->stride + 3 * (size_t)x;
        for (uint32_t u = 0; u < w; u++, to += 3, from += t->right)
            memcpy(to, from, 3);
    }
}

void kn_orient(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
               uint32_t width, uint32_t height, int orientation)
{
    const int swapped = orientation >= 5;
    const uint32_t w = swapped ? height : width, h = swapped ? width : height;
    const ptrdiff_t row = (ptrdiff_t)from_stride;
    turning t = { .from = from,
                  .right = swapped ? row : 3,
                  .below = swapped ? 3 : row,
                  .to = to,
                  .stride = to_stride };
    if (kn_orient_mirrors(orientation, 0)) {
        t.from += (ptrdiff_t)(w - 1) * t.right;
        t.right = -t.right;
    }
    if (kn_orient_mirrors(orientation, 1)) {
        t.from += (ptrdiff_t)(h - 1) * t.below;
        t.below = -t.below;
    }
    for (uint32_t y = 0; y < h; y += BLOCK)
        for (uint32_t x = 0; x < w; x += BLOCK)
            turn_block(&t, x, y, w - x < BLOCK ? w - x : BLOCK, h - y < BLOCK ? h - y : BLOCK);
}

ken_status kn_image_orient(ken_image **img, int orientation)
{
    const ken_image *from = *img;
    ken_image *to;
    if (orientation < 2 || orientation > 8)
        return KEN_OK;
    const int swapped = orientation >= 5;
    ken_status st = kn_image_new(&to, swapped ? from->height : from->width,
                                 swapped ? from->width : from->height);
    if (st)
        return st;
    kn_orient(to->pixels, to->stride, from->pixels, from->stride, from->width, from->height,
              orientation);
    ken_image_free(*img);
    *img = to;
    return KEN_OK;
}
