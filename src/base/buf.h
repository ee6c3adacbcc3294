/* buf.h - bytes that grow, up to a maximum fixed at the start. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "ken.h"

typedef struct kn_buf {
    char *data; /* (len + 1), NUL after the last byte; NULL while empty */
    size_t len, cap, max;
} kn_buf;

/* Empty; nothing is allocated.  max: KEN_E_LIMIT beyond it. */
void kn_buf_init(kn_buf *b, size_t max);
void kn_buf_release(kn_buf *b);
/* On failure b is as it was. */
KEN_CALL ken_status kn_buf_add(kn_buf *b, const void *bytes, size_t n);
KEN_CALL ken_status kn_buf_adds(kn_buf *b, const char *s);
KEN_CALL ken_status kn_buf_addf(kn_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The contents, now the caller's (kn_free); "" is allocated if empty.  NULL: out of memory. */
char *kn_buf_take(kn_buf *b);

#endif
