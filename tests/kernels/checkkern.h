/*
 * checkkern.h - every kernel, at every level this machine can run, against an
 * oracle in double; and with --bench, how fast it is.
 *
 *   checkkern [--bench] [--level NAME] [PATTERN]
 *
 * PATTERN selects kernels by a part of their name, --level one level.  To add a
 * family: write check_FAMILY.c and give it one line in checkkern.c's table.
 *
 * A check looks like this:
 *
 *   void check_dist(ck *t)
 *   {
 *       if (CK_BEGIN(t, dot_f32)) {     a new pointer at this level, and wanted
 *           float *a = ck_guarded(t, 4 * n);
 *           ck_fill(a, n);
 *           ck_near(t, t->now.dot_f32(a, b, n), want, bound, "n=%zu", n);
 *           CK_BENCH(t, "n=256", t->ref.dot_f32(a, b, 256), t->now.dot_f32(a, b, 256));
 *       }
 *   }
 */
#ifndef CHECKKERN_H
#define CHECKKERN_H

#include "kernels/kernels.h"

#include <stdbool.h>

typedef struct ck {
    const char *level;   /* "avx2" */
    kn_kernels ref;      /* level c */
    kn_kernels prev;     /* the level below, to skip what is inherited */
    kn_kernels now;      /* the level under test */
    const char *kernel;  /* the kernel under test */
    const char *pattern; /* run only names that contain it; NULL is all */
    bool bench;
    int tested, passed, failed; /* kernels of all levels */
    int wrong;                  /* mismatches of the kernel under test */
    struct ck_block *blocks;    /* what ck_guarded gave, until the family's check returns */
} ck;

/* True if the field is new at this level and matches the pattern. */
#define CK_BEGIN(t, field)                                                                         \
    ck_begin((t), #field, (t)->now.field && (t)->now.field != (t)->prev.field)
bool ck_begin(ck *t, const char *kernel, bool is_new);

/* Report a mismatch unless |got - want| <= tolerance (NaN never is); the first few are printed.
 * Two NaNs agree. */
void ck_near(ck *t, double got, double want, double tolerance, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Report a mismatch unless the bytes are equal. */
void ck_equal(ck *t, const void *got, const void *want, size_t bytes, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Memory between two unmapped pages that ends at the second one: one byte too far is a crash.
 * The bytes between the first page and the memory are canaries, looked at when the family's check
 * returns or ck_release() is called; then the memory is gone. */
void *ck_guarded(ck *t, size_t bytes);
void ck_release(ck *t);

/* Random numbers, the same in every run. */
uint32_t ck_rand(void);
void ck_fill(float *p, size_t n); /* uniform in [-1, 1) */
void ck_fill_bytes(void *p, size_t n);

/* Conversions written apart from the kernels': to nearest even; NaN stays NaN. */
uint16_t ck_to_bf16(double x);
float ck_from_bf16(uint16_t h);
uint16_t ck_to_f16(double x);
float ck_from_f16(uint16_t h);

/* Nanoseconds a call of level c and of the level under test, best of many short turns.  The two
 * take turns, so that a change of clock speed or a noisy neighbour hits both. */
#define CK_BENCH(t, label, call_ref, call_now)                                                     \
    for (ck_timer tm_ = ck_start((t), (label)); ck_turn(&tm_);)                                    \
        for (long i_ = 0; i_ < tm_.repeat[tm_.turn % 2]; i_++)                                     \
    (void)(tm_.turn % 2 ? (call_now) : (call_ref))

typedef struct ck_timer {
    ck *t;
    const char *label;
    int turn;
    long repeat[2];
    double since, best[2];
} ck_timer;
ck_timer ck_start(ck *t, const char *label);
bool ck_turn(ck_timer *tm); /* false when done, having printed the result */
double ck_now(void);        /* seconds */

/* Level amx on a model of the tile unit (amx_emulated.c). */
void ck_init_amx_emulated(kn_kernels *k);

/* One line a family; defined in check_FAMILY.c. */
void check_gemm(ck *t);
void check_attention(ck *t);
void check_norm(ck *t);
void check_pool(ck *t);
void check_dist(ck *t);
void check_pq(ck *t);
void check_code(ck *t);
void check_convert(ck *t);
void check_resample(ck *t);
void check_conv(ck *t);
void check_pack(ck *t);
void check_outer(ck *t);
void check_batch(ck *t);
void check_wino(ck *t);

#endif
