/* symbol.c - dlsym(), as ISO C lets it be used. */
#include "base/symbol.h"

#include <dlfcn.h>
#include <string.h>

int kn_symbol(void *handle, void *fn, const char *name)
{
    void *at = dlsym(handle, name);
    memcpy(fn, &at, sizeof at); /* ISO C has no cast from an object's to a function's address */
    return at != NULL;
}
