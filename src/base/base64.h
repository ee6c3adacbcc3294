/* base64.h - bytes as text: RFC 4648, strict: padded, nothing between. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* NUL-terminated, kn_free it; NULL: out of memory. */
char *kn_base64(const void *bytes, size_t n);
/* *n bytes, kn_free them; text ends with NUL.  NULL: *bad is 1, it is not base64; or 0, out of memory.  *bad
 * is always set, *n is not to be read after NULL. */
unsigned char *kn_unbase64(const char *text, size_t *n, int *bad);

#endif
