/* png.c - what stb_image leaves undone: the checksums of a PNG file, and palettes that are too short. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/inflate.h"
#include "image/decode.h"

#include <string.h>

ken_status kn_png_check(const unsigned char *b, size_t len)
{
    for (size_t at = 8; at < len;) {
        if (len - at < 12)
            return kn_truncated();
        const size_t n = kn_big32(b + at);
        const unsigned char *name = b + at + 4;
        if (n > len - at - 12)
            return kn_fail(KEN_E_FORMAT, "the file is truncated in chunk %.4s", (const char *)name);
        const int critical =
            !(name[0] & 32) && memcmp(name, "IDAT", 4); /* Pillow trusts the pixels' */
        if (critical && kn_crc32(name, n + 4) != kn_big32(name + 4 + n))
            return kn_fail(KEN_E_FORMAT, "the checksum of chunk %.4s is wrong", (const char *)name);
        if (!memcmp(name, "IEND", 4))
            break;
        at += 12 + n;
    }
    return KEN_OK;
}

/* The first PLTE chunk, NULL if there is none that fits. */
static const unsigned char *palette_of(const unsigned char *b, size_t len)
{
    for (size_t at = 8; at < len && len - at >= 12; at += 12 + kn_big32(b + at)) {
        if (kn_big32(b + at) > len - at - 12)
            return NULL;
        if (!memcmp(b + at + 4, "PLTE", 4))
            return b + at;
    }
    return NULL;
}

ken_status kn_png_fill_palette(unsigned char **out, size_t *out_len, const unsigned char *b,
                               size_t len)
{
    enum { INDEXED = 3, DEPTH_AT = 24, TYPE_AT = 25, FULL = 768 };
    *out = NULL;
    const unsigned char *chunk = len > TYPE_AT && b[TYPE_AT] == INDEXED ? palette_of(b, len) : NULL;
    const size_t n = chunk ? kn_big32(chunk) : FULL, add = n < FULL ? FULL - n : 0;
    if (!add || n % 3 || n >= (size_t)3 << b[DEPTH_AT])
        return KEN_OK;
    unsigned char *copy = kn_alloc(len + add, 1);
    if (!copy)
        return KEN_E_NOMEM;
    const size_t head = (size_t)(chunk - b) + 8 + n;
    memcpy(copy, b, head);
    memset(copy + head, 0, add);
    memcpy(copy + head + add, b + head, len - head);
    copy[chunk - b + 2] = FULL >> 8;
    copy[chunk - b + 3] = FULL & 255;
    *out = copy;
    *out_len = len + add;
    return KEN_OK;
}
