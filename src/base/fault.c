/*
 * fault.c - closing the gate to the file system on purpose.
 *
 * Steps are counted; at step n the wanted fault happens.  A kill is SIGKILL,
 * so that nothing of ours can tidy up.
 */
#include "base/file.h"
#include "base/undo.h"

#include <errno.h>
#include <pthread.h>
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
    kn_undo_forget();
}

long kn_file_steps(void)
{
    return atomic_load(&steps);
}

#ifdef KEN_FAULTS
static void from_environment(void)
{
    static const char *const kinds[] = { "none", "fail", "cut", "kill", "drop" };
    const char *text = getenv("KEN_FAULT"), *colon = text ? strchr(text, ':') : NULL;
    for (size_t i = 0; colon && i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]) == (size_t)(colon - text)
            && !strncmp(kinds[i], text, (size_t)(colon - text)))
            kn_file_fault((kn_fault)i, strtol(colon + 1, NULL, 10));
}
#endif

static void die(int kind)
{
    if (kind == KN_FAULT_DROP)
        kn_undo_all();
    kill(getpid(), SIGKILL);
}

int kn_file_step(const kn_change *c, size_t *n)
{
#ifdef KEN_FAULTS
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, from_environment);
#endif
    const long now = atomic_fetch_add(&steps, 1) + 1;
    const int kind = atomic_load(&wanted);
    if (kind == KN_FAULT_NONE)
        return 0;
    if (now < atomic_load(&target))
        return kind == KN_FAULT_DROP ? kn_undo_note(c, *n) : 0;
    if (kind == KN_FAULT_FAIL)
        return ENOSPC;
    if (kind == KN_FAULT_CUT && *n > 1 && now == atomic_load(&target)) {
        *n /= 2; /* the next step is the kill */
        return 0;
    }
    die(kind);
    return EIO; /* not reached */
}
