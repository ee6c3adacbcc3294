/* test_metrics.c - metrics against scikit-learn (metrics.py) and against worked examples. */
#include "tests/test.h"

#include "train/metrics.h"

#include "metrics_cases.h"

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())
#define NEAR(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

START_TEST(rankings_as_scikit_learn)
{
    for (size_t i = 0; i < sizeof rankings / sizeof *rankings; i++) {
        NEAR(kn_average_precision(rankings[i].rel, rankings[i].n), rankings[i].ap);
        NEAR(kn_reciprocal_rank(rankings[i].rel, rankings[i].n), rankings[i].rr);
        NEAR(kn_ndcg(rankings[i].rel, rankings[i].n, 10), rankings[i].ndcg);
    }
}
END_TEST

START_TEST(open_set_figures)
{
    double got;
    for (size_t i = 0; i < sizeof open_sets / sizeof *open_sets; i++) {
        const float *k = open_sets[i].known, *u = open_sets[i].unknown;
        const size_t n = open_sets[i].n, m = open_sets[i].m;
        OK(kn_auroc(&got, k, n, u, m));
        NEAR(got, open_sets[i].auroc);
        OK(kn_dir_at_fpir(&got, k, open_sets[i].correct, n, u, m, 0.01));
        NEAR(got, open_sets[i].dir1);
        OK(kn_dir_at_fpir(&got, k, open_sets[i].correct, n, u, m, 0.1));
        NEAR(got, open_sets[i].dir10);
        OK(kn_ece(&got, open_sets[i].conf, open_sets[i].correct, n, 15));
        ck_assert_double_eq_tol(got, open_sets[i].ece, 1e-7);
    }
}
END_TEST

/* The worked example of pytorch-metric-learning's test_calculate_accuracies.py, whose lists of
 * neighbours end at rank 5: where all right ones are among them, AP is that of the whole ranking. */
START_TEST(worked_example)
{
    const unsigned char second[] = { 1, 0, 1, 1, 0 }, first[] = { 0, 1, 1, 0, 0 };
    NEAR(kn_average_precision(second, 5), (1 + 2.0 / 3 + 3.0 / 4) / 3);
    NEAR(kn_average_precision(first, 5), (1.0 / 2 + 2.0 / 3) / 2);
    NEAR(kn_reciprocal_rank(first, 5), 0.5);
    NEAR(kn_reciprocal_rank((const unsigned char[]){ 0, 0, 0 }, 3), 0);
    NEAR(kn_average_precision((const unsigned char[]){ 0, 0, 0 }, 3), 0);
    NEAR(kn_ndcg((const unsigned char[]){ 0, 0, 0 }, 3, 10), 0);
    NEAR(kn_ndcg((const unsigned char[]){ 0, 1 }, 2, 1), 0);
}
END_TEST

START_TEST(edges)
{
    double got = 0;
    const float a[] = { 1, 1 }, b[] = { 1 };
    const unsigned char right[] = { 1, 0 };
    OK(kn_auroc(&got, a, 2, b, 1));
    NEAR(got, 0.5);
    ck_assert_int_eq(kn_auroc(&got, a, 0, b, 1), KEN_E_INVALID);
    ck_assert_int_eq(kn_dir_at_fpir(&got, a, right, 2, b, 0, 0.1), KEN_E_INVALID);
    ck_assert_int_eq(kn_ece(&got, a, right, 0, 5), KEN_E_INVALID);
    OK(kn_dir_at_fpir(&got, a, right, 2, b, 1, 0)); /* a tie with the unknown does not pass */
    NEAR(got, 0);
    OK(kn_dir_at_fpir(&got, a, right, 2, b, 1, 1));
    NEAR(got, 0.5);
    OK(kn_ece(&got, a, right, 2, 15));
    NEAR(got, 0.5);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, rankings_as_scikit_learn);
    tcase_add_test(tc, open_set_figures);
    tcase_add_test(tc, worked_example);
    tcase_add_test(tc, edges);
}

int main(void)
{
    return kn_test_main("metrics", fill);
}
