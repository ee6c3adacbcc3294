/* digits.h - numbers as texts write them. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stdint.h>

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
