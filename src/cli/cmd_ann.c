/* cmd_ann.c - vectors alone: an index of them in a file. */
#include "cli/ann.h"
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"
#include "cli/problems.h"
#include "cli/progress.h"
#include "cli/vectors.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t cli_ann_threads(void)
{
    const long n = cli_opt_whole(OPT_THREADS);
    return (uint32_t)(n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN));
}

int cli_ann_complain(ken_status st, const char *path)
{
    return cli_complain(st, st == KEN_E_INVALID || st == KEN_E_EXISTS ? ABOUT_INPUT : ABOUT_COLLECTION,
                        path);
}

int cli_ann_open(ken_index **out, const char *path, int write)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(0);
    o.threads = cli_ann_threads();
    o.progress = cli_progress();
    ken_status st = ken_index_open(out, path, write, &o);
    return st ? cli_ann_complain(st, path) : 0;
}

/* The ids of --ids, as many as rows, or none. */
static int read_ids(cli_ids *ids, size_t rows)
{
    const char *path = cli_opt(OPT_ANN_IDS);
    int bad = path ? cli_ids_read_list(ids, path) : 0;
    if (!bad && path && ids->n != rows)
        bad = cli_error("%s: %zu ids for %zu vectors", path, ids->n, rows);
    return bad;
}

static uint64_t bytes_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

void cli_ann_say(const ken_index *ix, const char *path, double seconds)
{
    ken_index_info i;
    ken_index_get_info(ix, &i);
    if (!cli_out_is_json()) {
        printf("%s\t%s\t%llu x %u\t%.2f s\n", i.kind, i.metric, (unsigned long long)i.len, i.dim,
               seconds);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cli_json_text(o, "kind", i.kind);
    cli_json_text(o, "metric", i.metric);
    cJSON_AddNumberToObject(o, "n", (double)i.len);
    cJSON_AddNumberToObject(o, "dim", i.dim);
    cli_json_real(o, "seconds", seconds, 6);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes_of(path));
    cJSON_AddNumberToObject(o, "bytes_hot", (double)i.bytes_hot);
    cJSON_AddNumberToObject(o, "unreachable", (double)i.unreachable);
    cli_json_say(o);
}

ken_index_options cli_ann_options(size_t dim, const char *kind)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT((uint32_t)dim);
    o.kind = kind;
    o.metric = cli_opt(OPT_ANN_METRIC);
    o.threads = cli_ann_threads();
    o.seed = (uint64_t)cli_opt_whole(OPT_SEED);
    o.progress = cli_progress();
    return o;
}

static int build(const cli_args *a)
{
    const char *out = cli_opt(OPT_ANN_OUTPUT);
    cli_vectors v;
    cli_ids ids = { 0 };
    ken_index *ix = NULL;
    if (a->n != 2 || !out)
        return cli_misuse("ann build takes the file of the vectors and -o INDEX");
    int bad = cli_vectors_read(&v, a->operands[1].text);
    if (bad)
        return bad;
    bad = read_ids(&ids, v.n);
    if (!bad) {
        const ken_index_options o = cli_ann_options(v.dim, cli_opt(OPT_ANN_KIND));
        const double start = cli_now();
        ken_status st = ken_index_build(&ix, &o, (const uint64_t *)ids.ids, v.rows, v.n);
        if (!st)
            st = ken_index_save(ix, out);
        cli_progress_hide();
        if (st)
            bad = cli_ann_complain(st, a->operands[1].text);
        else
            cli_ann_say(ix, out, cli_now() - start);
    }
    ken_index_free(ix);
    cli_ids_free(&ids);
    cli_vectors_free(&v);
    return bad;
}

/* What a change did: {"added" or "removed", "unknown", "n", "pending", "gone", "seconds"}. */
static void say_change(const ken_index *ix, const char *name, size_t count, size_t unknown,
                       double seconds)
{
    ken_index_info i;
    ken_index_get_info(ix, &i);
    if (!cli_out_is_json()) {
        printf("%s %zu\t%llu left\t%.3f s\n", name, count, (unsigned long long)i.len, seconds);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, name, (double)count);
    cJSON_AddNumberToObject(o, "unknown", (double)unknown);
    cJSON_AddNumberToObject(o, "n", (double)i.len);
    cJSON_AddNumberToObject(o, "pending", (double)i.pending);
    cJSON_AddNumberToObject(o, "gone", (double)i.gone);
    cli_json_real(o, "seconds", seconds, 6);
    cli_json_say(o);
}

/* Without --ids, new rows are numbered on from the greatest id. */
static int add(const cli_args *a)
{
    cli_vectors v;
    cli_ids ids = { 0 };
    ken_index *ix = NULL;
    ken_index_info info;
    if (a->n != 3)
        return cli_misuse("ann add takes an index and a file of vectors");
    int bad = cli_vectors_read(&v, a->operands[2].text);
    if (bad)
        return bad;
    bad = read_ids(&ids, v.n);
    if (!bad)
        bad = cli_ann_open(&ix, a->operands[1].text, 1);
    if (!bad) {
        ken_index_get_info(ix, &info);
        if (v.dim != info.dim)
            bad = cli_error("%s: dimension %zu, the index has %u", a->operands[2].text, v.dim,
                            info.dim);
    }
    if (!bad && !ids.ids) {
        const uint64_t next = ken_index_next_id(ix);
        ids = (cli_ids){ cli_mem_new(v.n + 1, sizeof *ids.ids), v.n, 1 };
        for (size_t i = 0; i < v.n; i++)
            ids.ids[i] = (int64_t)(next + i);
    }
    const double start = cli_now();
    if (!bad) {
        ken_status st = ken_index_put(ix, (const uint64_t *)ids.ids, v.rows, v.n);
        if (st)
            bad = cli_ann_complain(st, a->operands[2].text);
        else
            say_change(ix, "added", v.n, 0, cli_now() - start);
    }
    ken_index_free(ix);
    cli_ids_free(&ids);
    cli_vectors_free(&v);
    return bad;
}

static int remove_ids(const cli_args *a)
{
    cli_ids ids = { 0 };
    ken_index *ix = NULL;
    size_t removed = 0;
    if (a->n != 2 || !cli_opt(OPT_ANN_IDS))
        return cli_misuse("ann remove takes an index and --ids FILE");
    int bad = cli_ids_read_list(&ids, cli_opt(OPT_ANN_IDS));
    if (!bad)
        bad = cli_ann_open(&ix, a->operands[1].text, 1);
    const double start = cli_now();
    if (!bad) {
        ken_status st = ken_index_remove_all(ix, (const uint64_t *)ids.ids, ids.n, &removed);
        if (st)
            bad = cli_ann_complain(st, a->operands[1].text);
        else
            say_change(ix, "removed", removed, ids.n - removed, cli_now() - start);
    }
    ken_index_free(ix);
    cli_ids_free(&ids);
    return bad;
}

static int compact(const cli_args *a)
{
    ken_index *ix = NULL;
    if (a->n != 2)
        return cli_misuse("ann compact takes an index");
    int bad = cli_ann_open(&ix, a->operands[1].text, 1);
    const double start = cli_now();
    if (!bad) {
        ken_status st = ken_index_compact(ix);
        cli_progress_hide();
        if (st)
            bad = cli_ann_complain(st, a->operands[1].text);
        else
            cli_ann_say(ix, a->operands[1].text, cli_now() - start);
    }
    ken_index_free(ix);
    return bad;
}

static cJSON *points_of(const ken_index *ix)
{
    ken_index_point p[64];
    const size_t n = ken_index_points(ix, p, 64);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++) {
        cJSON *o = cJSON_CreateObject();
        const struct {
            const char *name;
            uint32_t value;
        } all[] = { { "ef", p[i].ef }, { "nprobe", p[i].nprobe }, { "rerank", p[i].rerank } };
        for (size_t k = 0; k < 3; k++)
            if (all[k].value)
                cJSON_AddNumberToObject(o, all[k].name, all[k].value);
        cli_json_real(o, "recall", p[i].recall, 6);
        cli_json_real(o, "low", p[i].low, 6);
        cli_json_real(o, "us", p[i].us, 6);
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

static void print_points(const ken_index *ix)
{
    ken_index_point p[64];
    const size_t n = ken_index_points(ix, p, 64);
    for (size_t i = 0; i < n; i++)
        printf("ef %u nprobe %u rerank %u\trecall %.4f (%.4f sure)\t%.0f us\n", p[i].ef, p[i].nprobe,
               p[i].rerank, p[i].recall, p[i].low, p[i].us);
}

static int info(const cli_args *a)
{
    ken_index *ix = NULL;
    ken_index_info i;
    if (a->n != 2)
        return cli_misuse("ann info takes an index");
    int bad = cli_ann_open(&ix, a->operands[1].text, 0);
    if (bad)
        return bad;
    ken_index_get_info(ix, &i);
    const struct {
        const char *name;
        uint64_t value;
    } all[] = { { "n", i.len },         { "dim", i.dim },         { "bytes", i.bytes },
                { "bytes_hot", i.bytes_hot }, { "unreachable", i.unreachable },
                { "base", i.base },     { "gone", i.gone },       { "pending", i.pending },
                { "ef", i.ef },         { "nprobe", i.nprobe },   { "rerank", i.rerank } };
    cJSON *o = cli_out_is_json() ? cJSON_CreateObject() : NULL;
    if (o) {
        cli_json_text(o, "kind", i.kind);
        cli_json_text(o, "metric", i.metric);
    } else
        printf("kind\t%s\nmetric\t%s\n", i.kind, i.metric);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (o)
            cJSON_AddNumberToObject(o, all[k].name, (double)all[k].value);
        else
            printf("%s\t%llu\n", all[k].name, (unsigned long long)all[k].value);
    if (o) {
        cJSON_AddItemToObject(o, "recall", points_of(ix));
        cli_json_say(o);
    } else
        print_points(ix);
    ken_index_free(ix);
    return 0;
}

static int tune(const cli_args *a)
{
    const char *queries = cli_opt(OPT_ANN_QUERIES);
    cli_vectors v = { 0 };
    ken_index *ix = NULL;
    ken_index_info i;
    if (a->n != 2)
        return cli_misuse("ann tune takes an index");
    int bad = queries ? cli_vectors_read(&v, queries) : 0;
    if (!bad)
        bad = cli_ann_open(&ix, a->operands[1].text, 0);
    if (!bad) {
        ken_index_get_info(ix, &i);
        if (queries && v.dim != i.dim)
            bad = cli_error("%s: dimension %zu, the index has %u", queries, v.dim, i.dim);
    }
    const double start = cli_now();
    ken_status st = bad ? KEN_OK : ken_index_tune(ix, v.rows, v.n);
    if (st)
        bad = cli_ann_complain(st, a->operands[1].text);
    if (!bad && cli_out_is_json()) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "queries", (double)v.n);
        cJSON_AddItemToObject(o, "recall", points_of(ix));
        cli_json_real(o, "seconds", cli_now() - start, 6);
        cli_json_say(o);
    } else if (!bad)
        print_points(ix);
    ken_index_free(ix);
    cli_vectors_free(&v);
    return bad;
}

/* A file that cannot even be opened as an index is a problem like any other. */
static int check(const cli_args *a)
{
    const ken_index_options opts = KEN_INDEX_OPTIONS_INIT(0);
    cli_problems p;
    ken_index *ix = NULL;
    if (a->n != 2)
        return cli_misuse("ann check takes an index");
    const char *path = a->operands[1].text;
    ken_status st = ken_index_open(&ix, path, 0, &opts);
    if (st && st != KEN_E_CORRUPT && st != KEN_E_FORMAT)
        return cli_ann_complain(st, path);
    cli_problems_begin(&p);
    if (st)
        cli_problem(path, ken_last_error(), &p);
    else
        st = ken_index_check(ix, cli_problem, &p);
    ken_index_free(ix);
    if (st && st != KEN_E_CORRUPT && st != KEN_E_FORMAT) {
        cJSON_Delete(p.list);
        return cli_ann_complain(st, path);
    }
    return cli_problems_say(&p, st);
}

static int run(const cli_args *a)
{
    static const struct {
        const char *name;
        int (*run)(const cli_args *a);
    } verbs[] = { { "build", build },   { "search", cli_ann_search }, { "truth", cli_ann_truth },
                  { "add", add },       { "remove", remove_ids },     { "compact", compact },
                  { "info", info },     { "check", check },           { "tune", tune },
                  { "import", cli_ann_import }, { "export", cli_ann_export } };
    for (size_t i = 0; a->n && i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(verbs[i].name, a->operands[0].text))
            return verbs[i].run(a);
    return cli_misuse("ann what?  build, search, truth, add, remove, compact, tune, info, check, import "
                      "or export");
}

const cli_cmd cli_cmd_ann = {
    .name = "ann",
    .args = "build BASE -o IX | search IX QUERIES | truth BASE QUERIES -o GT | add IX MORE | "
            "remove IX --ids F | compact IX | tune IX | info IX | check IX | import FOREIGN -o IX | "
            "export IX --to faiss|hnswlib -o OUT",
    .summary = "an index of your own vectors, in a file",
    .about =
        "Vectors: .npy (f32, f16; C order), .fbin, .fvecs, .bvecs, or a folder of .npy files.\n"
        "Ids and neighbours: .npy (i64, i32), .ibin, .ivecs.\n"
        "build    an index of the vectors; its kind is named as faiss names it\n"
        "search   the -k nearest of each query, one query after the other on one thread unless told\n"
        "         otherwise; --truth tells how many of the true ones were found\n"
        "truth    the true ones: every vector is compared\n"
        "add      further vectors, or others for ids that are there; kept in IX.log, durable when the\n"
        "         command ends, and compared one by one until `compact`\n"
        "remove   the vectors of these ids\n"
        "compact  builds anew with all of that, and replaces the file in one step\n"
        "tune     measures recall and time of each setting, for --target-recall\n"
        "check    every checksum and invariant; status 4 if anything is broken\n"
        "import   a file of faiss or hnswlib, told by its content\n"
        "export   a file for faiss, or of HNSW for hnswlib",
    .examples = "ken ann build base.fbin -o base.ix --kind HNSW16\tan index\n"
                "ken ann truth base.fbin queries.fbin -k 10 -o gt.ibin\texact neighbours\n"
                "ken ann search base.ix queries.fbin -k 10 --ef 120 --truth gt.ibin\trecall and speed\n"
                "ken ann add base.ix more.npy --ids more-ids.npy\tgrow it\n",
    .run = run,
};
