/* bench_search.c - `ken bench search`: ten neighbours among 10,000 vectors of 512 numbers. */
#include "cli/bench.h"
#include "cli/mem.h"

enum { ROWS = 10000, DIM = 512, LATENT = 48, K = 10, MAX_BATCH = 4096 };

typedef struct load {
    ken_index *ix;
    const char *kind;
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

static ken_status one_case(load *l, size_t batch, int exact)
{
    cli_case c = CLI_CASE;
    double best = 0, peak = 0;
    l->batch = batch;
    l->find.exact = exact;
    ken_status st = cli_bench_best(search, l, "f32", &best, exact ? &peak : NULL);
    c.bench = "search";
    c.arch = exact ? "exact" : l->kind;
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

/* Exact answers are measured beside Flat. */
static ken_status one_batch(size_t batch, void *cookie)
{
    load *l = cookie;
    const ken_status st = l->kind[0] == 'F' ? one_case(l, batch, 1) : KEN_OK;
    return st ? st : one_case(l, batch, 0);
}

static int one_kind(ken_status *st, load *l, const char *kind, const float *rows)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    o.kind = kind;
    o.threads = cli_bench_threads();
    l->find.threads = o.threads;
    *st = ken_index_build(&l->ix, &o, NULL, rows, ROWS);
    l->kind = kind;
    const int bad = *st ? 0 : cli_bench_batches(st, cli_opt(OPT_BATCH), MAX_BATCH, one_batch, l);
    ken_index_free(l->ix);
    l->ix = NULL;
    return bad;
}

int cli_bench_search(const cli_args *a)
{
    load l = { .find = KEN_FIND_OPTIONS_INIT };
    if (a->n != 1)
        return cli_misuse("bench search takes no argument %s", a->operands[1].text);
    float *rows = make_rows(ROWS + MAX_BATCH, (uint32_t)cli_opt_whole(OPT_SEED) + 1);
    l.queries = rows + (size_t)ROWS * DIM;
    l.hits = cli_mem_new(MAX_BATCH * K, sizeof *l.hits);
    l.found = cli_mem_new(MAX_BATCH, sizeof *l.found);
    ken_status st;
    int bad = one_kind(&st, &l, "Flat", rows);
    if (!st && !bad)
        bad = one_kind(&st, &l, "HNSW16", rows);
    cli_mem_free(rows);
    cli_mem_free(l.hits);
    cli_mem_free(l.found);
    return st ? cli_complain(st, ABOUT_INPUT, NULL) : bad;
}
