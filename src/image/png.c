/*
 * png.c - the checksums of a PNG file, which stb_image does not look at.
 *
 * CRC-32 as in ISO 3309, reflected polynomial 0xedb88320; the table is made at the first use.
 */
#include "base/error.h"
#include "image/decode.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc(const unsigned char *p, size_t n)
{
    uint32_t c = ~0u;
    while (n--)
        c = table[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

ken_status kn_png_check(const unsigned char *b, size_t len)
{
    pthread_once(&once, make_table);
    for (size_t at = 8; at < len;) {
        if (len - at < 12)
            return kn_fail(KEN_E_FORMAT, "the file is truncated");
        const size_t n = big32(b + at);
        const unsigned char *name = b + at + 4;
        if (n > len - at - 12)
            return kn_fail(KEN_E_FORMAT, "the file is truncated in chunk %.4s", (const char *)name);
        const int critical = !(name[0] & 32);
        if (critical && crc(name, n + 4) != big32(name + 4 + n))
            return kn_fail(KEN_E_FORMAT, "the checksum of chunk %.4s is wrong", (const char *)name);
        if (!memcmp(name, "IEND", 4))
            break;
        at += 12 + n;
    }
    return KEN_OK;
}
