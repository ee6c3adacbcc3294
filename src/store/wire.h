/*
 * wire.h - a TCP connection, in the clear or through TLS, that never waits longer than it is told.
 *
 * Deadlines are times of kn_clock().  A peer that is gone is noticed by the system (keep-alive), even
 * while nothing is said.  One thread at a time.
 */
#ifndef STORE_WIRE_H
#define STORE_WIRE_H

#include "ken.h"

typedef struct kn_wire kn_wire;

typedef struct kn_wire_options {
    const char *host, *port; /* a name or an address; a number */
    int tls;
    const char *ca; /* a file, or NULL */
} kn_wire_options;

/* KEN_E_NET names host, port and the reason; KEN_E_CANCELED when interrupted. */
KEN_CALL ken_status kn_wire_open(kn_wire **out, const kn_wire_options *o, double deadline);
void kn_wire_close(kn_wire *w); /* NULL is fine */

/* As many of the n bytes as go out at once, *done of them; 0 is no failure. */
KEN_CALL ken_status kn_wire_write(kn_wire *w, const void *bytes, size_t n, size_t *done);
/* What has come, up to cap; *n = 0 if nothing has.  *end: nothing will come any more. */
KEN_CALL ken_status kn_wire_read(kn_wire *w, void *bytes, size_t cap, size_t *n, int *end);
/* Sleep until something has come, or with `writing` something may go out, or for a moment.  KEN_E_NET behind
 * the deadline, KEN_E_CANCELED when interrupted. */
KEN_CALL ken_status kn_wire_wait(kn_wire *w, int writing, double deadline);

/* Sleep, but wake to an interruption: KEN_E_CANCELED. */
KEN_CALL ken_status kn_wire_sleep(double seconds);

#endif
