/*
 * pnm.c - the Netpbm formats P1 .. P6, plain and raw, 8 and 16 bits.
 *
 * Values are scaled to 0..255 by round(255 v / maxval), as Pillow does.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "image/decode.h"

typedef struct reader {
    const unsigned char *p, *end;
    int kind; /* 1 .. 6 */
    uint32_t width, height, top;
} reader;

static int is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(reader *r)
{
    while (r->p < r->end && (is_space(*r->p) || *r->p == '#'))
        if (*r->p++ == '#')
            while (r->p < r->end && *r->p != '\n' && *r->p != '\r')
                r->p++;
}

static ken_status number(reader *r, uint32_t *out)
{
    skip_space(r);
    uint32_t v = 0;
    const unsigned char *from = r->p;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        if (v > 100000000)
            return kn_fail(KEN_E_FORMAT, "a number is too large");
        v = v * 10 + (uint32_t)(*r->p - '0');
    }
    if (r->p == from)
        return kn_fail(KEN_E_FORMAT, r->p == r->end ? "the file is truncated" : "not a number");
    *out = v;
    return KEN_OK;
}

static ken_status header(reader *r, const kn_source *s)
{
    *r = (reader){ s->bytes + 2, s->bytes + s->len, s->bytes[1] - '0', 0, 0, 1 };
    ken_status st = number(r, &r->width);
    if (!st)
        st = number(r, &r->height);
    if (!st && r->kind % 3 != 1)
        st = number(r, &r->top);
    if (!st && (!r->top || r->top > 65535))
        st = kn_fail(KEN_E_FORMAT, "a maximum of %u: 1 .. 65535", r->top);
    if (!st && r->kind > 3) { /* one white space, then bytes */
        if (r->p == r->end || !is_space(*r->p))
            return kn_fail(KEN_E_FORMAT, "no white space behind the header");
        r->p++;
    }
    return st ? st : kn_check_size(s, r->width, r->height);
}

static ken_status plain_bit(reader *r, uint32_t *v)
{
    skip_space(r);
    if (r->p == r->end || (*r->p != '0' && *r->p != '1'))
        return kn_fail(KEN_E_FORMAT, r->p == r->end ? "the file is truncated" : "not a bit");
    *v = *r->p++ == '0'; /* 1 is black */
    return KEN_OK;
}

/* Sample i of n in the current row. */
static ken_status sample(reader *r, uint32_t i, uint32_t *v)
{
    ken_status st = KEN_OK;
    if (r->kind == 1)
        return plain_bit(r, v);
    if (r->kind < 4)
        st = number(r, v);
    else if (r->kind == 4)
        *v = !(r->p[i / 8] >> (7 - i % 8) & 1);
    else if (r->top < 256)
        *v = r->p[i];
    else
        *v = (uint32_t)r->p[2 * (size_t)i] << 8 | r->p[2 * (size_t)i + 1];
    if (!st && *v > r->top)
        *v = r->top;
    return st;
}

static ken_status row(reader *r, uint8_t *out)
{
    const uint32_t colours = r->kind % 3 == 0 ? 3 : 1, n = r->width * colours;
    const size_t bytes = r->kind < 4    ? 0
                         : r->kind == 4 ? (r->width + 7) / 8
                                        : (size_t)n * (r->top < 256 ? 1 : 2);
    if ((size_t)(r->end - r->p) < bytes)
        return kn_truncated();
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = 0;
        ken_status st = sample(r, i, &v);
        if (st)
            return st;
        const uint8_t b = (uint8_t)((v * 510 + r->top) / (2 * r->top));
        if (colours == 3)
            out[i] = b;
        else
            out[3 * (size_t)i] = out[3 * (size_t)i + 1] = out[3 * (size_t)i + 2] = b;
    }
    r->p += bytes;
    return KEN_OK;
}

ken_status kn_decode_pnm(ken_image **out, const kn_source *s, int *orientation)
{
    reader r;
    ken_image *img = NULL;
    *orientation = 1;
    ken_status st = header(&r, s);
    if (!st)
        st = kn_image_new(&img, r.width, r.height);
    for (uint32_t y = 0; !st && y < r.height; y++)
        st = row(&r, img->pixels + y * img->stride);
    if (st)
        ken_image_free(img);
    else
        *out = img;
    return st;
}

ken_status kn_size_pnm(uint32_t *width, uint32_t *height, const kn_source *s, int *orientation)
{
    reader r;
    *orientation = 1;
    ken_status st = header(&r, s);
    if (!st) {
        *width = r.width;
        *height = r.height;
    }
    return st;
}
