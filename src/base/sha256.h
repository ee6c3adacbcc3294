/* sha256.h - SHA-256 (FIPS 180-4), in one piece or as the bytes come. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { KN_SHA256_BYTES = 32 };

typedef struct kn_sha256_state {
    uint32_t h[8];
    uint64_t len;     /* bytes so far */
    uint8_t rest[64]; /* len % 64 of them wait for their block to be full */
} kn_sha256_state;

void kn_sha256_start(kn_sha256_state *s);
void kn_sha256_add(kn_sha256_state *s, const void *bytes, size_t n);
/* The digest of what was added; s is as before and may go on. */
void kn_sha256_end(const kn_sha256_state *s, uint8_t out[KN_SHA256_BYTES]);

/* Of n bytes. */
void kn_sha256(uint8_t out[KN_SHA256_BYTES], const void *bytes, size_t n);

#endif
