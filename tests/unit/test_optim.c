/* test_optim.c - steps, norms, averages and schedules: threads, resume, frozen parts, edges. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "train/optim.h"
#include "train/schedule.h"

#include <math.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* Several chunks, with a ragged end. */
enum { N = 3 * 16384 + 77 };
static float w1[N], w2[N], g[N];

static const kn_param_range ranges[] = {
    { 0, 1000, 1, 1, 0 },
    { 1000, 40000, 0.5f, 0, 0 },
    { 41000, 77, 1, 1, 1 },              /* frozen */
    { 41077, N - 41077 - 10, 10, 1, 0 }, /* the last ten are in no range */
};

static kn_optim *made(kn_optim_kind kind, uint32_t threads)
{
    kn_optim_config c = kn_optim_defaults(kind);
    kn_optim *o = NULL;
    c.threads = threads;
    c.weight_decay = 0.05;
    OK(kn_optim_new(&o, &c, N));
    return o;
}

static void steps(kn_optim *o, float *w, uint64_t from, uint64_t to)
{
    for (uint64_t s = from; s < to; s++) {
        kn_rand_fill_normal(g, N, 3, s, 0.1f);
        OK(kn_optim_step(o, w, g, ranges, 4, 0.01));
    }
}

static void start(void)
{
    kn_rand_fill_normal(w1, N, 1, 0, 1);
    memcpy(w2, w1, sizeof w1);
}

START_TEST(threads_do_not_matter)
{
    for (int kind = KN_OPTIM_SGD; kind <= KN_OPTIM_LION; kind++) {
        kn_optim *a = made((kn_optim_kind)kind, 1), *b = made((kn_optim_kind)kind, 3);
        start();
        steps(a, w1, 0, 5);
        steps(b, w2, 0, 5);
        ck_assert_mem_eq(w1, w2, sizeof w1);
        kn_optim_free(a);
        kn_optim_free(b);
    }
}
END_TEST

START_TEST(resume_is_exact)
{
    for (int kind = KN_OPTIM_SGD; kind <= KN_OPTIM_LION; kind++) {
        kn_optim *a = made((kn_optim_kind)kind, 2), *b = made((kn_optim_kind)kind, 2);
        float *from, *to;
        size_t count;
        start();
        steps(a, w1, 0, 3);
        kn_optim_state(a, &from, &count);
        kn_optim_state(b, &to, &count);
        ck_assert_uint_eq(count, kind == KN_OPTIM_ADAMW ? 2 * N : N);
        memcpy(to, from, count * sizeof *to);
        kn_optim_set_steps(b, kn_optim_steps(a));
        memcpy(w2, w1, sizeof w1);
        steps(a, w1, 3, 6);
        steps(b, w2, 3, 6);
        ck_assert_mem_eq(w1, w2, sizeof w1);
        kn_optim_free(a);
        kn_optim_free(b);
    }
}
END_TEST

START_TEST(frozen_stays)
{
    for (int kind = KN_OPTIM_SGD; kind <= KN_OPTIM_LION; kind++) {
        kn_optim *o = made((kn_optim_kind)kind, 2);
        float *m;
        size_t count;
        start();
        steps(o, w1, 0, 3);
        kn_optim_state(o, &m, &count);
        for (size_t i = 0; i < N; i++) {
            const int moves = i < 41000 || (i >= 41077 && i < N - 10);
            ck_assert(moves || w1[i] == w2[i]);
            ck_assert((m[i] != 0) == moves);
        }
        kn_optim_free(o);
    }
}
END_TEST

/* Rate and decay of each range, on the rule that shows them plainly: SGD without momentum. */
START_TEST(ranges_scale_and_decay)
{
    kn_optim_config c = kn_optim_defaults(KN_OPTIM_SGD);
    kn_optim *o = NULL;
    c.momentum = 0;
    c.weight_decay = 0.5;
    OK(kn_optim_new(&o, &c, N));
    for (size_t i = 0; i < N; i++) {
        w1[i] = 2;
        g[i] = 1;
    }
    OK(kn_optim_step(o, w1, g, ranges, 4, 0.125));
    ck_assert(w1[0] == 2 - 0.125f * 2 && w1[999] == w1[0]);
    ck_assert(w1[1000] == 2 - 0.0625f && w1[40999] == w1[1000]);
    ck_assert(w1[41000] == 2);
    ck_assert(w1[41077] == 2 - 1.25f * 2 && w1[N - 11] == w1[41077]);
    ck_assert(w1[N - 10] == 2);
    const kn_param_range outside = { N - 1, 2, 1, 1, 0 };
    ck_assert_int_eq(kn_optim_step(o, w1, g, &outside, 1, 0.1), KEN_E_INVALID);
    kn_optim_free(o);
}
END_TEST

START_TEST(norm_and_clip)
{
    double want = 0;
    kn_rand_fill_normal(g, N, 5, 0, 0.1f);
    for (size_t i = 0; i < N; i++)
        want += (double)g[i] * (double)g[i];
    const double norm = kn_grad_norm(g, N, 1);
    ck_assert_double_eq_tol(norm, sqrt(want), 1e-9);
    ck_assert(norm == kn_grad_norm(g, N, 2) && norm == kn_grad_norm(g, N, 7));
    memcpy(w1, g, sizeof g);
    ck_assert(kn_grad_clip(w1, N, norm * 2, 2) == norm);
    ck_assert_mem_eq(w1, g, sizeof g);
    ck_assert(kn_grad_clip(w1, N, norm / 4, 2) == norm);
    ck_assert_double_eq_tol(kn_grad_norm(w1, N, 1), norm / 4, 1e-4);
    ck_assert(kn_grad_norm(g, 0, 1) == 0);
    /* the guard: one bad number anywhere */
    static const size_t places[] = { 0, 15, 16384, N - 1 };
    for (size_t i = 0; i < 4; i++) {
        memcpy(w1, g, sizeof g);
        w1[places[i]] = i % 2 ? NAN : -INFINITY;
        memcpy(w2, w1, sizeof w1);
        ck_assert(!isfinite(kn_grad_norm(w1, N, 2)));
        ck_assert(!isfinite(kn_grad_clip(w1, N, 1, 2)));
        ck_assert_mem_eq(w1, w2, sizeof w1);
    }
    /* large numbers do not overflow */
    w1[0] = 3e38f;
    w1[1] = 3e38f;
    ck_assert_double_eq_tol(kn_grad_norm(w1, 2, 1) / 3e38, sqrt(2), 1e-6);
}
END_TEST

START_TEST(averages)
{
    for (size_t i = 0; i < N; i++) {
        w1[i] = 1;
        w2[i] = 3;
    }
    kn_ema_update(w1, w2, N, 0.75, 2);
    for (size_t i = 0; i < N; i++)
        ck_assert(w1[i] == 1.5f);
    kn_ema_update(w1, w2, N, 0, 2);
    ck_assert(w1[0] == 3 && w1[N - 1] == 3);
    ck_assert_double_eq_tol(kn_ema_decay(0.999, 0), 0.1, 1e-12);
    ck_assert_double_eq_tol(kn_ema_decay(0.999, 1000000), 0.999, 1e-12);
}
END_TEST

START_TEST(names_and_limits)
{
    kn_optim_kind kind;
    kn_schedule_kind schedule;
    kn_optim *o = NULL;
    for (int i = KN_OPTIM_SGD; i <= KN_OPTIM_LION; i++) {
        OK(kn_optim_named(&kind, kn_optim_name((kn_optim_kind)i)));
        ck_assert_int_eq(kind, i);
    }
    for (int i = KN_SCHEDULE_CONSTANT; i <= KN_SCHEDULE_ONECYCLE; i++) {
        OK(kn_schedule_named(&schedule, kn_schedule_name((kn_schedule_kind)i)));
        ck_assert_int_eq(schedule, i);
    }
    ck_assert_int_eq(kn_optim_named(&kind, "adam"), KEN_E_INVALID);
    ck_assert_int_eq(kn_schedule_named(&schedule, "cosin"), KEN_E_INVALID);
    kn_optim_config c = kn_optim_defaults(KN_OPTIM_ADAMW);
    c.momentum = 1;
    ck_assert_int_eq(kn_optim_new(&o, &c, 4), KEN_E_INVALID);
    c = kn_optim_defaults(KN_OPTIM_ADAMW);
    c.weight_decay = NAN;
    ck_assert_int_eq(kn_optim_new(&o, &c, 4), KEN_E_INVALID);
    c.weight_decay = 0;
    for (long i = 0; i < 2; i++) {
        kn_alloc_fail_after(i);
        ck_assert_int_eq(kn_optim_new(&o, &c, 4), KEN_E_NOMEM);
        kn_alloc_fail_after(-1);
    }
    ck_assert_ptr_null(o);
    kn_optim_free(NULL);
}
END_TEST

START_TEST(schedules_at_their_ends)
{
    for (int k = KN_SCHEDULE_CONSTANT; k <= KN_SCHEDULE_ONECYCLE; k++) {
        kn_schedule s = kn_schedule_defaults((kn_schedule_kind)k, 0.5);
        for (uint64_t total = 0; total < 40; total++)
            for (s.warmup = 0; s.warmup < 6; s.warmup++)
                for (uint64_t step = 0; step < total + 3; step++) {
                    const double lr = kn_schedule_lr(&s, step, total);
                    ck_assert_msg(lr > 0 && lr <= 0.5, "%s: step %d of %d, warm-up %d: %g",
                                  kn_schedule_name(s.kind), (int)step, (int)total, (int)s.warmup,
                                  lr);
                    const double m = kn_schedule_momentum(&s, step, total);
                    ck_assert(m == 0 || (m >= 0.85 - 1e-9 && m <= 0.95 + 1e-9));
                }
    }
    kn_schedule s = kn_schedule_defaults(KN_SCHEDULE_COSINE, 0.5);
    s.warmup = 4;
    ck_assert_double_eq_tol(kn_schedule_lr(&s, 0, 100), 0.125, 1e-12);
    ck_assert_double_eq_tol(kn_schedule_lr(&s, 3, 100), 0.5, 1e-12);
    ck_assert_double_eq_tol(kn_schedule_lr(&s, 4, 100), 0.5, 1e-12);
    ck_assert_double_eq_tol(kn_schedule_lr(&s, 52, 100), 0.25, 1e-12);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, threads_do_not_matter);
    tcase_add_test(tc, resume_is_exact);
    tcase_add_test(tc, frozen_stays);
    tcase_add_test(tc, ranges_scale_and_decay);
    tcase_add_test(tc, norm_and_clip);
    tcase_add_test(tc, averages);
    tcase_add_test(tc, names_and_limits);
    tcase_add_test(tc, schedules_at_their_ends);
}

int main(void)
{
    return kn_test_main("optim", fill);
}
