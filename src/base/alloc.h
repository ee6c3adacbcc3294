/* alloc.h - the only way to get memory.  All return NULL on failure, and set
 * the last error, so that callers write `if (!p) return KEN_E_NOMEM`. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

void *kn_alloc(size_t n, size_t size);         /* n*size, checked; uninitialised */
void *kn_zalloc(size_t n, size_t size);        /* the same, zeroed */
void *kn_grow(void *p, size_t n, size_t size); /* p stays valid on failure */
char *kn_strdup(const char *s);                /* a copy; s may not be NULL */
char *kn_strndup(const char *s, size_t n);     /* at most n bytes of s, terminated */
void kn_free(void *p);                         /* NULL is fine; also what kn_alloc_aligned gave */

/* For buffers of numbers: at a multiple of 64, asked to be in huge pages when
 * 2 MiB or more.  Cannot be grown. */
void *kn_alloc_aligned(size_t n, size_t size);

/* Make room for one more element in an array of len used and *cap allocated
 * ones, doubling it.  Returns the array, perhaps moved, or NULL (p is valid). */
void *kn_room(void *p, size_t len, size_t *cap, size_t size);

/* Plain-C forms for libraries that take an allocator (cJSON, stb, SQLite). */
void *kn_malloc(size_t bytes);
void *kn_realloc(void *p, size_t bytes);

/* Tests only: let n more allocations succeed, then fail every one; n < 0
 * lifts the limit.  kn_alloc_denied() counts those failed since. */
void kn_alloc_fail_after(long n);
long kn_alloc_denied(void);

#endif
