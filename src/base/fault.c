/*
 * fault.c - closing the gate to the file system on purpose.
 *
 * Steps are counted; at step n the wanted fault happens.  A kill is SIGKILL,
 * so that nothing of ours can tidy up.
 */
#include "base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long steps;
static atomic_long target;
static atomic_int wanted = KN_FAULT_NONE;

void kn_file_fault(kn_fault kind, long n)
{
    atomic_store(&wanted, kind);
    atomic_store(&target, n);
    atomic_store(&steps, 0);
}

long kn_file_steps(void)
{
    return atomic_load(&steps);
}

int kn_file_step(int fd, const char *path, uint64_t offset, size_t *n)
{
    long now = atomic_fetch_add(&steps, 1) + 1;
    int kind = atomic_load(&wanted);
    (void)fd;
    (void)path;
    (void)offset;
    if (kind == KN_FAULT_NONE || now < atomic_load(&target))
        return 0;
    if (kind == KN_FAULT_FAIL)
        return ENOSPC;
    if (kind == KN_FAULT_CUT && *n > 1 && now == atomic_load(&target)) {
        *n /= 2; /* the next step is the kill */
        return 0;
    }
    kill(getpid(), SIGKILL);
    return EIO; /* not reached */
}
