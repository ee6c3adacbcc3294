/* vectors.h - files of vectors and of ids, told apart by their names' endings.
 *
 *   vectors  .npy (f32, f16, f64, i8, u8; C order) · .fbin .u8bin .i8bin (u32 n, u32 dim, rows) ·
 *            .fvecs .bvecs (each row its u32 dim in front) · a folder of .npy files, in the order of
 *            their names
 *   ids      .npy (i64, i32, u64, u32) · .ibin · .ivecs
 */
#ifndef CLI_VECTORS_H
#define CLI_VECTORS_H

#include <stddef.h>
#include <stdint.h>

typedef struct cli_vectors {
    float *rows; /* (n, dim) owned */
    size_t n, dim;
} cli_vectors;

typedef struct cli_ids {
    int64_t *ids; /* (n, k) owned; -1: none */
    size_t n, k;
} cli_ids;

/* 0, or the exit status with the reason printed, naming file and place. */
int cli_vectors_read(cli_vectors *v, const char *path);
int cli_ids_read(cli_ids *v, const char *path);
/* A list of ids: one axis, or a second of 1. */
int cli_ids_read_list(cli_ids *v, const char *path);
void cli_vectors_free(cli_vectors *v);
void cli_ids_free(cli_ids *v);

/* As .npy (i64), .ibin or .ivecs (i32), by the ending.  0, or the exit status. */
int cli_ids_write(const char *path, const int64_t *ids, size_t n, size_t k);

#endif
