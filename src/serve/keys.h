/* keys.h - who may do what: API keys, kept as digests. */
#ifndef SERVE_KEYS_H
#define SERVE_KEYS_H

#include "ken.h"

typedef enum kn_scope {
    KN_OPEN,
    KN_READ,
    KN_WRITE,
    KN_ADMIN
} kn_scope; /* each may what those before may */

typedef struct kn_keys kn_keys;

/* key: of an administrator, or NULL; file: lines "name:read|write|admin:SHA-256 in hex", or NULL.
 * Without either every scope is open.  KEN_E_FORMAT names the line. */
KEN_CALL ken_status kn_keys_new(kn_keys **out, const char *key, const char *file);
/* Take over what `from` holds, while others ask; frees it. */
void kn_keys_replace(kn_keys *k, kn_keys *from);
/* The scope of a key, KN_OPEN for an unknown one; takes the same time for every key of its length. */
kn_scope kn_keys_scope(kn_keys *k, const char *key);
int kn_keys_on(kn_keys *k);
void kn_keys_free(kn_keys *k);

#endif
