/* index_make.h - what tests of indexes share: a folder for a file with its log, and rows like pictures'. */
#ifndef INDEX_MAKE_H
#define INDEX_MAKE_H

#include "base/rand.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static char dir[64], path[128], log_path[160];

static inline void enter(void)
{
    snprintf(dir, sizeof dir, "%s/ken-index-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ix", dir);
    snprintf(log_path, sizeof log_path, "%s.log", path);
}

static inline void leave(void)
{
    unlink(path);
    unlink(log_path);
    rmdir(dir);
}

/* Classes of two in a space of few dimensions, as pictures of objects are. */
static inline float *make_rows(size_t n, size_t dim, uint64_t seed)
{
    enum { LATENT = 24 };
    float *map = malloc(LATENT * dim * sizeof *map), *rows = malloc(n * dim * sizeof *rows);
    kn_rand_fill_normal(map, LATENT * dim, 1, 1, 1);
    for (size_t i = 0; i < n; i++) {
        kn_rand class = kn_rand_at(seed, i / 2), own = kn_rand_at(seed, (1 << 20) + i);
        for (size_t j = 0; j < dim; j++)
            rows[i * dim + j] = 1;
        for (size_t l = 0; l < LATENT; l++) {
            const float a = kn_rand_normal(&class) + .5f * kn_rand_normal(&own);
            for (size_t j = 0; j < dim; j++)
                rows[i * dim + j] += a * map[l * dim + j];
        }
    }
    free(map);
    return rows;
}

#endif
