/* base64.h - bytes as text: RFC 4648, strict: padded, nothing between. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* NUL-terminated, kn_free it; NULL: out of memory. */
char *kn_base64(const void *bytes, size_t n);
/* *n bytes, kn_free them.  NULL: out of memory, or with *bad not base64. */
unsigned char *kn_unbase64(const char *text, size_t *n, int *bad);

#endif
