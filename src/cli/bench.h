/* bench.h - timing, as every `ken bench` does it: warm up, take the best, measure the machine's
 * peak between the runs, print a line a case. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli/cmd.h"
#include "ken.h"

typedef struct cli_case {
    const char *bench, *arch, *precision, *part;
    size_t batch;
    double per_second, ms;
    double flops;  /* arithmetic of one run, 0 where it is not counted */
    double peak;   /* of the machine, operations a second */
    double gbytes; /* weights read a second, in 1e9 bytes; 0 where it does not apply */
    double share;  /* of the whole, < 0 where it does not apply */
    double p50, p99; /* milliseconds; 0 where only the best is looked at */
    double encoder;  /* texts a second that the network does by itself; 0 where it does not apply */
} cli_case;

#define CLI_CASE \
    { .share = -1 }

typedef ken_status (*cli_work)(void *cookie);

/* The least seconds of one call of work in --seconds and at least three calls, after two to warm
 * up.  *peak (may be NULL) is the machine's best in turns with it. */
KEN_CALL ken_status cli_bench_best(cli_work work, void *cookie, const char *precision, double *best,
                                   double *peak);
void cli_bench_say(const cli_case *c);

/* n times, into order; and of those the least that a share (0..1) of them does not exceed, 0 if there are
 * none. */
void cli_bench_sort(double *times, size_t n);
double cli_bench_percentile(const double *sorted, size_t n, double share);

uint32_t cli_bench_threads(void);

/* fn for each batch size of a list "1,32", until one fails; each is 1 .. most.  *st is fn's status; 0, or
 * the exit status, the reason printed, of a list that is none: then fn was not called. */
typedef ken_status (*cli_batch_fn)(size_t batch, void *cookie);
int cli_bench_batches(ken_status *st, const char *list, long most, cli_batch_fn fn, void *cookie);

/* --model, or a random --arch.  0 or the exit status. */
int cli_bench_model(ken_model **out);

int cli_bench_encode(const cli_args *a);
int cli_bench_text(const cli_args *a);
int cli_bench_preprocess(const cli_args *a);
int cli_bench_pipeline(const cli_args *a);
int cli_bench_cold(const cli_args *a);
int cli_bench_search(const cli_args *a);
int cli_bench_train(const cli_args *a);
int cli_bench_http(const cli_args *a);

#endif
