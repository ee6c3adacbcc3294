/*
 * readers.h - letting readers go on while what they read is replaced.
 *
 * Epochs (Fraser, "Practical lock-freedom", 2004): a reader notes the epoch while it reads; what a writer has
 * replaced is freed when everyone who might have met it has left.  Readers never wait, unless there are more
 * than KN_READERS at once; the writer never waits: what cannot be freed yet is kept for the next time.
 */
#ifndef INDEX_READERS_H
#define INDEX_READERS_H

#include "ken.h"

enum { KN_READERS = 128 };

typedef struct kn_readers kn_readers;

kn_readers *kn_readers_new(void);       /* NULL: out of memory */
void kn_readers_free(kn_readers *r);    /* when all have left; frees what is kept */

/* What is read is loaded after this, atomically in one order with the writer's stores. */
size_t kn_readers_enter(kn_readers *r);
void kn_readers_leave(kn_readers *r, size_t place);

/* For one writer at a time.  Room for n more calls of kn_readers_retire, which then cannot fail. */
KEN_CALL ken_status kn_readers_reserve(kn_readers *r, size_t n);
/* p, which no reader can meet any more who enters from now on, is freed as soon as may be; NULL is fine. */
void kn_readers_retire(kn_readers *r, void (*free_it)(void *p), void *p);

#endif
