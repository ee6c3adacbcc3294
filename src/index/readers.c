/* readers.c - see readers.h.  All atomics are in one total order: a reader's place is taken before it loads
 * what it reads, and the writer's new pointer is stored before it looks at the places. */
#include "index/readers.h"

#include "base/alloc.h"

#include <sched.h>
#include <stdatomic.h>

typedef struct waiting {
    void (*free_it)(void *p);
    void *p;
    uint64_t epoch; /* whoever noted this one or an earlier one may still read it */
} waiting;

struct kn_readers {
    _Atomic uint64_t epoch;
    _Atomic uint64_t at[KN_READERS]; /* of the reader in this place; 0: nobody */
    waiting *list;
    size_t n, cap;
};

kn_readers *kn_readers_new(void)
{
    kn_readers *r = kn_zalloc(1, sizeof *r);
    if (r)
        atomic_store(&r->epoch, 1);
    return r;
}

void kn_readers_free(kn_readers *r)
{
    for (size_t i = 0; r && i < r->n; i++)
        r->list[i].free_it(r->list[i].p);
    if (r)
        kn_free(r->list);
    kn_free(r);
}

size_t kn_readers_enter(kn_readers *r)
{
    static _Thread_local char own; /* its address spreads threads over the places */
    size_t i = ((uintptr_t)&own >> 12) % KN_READERS;
    for (size_t tries = 1;; tries++, i = (i + 1) % KN_READERS) {
        uint64_t nobody = 0;
        if (atomic_compare_exchange_strong(&r->at[i], &nobody, atomic_load(&r->epoch)))
            return i;
        if (tries % KN_READERS == 0)
            sched_yield();
    }
}

void kn_readers_leave(kn_readers *r, size_t place)
{
    atomic_store(&r->at[place], 0);
}

ken_status kn_readers_reserve(kn_readers *r, size_t n)
{
    if (r->n + n <= r->cap)
        return KEN_OK;
    waiting *list = kn_grow(r->list, 2 * (r->n + n), sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    r->list = list;
    r->cap = 2 * (r->n + n);
    return KEN_OK;
}

static void sweep(kn_readers *r)
{
    uint64_t oldest = UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < KN_READERS; i++) {
        const uint64_t at = atomic_load(&r->at[i]);
        oldest = at && at < oldest ? at : oldest;
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->list[i].epoch < oldest)
            r->list[i].free_it(r->list[i].p);
        else
            r->list[kept++] = r->list[i];
    r->n = kept;
}

void kn_readers_retire(kn_readers *r, void (*free_it)(void *p), void *p)
{
    if (!p)
        return;
    r->list[r->n++] = (waiting){ free_it, p, atomic_fetch_add(&r->epoch, 1) };
    sweep(r);
}
