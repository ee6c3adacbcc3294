/* spill.c - see spill.h. */
#include "engine/spill.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void kn_spill_init(kn_spill *r, size_t dim, size_t bytes)
{
    const size_t limit = bytes / (dim * sizeof(float));
    *r = (kn_spill){ .dim = dim, .limit = limit ? limit : 1, .fd = -1 };
}

void kn_spill_release(kn_spill *r)
{
    kn_free(r->memory);
    if (r->fd >= 0)
        close(r->fd);
    *r = (kn_spill){ .fd = -1 };
}

static ken_status open_file(kn_spill *r)
{
    const char *dir = getenv("TMPDIR");
    char *path = kn_path_join(dir && *dir ? dir : "/tmp", "ken-vectors-XXXXXX");
    if (!path)
        return KEN_E_NOMEM;
    r->fd = mkostemp(path, O_CLOEXEC);
    ken_status st = r->fd < 0 ? kn_fail(KEN_E_IO, "no temporary file %s", path) : kn_unlink(path);
    kn_free(path);
    return st;
}

static ken_status keep(kn_spill *r, const float *rows, size_t n)
{
    if (r->n + n > r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 256;
        while (cap < r->n + n)
            cap *= 2;
        cap = cap < r->limit ? cap : r->limit;
        float *memory = kn_grow(r->memory, cap, r->dim * sizeof *memory);
        if (!memory)
            return KEN_E_NOMEM;
        r->memory = memory;
        r->cap = cap;
    }
    memcpy(r->memory + r->n * r->dim, rows, n * r->dim * sizeof *rows);
    return KEN_OK;
}

ken_status kn_spill_add(kn_spill *r, const float *rows, size_t n)
{
    const size_t room = r->n < r->limit ? r->limit - r->n : 0, here = n < room ? n : room;
    ken_status st = here ? keep(r, rows, here) : KEN_OK;
    if (!st && here < n && r->fd < 0)
        st = open_file(r);
    if (!st && here < n)
        st = kn_pwrite(r->fd, rows + here * r->dim, (n - here) * r->dim * sizeof *rows,
                       (uint64_t)(r->n + here - r->limit) * r->dim * sizeof *rows);
    if (!st)
        r->n += n;
    return st;
}

ken_status kn_spill_get(const kn_spill *r, size_t first, size_t n, float *room, const float **out)
{
    const size_t here = first >= r->limit ? 0 : first + n <= r->limit ? n : r->limit - first;
    if (here == n) {
        *out = r->memory + first * r->dim;
        return KEN_OK;
    }
    if (here)
        memcpy(room, r->memory + first * r->dim, here * r->dim * sizeof *room);
    *out = room;
    return kn_pread(r->fd, room + here * r->dim, (n - here) * r->dim * sizeof *room,
                    (uint64_t)(first + here - r->limit) * r->dim * sizeof *room);
}
