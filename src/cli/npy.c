/* npy.c - the number of rows is known only at the end, so the header has a fixed length, as NumPy
 * itself pads it to leave room for growth. */
#include "cli/npy.h"

#include "cli/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 128, MAGIC = 10 };

static int write_header(FILE *f, const size_t *shape, int axes)
{
    char h[HEADER];
    int n = MAGIC;
    memset(h, ' ', sizeof h);
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    h[8] = (char)(HEADER - MAGIC);
    h[9] = 0;
    n += snprintf(h + n, sizeof h - (size_t)n,
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < axes; i++)
        n += snprintf(h + n, sizeof h - (size_t)n, i ? " %zu," : "%zu,", shape[i]);
    if (axes > 1)
        n--; /* (3, 224, 224), but (512,) */
    n += snprintf(h + n, sizeof h - (size_t)n, "), }");
    h[n] = ' ';
    h[HEADER - 1] = '\n';
    return fwrite(h, 1, sizeof h, f) == sizeof h ? 0 : -1;
}

static FILE *create_beside(const char *path, char **temporary)
{
    *temporary = cli_mem_textf("%s.XXXXXX", path);
    int fd = mkstemp(*temporary);
    if (fd >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        fchmod(fd, 0666 & ~mask);
        FILE *f = fdopen(fd, "wb");
        if (f)
            return f;
        close(fd);
    }
    int err = errno;
    cli_mem_free(*temporary);
    *temporary = NULL;
    errno = err;
    return NULL;
}

int cli_npy_open(cli_npy *w, const char *path, size_t dim)
{
    const size_t shape[2] = { 0, dim };
    *w = (cli_npy){ .path = cli_mem_text(path), .dim = dim };
    w->f = create_beside(path, &w->temporary);
    if (w->f && write_header(w->f, shape, 2) == 0)
        return 0;
    cli_npy_cancel(w);
    return -1;
}

int cli_npy_rows(cli_npy *w, const float *rows, size_t n)
{
    if (fwrite(rows, w->dim * sizeof *rows, n, w->f) != n) {
        cli_npy_cancel(w);
        return -1;
    }
    w->rows += n;
    return 0;
}

static void release(cli_npy *w)
{
    cli_mem_free(w->path);
    cli_mem_free(w->temporary);
    *w = (cli_npy){ 0 };
}

int cli_npy_close(cli_npy *w)
{
    const size_t shape[2] = { w->rows, w->dim };
    rewind(w->f);
    int bad = write_header(w->f, shape, 2);
    bad |= fclose(w->f);
    w->f = NULL;
    if (bad || rename(w->temporary, w->path)) {
        cli_npy_cancel(w);
        return -1;
    }
    release(w);
    return 0;
}

void cli_npy_cancel(cli_npy *w)
{
    int err = errno;
    if (w->f)
        fclose(w->f);
    if (w->temporary)
        unlink(w->temporary);
    release(w);
    errno = err;
}

int cli_npy_write(const char *path, const float *values, const size_t *shape, int axes)
{
    cli_npy w = { .path = cli_mem_text(path) };
    size_t n = 1;
    for (int i = 0; i < axes; i++)
        n *= shape[i];
    w.f = create_beside(path, &w.temporary);
    int bad = !w.f || write_header(w.f, shape, axes) || fwrite(values, sizeof *values, n, w.f) != n;
    if (w.f)
        bad |= fclose(w.f);
    w.f = NULL;
    if (bad || rename(w.temporary, w.path)) {
        cli_npy_cancel(&w);
        return -1;
    }
    release(&w);
    return 0;
}
