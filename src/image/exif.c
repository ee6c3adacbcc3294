/*
 * exif.c - which way is up.
 *
 * EXIF is a TIFF block: byte order, 42, offset of a directory of 12-byte entries; orientation is tag
 * 0x0112, one SHORT.  (CIPA DC-008, 4.6)  Anything that does not fit means "as it is".
 */
#include "base/bytes.h"
#include "image/decode.h"

#include <string.h>

enum { ORIENTATION = 0x0112, SHORT = 3, LONG = 4 };

static uint32_t u16_of(const unsigned char *p, int big)
{
    return big ? kn_big16(p) : kn_little16(p);
}

static uint32_t u32_of(const unsigned char *p, int big)
{
    return big ? kn_big32(p) : kn_little32(p);
}

int kn_exif_orientation(const unsigned char *t, size_t len)
{
    if (len < 8 || (memcmp(t, "II*\0", 4) && memcmp(t, "MM\0*", 4)))
        return 1;
    const int big = t[0] == 'M';
    const size_t at = u32_of(t + 4, big);
    if (at > len - 2)
        return 1;
    const size_t n = u16_of(t + at, big);
    for (size_t i = 0; i < n && at + 2 + 12 * (i + 1) <= len; i++) {
        const unsigned char *e = t + at + 2 + 12 * i;
        if (u16_of(e, big) != ORIENTATION)
            continue;
        const uint32_t type = u16_of(e + 2, big),
                       v = type == LONG ? u32_of(e + 8, big) : u16_of(e + 8, big);
        return (type == SHORT || type == LONG) && v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

int kn_png_orientation(const unsigned char *b, size_t len)
{
    size_t at = 8;
    while (len - at >= 12 && at < len) {
        const size_t n = u32_of(b + at, 1);
        if (n > len - at - 12 || !memcmp(b + at + 4, "IEND", 4))
            break;
        if (!memcmp(b + at + 4, "eXIf", 4))
            return kn_exif_orientation(b + at + 8, n);
        at += 12 + n;
    }
    return 1;
}

int kn_webp_orientation(const unsigned char *b, size_t len)
{
    size_t at = 12;
    while (at < len && len - at >= 8) {
        const size_t n = u32_of(b + at + 4, 0);
        if (n > len - at - 8)
            break;
        if (!memcmp(b + at, "EXIF", 4)) {
            const int prefixed = n > 6 && !memcmp(b + at + 8, "Exif\0\0", 6);
            return kn_exif_orientation(b + at + 8 + (prefixed ? 6 : 0), n - (prefixed ? 6 : 0));
        }
        at += 8 + n + n % 2;
    }
    return 1;
}
