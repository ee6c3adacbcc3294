/* scratch.c - memory from one search to the next. */
#include "index/index.h"

#include "base/alloc.h"

#include <string.h>

void *kn_scratch_room(kn_scratch *s, size_t bytes)
{
    if (s->bytes >= bytes && s->p)
        return s->p;
    kn_free(s->p);
    *s = (kn_scratch){ kn_alloc_aligned(bytes ? bytes : 1, 1), bytes };
    if (!s->p)
        s->bytes = 0;
    else
        memset(s->p, 0, bytes);
    return s->p;
}
