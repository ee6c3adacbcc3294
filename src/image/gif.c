/*
 * gif.c - the first picture of a GIF file.
 *
 * (CompuServe, Graphics Interchange Format 89a.)  As in Pillow, the canvas begins as the transparent
 * colour where there is one, else as colour 0; it grows where the first picture leaves it; colours
 * that the palette lacks are black; without a palette the numbers are grey.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "image/decode.h"

#include <string.h>

enum { HEADER = 13, MAX_BITS = 12, CODES = 1 << MAX_BITS };

typedef struct gif {
    const unsigned char *p, *end;
    uint32_t width, height;      /* of the canvas */
    uint32_t x, y, w, h;         /* of the picture on it */
    int interlaced, transparent; /* -1: none */
    uint8_t palette[256][4];
    uint8_t *canvas; /* (height, width) numbers of colours */
} gif;

static ken_status need(const gif *g, size_t n)
{
    return (size_t)(g->end - g->p) < n ? kn_truncated() : KEN_OK;
}

/* ---- what stands before the pixels ---- */

static ken_status palette(gif *g, uint32_t flags)
{
    const uint32_t n = 2u << (flags & 7);
    ken_status st = need(g, 3 * (size_t)n);
    if (st)
        return st;
    memset(g->palette, 0, sizeof g->palette);
    for (uint32_t i = 0; i < 256; i++) {
        if (i < n)
            memcpy(g->palette[i], g->p + 3 * (size_t)i, 3);
        g->palette[i][3] = 255;
    }
    g->p += 3 * (size_t)n;
    uint32_t ramp = 0;
    while (ramp < n && !memcmp(g->palette[ramp], g->palette[ramp] + 1, 2) &&
           g->palette[ramp][0] == ramp)
        ramp++;
    for (uint32_t i = n; ramp == n && i < 256; i++) /* grey: Pillow then does without the palette */
        memset(g->palette[i], (int)i, 3);
    return KEN_OK;
}

static ken_status skip_blocks(gif *g)
{
    for (;;) {
        ken_status st = need(g, 1);
        const size_t n = st ? 0 : *g->p;
        if (!st)
            st = need(g, n + 1);
        if (st)
            return st;
        g->p += n + 1;
        if (!n)
            return KEN_OK;
    }
}

static ken_status extension(gif *g)
{
    enum { CONTROL = 0xf9 };
    ken_status st = need(g, 2);
    if (st)
        return st;
    if (*g->p++ == CONTROL && *g->p >= 4) {
        st = need(g, 5);
        if (!st && g->p[1] & 1)
            g->transparent = g->p[4];
    }
    return st ? st : skip_blocks(g);
}

static ken_status descriptor(gif *g)
{
    ken_status st = need(g, 9);
    if (st)
        return st;
    const unsigned char *d = g->p;
    g->x = kn_little16(d);
    g->y = kn_little16(d + 2);
    g->w = kn_little16(d + 4);
    g->h = kn_little16(d + 6);
    g->interlaced = d[8] & 64;
    g->width = g->x + g->w > g->width ? g->x + g->w : g->width;
    g->height = g->y + g->h > g->height ? g->y + g->h : g->height;
    g->p += 9;
    return d[8] & 128 ? palette(g, d[8]) : KEN_OK;
}

/* Up to the compressed pixels of the first picture. */
static ken_status read_header(gif *g, const kn_source *s)
{
    *g = (gif){ .p = s->bytes, .end = s->bytes + s->len, .transparent = -1 };
    ken_status st = need(g, HEADER);
    if (st)
        return st;
    g->width = kn_little16(g->p + 6);
    g->height = kn_little16(g->p + 8);
    const uint32_t flags = g->p[10];
    g->p += HEADER;
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < 4; k++)
            g->palette[i][k] = (uint8_t)(k < 3 ? i : 255);
    if (flags & 128)
        st = palette(g, flags);
    while (!st) {
        st = need(g, 1);
        if (st)
            break;
        const int kind = *g->p++;
        if (kind == ',') {
            st = descriptor(g);
            return st ? st : kn_check_size(s, g->width, g->height);
        }
        if (kind == ';')
            st = kn_fail(KEN_E_FORMAT, "there is no picture in it");
        else if (kind == '!')
            st = extension(g);
    }
    return st;
}

/* ---- LZW ---- */

typedef struct lzw {
    gif *g;
    size_t block; /* bytes left in it */
    uint32_t bits, n_bits;
    uint8_t *pixels;        /* (count) in the order of the file */
    size_t count, out;      /* `out` of them are written */
    uint16_t prefix[CODES]; /* of a code: the one before its last number */
    uint8_t last[CODES], first[CODES];
    uint16_t length[CODES];
} lzw;

/* The next code of `size` bits; KEN_E_FORMAT at the end of the file. */
static ken_status next_code(lzw *z, uint32_t size, uint32_t *code)
{
    while (z->n_bits < size) {
        while (!z->block) {
            ken_status st = need(z->g, 1);
            if (st)
                return st;
            z->block = *z->g->p++;
            if (!z->block)
                return kn_fail(KEN_E_FORMAT, "the pixels end too early");
        }
        ken_status st = need(z->g, 1);
        if (st)
            return st;
        z->bits |= (uint32_t)*z->g->p++ << z->n_bits;
        z->n_bits += 8;
        z->block--;
    }
    *code = z->bits & ((1u << size) - 1);
    z->bits >>= size;
    z->n_bits -= size;
    return KEN_OK;
}

/* Row `i` of those that come, as it lies in the picture: every eighth, then those between. */
static uint32_t interlaced_row(uint32_t i, uint32_t h)
{
    static const uint32_t start[4] = { 0, 4, 2, 1 }, step[4] = { 8, 8, 4, 2 };
    for (int k = 0; k < 4; k++) {
        const uint32_t n = h > start[k] ? (h - start[k] + step[k] - 1) / step[k] : 0;
        if (i < n)
            return start[k] + i * step[k];
        i -= n;
    }
    return h - 1;
}

/* A code's numbers, from its end to its beginning. */
static void write_code(lzw *z, uint32_t code)
{
    const size_t n = z->length[code];
    for (size_t i = n; i-- > 0; code = z->prefix[code])
        if (z->out + i < z->count)
            z->pixels[z->out + i] = z->last[code];
    z->out += n;
}

static void reset(lzw *z, uint32_t clear)
{
    for (uint32_t i = 0; i < clear; i++) {
        z->prefix[i] = 0;
        z->last[i] = z->first[i] = (uint8_t)i;
        z->length[i] = 1;
    }
}

/* Entry `at`: what `before` stands for, and one number more. */
static void add(lzw *z, uint32_t at, uint32_t before, uint8_t number)
{
    z->prefix[at] = (uint16_t)before;
    z->last[at] = number;
    z->first[at] = z->first[before];
    z->length[at] = (uint16_t)(z->length[before] + 1);
}

/* A code that is not one of the two commands: its entry is made if it is the next one, and written. */
static ken_status take_code(lzw *z, uint32_t code, uint32_t before, uint32_t *next)
{
    if (before < CODES && *next < CODES && code <= *next) {
        add(z, *next, before, z->first[code == *next ? before : code]);
        ++*next;
    }
    if (code >= *next || !z->length[code])
        return kn_fail(KEN_E_FORMAT, "a code that stands for nothing");
    write_code(z, code);
    return KEN_OK;
}

static ken_status unpack(lzw *z)
{
    ken_status st = need(z->g, 1);
    const uint32_t least = st ? 1 : *z->g->p++;
    if (!st && (least < 1 || least > 8))
        st = kn_fail(KEN_E_FORMAT, "codes of %u bits", least);
    if (st)
        return st;
    const uint32_t clear = 1u << least;
    uint32_t size = least + 1, next = clear + 2, before = CODES, code = 0;
    reset(z, clear);
    while (!st && z->out < z->count) {
        st = next_code(z, size, &code);
        if (st || code == clear + 1)
            break;
        if (code == clear) {
            size = least + 1;
            next = clear + 2;
            before = CODES;
            continue;
        }
        st = take_code(z, code, before, &next);
        before = code;
        size += next == 1u << size && size < MAX_BITS;
    }
    return st;
}

/* ---- */

static void place(gif *g, const uint8_t *pixels)
{
    for (uint32_t i = 0; i < g->h; i++) {
        const uint32_t y = g->interlaced ? interlaced_row(i, g->h) : i;
        memcpy(g->canvas + (size_t)(g->y + y) * g->width + g->x, pixels + (size_t)i * g->w, g->w);
    }
}

static void color(const gif *g, uint8_t *rgba, ken_image *img, const kn_source *s)
{
    const uint8_t *number = g->canvas;
    for (uint32_t y = 0; y < g->height; y++) {
        for (uint32_t x = 0; x < g->width; x++)
            memcpy(rgba + 4 * (size_t)x, g->palette[*number++], 4);
        kn_flatten(img->pixels + y * img->stride, rgba, g->width, &s->opts);
    }
}

static ken_status fill(gif *g, ken_image *img, const kn_source *s)
{
    ken_status st = KEN_E_NOMEM;
    const int ground = g->transparent < 0 ? 0 : g->transparent;
    const size_t n = (size_t)g->w * g->h;
    lzw *z = kn_zalloc(1, sizeof *z);
    uint8_t *rgba = kn_alloc(g->width, 4), *pixels = kn_alloc(n ? n : 1, 1);
    g->canvas = kn_alloc(g->height, g->width);
    if (!z || !rgba || !pixels || !g->canvas)
        goto done;
    memset(g->canvas, ground, (size_t)g->height * g->width);
    memset(pixels, ground, n);
    *z = (lzw){ .g = g, .pixels = pixels, .count = n };
    st = unpack(z);
    if (st)
        goto done;
    if (g->transparent >= 0)
        g->palette[g->transparent][3] = 0;
    place(g, pixels);
    color(g, rgba, img, s);
done:
    kn_free(z);
    kn_free(rgba);
    kn_free(pixels);
    kn_free(g->canvas);
    return st;
}

ken_status kn_decode_gif(ken_image **out, const kn_source *s, int *orientation)
{
    gif g;
    *orientation = 1;
    ken_status st = read_header(&g, s);
    if (!st)
        st = kn_image_new(out, g.width, g.height);
    if (!st)
        st = fill(&g, *out, s);
    return st;
}

ken_status kn_size_gif(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    gif g;
    *orientation = 1;
    ken_status st = read_header(&g, s);
    if (!st) {
        *width = g.width;
        *height = g.height;
    }
    return st;
}
