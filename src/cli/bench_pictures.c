/* bench_pictures.c - `ken bench preprocess` and `ken bench pipeline`: from files to vectors. */
#include "cli/bench.h"
#include "cli/input.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/paths.h"
#include "cli/progress.h"

#include <errno.h>
#include <string.h>

/* ---- one file at a time, its bytes in memory ---- */

typedef struct fitting {
    const ken_model *m;
    ken_decode_options decode;
    char *bytes;
    size_t len;
    float *out;
} fitting;

static ken_status fit(void *cookie)
{
    fitting *f = cookie;
    ken_image *img = NULL;
    ken_status st = ken_image_decode(&img, f->bytes, f->len, &f->decode);
    if (!st)
        st = ken_model_preprocess(f->m, img, f->out);
    ken_image_free(img);
    return st;
}

static int preprocess_file(fitting *f, const char *path)
{
    cli_case c = CLI_CASE;
    double best;
    f->bytes = cli_read_file(path, CLI_MAX_FILE, &f->len);
    if (!f->bytes)
        return cli_error("%s: %s", path, strerror(errno));
    ken_status st = cli_bench_best(fit, f, NULL, &best, NULL);
    cli_mem_free(f->bytes);
    if (st)
        return cli_complain(st, ABOUT_INPUT, path);
    c.bench = "preprocess";
    c.arch = ken_model_get_info(f->m)->arch;
    c.part = cli_path_name(path);
    c.batch = 1;
    c.ms = best * 1e3;
    c.per_second = 1 / best;
    cli_bench_say(&c);
    return 0;
}

int cli_bench_preprocess(const cli_args *a)
{
    fitting f = { 0 };
    ken_model *m = NULL;
    if (a->n < 2)
        return cli_misuse("bench preprocess needs files");
    int code = cli_decode_options(&f.decode);
    code = code ? code : cli_bench_model(&m);
    if (code)
        return code;
    const ken_model_info *info = ken_model_get_info(m);
    f.m = m;
    f.out = cli_mem_new((size_t)3 * info->input[0] * info->input[1], sizeof *f.out);
    for (size_t i = 1; !code && i < a->n; i++)
        code = preprocess_file(&f, a->operands[i].text);
    cli_mem_free(f.out);
    ken_model_close(m);
    return code;
}

/* ---- a folder, decode and encode in turns ---- */

enum { CHUNK = 32, PARTS = 3 };

typedef struct pipeline {
    const ken_model *m;
    ken_decode_options decode;
    cli_inputs in;
    size_t pictures;
    float *vectors, *pixels;
    double seconds[PARTS]; /* decode, fit, encode */
} pipeline;

static const char *const PART_NAMES[PARTS] = { "decode", "fit", "encode" };

/* ken_model_embed() fits and encodes; what fitting alone takes is measured beside it, on this one
 * thread, and divided by the threads that share it inside. */
static ken_status chunk(pipeline *p, size_t from, size_t to)
{
    const ken_image *imgs[CHUNK];
    size_t n = 0;
    ken_status st = KEN_OK;
    for (size_t i = from; i < to; i++)
        if (p->in.list[i].image)
            imgs[n++] = p->in.list[i].image;
    double start = cli_now();
    for (size_t i = 0; !st && i < n; i++)
        st = ken_model_preprocess(p->m, imgs[i], p->pixels);
    double fitted = (cli_now() - start) / cli_bench_threads();
    start = cli_now();
    if (!st && n)
        st = ken_model_embed(p->m, imgs, n, p->vectors);
    double embedded = cli_now() - start;
    p->seconds[1] += fitted;
    p->seconds[2] += embedded > fitted ? embedded - fitted : 0;
    p->pictures += n;
    return st;
}

static ken_status pass(pipeline *p)
{
    ken_status st = KEN_OK;
    p->pictures = 0;
    memset(p->seconds, 0, sizeof p->seconds);
    for (size_t from = 0; !st && from < p->in.n && !ken_interrupted();) {
        size_t to = from + CHUNK < p->in.n ? from + CHUNK : p->in.n;
        double start = cli_now();
        to = cli_inputs_decode(&p->in, from, to, &p->decode);
        p->seconds[0] += cli_now() - start;
        st = chunk(p, from, to);
        cli_inputs_drop(&p->in, from, to);
        from = to;
    }
    return st;
}

static void say(const pipeline *p, const double *best, double sum)
{
    const ken_model_info *info = ken_model_get_info(p->m);
    for (int i = 0; i <= PARTS; i++) {
        double s = i < PARTS ? best[i] : sum;
        cli_case c = CLI_CASE;
        c.bench = "pipeline";
        c.arch = info->arch;
        c.precision = info->precision;
        c.part = i < PARTS ? PART_NAMES[i] : "total";
        c.batch = CHUNK;
        c.ms = s * 1e3 / (double)p->pictures;
        c.per_second = (double)p->pictures / s;
        c.share = s / sum;
        c.flops = i >= PARTS - 1 ? 2 * ken_model_image_macs(p->m) : 0;
        c.peak = ken_peak_flops(info->precision, cli_bench_threads());
        cli_bench_say(&c);
    }
}

/* The best of two passes: the first one also warms up the page cache. */
static int run(pipeline *p)
{
    double best[PARTS] = { 0 }, least = 1e30;
    ken_status st = KEN_OK;
    for (int k = 0; !st && k < 2 && !ken_interrupted(); k++) {
        st = pass(p);
        double sum = p->seconds[0] + p->seconds[1] + p->seconds[2];
        if (sum < least) {
            least = sum;
            memcpy(best, p->seconds, sizeof best);
        }
    }
    if (ken_interrupted())
        return CLI_EXIT_INTERRUPTED;
    if (st)
        return cli_complain(st, ABOUT_MODEL, NULL);
    if (!p->pictures)
        return cli_error("no pictures");
    say(p, best, least);
    return 0;
}

int cli_bench_pipeline(const cli_args *a)
{
    pipeline p = { 0 };
    ken_model *m = NULL;
    cli_args files = { .operands = a->operands + 1, .n = a->n - 1 };
    if (a->n < 2)
        return cli_misuse("bench pipeline needs a folder");
    int code = cli_decode_options(&p.decode);
    code = code ? code : cli_inputs_collect(&p.in, &files);
    code = code ? code : cli_bench_model(&m);
    if (!code) {
        const ken_model_info *info = ken_model_get_info(m);
        p.m = m;
        p.vectors = cli_mem_new(CHUNK * (size_t)info->dim, sizeof *p.vectors);
        p.pixels = cli_mem_new((size_t)3 * info->input[0] * info->input[1], sizeof *p.pixels);
        code = run(&p);
    }
    cli_mem_free(p.vectors);
    cli_mem_free(p.pixels);
    cli_inputs_free(&p.in);
    ken_model_close(m);
    return code;
}
