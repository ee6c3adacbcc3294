/* npy.h - NumPy's array files: float32, C order, format 1.0 of numpy/lib/format.py. */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include <stddef.h>
#include <stdio.h>

/* A file written row by row beside its place, and moved there once complete. */
typedef struct cli_npy {
    FILE *f;
    char *path, *temporary;
    size_t rows, dim;
} cli_npy;

/* All return 0, or -1 with errno set and no file left behind. */
int cli_npy_open(cli_npy *w, const char *path, size_t dim);
int cli_npy_rows(cli_npy *w, const float *rows, size_t n); /* (n, dim) */
int cli_npy_close(cli_npy *w);                             /* commits; shape (rows, dim) */
void cli_npy_cancel(cli_npy *w);                           /* no file; nothing if it was closed */

/* One array of up to four axes. */
int cli_npy_write(const char *path, const float *values, const size_t *shape, int axes);

#endif
