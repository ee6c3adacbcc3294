/* fuzz_stb.c - our readers of BMP, TGA and PNM beside stb_image's, which others wrote from the same specifications:
 * what both take is the same picture.
 *
 * Of the kinds on which the two agree.  Elsewhere ours does as Pillow does and stb_image otherwise: five and six bits
 * (stb rounds another way), palettes (stb: what is missing is noise), TGA from right to left (stb ignores it), PNM
 * whose largest value isn't 255 (stb doesn't scale), what lies outside a GIF's frame. */
#include "tests/fuzz/fuzz.h"
#include "base/bytes.h"
#include "image/image.h"

#include <stdio.h>

#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 4096
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#include <stb/stb_image.h>

enum { SIDE = 512, LEAST = 64 }; /* LEAST: of bytes, so that headers are whole */

static int plain_bmp(const uint8_t *p)
{
    return kn_little32(p + 14) == 40 && kn_little16(p + 28) == 24 && kn_little32(p + 30) == 0;
}

static int plain_tga(const uint8_t *p)
{
    enum { COLOR = 2, GREY = 3, PACKED = 8, FROM_RIGHT = 0x10 };
    const int kind = p[2] & ~PACKED;
    return !p[1] && !(p[17] & FROM_RIGHT) && ((kind == COLOR && (p[16] == 24 || p[16] == 32)) || (kind == GREY && p[16] == 8));
}

/* "P6 w h 255" with single spaces */
static int plain_pnm(const uint8_t *p)
{
    unsigned w, h, most;
    char head[LEAST];
    memcpy(head, p, sizeof head - 1);
    head[sizeof head - 1] = 0;
    return (p[1] == '5' || p[1] == '6') && sscanf(head + 2, "%u %u %u", &w, &h, &most) == 3 && most == 255;
}

static int plain(const uint8_t *p, size_t size)
{
    const char *kind = kn_image_kind(p, size);
    if (!kind || size < LEAST || size > INT32_MAX)
        return 0;
    return !strcmp(kind, "bmp") ? plain_bmp(p) : !strcmp(kind, "tga") ? plain_tga(p) : !strcmp(kind, "pnm") && plain_pnm(p);
}

static int same(const ken_image *img, const uint8_t *rgb, int w, int h)
{
    if ((uint32_t)w != img->width || (uint32_t)h != img->height)
        return 0;
    for (size_t y = 0; y < img->height; y++)
        if (memcmp(img->pixels + y * img->stride, rgb + y * 3 * img->width, 3 * (size_t)img->width))
            return 0;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    ken_image *img = NULL;
    int w, h, n;
    opts.max_pixels = SIDE * SIDE;
    if (!plain(data, size) || ken_image_decode(&img, data, size, &opts))
        return 0;
    uint8_t *rgb = stbi_load_from_memory(data, (int)size, &w, &h, &n, 3);
    if (rgb && !same(img, rgb, w, h))
        abort();
    stbi_image_free(rgb);
    ken_image_free(img);
    return 0;
}
