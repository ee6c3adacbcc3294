/* churn.c - an HNSW index that follows its rows, beside one that is built over the same rows.
 *
 *   churn [N [DIM [KIND]]]        10,000 rows of 160 numbers, HNSW16
 *
 * Ten rounds in which a tenth goes and as many come, merged each time: a line for each width of search,
 * and the time of a round beside that of a build. */
#include "base/progress.h"
#include "base/rand.h"
#include "index/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATENT = 24, ROUNDS = 10, NQ = 500, K = 10 };

/* Classes of two in a space of few dimensions. */
static float *make_rows(size_t n, size_t dim)
{
    float *map = malloc(LATENT * dim * sizeof *map), *rows = malloc(n * dim * sizeof *rows);
    kn_rand_fill_normal(map, LATENT * dim, 1, 1, 1);
    for (size_t i = 0; i < n; i++) {
        kn_rand class = kn_rand_at(2, i / 2), own = kn_rand_at(3, i);
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

static double recall(const kn_index *ix, const float *q, uint32_t ef)
{
    static kn_near a[NQ * K], b[NQ * K];
    static size_t found[NQ];
    const kn_find p = { .k = K, .ef = ef };
    size_t hit = 0;
    if (kn_index_exact(ix, q, NQ, K, 2, b, found) || kn_index_search(ix, q, NQ, &p, NULL, 0, 2, a, found))
        exit(2);
    for (size_t i = 0; i < (size_t)NQ * K; i++)
        hit += a[i].raw >= b[i / K * K + K - 1].raw;
    return (double)hit / (NQ * K);
}

int main(int argc, char **argv)
{
    const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    const size_t dim = argc > 2 ? strtoul(argv[2], NULL, 10) : 160, part = n / ROUNDS;
    const char *kind = argc > 3 ? argv[3] : "HNSW16";
    const kn_build b = { .seed = 1, .threads = 2 };
    float *rows = make_rows(2 * n + NQ, dim), *last = malloc(n * dim * sizeof *last);
    uint64_t *ids = malloc(n * sizeof *ids);
    kn_rand r = kn_rand_at(4, 44);
    kn_index *ix = NULL, *fresh = NULL;
    double start = kn_clock();
    if (kn_index_build(&ix, kind, KN_METRIC_COSINE, NULL, rows, n, (uint32_t)dim, &b))
        return 2;
    const double build = kn_clock() - start;
    for (size_t i = 0; i < n; i++)
        ids[i] = i;
    start = kn_clock();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < part; i++) {
            const size_t at = kn_rand_below(&r, (uint32_t)n);
            const uint64_t new_id = n + round * part + i;
            if (kn_index_remove(ix, &ids[at], 1, NULL) || kn_index_put(ix, &new_id, rows + new_id * dim, 1, 0))
                return 2;
            ids[at] = new_id;
        }
        if (kn_index_compact(ix, &b))
            return 2;
    }
    printf("%s, %zu x %zu: built in %.2f s, a round of a tenth in %.2f s\n", kind, n, dim, build,
           (kn_clock() - start) / ROUNDS);
    for (size_t i = 0; i < n; i++)
        memcpy(last + i * dim, rows + ids[i] * dim, dim * sizeof *last);
    if (kn_index_build(&fresh, kind, KN_METRIC_COSINE, ids, last, n, (uint32_t)dim, &b))
        return 2;
    for (uint32_t ef = 16; ef <= 256; ef *= 2)
        printf("ef %u\trecall %.4f\tbuilt anew %.4f\n", ef, recall(ix, rows + 2 * n * dim, ef),
               recall(fresh, rows + 2 * n * dim, ef));
    kn_index_free(ix);
    kn_index_free(fresh);
    free(ids);
    free(last);
    free(rows);
    return 0;
}
