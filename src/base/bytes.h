/* bytes.h - numbers as files store them: any alignment, either order. */
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

#endif
