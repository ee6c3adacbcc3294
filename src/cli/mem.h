/* mem.h - memory of the program itself.  Unlike the library, a command that runs out of it has
 * nothing better to do than say so and end with status 2: none of these returns NULL. */
#ifndef CLI_MEM_H
#define CLI_MEM_H

#include <stddef.h>

void *cli_mem_new(size_t n, size_t size);           /* n*size, checked; zeroed */
void *cli_mem_grow(void *p, size_t n, size_t size); /* as realloc; what is new is not zeroed */
/* Room for one more element in an array of len used and *cap allocated ones. */
void *cli_mem_room(void *p, size_t len, size_t *cap, size_t size);
char *cli_mem_text(const char *s);            /* a copy; NULL stays NULL */
char *cli_mem_textn(const char *s, size_t n); /* of n bytes, terminated */
char *cli_mem_textf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_mem_free(void *p); /* NULL is fine; also what malloc gave to a library */

#endif
