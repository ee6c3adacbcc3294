/* ann_search.c - `ken ann search` and `truth`: queries against an index, and how fast and right. */
#include "cli/ann.h"
#include "cli/bench.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/vectors.h"

#include <stdio.h>
#include <string.h>

typedef struct searching {
    ken_index *ix;
    ken_index_info info;
    cli_vectors queries;
    cli_ids truth, only;
    ken_find_options find;
    size_t k;
    int all_at_once;
    ken_hit *hits;      /* (queries, k) */
    size_t *found;      /* (queries) */
    double *took;       /* (queries) seconds, of the best repetition */
    double seconds;     /* of all of them */
} searching;

static ken_status run_once(searching *s, double *took, double *seconds)
{
    const double start = cli_now();
    ken_status st = KEN_OK;
    if (s->all_at_once)
        st = ken_index_find(s->ix, s->queries.rows, s->queries.n, s->k, &s->find, s->hits, s->found);
    for (size_t q = 0; !st && !s->all_at_once && q < s->queries.n; q++) {
        const double now = cli_now();
        st = ken_index_find(s->ix, s->queries.rows + q * s->queries.dim, 1, s->k, &s->find,
                            s->hits + q * s->k, s->found + q);
        took[q] = cli_now() - now;
        if (ken_interrupted())
            st = KEN_E_CANCELED;
    }
    *seconds = cli_now() - start;
    return st;
}

/* The best of --repeat. */
static ken_status run_all(searching *s)
{
    const long repeat = cli_opt_whole(OPT_ANN_REPEAT);
    double *took = cli_mem_new(s->queries.n + 1, sizeof *took), seconds = 0;
    ken_status st = KEN_OK;
    s->seconds = 1e300;
    for (long r = 0; !st && (r < repeat || r < 1); r++) {
        st = run_once(s, took, &seconds);
        if (!st && seconds < s->seconds) {
            s->seconds = seconds;
            memcpy(s->took, took, s->queries.n * sizeof *took);
        }
    }
    cli_mem_free(took);
    return st;
}

/* The share of the true k nearest that was found. */
static double recall(const searching *s)
{
    size_t hit = 0;
    for (size_t q = 0; q < s->queries.n; q++)
        for (size_t i = 0; i < s->found[q]; i++)
            for (size_t j = 0; j < s->k; j++)
                if ((int64_t)s->hits[q * s->k + i].id == s->truth.ids[q * s->truth.k + j]) {
                    hit++;
                    break;
                }
    return s->queries.n ? (double)hit / (double)(s->queries.n * s->k) : 0;
}

/* Seconds in which a share of the queries was answered. */
static double took(const searching *s, double share)
{
    return cli_bench_percentile(s->took, s->queries.n, share);
}

static cJSON *params(const searching *s)
{
    cJSON *o = cJSON_CreateObject();
    const double target = s->find.target_recall;
    const uint32_t ef = s->find.ef ? s->find.ef : s->info.ef,
                   nprobe = s->find.nprobe ? s->find.nprobe : s->info.nprobe,
                   rerank = s->find.rerank ? s->find.rerank : s->info.rerank;
    if (ef)
        cJSON_AddNumberToObject(o, "ef", ef);
    if (nprobe)
        cJSON_AddNumberToObject(o, "nprobe", nprobe);
    if (rerank)
        cJSON_AddNumberToObject(o, "rerank", rerank);
    cJSON_AddNumberToObject(o, "threads", s->find.threads);
    if (target > 0)
        cli_json_real(o, "target_recall", target, 6);
    return o;
}

static void say(searching *s)
{
    static const struct {
        const char *name;
        double share;
    } parts[] = { { "p50_us", .5 }, { "p95_us", .95 }, { "p99_us", .99 } };
    const double qps = s->seconds > 0 ? (double)s->queries.n / s->seconds : 0;
    cli_bench_sort(s->took, s->queries.n);
    if (!cli_out_is_json()) {
        printf("%zu queries\t%.0f a second", s->queries.n, qps);
        if (s->truth.ids)
            printf("\trecall %.4f", recall(s));
        if (!s->all_at_once)
            printf("\tp50 %.0f us\tp99 %.0f us", 1e6 * took(s, .5), 1e6 * took(s, .99));
        putchar('\n');
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "queries", (double)s->queries.n);
    cJSON_AddNumberToObject(o, "k", (double)s->k);
    cJSON_AddItemToObject(o, "params", params(s));
    cli_json_real(o, "seconds", s->seconds, 6);
    cli_json_real(o, "qps", qps, 6);
    if (s->truth.ids)
        cli_json_real(o, "recall", recall(s), 6);
    else
        cJSON_AddNullToObject(o, "recall");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (s->all_at_once)
            cJSON_AddNullToObject(o, parts[i].name);
        else
            cli_json_real(o, parts[i].name, 1e6 * took(s, parts[i].share), 5);
    cli_json_say(o);
}

static int write_ids(const searching *s, const char *path)
{
    int64_t *ids = cli_mem_new(s->queries.n * s->k + 1, sizeof *ids);
    for (size_t q = 0; q < s->queries.n; q++)
        for (size_t i = 0; i < s->k; i++)
            ids[q * s->k + i] = i < s->found[q] ? (int64_t)s->hits[q * s->k + i].id : -1;
    const int bad = cli_ids_write(path, ids, s->queries.n, s->k);
    cli_mem_free(ids);
    return bad;
}

static int read_k(size_t *k)
{
    *k = (size_t)cli_opt_whole(OPT_ANN_K);
    return *k ? 0 : cli_misuse("-k 0: at least one neighbour");
}

/* What the measured table says of --target-recall: set for all, so that it can be told. */
static int choose(searching *s)
{
    ken_index_point p;
    if (ken_index_pick(s->ix, s->find.target_recall, &p))
        return cli_error("%s", ken_last_error());
    if (p.low < s->find.target_recall)
        cli_note("no setting that was measured is sure to reach a recall of %g; taking the best",
                 s->find.target_recall);
    s->find.ef = p.ef;
    s->find.nprobe = p.nprobe;
    s->find.rerank = p.rerank;
    return 0;
}

static int read_inputs(searching *s, const cli_args *a)
{
    const char *truth = cli_opt(OPT_ANN_TRUTH), *only = cli_opt(OPT_ANN_FILTER);
    int bad = cli_vectors_read(&s->queries, a->operands[2].text);
    if (!bad && truth)
        bad = cli_ids_read(&s->truth, truth);
    if (!bad && truth && (s->truth.n != s->queries.n || s->truth.k < s->k))
        bad = cli_error("%s: %zu x %zu neighbours for %zu queries and -k %zu", truth, s->truth.n,
                        s->truth.k, s->queries.n, s->k);
    if (!bad && only)
        bad = cli_ids_read_list(&s->only, only);
    if (!bad)
        bad = cli_ann_open(&s->ix, a->operands[1].text, 0);
    if (bad)
        return bad;
    ken_index_get_info(s->ix, &s->info);
    if (s->queries.dim != s->info.dim)
        return cli_error("%s: dimension %zu, the index has %u", a->operands[2].text, s->queries.dim,
                         s->info.dim);
    if (s->find.target_recall > 0 && choose(s))
        return CLI_EXIT_WRONG;
    s->find.only = only ? (const uint64_t *)s->only.ids : NULL;
    s->find.n_only = s->only.n;
    return 0;
}

static void release(searching *s)
{
    ken_index_free(s->ix);
    cli_vectors_free(&s->queries);
    cli_ids_free(&s->truth);
    cli_ids_free(&s->only);
    cli_mem_free(s->hits);
    cli_mem_free(s->found);
    cli_mem_free(s->took);
}

static int search_and_say(searching *s, const char *about, const char *out)
{
    const size_t n = s->queries.n;
    s->hits = cli_mem_new(n * s->k + 1, sizeof *s->hits);
    s->found = cli_mem_new(n + 1, sizeof *s->found);
    s->took = cli_mem_new(n + 1, sizeof *s->took);
    ken_status st = run_all(s);
    if (st)
        return cli_ann_complain(st, about);
    const int bad = out ? write_ids(s, out) : 0;
    if (!bad)
        say(s);
    return bad;
}

/* --range: as many as there are, query after query; -o gets rows of query number and id. */
static int search_range(searching *s, const char *about, const char *out)
{
    const double range = cli_opt_real(OPT_ANN_RANGE), start = cli_now();
    const float least = (float)(strcmp(s->info.metric, "l2") ? range : -range);
    int64_t *pairs = NULL;
    size_t n = 0, cap = 0;
    ken_status st = KEN_OK;
    for (size_t q = 0; !st && q < s->queries.n; q++) {
        ken_hit *hits = NULL;
        size_t found = 0;
        st = ken_index_range(s->ix, s->queries.rows + q * s->queries.dim, least, &s->find, &hits, &found);
        for (size_t i = 0; !st && i < found; i++) {
            pairs = cli_mem_room(pairs, n, &cap, 2 * sizeof *pairs);
            pairs[2 * n] = (int64_t)q;
            pairs[2 * n++ + 1] = (int64_t)hits[i].id;
        }
        ken_hits_free(hits);
        if (!st && ken_interrupted())
            st = KEN_E_CANCELED;
    }
    const double seconds = cli_now() - start, qps = seconds > 0 ? (double)s->queries.n / seconds : 0;
    int bad = st ? cli_ann_complain(st, about) : out ? cli_ids_write(out, pairs, n, 2) : 0;
    if (!bad && cli_out_is_json()) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "queries", (double)s->queries.n);
        cli_json_real(o, "range", range, 9);
        cJSON_AddNumberToObject(o, "found", (double)n);
        cJSON_AddItemToObject(o, "params", params(s));
        cli_json_real(o, "seconds", seconds, 6);
        cli_json_real(o, "qps", qps, 6);
        cli_json_say(o);
    } else if (!bad)
        printf("%zu queries\t%.0f a second\t%zu within %g\n", s->queries.n, qps, n, range);
    cli_mem_free(pairs);
    return bad;
}

int cli_ann_search(const cli_args *a)
{
    searching s = { .find = KEN_FIND_OPTIONS_INIT };
    if (a->n != 3)
        return cli_misuse("ann search takes an index and a file of queries");
    int bad = read_k(&s.k);
    if (bad)
        return bad;
    s.find.ef = (uint32_t)cli_opt_whole(OPT_ANN_EF);
    s.find.nprobe = (uint32_t)cli_opt_whole(OPT_ANN_NPROBE);
    s.find.rerank = (uint32_t)cli_opt_whole(OPT_ANN_RERANK);
    s.find.target_recall = cli_opt_real(OPT_ANN_TARGET);
    if (s.find.target_recall < 0 || s.find.target_recall > 1)
        return cli_misuse("--target-recall %s: a share, 0..1", cli_opt(OPT_ANN_TARGET));
    s.find.threads = cli_opt_whole(OPT_THREADS) > 0 ? (uint32_t)cli_opt_whole(OPT_THREADS) : 1;
    s.all_at_once = cli_opt_on(OPT_ANN_BATCH);
    if (cli_opt(OPT_ANN_RANGE) && (cli_opt(OPT_ANN_TRUTH) || s.all_at_once))
        return cli_misuse("--range goes without --truth and --batch");
    bad = read_inputs(&s, a);
    if (!bad && cli_opt(OPT_ANN_RANGE))
        bad = search_range(&s, a->operands[2].text, cli_opt(OPT_ANN_OUTPUT));
    else if (!bad)
        bad = search_and_say(&s, a->operands[2].text, cli_opt(OPT_ANN_OUTPUT));
    release(&s);
    return bad;
}

int cli_ann_truth(const cli_args *a)
{
    searching s = { .find = KEN_FIND_OPTIONS_INIT, .all_at_once = 1 };
    cli_vectors base = { 0 };
    if (a->n != 3 || !cli_opt(OPT_ANN_OUTPUT))
        return cli_misuse("ann truth takes two files of vectors and -o GT");
    int bad = read_k(&s.k);
    if (bad)
        return bad;
    bad = cli_vectors_read(&base, a->operands[1].text);
    if (!bad)
        bad = cli_vectors_read(&s.queries, a->operands[2].text);
    if (!bad && base.dim != s.queries.dim)
        bad = cli_error("%s: dimension %zu, the base has %zu", a->operands[2].text, s.queries.dim,
                        base.dim);
    if (!bad) {
        const ken_index_options o = cli_ann_options(base.dim, "Flat");
        ken_status st = ken_index_build(&s.ix, &o, NULL, base.rows, base.n);
        s.find.threads = o.threads;
        bad = st ? cli_ann_complain(st, a->operands[1].text)
                 : search_and_say(&s, a->operands[2].text, cli_opt(OPT_ANN_OUTPUT));
    }
    cli_vectors_free(&base);
    release(&s);
    return bad;
}
