/* bench_encode.c - `ken bench encode` and `ken bench text`: the networks alone. */
#include "cli/bench.h"
#include "cli/mem.h"

#include <string.h>

enum { MAX_BATCH = 4096 };

/* Eight words, ten tokens of CLIP's. */
static const char CAPTION[] = "two green parrots sit on a wooden branch";

typedef struct load {
    const ken_model *m;
    ken_image **imgs;
    const char **texts;
    float *vectors;
    size_t batch;
} load;

static ken_status encode(void *cookie)
{
    load *l = cookie;
    return ken_model_embed(l->m, (const ken_image *const *)l->imgs, l->batch, l->vectors);
}

static ken_status encode_texts(void *cookie)
{
    load *l = cookie;
    return ken_model_embed_texts(l->m, l->texts, l->batch, l->vectors);
}

/* Noise of the network's own size: nothing to resize, nothing to compress. */
static ken_status make_image(ken_image **out, uint32_t h, uint32_t w, uint32_t seed)
{
    uint8_t *rgb = cli_mem_new((size_t)h * w, 3);
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < (size_t)h * w * 3; i++) {
        x = x * 1664525u + 1013904223u; /* Numerical Recipes' generator */
        rgb[i] = (uint8_t)(x >> 24);
    }
    ken_status st = ken_image_from_rgb(out, rgb, w, h, (size_t)w * 3);
    cli_mem_free(rgb);
    return st;
}

static ken_status fill(load *l, int texts)
{
    const ken_model_info *info = ken_model_get_info(l->m);
    ken_status st = KEN_OK;
    l->vectors = cli_mem_new(l->batch * info->dim, sizeof *l->vectors);
    l->imgs = cli_mem_new(l->batch, sizeof *l->imgs);
    l->texts = cli_mem_new(l->batch, sizeof *l->texts);
    for (size_t i = 0; !st && i < l->batch; i++) {
        l->texts[i] = CAPTION;
        if (!texts)
            st = make_image(&l->imgs[i], info->input[0], info->input[1], (uint32_t)i);
    }
    return st;
}

static void release(load *l)
{
    for (size_t i = 0; l->imgs && i < l->batch; i++)
        ken_image_free(l->imgs[i]);
    cli_mem_free(l->imgs);
    cli_mem_free(l->texts);
    cli_mem_free(l->vectors);
}

/* Multiply-adds of one item; for texts also the weights they pass: with one token each weight is
 * used once. */
static ken_status count(const ken_model *m, int texts, double *macs, double *weights)
{
    size_t n = 0;
    *weights = 0;
    if (!texts) {
        *macs = ken_model_image_macs(m);
        return KEN_OK;
    }
    int32_t *ids = cli_mem_new(ken_model_get_info(m)->context, sizeof *ids);
    ken_status st = ken_model_tokens(m, CAPTION, ids, &n);
    cli_mem_free(ids);
    *macs = ken_model_text_macs(m, n);
    *weights = ken_model_text_macs(m, 1);
    return st;
}

static double bytes_of(const char *precision)
{
    return !strcmp(precision, "int8") ? 1 : !strcmp(precision, "bf16") ? 2 : 4;
}

typedef struct job {
    ken_model *m;
    int texts;
} job;

static ken_status one(size_t batch, void *cookie)
{
    const job *j = cookie;
    const ken_model *m = j->m;
    const int texts = j->texts;
    const ken_model_info *info = ken_model_get_info(m);
    load l = { .m = m, .batch = batch };
    cli_case c = CLI_CASE;
    double best, macs = 0, weights;
    ken_status st = fill(&l, texts);
    if (!st)
        st = count(m, texts, &macs, &weights);
    if (!st)
        st = cli_bench_best(texts ? encode_texts : encode, &l, info->precision, &best, &c.peak);
    if (!st) {
        c.bench = texts ? "text" : "encode";
        c.arch = info->arch;
        c.precision = info->precision;
        c.batch = batch;
        c.ms = best * 1e3;
        c.per_second = (double)batch / best;
        c.flops = 2 * macs * (double)batch;
        c.gbytes = weights * bytes_of(info->precision) / best * 1e-9;
        cli_bench_say(&c);
    }
    release(&l);
    return st;
}

static int each_batch(int texts)
{
    job j = { .texts = texts };
    ken_status st = KEN_OK;
    int code = cli_bench_model(&j.m);
    if (!code)
        code = cli_bench_batches(&st, cli_opt(OPT_BATCH), MAX_BATCH, one, &j);
    ken_model_close(j.m);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : code;
}

int cli_bench_encode(const cli_args *a)
{
    (void)a;
    return each_batch(0);
}

int cli_bench_text(const cli_args *a)
{
    (void)a;
    return each_batch(1);
}
