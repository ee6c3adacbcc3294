/* lock.h - one writer at a time, between processes; and who it is. */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "ken.h"

typedef struct kn_lock {
    int fd; /* -1: not held */
} kn_lock;

/* Hold dir/lock; waits up to `wait` seconds, then KEN_E_BUSY names the holder.  KEN_E_CANCELED
 * when interrupted.  The system releases it when the process ends, however it ends. */
KEN_CALL ken_status kn_lock_take(kn_lock *l, const char *dir, double wait);
void kn_lock_release(kn_lock *l);

#endif
