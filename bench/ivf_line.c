/*
 * ivf_line.c - an IVF index for peers_ivf.py: built once, then searched as lines on stdin ask.
 *
 *   ivf_line BASE.fbin QUERY.fbin KIND METRIC THREADS
 *
 * Says {"train_add_s":…}; for each line "k nprobe rerank batch out" it searches, one query a call or all
 * at once, writes the ids (i64, -1 where there are fewer) to out and says {"seconds":…}.
 */
#include "base/alloc.h"
#include "base/progress.h"
#include "index/ivf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *read_fbin(const char *path, uint32_t shape[2])
{
    FILE *f = fopen(path, "rb");
    if (!f || fread(shape, 4, 2, f) != 2)
        exit(2);
    const size_t n = (size_t)shape[0] * shape[1];
    float *p = kn_alloc_aligned(n, sizeof *p);
    if (!p || fread(p, 4, n, f) != n)
        exit(2);
    fclose(f);
    return p;
}

static void search(const void *state, const float *queries, const uint32_t shape[2],
                   const kn_find *find, int batch, const char *out)
{
    const size_t nq = shape[0], dim = shape[1], k = find->k;
    kn_near *near = kn_alloc(nq * k, sizeof *near);
    kn_topk *top = kn_alloc(nq, sizeof *top);
    int64_t *ids = kn_alloc(nq * k, sizeof *ids);
    kn_scratch scratch = { 0 };
    if (!near || !top || !ids)
        exit(2);
    const double begin = kn_clock();
    for (size_t q = 0; q < nq; q++)
        kn_topk_init(&top[q], near + q * k, k);
    for (size_t q = 0; q < nq; q += batch ? nq : 1)
        if (kn_kind_ivf.search(state, queries + q * dim, batch ? nq : 1, find, &scratch, top + q))
            exit(2);
    for (size_t q = 0; q < nq; q++)
        kn_topk_sort(&top[q]);
    const double end = kn_clock();
    for (size_t i = 0; i < nq * k; i++)
        ids[i] = i % k < top[i / k].len ? (int64_t)near[i].id : -1;
    FILE *f = fopen(out, "wb");
    if (!f || fwrite(ids, 8, nq * k, f) != nq * k || fclose(f))
        exit(2);
    printf("{\"seconds\":%.6f}\n", end - begin);
    fflush(stdout);
    kn_free(near);
    kn_free(top);
    kn_free(ids);
    kn_free(scratch.p);
}

int main(int argc, char **argv)
{
    uint32_t shape[2], q_shape[2];
    kn_metric metric;
    kn_spec spec;
    void *state = NULL;
    char line[400], out[300];
    if (argc != 6 || kn_metric_parse(&metric, argv[4]))
        return 2;
    float *base = read_fbin(argv[1], shape), *queries = read_fbin(argv[2], q_shape);
    uint64_t *ids = kn_alloc(shape[0], sizeof *ids);
    const kn_build b = { .seed = 1, .threads = (uint32_t)atol(argv[5]) };
    if (!ids || kn_spec_parse(&spec, argv[3], shape[0], shape[1], metric))
        return 2;
    for (size_t i = 0; i < shape[0]; i++)
        ids[i] = i;
    const kn_rows rows = { .f32 = base, .ids = ids, .n = shape[0], .dim = shape[1], .metric = metric };
    const double begin = kn_clock();
    if (kn_kind_ivf.build(&state, &rows, &spec, &b))
        return 2;
    printf("{\"train_add_s\":%.3f}\n", kn_clock() - begin);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        kn_find find = { 0 };
        unsigned k, nprobe, rerank, batch;
        if (sscanf(line, "%u %u %u %u %299s", &k, &nprobe, &rerank, &batch, out) != 5)
            return 2;
        find.k = k;
        find.nprobe = nprobe;
        find.rerank = rerank;
        search(state, queries, q_shape, &find, (int)batch, out);
    }
    kn_kind_ivf.release(state);
    kn_free(base);
    kn_free(queries);
    kn_free(ids);
    return 0;
}
