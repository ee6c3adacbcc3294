/* mem.c - allocate or end. */
#include "cli/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
    if (!p) {
        fputs("ken: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

void *cli_mem_new(size_t n, size_t size)
{
    return need(calloc(n ? n : 1, size ? size : 1));
}

void *cli_mem_grow(void *p, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return need(NULL);
    return need(realloc(p, n && size ? n * size : 1));
}

void *cli_mem_room(void *p, size_t len, size_t *cap, size_t size)
{
    if (len < *cap)
        return p;
    *cap = *cap ? *cap * 2 : 16;
    return cli_mem_grow(p, *cap, size);
}

char *cli_mem_textn(const char *s, size_t n)
{
    char *copy = cli_mem_new(n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

char *cli_mem_text(const char *s)
{
    return s ? cli_mem_textn(s, strlen(s)) : NULL;
}

char *cli_mem_textf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return need(n < 0 ? NULL : s);
}

void cli_mem_free(void *p)
{
    free(p);
}
