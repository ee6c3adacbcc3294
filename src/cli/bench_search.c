/* bench_search.c - `ken bench search`: ten neighbours among 10,000 vectors of 512 numbers. */
#include "cli/bench.h"
#include "cli/mem.h"
#include "cli/progress.h"

#include <stdlib.h>

enum { ROWS = 10000, DIM = 512, LATENT = 48, K = 10, MAX_BATCH = 4096 };

typedef struct load {
    ken_index *ix;
    ken_find_options find;
    const float *queries;
    size_t batch;
    ken_hit *hits;
    size_t *found;
} load;

static ken_status search(void *cookie)
{
    load *l = cookie;
    return ken_index_find(l->ix, l->queries, l->batch, K, &l->find, l->hits, l->found);
}

/* Numerical Recipes' generator; the sum of four is nearly normal. */
static float noise(uint32_t *x)
{
    float sum = -2;
    for (int i = 0; i < 4; i++) {
        *x = *x * 1664525u + 1013904223u;
        sum += (float)(*x >> 8) * 0x1p-24f;
    }
    return sum;
}

/* Pairs of near vectors in a space of few dimensions, as pictures of objects are. */
static float *make_rows(size_t n, uint32_t seed)
{
    float *rows = cli_mem_new(n * DIM, sizeof *rows), *map = cli_mem_new(LATENT * DIM, sizeof *map);
    float point[LATENT] = { 0 };
    uint32_t x = seed;
    for (size_t i = 0; i < (size_t)LATENT * DIM; i++)
        map[i] = noise(&x);
    for (size_t i = 0; i < n; i++) {
        for (size_t l = 0; l < LATENT; l++) {
            point[l] = i % 2 ? point[l] : noise(&x);
            const float a = point[l] + .4f * noise(&x);
            for (size_t j = 0; j < DIM; j++)
                rows[i * DIM + j] += a * map[l * DIM + j];
        }
    }
    cli_mem_free(map);
    return rows;
}

static ken_status one_case(load *l, const char *kind, size_t batch, int exact)
{
    cli_case c = CLI_CASE;
    double best = 0, peak = 0;
    l->batch = batch;
    l->find.exact = exact;
    ken_status st = cli_bench_best(search, l, "f32", &best, exact ? &peak : NULL);
    c.bench = "search";
    c.arch = exact ? "exact" : kind;
    c.precision = "f32";
    c.batch = batch;
    c.ms = 1e3 * best;
    c.per_second = (double)batch / best;
    c.flops = exact ? 2.0 * ROWS * DIM * (double)batch : 0; /* codes save the others most of it */
    c.peak = peak;
    if (!st)
        cli_bench_say(&c);
    return st;
}

static ken_status one_kind(load *l, const char *kind, const float *rows)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    o.kind = kind;
    o.threads = cli_bench_threads();
    l->find.threads = o.threads;
    ken_status st = ken_index_build(&l->ix, &o, NULL, rows, ROWS);
    const char *p = cli_opt(OPT_BATCH);
    for (char *end; !st && *p; p = *end ? end + 1 : end) {
        const unsigned long batch = strtoul(p, &end, 10);
        if (kind[0] == 'F')
            st = one_case(l, kind, batch, 1);
        if (!st)
            st = one_case(l, kind, batch, 0);
    }
    ken_index_free(l->ix);
    l->ix = NULL;
    return st;
}

static int check_batches(const char *list)
{
    for (const char *p = list;; p++) {
        char *end;
        const unsigned long n = strtoul(p, &end, 10);
        if (end == p || *p == '-' || n < 1 || n > MAX_BATCH || (*end && *end != ','))
            return cli_misuse("--batch %s: numbers from 1 to %d, with commas between", list, MAX_BATCH);
        if (!*end)
            return 0;
        p = end;
    }
}

int cli_bench_search(const cli_args *a)
{
    load l = { .find = KEN_FIND_OPTIONS_INIT };
    if (a->n != 1)
        return cli_misuse("bench search takes no argument %s", a->operands[1].text);
    const int bad = check_batches(cli_opt(OPT_BATCH));
    if (bad)
        return bad;
    float *rows = make_rows(ROWS + MAX_BATCH, (uint32_t)cli_opt_whole(OPT_SEED) + 1);
    l.queries = rows + (size_t)ROWS * DIM;
    l.hits = cli_mem_new(MAX_BATCH * K, sizeof *l.hits);
    l.found = cli_mem_new(MAX_BATCH, sizeof *l.found);
    ken_status st = one_kind(&l, "Flat", rows);
    if (!st)
        st = one_kind(&l, "HNSW16", rows);
    cli_mem_free(rows);
    cli_mem_free(l.hits);
    cli_mem_free(l.found);
    return st ? cli_complain(st, ABOUT_INPUT, NULL) : 0;
}
