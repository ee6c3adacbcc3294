/*
 * stb.c - PNG (and JPEG where libjpeg is not built in) through stb_image.
 *
 * Its memory comes through our gate, with a ceiling that follows the picture's size: a small file
 * cannot unfold into all of memory.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "image/decode.h"

#include <stdint.h>
#include <string.h>

static _Thread_local size_t ceiling; /* of one allocation */

static void *room(size_t n)
{
    return n <= ceiling ? kn_malloc(n) : NULL;
}

static void *more_room(void *p, size_t n)
{
    return n <= ceiling ? kn_realloc(p, n) : NULL;
}

#define STBI_MALLOC(n) room(n)
#define STBI_REALLOC(p, n) more_room(p, n)
#define STBI_FREE(p) kn_free(p)
#define STBI_MAX_DIMENSIONS KN_IMAGE_MAX_SIDE
#define STBI_NO_STDIO
#define STBI_NO_PSD
#define STBI_NO_PIC
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_PNM
#define STBI_NO_BMP
#define STBI_NO_GIF
#define STBI_NO_TGA
#ifdef KEN_JPEG
#define STBI_NO_JPEG
#endif
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
/* not restored behind it: what is declared and left out is noticed at the end of this file */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#include <stb/stb_image.h>

enum { SLACK = 16 << 20 };

static ken_status reason(void)
{
    const char *why = stbi_failure_reason();
    return kn_fail(KEN_E_FORMAT, "%s", why ? why : "broken");
}

ken_status kn_size_stb(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    int w, h, n;
    if (s->len > INT32_MAX)
        return kn_fail(KEN_E_LIMIT, "a file of %zu bytes", s->len);
    ceiling = SLACK;
    if (!stbi_info_from_memory(s->bytes, (int)s->len, &w, &h, &n))
        return reason();
    *width = (uint32_t)w;
    *height = (uint32_t)h;
    *orientation =
        kn_image_kind(s->bytes, s->len)[0] == 'p' ? kn_png_orientation(s->bytes, s->len) : 1;
    return kn_check_size(s, *width, *height);
}

/* Grey of 16 bits: Pillow's mode I;16, which convert("RGB") cuts at 255 rather than scales.  So do we,
 * or the vectors would not be the publisher's. */
static int is_grey16(const kn_source *s)
{
    return s->len > 25 && s->bytes[0] == 0x89 && s->bytes[24] == 16 && s->bytes[25] == 0;
}

static ken_status decode_grey16(ken_image **out, const kn_source *s)
{
    int w, h, n;
    uint16_t *grey = stbi_load_16_from_memory(s->bytes, (int)s->len, &w, &h, &n, 1);
    if (!grey)
        return reason();
    kn_log(KEN_LOG_WARN, "grey of 16 bits is cut at 255, as Pillow's convert(\"RGB\") does");
    ken_status st = kn_image_new(out, (uint32_t)w, (uint32_t)h);
    for (size_t i = 0; !st && i < (size_t)w * (size_t)h; i++)
        memset((*out)->pixels + 3 * i, grey[i] > 255 ? 255 : grey[i], 3);
    kn_free(grey);
    return st;
}

static ken_status decode(ken_image **out, const kn_source *s)
{
    int w, h, n;
    if (is_grey16(s))
        return decode_grey16(out, s);
    const int want = s->opts.has_background ? 4 : 3;
    uint8_t *pixels = stbi_load_from_memory(s->bytes, (int)s->len, &w, &h, &n, want);
    if (!pixels)
        return reason();
    ken_status st;
    if (want == 4)
        st = kn_image_from_rgba(out, pixels, (uint32_t)w, (uint32_t)h, &s->opts);
    else
        st = ken_image_from_rgb(out, pixels, (uint32_t)w, (uint32_t)h, 3 * (size_t)w);
    kn_free(pixels);
    return st;
}

ken_status kn_decode_stb(ken_image **out, const kn_source *s, int *orientation)
{
    uint32_t width, height;
    unsigned char *filled = NULL;
    kn_source from = *s;
    ken_status st = kn_size_stb(&width, &height, s, orientation);
    if (!st && s->bytes[0] == 0x89) {
        st = kn_png_check(s->bytes, s->len);
        if (!st)
            st = kn_png_fill_palette(&filled, &from.len, s->bytes, s->len);
    }
    if (st)
        return st;
    if (filled)
        from.bytes = filled;
    /* 16 bits, four channels, filters */
    ceiling = (size_t)width * height * 8 + (size_t)height * 16 + SLACK;
    st = decode(out, &from);
    kn_free(filled);
    return st;
}
