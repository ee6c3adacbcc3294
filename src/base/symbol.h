/* symbol.h - functions of libraries that are loaded when they are needed. */
#ifndef BASE_SYMBOL_H
#define BASE_SYMBOL_H

/* *fn, a pointer to a function, becomes `name` of the library at `handle` (dlopen's), or NULL; whether it is
 * there. */
int kn_symbol(void *handle, void *fn, const char *name);

#endif
