/* alloc.c - the gate to memory, and the counter that lets tests close it. */
#include "base/alloc.h"

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, HUGE_PAGE = 2 << 20 };

static atomic_long budget = -1; /* < 0: no limit */
static atomic_long refused;

void kn_alloc_fail_after(long n)
{
    atomic_store(&refused, 0);
    atomic_store(&budget, n);
}

long kn_alloc_denied(void)
{
    return atomic_load(&refused);
}

static int denied(void)
{
    long b = atomic_load(&budget);
    while (b > 0 && !atomic_compare_exchange_weak(&budget, &b, b - 1))
        continue;
    if (b == 0)
        atomic_fetch_add(&refused, 1);
    return b == 0;
}

static void *out_of_memory(size_t n, size_t size)
{
    kn_fail(KEN_E_NOMEM, "out of memory (%zu x %zu bytes)", n, size);
    return NULL;
}

void *kn_grow(void *p, size_t n, size_t size)
{
    void *q = NULL;
    if (size && n <= PTRDIFF_MAX / size && !denied())
        q = realloc(p, n ? n * size : 1); /* n == 0 is not an error */
    return q ? q : out_of_memory(n, size);
}

void *kn_alloc(size_t n, size_t size)
{
    return kn_grow(NULL, n, size);
}

void *kn_zalloc(size_t n, size_t size)
{
    void *p = NULL;
    if (size && n <= PTRDIFF_MAX / size && !denied())
        p = calloc(n ? n : 1, size);
    return p ? p : out_of_memory(n, size);
}

void *kn_alloc_aligned(size_t n, size_t size)
{
    void *p = NULL;
    if (!size || n > (PTRDIFF_MAX - HUGE_PAGE) / size || denied())
        return out_of_memory(n, size);
    size_t bytes = n * size;
    int huge = bytes >= HUGE_PAGE;
    bytes = (bytes + ALIGN) / ALIGN * ALIGN; /* never 0 */
    if (posix_memalign(&p, huge ? HUGE_PAGE : ALIGN, bytes))
        return out_of_memory(n, size);
    if (huge)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* a wish: slower without, not wrong */
    return p;
}

char *kn_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = kn_alloc(len + 1, 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = 0;
    }
    return copy;
}

char *kn_strdup(const char *s)
{
    return kn_strndup(s, strlen(s));
}

void *kn_room(void *p, size_t len, size_t *cap, size_t size)
{
    if (len < *cap)
        return p;
    size_t more = *cap ? *cap * 2 : 16;
    void *q = kn_grow(p, more, size);
    if (q)
        *cap = more;
    return q;
}

void *kn_malloc(size_t bytes)
{
    return kn_alloc(bytes, 1);
}

void *kn_realloc(void *p, size_t bytes)
{
    return kn_grow(p, bytes, 1);
}

void kn_free(void *p)
{
    free(p);
}
