/* inflate.h - DEFLATE (RFC 1951) and gzip (RFC 1952), for vocabularies and zip entries. */
#ifndef BASE_INFLATE_H
#define BASE_INFLATE_H

#include "ken.h"

/* Raw DEFLATE.  *out is yours (kn_free), with a NUL behind its last byte; NULL on failure.
 * KEN_E_LIMIT beyond max bytes of output, KEN_E_FORMAT for broken input; bytes behind the end of the
 * stream are ignored. */
KEN_CALL ken_status kn_inflate(unsigned char **out, size_t *len, const void *in, size_t n,
                               size_t max);

/* One gzip member, its length and CRC-32 verified. */
KEN_CALL ken_status kn_gunzip(unsigned char **out, size_t *len, const void *in, size_t n,
                              size_t max);

/* CRC-32 (ISO 3309, reflected 0xedb88320), as in gzip, zip and PNG. */
uint32_t kn_crc32(const void *bytes, size_t n);

#endif
