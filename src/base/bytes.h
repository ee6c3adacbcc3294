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

#endif
