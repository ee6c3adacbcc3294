/* bench.h - timing, as every `ken bench` does it: warm up, take the best, measure the machine's
 * peak between the runs, print a line a case. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli/cmd.h"
#include "ken.h"

typedef struct kn_case {
    const char *bench, *arch, *precision, *part;
    size_t batch;
    double per_second, ms;
    double flops;  /* arithmetic of one run, 0 where it is not counted */
    double peak;   /* of the machine, operations a second */
    double gbytes; /* weights read a second, in 1e9 bytes; 0 where it does not apply */
    double share;  /* of the whole, < 0 where it does not apply */
} kn_case;

#define KN_CASE { .share = -1 }

typedef ken_status (*kn_work)(void *cookie);

/* The least seconds of one call of work in --seconds and at least three calls, after two to warm
 * up.  *peak (may be NULL) is the machine's best in turns with it. */
KEN_CALL ken_status kn_bench_best(kn_work work, void *cookie, const char *precision, double *best,
                                  double *peak);
void kn_bench_say(const kn_case *c);

uint32_t kn_bench_threads(void);

/* --model, or a random --arch.  0 or the exit status. */
int kn_bench_model(ken_model **out);

int kn_bench_encode(const kn_args *a);
int kn_bench_text(const kn_args *a);
int kn_bench_preprocess(const kn_args *a);
int kn_bench_pipeline(const kn_args *a);
int kn_bench_cold(const kn_args *a);

#endif
