/* undo.h - what a power cut would take back: the changes that were not synced.  For fault.c. */
#ifndef BASE_UNDO_H
#define BASE_UNDO_H

#include "base/file.h"

/* Remember how to take this change back, or, for the two kinds of sync, forget what it makes
 * durable.  n bytes will be written.  0 or an errno. */
int kn_undo_note(const kn_change *c, size_t n);
/* Take back everything that is remembered, the newest first. */
void kn_undo_all(void);
/* Forget everything. */
void kn_undo_forget(void);

#endif
