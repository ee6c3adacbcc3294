/* hash.h - checksums (xxHash XXH3) and a map from 64-bit keys. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "ken.h"

/* XXH3 of n bytes, 64 bits, seed 0. */
uint64_t kn_hash64(const void *bytes, size_t n);

/* XXH3 of n bytes, 128 bits: the low half, then the high one. */
void kn_hash128(uint64_t out[2], const void *bytes, size_t n);

/* XXH3 of n bytes, 128 bits as 32 hex digits and a NUL, most significant first. */
void kn_hash128_hex(char out[33], const void *bytes, size_t n);

/* The same of a file, read in pieces: never more than 1 MiB in memory. */
KEN_CALL ken_status kn_hash128_file(char out[33], int fd);

/* A streaming XXH3-64 and -128. */
typedef struct kn_hash kn_hash;
KEN_CALL ken_status kn_hash_new(kn_hash **out);
void kn_hash_add(kn_hash *h, const void *bytes, size_t n);
uint64_t kn_hash_get64(const kn_hash *h);
void kn_hash_get128_hex(const kn_hash *h, char out[33]);
void kn_hash_free(kn_hash *h);

#endif
