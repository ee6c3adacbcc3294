/* png.c - the checksums of a PNG file, which stb_image does not look at. */
#include "base/error.h"
#include "base/inflate.h"
#include "image/decode.h"

#include <string.h>

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

ken_status kn_png_check(const unsigned char *b, size_t len)
{
    for (size_t at = 8; at < len;) {
        if (len - at < 12)
            return kn_fail(KEN_E_FORMAT, "the file is truncated");
        const size_t n = big32(b + at);
        const unsigned char *name = b + at + 4;
        if (n > len - at - 12)
            return kn_fail(KEN_E_FORMAT, "the file is truncated in chunk %.4s", (const char *)name);
        const int critical =
            !(name[0] & 32) && memcmp(name, "IDAT", 4); /* Pillow trusts the pixels' */
        if (critical && kn_crc32(name, n + 4) != big32(name + 4 + n))
            return kn_fail(KEN_E_FORMAT, "the checksum of chunk %.4s is wrong", (const char *)name);
        if (!memcmp(name, "IEND", 4))
            break;
        at += 12 + n;
    }
    return KEN_OK;
}
