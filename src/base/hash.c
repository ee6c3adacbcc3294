/* hash.c - xxHash behind our own names. */
#include "base/hash.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PIECE = 1 << 20 };

struct kn_hash {
    XXH3_state_t state;
};

uint64_t kn_hash64(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

void kn_hash128(uint64_t out[2], const void *bytes, size_t n)
{
    const XXH128_hash_t h = XXH3_128bits(bytes, n);
    out[0] = h.low64;
    out[1] = h.high64;
}

static void to_hex(char out[33], XXH128_hash_t h)
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void kn_hash128_hex(char out[33], const void *bytes, size_t n)
{
    to_hex(out, XXH3_128bits(bytes, n));
}

ken_status kn_hash_new(kn_hash **out)
{
    kn_hash *h = kn_alloc_aligned(1, sizeof *h);
    if (!h)
        return KEN_E_NOMEM;
    XXH3_128bits_reset(&h->state); /* the 64-bit digest works on the same state */
    *out = h;
    return KEN_OK;
}

void kn_hash_add(kn_hash *h, const void *bytes, size_t n)
{
    XXH3_128bits_update(&h->state, bytes, n);
}

uint64_t kn_hash_get64(const kn_hash *h)
{
    return XXH3_64bits_digest(&h->state);
}

void kn_hash_get128_hex(const kn_hash *h, char out[33])
{
    to_hex(out, XXH3_128bits_digest(&h->state));
}

void kn_hash_free(kn_hash *h)
{
    kn_free(h);
}

ken_status kn_hash128_file(char out[33], int fd)
{
    kn_hash *h = NULL;
    unsigned char *piece = kn_alloc(PIECE, 1);
    ken_status st = piece ? kn_hash_new(&h) : KEN_E_NOMEM;
    while (!st) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = kn_fail_errno(errno);
        if (n <= 0)
            break;
        kn_hash_add(h, piece, (size_t)n);
    }
    if (!st)
        kn_hash_get128_hex(h, out);
    kn_hash_free(h);
    kn_free(piece);
    return st;
}
