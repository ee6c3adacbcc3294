/* million.c - an index at its full size: building, opening, searching, changing beside a reader.
 *
 *   million build DIR [KIND [THREADS]]  DIR/base.fbin (bench/ann_data makes it) into DIR/KIND.ix; HNSW16, 2
 *   million ask DIR [KIND]              opening it, bytes a vector, recall and rate at each width, one thread
 *   million change DIR [KIND [N]]       N (1,000) single adds, then deletes, while a reader searches
 *
 * build tells seconds by the clock and of the processors, and the most memory of its own (pages of mapped
 * files, as the rows it is given are, not among it).  ask compares with the exact answers of a part of the
 * queries, which it computes once (DIR/exact.bin).  change does it twice, in memory and with the log of a
 * file, and needs two processors; the file is left as it was, its log removed. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "index/index.h"
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { K = 10, EXACT = 200, THREADS = 2, TURNS = 3, CHANGES = 1000, PATH = 4096, ID = 1 << 30 };

typedef struct vectors {
    kn_map map;
    const float *x; /* (n, dim) */
    uint32_t n, dim;
} vectors;

static void stop(const char *what)
{
    fprintf(stderr, "million: %s: %s\n", what, ken_last_error());
    exit(2);
}

static const char *in(const char *dir, const char *name, const char *end)
{
    static char path[PATH];
    snprintf(path, sizeof path, "%s/%s%s", dir, name, end);
    return path;
}

static vectors open_vectors(const char *dir, const char *name)
{
    vectors v = { .n = 0 };
    if (kn_map_open(&v.map, in(dir, name, ".fbin")))
        stop(name);
    memcpy(&v.n, v.map.data, sizeof v.n);
    memcpy(&v.dim, v.map.data + 4, sizeof v.dim);
    if (v.map.len != 8 + sizeof(float) * v.n * v.dim)
        stop(name);
    v.x = (const float *)(const void *)(v.map.data + 8);
    return v;
}

static long own_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- building ---- */

static int watch(const ken_progress *p, void *cookie)
{
    long *most = cookie;
    const long now = own_kb();
    (void)p;
    *most = now > *most ? now : *most;
    return 0;
}

static void build(const char *dir, const char *kind, uint32_t threads)
{
    const vectors base = open_vectors(dir, "base");
    long most = 0;
    const kn_build b = { .seed = 1, .threads = threads, .progress = watch, .cookie = &most };
    kn_index *ix = NULL;
    kn_index_info i;
    double start = kn_clock(), used = cpu();
    if (kn_index_build(&ix, kind, KN_METRIC_COSINE, NULL, base.x, base.n, base.dim, &b))
        stop("build");
    printf("%s, %u x %u, level %s: built by %u threads in %.1f s (%.1f s of processors); own memory at most "
           "%ld MB, then %ld MB\n",
           kind, base.n, base.dim, kn_level_get(), threads, kn_clock() - start, cpu() - used, most / 1024,
           own_kb() / 1024);
    start = kn_clock();
    if (kn_index_save(ix, in(dir, kind, ".ix")))
        stop("save");
    kn_index_get_info(ix, &i);
    printf("saved in %.1f s; nodes out of reach: %llu\n", kn_clock() - start,
           (unsigned long long)i.of_kind.unreachable);
    kn_index_free(ix);
}

/* ---- asking ---- */

static size_t exact_answers(const char *dir, const kn_index *ix, const vectors *q, kn_near *near)
{
    static size_t found[EXACT];
    const size_t n = q->n < EXACT ? q->n : EXACT;
    FILE *f = fopen(in(dir, "exact", ".bin"), "rb");
    const int there = f && fread(near, K * sizeof *near, n, f) == n;
    if (f)
        fclose(f);
    if (there)
        return n;
    if (kn_index_exact(ix, q->x, n, K, THREADS, near, found))
        stop("exact");
    f = fopen(in(dir, "exact", ".bin"), "wb");
    if (!f || fwrite(near, K * sizeof *near, n, f) != n || fclose(f))
        stop("exact.bin");
    return n;
}

/* The share of the exact answers; by score, since equal ones may be any. */
static double recall(const kn_index *ix, const vectors *q, const kn_near *exact, size_t n, uint32_t ef)
{
    static kn_near near[EXACT * K];
    static size_t found[EXACT];
    const kn_find p = { .k = K, .ef = ef };
    size_t hit = 0;
    if (kn_index_search(ix, q->x, n, &p, NULL, 0, 1, near, found))
        stop("search");
    for (size_t i = 0; i < n * K; i++)
        hit += i % K < found[i / K] && near[i].raw >= exact[i / K * K + K - 1].raw;
    return (double)hit / (double)(n * K);
}

/* Queries a second of the thread's processor time and by the clock: the best of some turns. */
static void rate(const kn_index *ix, const vectors *q, uint32_t ef, double *clock, double *processor)
{
    const kn_find p = { .k = K, .ef = ef };
    kn_near near[K];
    size_t found;
    *clock = *processor = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        const double start = kn_clock(), used = cpu();
        for (size_t i = 0; i < q->n; i++)
            if (kn_index_search(ix, q->x + i * q->dim, 1, &p, NULL, 0, 1, near, &found))
                stop("search");
        const double a = (double)q->n / (kn_clock() - start), b = (double)q->n / (cpu() - used);
        *clock = a > *clock ? a : *clock;
        *processor = b > *processor ? b : *processor;
    }
}

static void tell_opening(const char *dir, const char *kind, const vectors *q)
{
    double all[9];
    enum { N = sizeof all / sizeof *all };
    for (size_t i = 0; i < N; i++) {
        kn_index *ix = NULL;
        kn_near near[K];
        size_t found;
        const kn_find p = { .k = K };
        const double start = kn_clock();
        if (kn_index_open(&ix, in(dir, kind, ".ix"), 0)
            || kn_index_search(ix, q->x + i * q->dim, 1, &p, NULL, 0, 1, near, &found))
            stop("open");
        all[i] = kn_clock() - start;
        kn_index_free(ix);
    }
    const double first = all[0];
    qsort(all, N, sizeof *all, by_value);
    printf("opening to first answer, file in the page cache: %.2f ms, median of %d %.2f ms\n", first * 1e3,
           (int)N, all[N / 2] * 1e3);
}

static void ask(const char *dir, const char *kind)
{
    static const uint32_t efs[] = { 40, 80, 120, 160, 200, 240, 320, 400, 480, 640, 800, 1200 };
    static kn_near exact[EXACT * K];
    const vectors q = open_vectors(dir, "query");
    kn_index *ix = NULL;
    kn_index_info i;
    double last_recall = 0, last_rate = 0;
    tell_opening(dir, kind, &q);
    if (kn_index_open(&ix, in(dir, kind, ".ix"), 0))
        stop("open");
    kn_index_get_info(ix, &i);
    printf("%s, %zu x %u, level %s: %.0f MB; %.1f bytes a vector hot, and its bit of life\n", i.kind, i.n,
           i.dim, kn_level_get(), (double)i.bytes / 1e6, (double)i.of_kind.bytes_hot / (double)i.n);
    const size_t n = exact_answers(dir, ix, &q, exact);
    for (size_t e = 0; e < sizeof efs / sizeof *efs && last_recall < .995; e++) {
        double clock, processor;
        const double r = recall(ix, &q, exact, n, efs[e]);
        rate(ix, &q, efs[e], &clock, &processor);
        printf("ef %u\trecall %.4f\t%.0f queries a second by the clock, %.0f of processor time\n", efs[e], r,
               clock, processor);
        if (last_recall < .98 && r >= .98 && last_recall > 0)
            printf("recall .98 at %.0f queries a second of processor time (between the two)\n",
                   last_rate + (processor - last_rate) * (.98 - last_recall) / (r - last_recall));
        last_recall = r;
        last_rate = processor;
    }
    kn_index_free(ix);
}

/* ---- changing beside a reader ---- */

enum { MOST = 4 << 20 };

typedef struct reader {
    const kn_index *ix;
    const vectors *q;
    _Atomic int end;
    double *all; /* (MOST) seconds */
    size_t n;
} reader;

static void *read_on(void *cookie)
{
    reader *r = cookie;
    const kn_find p = { .k = K };
    kn_near near[K];
    size_t found;
    for (r->n = 0; !atomic_load(&r->end) && r->n < MOST; r->n++) {
        const double start = kn_clock();
        if (kn_index_search(r->ix, r->q->x + r->n % r->q->n * r->q->dim, 1, &p, NULL, 0, 1, near, &found))
            stop("search");
        r->all[r->n] = kn_clock() - start;
    }
    return NULL;
}

static void tell(const char *what, double *all, size_t n)
{
    qsort(all, n, sizeof *all, by_value);
    if (n)
        printf("%-28s %7zu  p50 %.3f  p99 %.3f  most %.3f ms\n", what, n, all[n / 2] * 1e3,
               all[n * 99 / 100] * 1e3, all[n - 1] * 1e3);
}

enum { NOTHING, ADD, DELETE };

/* n single changes, or two seconds of none, beside a reader. */
static void beside(kn_index *ix, const vectors *q, int op, size_t n, const char *name)
{
    char what[64];
    kn_index_info info;
    double *all = kn_alloc(n, sizeof *all);
    reader r = { .ix = ix, .q = q, .all = kn_alloc(MOST, sizeof *r.all) };
    float *row = kn_alloc(q->dim, sizeof *row);
    pthread_t thread;
    if (!all || !r.all || !row || pthread_create(&thread, NULL, read_on, &r))
        stop("memory");
    usleep(op ? 1000 : 2000000);
    for (size_t i = 0; op && i < n; i++) {
        const uint64_t id = op == ADD ? ID + i : i * 7;
        for (size_t j = 0; j < q->dim; j++) /* between two queries: new, and near what is there */
            row[j] = q->x[i % q->n * q->dim + j] + q->x[(i + 1) % q->n * q->dim + j];
        const double start = kn_clock();
        if (op == ADD ? kn_index_put(ix, &id, row, 1, 0) : kn_index_remove(ix, &id, 1, NULL))
            stop("change");
        all[i] = kn_clock() - start;
    }
    atomic_store(&r.end, 1);
    pthread_join(thread, NULL);
    if (op) {
        snprintf(what, sizeof what, "%s%s", name, op == ADD ? "add" : "delete");
        printf("first: %.3f ms; ", all[0] * 1e3);
        tell(what, all + 1, n - 1);
    }
    kn_index_get_info(ix, &info);
    printf("%zu added rows, %zu of them linked; ", info.pending, info.linked);
    snprintf(what, sizeof what, "%sreader beside %s", name,
             op == ADD ? "adds" : op == DELETE ? "deletes" : "none");
    tell(what, r.all, r.n);
    kn_free(all);
    kn_free(r.all);
    kn_free(row);
}

static void change(const char *dir, const char *kind, size_t n)
{
    const vectors q = open_vectors(dir, "query");
    for (int write = 0; write < 2; write++) {
        const char *name = write ? "logged: " : "";
        kn_index *ix = NULL;
        if (kn_index_open(&ix, in(dir, kind, ".ix"), write))
            stop("open");
        beside(ix, &q, NOTHING, 1, name);
        beside(ix, &q, ADD, n, name);
        beside(ix, &q, NOTHING, 1, name);
        beside(ix, &q, DELETE, n, name);
        beside(ix, &q, NOTHING, 1, name);
        kn_index_free(ix);
    }
    unlink(in(dir, kind, ".ix.log"));
}

int main(int argc, char **argv)
{
    const char *kind = argc > 3 ? argv[3] : "HNSW16";
    const size_t n = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    if (argc > 2 && !strcmp(argv[1], "build"))
        build(argv[2], kind, n ? (uint32_t)n : THREADS);
    else if (argc > 2 && !strcmp(argv[1], "ask"))
        ask(argv[2], kind);
    else if (argc > 2 && !strcmp(argv[1], "change"))
        change(argv[2], kind, n > 1 ? n : CHANGES);
    else {
        fputs("usage: million build|ask|change DIR [KIND [THREADS|N]]\n", stderr);
        return 2;
    }
    return 0;
}
