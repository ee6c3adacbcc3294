/* test_fit.c - fits against scikit-learn's and SciPy's; tables of vectors in memory and beyond. */
#include "tests/test.h"

#include "base/rand.h"
#include "engine/fit.h"
#include "engine/recognition.h"
#include "engine/spill.h"
#include "tests/golden/fits_cases.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

START_TEST(logistic)
{
    for (size_t i = 0; i < sizeof logistic_cases / sizeof *logistic_cases; i++) {
        double b[1 + KN_FIT_MAX];
        OK(kn_fit_logistic(b, logistic_cases[i].x, logistic_cases[i].y, logistic_cases[i].w,
                           logistic_cases[i].n, logistic_cases[i].k, logistic_cases[i].ridge));
        for (size_t j = 0; j <= logistic_cases[i].k; j++)
            ck_assert_double_eq_tol(b[j], logistic_cases[i].b[j],
                                    2e-4 * (1 + fabs(logistic_cases[i].b[j])));
    }
    const double x[] = { 1, 2, 3 };
    const unsigned char ones[] = { 1, 1, 1 };
    double b[2];
    ck_assert_int_eq(kn_fit_logistic(b, x, ones, NULL, 3, 1, 0), KEN_E_INVALID);
}
END_TEST

/* Classes that a line divides have no finite fit; with a ridge they do.  A feature that does not vary
 * is left out. */
START_TEST(logistic_at_its_limits)
{
    const double x[] = { 1, 7, 2, 7, 3, 7, 10, 7, 11, 7, 12, 7 };
    const unsigned char y[] = { 0, 0, 0, 1, 1, 1 };
    double b[3];
    OK(kn_fit_logistic(b, x, y, NULL, 6, 2, 1e-4));
    ck_assert(isfinite(b[0]) && b[1] > 0 && b[2] == 0);
    OK(kn_fit_logistic(b, x, y, NULL, 6, 2, 0));
    ck_assert(isfinite(b[0]) && isfinite(b[1]));
}
END_TEST

START_TEST(pareto)
{
    for (size_t i = 0; i < sizeof pareto_cases / sizeof *pareto_cases; i++) {
        double shape, scale, likelihood = 0;
        OK(kn_fit_pareto(&shape, &scale, pareto_cases[i].x, pareto_cases[i].n));
        for (size_t j = 0; j < pareto_cases[i].n; j++)
            likelihood -= log(scale) + (1 + 1 / shape) * log1p(shape * pareto_cases[i].x[j] / scale);
        /* SciPy's simplex may stop a little below the maximum, never above */
        ck_assert_double_ge(likelihood, pareto_cases[i].likelihood - 1e-6);
        ck_assert_double_eq_tol(shape, pareto_cases[i].shape, 2e-3);
        ck_assert_double_eq_tol(scale / pareto_cases[i].scale, 1, 2e-3);
    }
    const double few[] = { 1, 2 }, zeros[6] = { 0 };
    double shape, scale;
    ck_assert_int_eq(kn_fit_pareto(&shape, &scale, few, 2), KEN_E_INVALID);
    ck_assert_int_eq(kn_fit_pareto(&shape, &scale, zeros, 6), KEN_E_INVALID);
}
END_TEST

/* Thresholds follow their definition, and are the inverse of the rate. */
START_TEST(thresholds)
{
    kn_recognition r, back;
    kn_recognition_default(&r);
    r.impostors = (kn_impostors){ .objects = 1000, .power = 1, .from = 5, .rate = .1, .shape = -.1,
                                  .scale = .5 };
    for (int i = 0; i < KN_QUANTILES; i++)
        r.impostors.quantile[i] = 5.0 * i / (KN_QUANTILES - 1) / .9;
    for (double n = 1; n < 1e7; n *= 10)
        for (double p = .001; p < .6; p *= 3) {
            const double t = kn_recognition_threshold(&r, p, n);
            const double at = -expm1(log1p(-p) * 1000 / n); /* of N0 = 1000 */
            if (t > r.impostors.quantile[0])
                ck_assert_double_eq_tol(kn_recognition_fpir(&r, t, n), p, 1e-9 + .02 * p);
            if (at < .1) /* P0(t) = .1 (1 - .1 (t - 5) / .5)^10 */
                ck_assert_double_eq_tol(t, 5 + .5 / .1 * (1 - pow(at / .1, .1)), 1e-9);
            ck_assert(kn_recognition_threshold(&r, p, 10 * n) >= t);
        }
    char *json = kn_recognition_print(&r);
    OK(kn_recognition_parse(&back, json));
    for (int i = 0; i < KN_QUANTILES; i++)
        ck_assert_double_eq_tol(back.impostors.quantile[i], r.impostors.quantile[i], 1e-13);
    ck_assert(back.impostors.from == 5 && back.impostors.rate == .1
              && back.impostors.shape == -.1 && back.impostors.scale == .5
              && back.impostors.objects == 1000 && back.impostors.power == 1);
    ck_assert(back.lead == r.lead && back.crops == r.crops && back.fpir == r.fpir);
    kn_free(json);
    const char *bad[] = { "", "[]", "{\"crops\":99}", "{\"weights\":[1,2,3,4]}",
                          "{\"weights\":[1,2,3,4,1e999]}", "{\"impostors\":{}}",
                          "{\"impostors\":{\"objects\":5,\"quantiles\":[1],\"tail\":[1,2,3,4]}}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(kn_recognition_parse(&back, bad[i]), KEN_E_FORMAT);
}
END_TEST

START_TEST(rows_in_memory_and_beyond)
{
    enum { DIM = 5, N = 1000 };
    static float all[N][DIM], room[N][DIM];
    kn_spill r;
    const float *got;
    kn_rand_fill_normal(all[0], N * DIM, 1, 1, 1);
    kn_spill_init(&r, DIM, (size_t)_i * DIM * sizeof(float));
    for (size_t i = 0, n; i < N; i += n) {
        n = 1 + i % 37;
        n = n < N - i ? n : N - i;
        OK(kn_spill_add(&r, all[i], n));
    }
    ck_assert_uint_eq(r.n, N);
    for (size_t i = 0; i < N; i += 13) {
        const size_t n = i % 90 < N - i ? i % 90 : N - i;
        OK(kn_spill_get(&r, i, n, room[0], &got));
        ck_assert_mem_eq(got, all[i], n * sizeof *all);
    }
    kn_spill_release(&r);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, logistic);
    tcase_add_test(tc, logistic_at_its_limits);
    tcase_add_test(tc, pareto);
    tcase_add_test(tc, thresholds);
    tcase_add_loop_test(tc, rows_in_memory_and_beyond, 0, 3);
    tcase_add_loop_test(tc, rows_in_memory_and_beyond, 300, 302);
    tcase_add_loop_test(tc, rows_in_memory_and_beyond, 5000, 5001);
}

int main(void)
{
    return kn_test_main("fit", fill);
}
