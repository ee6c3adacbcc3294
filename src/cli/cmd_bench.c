/* cmd_bench.c - the benchmarks that need no files but pictures: see bench.h for how they time. */
#include "cli/bench.h"
#include "cli/json.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t cli_bench_threads(void)
{
    long n = cli_opt_whole(OPT_THREADS);
    return (uint32_t)(n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN));
}

int cli_bench_batches(ken_status *st, const char *list, long most, cli_batch_fn fn, void *cookie)
{
    *st = KEN_OK;
    for (int run = 0; run < 2; run++)
        for (const char *at = list; !*st && (at == list || *at);) {
            char *end;
            const long n = strtol(at, &end, 10);
            if (end == at || n < 1 || n > most || (*end && *end != ',') || (*end && !end[1]))
                return cli_misuse("--batch %s: expects numbers from 1 to %ld, commas between", list, most);
            if (run)
                *st = fn((size_t)n, cookie);
            at = *end ? end + 1 : end;
        }
    return 0;
}

ken_status cli_bench_best(cli_work work, void *cookie, const char *precision, double *best,
                          double *peak)
{
    ken_status st = work(cookie);
    double start = cli_now(), looked = 0;
    if (!st)
        st = work(cookie);
    *best = 1e30;
    if (peak)
        *peak = 0;
    for (int n = 0; !st && (n < 3 || cli_now() - start < cli_opt_real(OPT_SECONDS)); n++) {
        double now = cli_now();
        if (peak && now - looked > 0.5) { /* the machine's speed drifts: look again and again */
            double p = ken_peak_flops(precision, cli_bench_threads());
            *peak = p > *peak ? p : *peak;
            looked = cli_now();
        }
        now = cli_now();
        st = work(cookie);
        now = cli_now() - now;
        *best = now < *best ? now : *best;
        if (ken_interrupted())
            return KEN_E_CANCELED;
    }
    return st;
}

static void say_json(const cli_case *c)
{
    cJSON *o = cJSON_CreateObject();
    cli_json_text(o, "bench", c->bench);
    if (c->part)
        cli_json_text(o, "part", c->part);
    cli_json_text(o, "arch", c->arch);
    cJSON_AddNumberToObject(o, "batch", (double)c->batch);
    cli_json_text(o, "precision", c->precision);
    cJSON_AddNumberToObject(o, "threads", cli_bench_threads());
    cli_json_text(o, "level", ken_cpu_level());
    cli_json_real(o, "per_second", c->per_second, 5);
    cli_json_real(o, "ms", c->ms, 5);
    if (c->flops > 0 && c->peak > 0)
        cli_json_real(o, "peak_fraction", c->flops / (c->ms * 1e-3) / c->peak, 4);
    else
        cJSON_AddNullToObject(o, "peak_fraction");
    if (c->gbytes > 0)
        cli_json_real(o, "weights_gb_per_second", c->gbytes, 4);
    if (c->p50 > 0) {
        cli_json_real(o, "p50_ms", c->p50, 5);
        cli_json_real(o, "p99_ms", c->p99, 5);
    }
    if (c->encoder > 0)
        cli_json_real(o, "encoder_per_second", c->encoder, 5);
    if (c->share >= 0)
        cli_json_real(o, "share", c->share, 4);
    cli_json_say_line(o);
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void cli_bench_sort(double *times, size_t n)
{
    qsort(times, n, sizeof *times, by_time);
}

double cli_bench_percentile(const double *sorted, size_t n, double share)
{
    const double at = ceil(share * (double)n);
    return n ? sorted[at < 1 ? 0 : (size_t)at - 1] : 0;
}

void cli_bench_say(const cli_case *c)
{
    if (cli_out_is_json()) {
        say_json(c);
        fflush(stdout);
        return;
    }
    printf("%-10s %-20s", c->bench, c->part ? c->part : c->arch ? c->arch : "");
    if (c->precision)
        printf(" batch %-3zu %-6s", c->batch, c->precision);
    printf(" %10.3f ms %10.1f/s", c->ms, c->per_second);
    if (c->flops > 0 && c->peak > 0)
        printf("  %4.1f %% of the peak", 100 * c->flops / (c->ms * 1e-3) / c->peak);
    if (c->gbytes > 0)
        printf("  %.1f GB/s of weights", c->gbytes);
    if (c->p50 > 0)
        printf("  p50 %.3f ms, p99 %.3f ms", c->p50, c->p99);
    if (c->encoder > 0)
        printf("  the network alone %.1f/s", c->encoder);
    if (c->share >= 0)
        printf("  %4.1f %%", 100 * c->share);
    putchar('\n');
    fflush(stdout);
}

int cli_bench_model(ken_model **out)
{
    ken_model_options o = cli_model_options();
    o.encode = NULL; /* what is timed runs here */
    const char *name = cli_opt(OPT_MODEL), *arch = cli_opt(OPT_ARCH);
    ken_status st;
    if (name && cli_opt_layer(OPT_MODEL) >= cli_opt_layer(OPT_ARCH))
        st = ken_model_open(out, name, &o);
    else
        st = ken_model_random(out, name = arch, (uint64_t)cli_opt_whole(OPT_SEED), &o);
    if (st == KEN_E_NOTFOUND && name == arch) {
        cli_error("%s: no such architecture; there are:", arch);
        for (const char *const *a = ken_model_archs(); *a; a++)
            fprintf(stderr, "     %s\n", *a);
        return CLI_EXIT_WRONG;
    }
    return st ? cli_complain(st, ABOUT_MODEL, name) : 0;
}

static int run(const cli_args *a)
{
    static const struct {
        const char *name;
        int (*run)(const cli_args *a);
    } benches[] = {
        { "encode", cli_bench_encode },
        { "text", cli_bench_text },
        { "preprocess", cli_bench_preprocess },
        { "pipeline", cli_bench_pipeline },
        { "cold", cli_bench_cold },
        { "search", cli_bench_search },
        { "train", cli_bench_train },
        { "http", cli_bench_http },
    };
    for (size_t i = 0; a->n && i < sizeof benches / sizeof *benches; i++)
        if (!strcmp(benches[i].name, a->operands[0].text))
            return benches[i].run(a);
    return cli_misuse("bench what?  encode, text, preprocess, pipeline, search, cold, train or http");
}

const cli_cmd cli_cmd_bench = {
    .name = "bench",
    .args = "encode | text | preprocess FILE... | pipeline DIR | search | cold | train | http",
    .summary = "speed of this machine, as shares of what it could do",
    .about =
        "Each case is the best of many runs; the machine's peak is measured between them.\n"
        "encode      pictures of the network's own size\n"
        "text        one caption of eight words, and full batches; and the weights read a second\n"
        "preprocess  decode a file and fit it to the network\n"
        "pipeline    all of it for a folder, with the share of each step\n"
        "search      ten neighbours among 10,000 vectors of 512 numbers: every row in f32, Flat, HNSW16\n"
        "cold        one search, process start to exit, taken apart; needs a collection\n"
        "train       forward, loss, backward and the optimiser's step, on random pictures\n"
        "http        words asked by eight clients at once: embeddings, or searches where --db names a\n"
        "            collection; the share is that of what the text network does by itself",
    .examples = "ken bench encode --arch clip-vit-b32 --batch 1,32\tpictures a second\n"
                "ken bench text -m clip-b32 --precision f32\ttexts a second\n"
                "ken bench pipeline photos/ -m clip-b32\tdecode, fit, encode\n"
                "ken bench train --arch resnet18 --size 112 --batch 64\ttraining steps\n"
                "ken bench http -m ken-small --json\trequests a second, p50 and p99\n"
                "ken bench cold --db photos.ken --json\tprocess, open, encode, search\n",
    .run = run,
};
