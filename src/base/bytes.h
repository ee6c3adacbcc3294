/* bytes.h - numbers as files store them: any alignment, either order; and digits. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>

static inline uint32_t kn_little16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t kn_little32(const unsigned char *p)
{
    return kn_little16(p) | kn_little16(p + 2) << 16;
}

static inline uint32_t kn_big16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t kn_big32(const unsigned char *p)
{
    return kn_big16(p) << 16 | kn_big16(p + 2);
}

/* Of a hexadecimal digit; -1 if it is none. */
static inline int kn_hex_digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* 1 if all of s is a decimal number below 2^64, digits alone, which *out then is. */
static inline int kn_decimal(const char *s, uint64_t *out)
{
    uint64_t n = 0;
    const char *at = s;
    for (; *at >= '0' && *at <= '9'; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return 0;
        n = 10 * n + digit;
    }
    if (at == s || *at)
        return 0;
    *out = n;
    return 1;
}

#endif
