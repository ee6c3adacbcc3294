/*
 * bmp.c - Windows and OS/2 bitmaps: 1 to 32 bits a pixel, RLE4, RLE8, bit fields.
 *
 * The format is that of Microsoft's BITMAPINFOHEADER and its successors; where it leaves room, what
 * Pillow makes of a file decides: palette entries that are missing are black, five bits become eight
 * by v * 255 / 31, the fourth byte of 32 bits is alpha only where a mask says so.
 */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "image/decode.h"

#include <string.h>

enum { FILE_HEADER = 14, RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, MAX_COLORS = 65536 };

typedef struct bmp {
    const unsigned char *b;
    size_t len, at; /* of the pixels */
    uint32_t width, height, bits, compression;
    int top_down;
    uint32_t mask[4]; /* red, green, blue, alpha; 0: none */
    uint8_t palette[256][4];
} bmp;

/* ---- header ---- */

static void default_masks(bmp *m)
{
    static const uint32_t five[4] = { 0x7c00, 0x3e0, 0x1f, 0 };
    static const uint32_t eight[4] = { 0xff0000, 0xff00, 0xff, 0 };
    memcpy(m->mask, m->bits == 16 ? five : eight, sizeof m->mask);
}

/* Behind a header of 40 bytes, or inside a longer one. */
static ken_status read_masks(bmp *m, uint32_t header)
{
    const int n = header >= 56 ? 4 : 3;
    if (m->len < FILE_HEADER + 40 + 16)
        return kn_truncated();
    uint32_t any = 0;
    memset(m->mask, 0, sizeof m->mask);
    for (int i = 0; i < n; i++) {
        m->mask[i] = kn_little32(m->b + FILE_HEADER + 40 + 4 * i);
        any |= m->mask[i];
    }
    if (any)
        return KEN_OK;
    default_masks(m);
    m->mask[3] = 0xff000000;
    return KEN_OK;
}

static ken_status read_palette(bmp *m, size_t at, uint32_t colors, uint32_t entry)
{
    const uint32_t n = colors < 256 ? colors : 256;
    if (at > m->len || m->len - at < (size_t)entry * n)
        return kn_truncated();
    memset(m->palette, 0, sizeof m->palette);
    for (uint32_t i = 0; i < 256; i++) {
        const unsigned char *e = m->b + at + (size_t)entry * i;
        for (int k = 0; i < n && k < 3; k++)
            m->palette[i][k] = e[2 - k];
        m->palette[i][3] = 255;
    }
    return KEN_OK;
}

static ken_status check_kind(const bmp *m)
{
    const uint32_t bits = m->bits;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return kn_fail(KEN_E_UNSUPPORTED, "%u bits a pixel", bits);
    if (m->compression > BITFIELDS)
        return kn_fail(KEN_E_UNSUPPORTED, "compression %u", m->compression);
    if ((m->compression == RLE8 && bits != 8) || (m->compression == RLE4 && bits != 4) ||
        (m->compression == BITFIELDS && bits < 16))
        return kn_fail(KEN_E_FORMAT, "compression %u of %u bits a pixel", m->compression, bits);
    return KEN_OK;
}

static ken_status read_header(bmp *m, const kn_source *s)
{
    *m = (bmp){ .b = s->bytes, .len = s->len };
    if (s->len < FILE_HEADER + 12)
        return kn_truncated();
    const unsigned char *h = s->bytes + FILE_HEADER;
    const uint32_t size = kn_little32(h), core = size == 12;
    if (!core && size != 40 && size != 52 && size != 56 && size != 64 && size != 108 && size != 124)
        return kn_fail(KEN_E_UNSUPPORTED, "a header of %u bytes", size);
    if (s->len < FILE_HEADER + (size_t)size)
        return kn_truncated();
    const uint32_t rows = core ? kn_little16(h + 6) : kn_little32(h + 8);
    m->top_down = !core && rows >> 31;
    m->width = core ? kn_little16(h + 4) : kn_little32(h + 4);
    m->height = m->top_down ? 0u - rows : rows;
    m->bits = kn_little16(h + (core ? 10 : 14));
    m->compression = core ? RAW : kn_little32(h + 16);
    uint32_t colors = core ? 0 : kn_little32(h + 32);
    ken_status st = kn_check_size(s, m->width, m->height);
    if (!st)
        st = check_kind(m);
    default_masks(m);
    if (!st && m->compression == BITFIELDS)
        st = read_masks(m, size);
    if (st)
        return st;
    colors = colors || m->bits > 8 ? colors : 1u << m->bits;
    if (m->bits <= 8 && colors > MAX_COLORS)
        return kn_fail(KEN_E_FORMAT, "a palette of %u colours", colors);
    const size_t behind = FILE_HEADER + (size_t)size, entry = core ? 3 : 4;
    const size_t end = behind + (m->bits <= 8 ? entry * colors : 0);
    m->at = kn_little32(s->bytes + 10);
    if (!m->at || (m->at == behind && m->bits <= 8))
        m->at = end;
    if (m->at > m->len)
        return kn_truncated();
    return m->bits <= 8 ? read_palette(m, behind, colors, (uint32_t)entry) : KEN_OK;
}

/* ---- pixels ---- */

static uint8_t masked(uint32_t v, uint32_t mask)
{
    if (!mask)
        return 0;
    const uint32_t low = mask & (0u - mask), top = mask / low;
    return (uint8_t)((uint64_t)((v & mask) / low) * 255 / top);
}

/* A row of `bits` a pixel to RGBA. */
static void expand(const bmp *m, const unsigned char *p, uint32_t bits, uint8_t *rgba)
{
    for (uint32_t x = 0; x < m->width; x++, rgba += 4) {
        if (bits <= 8) {
            const uint32_t per = 8 / bits, shift = 8 - bits - bits * (x % per);
            memcpy(rgba, m->palette[p[x / per] >> shift & ((1u << bits) - 1)], 4);
            continue;
        }
        uint32_t v = 0;
        for (uint32_t i = 0; i < bits / 8; i++)
            v |= (uint32_t)*p++ << 8 * i;
        for (int k = 0; k < 3; k++)
            rgba[k] = masked(v, m->mask[k]);
        rgba[3] = m->mask[3] ? masked(v, m->mask[3]) : 255;
    }
}

typedef struct runs {
    const unsigned char *p, *end;
    uint8_t *index; /* (height, width), from the bottom row up */
    uint32_t x, y;
} runs;

static void put(const bmp *m, runs *r, uint32_t v)
{
    if (r->x < m->width && r->y < m->height)
        r->index[(size_t)r->y * m->width + r->x] = (uint8_t)v;
    r->x++;
}

/* Pixel i of what p packs. */
static uint32_t packed(const bmp *m, const unsigned char *p, uint32_t i)
{
    return m->bits == 8 ? p[i] : p[i / 2] >> (i % 2 ? 0 : 4) & 15;
}

static ken_status copy_literally(const bmp *m, runs *r, uint32_t n)
{
    const size_t bytes = m->bits == 8 ? n : (n + 1) / 2;
    if ((size_t)(r->end - r->p) < bytes)
        return kn_truncated();
    for (uint32_t i = 0; i < n; i++)
        put(m, r, packed(m, r->p, i));
    r->p += bytes;
    r->p += bytes % 2 && r->p < r->end;
    return KEN_OK;
}

static ken_status unpack(const bmp *m, runs *r)
{
    enum { LINE = 0, END = 1, DELTA = 2 };
    while (r->y < m->height) {
        if (r->end - r->p < 2)
            return r->y + 1 == m->height && r->x >= m->width ? KEN_OK : kn_truncated();
        const uint32_t n = r->p[0], v = r->p[1];
        r->p += 2;
        for (uint32_t i = 0; i < n; i++)
            put(m, r, m->bits == 8 ? v : i % 2 ? v & 15 : v >> 4);
        if (n)
            continue;
        if (v == END)
            return KEN_OK;
        if (v == LINE) {
            r->x = 0;
            r->y++;
        } else if (v == DELTA) {
            if (r->end - r->p < 2)
                return kn_truncated();
            r->x += r->p[0];
            r->y += r->p[1];
            r->p += 2;
        } else {
            ken_status st = copy_literally(m, r, v);
            if (st)
                return st;
        }
    }
    return KEN_OK;
}

/* Rows in the order of the file, `stride` apart. */
static ken_status fill(const bmp *m, const unsigned char *p, size_t stride, uint32_t bits,
                       ken_image *img, const kn_source *s)
{
    uint8_t *rgba = kn_alloc(m->width, 4);
    if (!rgba)
        return KEN_E_NOMEM;
    for (uint32_t y = 0; y < m->height; y++) {
        const uint32_t to = m->top_down ? y : m->height - 1 - y;
        expand(m, p + y * stride, bits, rgba);
        kn_flatten(img->pixels + to * img->stride, rgba, m->width, &s->opts);
    }
    kn_free(rgba);
    return KEN_OK;
}

static ken_status fill_unpacked(const bmp *m, ken_image *img, const kn_source *s)
{
    runs r = { .p = m->b + m->at, .end = m->b + m->len };
    r.index = kn_zalloc(m->height, m->width);
    if (!r.index)
        return KEN_E_NOMEM;
    ken_status st = unpack(m, &r);
    if (!st)
        st = fill(m, r.index, m->width, 8, img, s);
    kn_free(r.index);
    return st;
}

ken_status kn_decode_bmp(ken_image **out, const kn_source *s, int *orientation)
{
    bmp m;
    *orientation = 1;
    ken_status st = read_header(&m, s);
    if (st)
        return st;
    const size_t row = ((size_t)m.width * m.bits + 7) / 8, stride = (row + 3) / 4 * 4;
    const int is_packed = m.compression == RLE8 || m.compression == RLE4;
    if (!is_packed && m.len - m.at < stride * (m.height - 1) + row)
        return kn_truncated();
    st = kn_image_new(out, m.width, m.height);
    if (!st && is_packed)
        st = fill_unpacked(&m, *out, s);
    else if (!st)
        st = fill(&m, m.b + m.at, stride, m.bits, *out, s);
    return st;
}

ken_status kn_size_bmp(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    bmp m;
    *orientation = 1;
    ken_status st = read_header(&m, s);
    if (!st) {
        *width = m.width;
        *height = m.height;
    }
    return st;
}
