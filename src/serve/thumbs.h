/* thumbs.h - small pictures of items, made once: the most recently used stay in memory. */
#ifndef SERVE_THUMBS_H
#define SERVE_THUMBS_H

#include "ken.h"

typedef struct kn_thumbs kn_thumbs;

/* At most so many bytes are kept. */
KEN_CALL ken_status kn_thumbs_new(kn_thumbs **out, size_t max_bytes);
/* A copy of what is kept under this key, 0 if there is none; kn_free it. */
int kn_thumbs_get(kn_thumbs *t, const char *key, unsigned char **bytes, size_t *n);
/* Keep a copy; silently not, if there is no room. */
void kn_thumbs_put(kn_thumbs *t, const char *key, const unsigned char *bytes, size_t n);
void kn_thumbs_free(kn_thumbs *t);

#endif
