/* bench_train.c - `ken bench train`: whole training steps, on random pictures. */
#include "cli/bench.h"

#include <string.h>

enum { MOST_BATCH = 4096 };

/* The arithmetic that training picks by itself: bf16 where a level multiplies it faster than f32. */
static const char *precision(void)
{
    const char *name = cli_opt(OPT_PRECISION), *level = ken_cpu_level();
    if (strcmp(name, "auto"))
        return name;
    return !strcmp(level, "avx512bf16") || !strcmp(level, "amx") ? "bf16" : "f32";
}

static ken_status work(void *cookie)
{
    return ken_bench_step_run(cookie);
}

static ken_status one(size_t batch, void *cookie)
{
    const char *arch = cookie;
    ken_bench_step *b = NULL;
    cli_case c = CLI_CASE;
    double best;
    ken_status st = ken_bench_train(&b, arch, (uint32_t)cli_opt_whole(OPT_SIZE), (uint32_t)batch,
                                    precision(),
                                    cli_bench_threads());
    if (!st)
        st = cli_bench_best(work, b, precision(), &best, &c.peak);
    if (!st) {
        c.bench = "train";
        c.arch = arch;
        c.precision = precision();
        c.batch = batch;
        c.ms = best * 1e3;
        c.per_second = (double)batch / best;
        c.flops = ken_bench_step_flops(b);
        cli_bench_say(&c);
    }
    ken_bench_free(b);
    return st;
}

int cli_bench_train(const cli_args *a)
{
    const char *arch = cli_opt_layer(OPT_ARCH) ? cli_opt(OPT_ARCH) : "resnet18";
    const char *list = cli_opt_layer(OPT_BATCH) ? cli_opt(OPT_BATCH) : "32";
    ken_status st;
    (void)a;
    const int bad = cli_bench_batches(&st, list, MOST_BATCH, one, (void *)(uintptr_t)arch);
    return st ? cli_complain(st, ABOUT_MODEL, NULL) : bad;
}
