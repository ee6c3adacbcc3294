/*
 * tls.h - TLS over a socket, through OpenSSL, which is loaded when the first such connection is made.
 *
 * The library is handed bytes in memory and never the socket, so that deadlines, interruption and a
 * peer that is gone are met in one place, wire.c.
 */
#ifndef STORE_TLS_H
#define STORE_TLS_H

#include "ken.h"

typedef struct kn_tls kn_tls;

/* For a connection to `name`, whose certificate must be signed by one of those in the file `ca` (NULL: those
 * the system trusts).  KEN_E_UNSUPPORTED where the library is missing; KEN_E_NET for an unusable ca. */
KEN_CALL ken_status kn_tls_new(kn_tls **out, const char *name, const char *ca);
void kn_tls_free(kn_tls *t);

/* Bytes from the socket; and bytes for it, up to cap: how many. */
KEN_CALL ken_status kn_tls_feed(kn_tls *t, const void *bytes, size_t n);
size_t kn_tls_drain(kn_tls *t, void *bytes, size_t cap);

/* One step of the handshake; *done once both sides agree, on HTTP/2 too.  KEN_E_NET says why not. */
KEN_CALL ken_status kn_tls_shake(kn_tls *t, int *done);
/* After it: n bytes to be sent, n > 0; up to cap received ones, *n = 0 if there are none yet, *end when the
 * peer has closed. */
KEN_CALL ken_status kn_tls_write(kn_tls *t, const void *bytes, size_t n);
KEN_CALL ken_status kn_tls_read(kn_tls *t, void *bytes, size_t cap, size_t *n, int *end);

#endif
