/*
 * tga.c - Truevision TGA: palettes, grey and colours, plain or run-length coded.
 *
 * (Truevision TGA File Format Specification, version 2.0.)  Five bits become eight by
 * v * 255 / 31, as in Pillow.  A file that ends before its pixels is an error.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "image/decode.h"

#include <string.h>

enum { HEADER = 18, PALETTE = 1, GREY = 3, PACKED = 8, FROM_RIGHT = 0x10, FROM_TOP = 0x20 };

typedef struct tga {
    const unsigned char *p, *end;  /* behind the palette */
    uint32_t width, height, bytes; /* a pixel */
    int kind, flags;
    uint8_t (*palette)[4];
    uint32_t first, colors; /* of the palette */
} tga;

/* A colour of 2, 3 or 4 bytes. */
static void color(uint8_t rgba[4], const unsigned char *p, uint32_t bytes)
{
    if (bytes == 2) {
        const uint32_t v = kn_little16(p);
        for (int k = 0; k < 3; k++)
            rgba[k] = (uint8_t)((v >> (10 - 5 * k) & 31) * 255 / 31);
    } else {
        for (int k = 0; k < 3; k++)
            rgba[k] = p[2 - k];
    }
    rgba[3] = bytes == 4 ? p[3] : 255;
}

static void pixel(const tga *t, uint8_t rgba[4], const unsigned char *p)
{
    static const uint8_t black[4] = { 0, 0, 0, 255 };
    if ((t->kind & 7) == GREY) {
        memset(rgba, p[0], 3);
        rgba[3] = t->bytes == 2 ? p[1] : 255;
    } else if ((t->kind & 7) == PALETTE) {
        const uint32_t i = t->bytes == 2 ? kn_little16(p) : p[0];
        memcpy(rgba, i - t->first < t->colors ? t->palette[i - t->first] : black, 4);
    } else {
        color(rgba, p, t->bytes);
    }
}

/* The caller frees t->palette, whatever happens. */
static ken_status read_header(tga *t, const kn_source *s)
{
    const unsigned char *h = s->bytes;
    *t = (tga){ .kind = h[2],
                .flags = h[17],
                .first = kn_little16(h + 3),
                .width = kn_little16(h + 12),
                .height = kn_little16(h + 14),
                .bytes = (h[16] + 7u) / 8 };
    const int kind = t->kind & 7;
    if ((kind != 2 && t->bytes > 2) || (kind == 2 && t->bytes < 2))
        return kn_fail(KEN_E_FORMAT, "%u bits a pixel", h[16]);
    t->colors = h[1] ? kn_little16(h + 5) : 0;
    const uint32_t entry = (h[7] + 7u) / 8;
    const size_t map = HEADER + (size_t)h[0];
    if (t->colors && (entry < 2 || entry > 4))
        return kn_fail(KEN_E_FORMAT, "a palette of %u bits a colour", h[7]);
    if (s->len < map + (size_t)entry * t->colors)
        return kn_truncated();
    t->p = h + map + (size_t)entry * t->colors;
    t->end = h + s->len;
    if (kind == PALETTE && t->colors) {
        t->palette = kn_alloc(t->colors, sizeof *t->palette);
        if (!t->palette)
            return KEN_E_NOMEM;
        for (uint32_t i = 0; i < t->colors; i++)
            color(t->palette[i], h + map + (size_t)entry * i, entry);
    }
    return kn_check_size(s, t->width, t->height);
}

/* n pixels in the order of the file.  Runs may go on in the next row: *left and *same carry over. */
static ken_status row(tga *t, uint8_t *rgba, uint32_t *left, int *same)
{
    for (uint32_t x = 0; x < t->width; x++, rgba += 4) {
        if (t->kind & PACKED && !*left) {
            if (t->p == t->end)
                return kn_truncated();
            *left = (*t->p & 127u) + 1;
            *same = *t->p++ >> 7;
        }
        if ((size_t)(t->end - t->p) < t->bytes)
            return kn_truncated();
        pixel(t, rgba, t->p);
        if (t->kind & PACKED)
            --*left;
        if (!(t->kind & PACKED) || !*same || !*left)
            t->p += t->bytes;
    }
    return KEN_OK;
}

static ken_status fill(tga *t, ken_image *img, const kn_source *s)
{
    uint32_t left = 0;
    int same = 0;
    ken_status st = KEN_OK;
    uint8_t *rgba = kn_alloc(t->width, 4);
    if (!rgba)
        return KEN_E_NOMEM;
    for (uint32_t y = 0; !st && y < t->height; y++) {
        const uint32_t to = t->flags & FROM_TOP ? y : t->height - 1 - y;
        st = row(t, rgba, &left, &same);
        if (!st)
            kn_flatten(img->pixels + to * img->stride, rgba, t->width, &s->opts);
    }
    kn_free(rgba);
    return st;
}

ken_status kn_decode_tga(ken_image **out, const kn_source *s, int *orientation)
{
    enum { MIRRORED = 2 };
    tga t;
    *orientation = 1;
    ken_status st = read_header(&t, s);
    if (!st)
        st = kn_image_new(out, t.width, t.height);
    if (!st)
        st = fill(&t, *out, s);
    if (!st && t.flags & FROM_RIGHT)
        st = kn_image_orient(out, MIRRORED);
    kn_free(t.palette);
    return st;
}

ken_status kn_size_tga(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    tga t;
    *orientation = 1;
    ken_status st = read_header(&t, s);
    kn_free(t.palette);
    if (!st) {
        *width = t.width;
        *height = t.height;
    }
    return st;
}
