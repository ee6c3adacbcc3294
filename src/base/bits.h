/* bits.h - sets of small numbers, 64 to a word. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stddef.h>
#include <stdint.h>

/* Whether i is in the set. */
static inline int kn_bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

#endif
