/* test_metrics.c - metrics against scikit-learn (metrics.py) and against worked examples. */
#include "tests/test.h"

#include "train/metrics.h"

#include "metrics_cases.h"

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())
#define NEAR(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

/* The ranks of the ones in rel (n <= 64). */
static size_t ranks_of(const unsigned char *rel, size_t n, uint64_t ranks[64])
{
    size_t r = 0;
    for (size_t i = 0; i < n; i++)
        if (rel[i])
            ranks[r++] = i + 1;
    return r;
}

START_TEST(rankings_as_scikit_learn)
{
    for (size_t i = 0; i < sizeof rankings / sizeof *rankings; i++) {
        uint64_t ranks[64];
        const size_t r = ranks_of(rankings[i].rel, rankings[i].n, ranks);
        NEAR(kn_average_precision(ranks, r), rankings[i].ap);
        NEAR(kn_map_at_r(ranks, r), rankings[i].at_r);
        NEAR(kn_reciprocal_rank(ranks, r), rankings[i].rr);
        NEAR(kn_ndcg(ranks, r, 10), rankings[i].ndcg);
        NEAR(kn_precision_at(ranks, r, 5), rankings[i].p5);
        NEAR(kn_recall_at(ranks, r, 5), rankings[i].r5);
    }
}
END_TEST

START_TEST(confusions_as_scikit_learn)
{
    enum { N = sizeof truths / sizeof *truths, CELLS = sizeof cells / sizeof *cells };
    kn_confusion list[N];
    for (size_t i = 0; i < N; i++)
        list[i] = (kn_confusion){ truths[i], answers[i], 1 };
    ck_assert_uint_eq(kn_confusions(list, N), CELLS);
    for (size_t i = 0; i < CELLS; i++)
        ck_assert(list[i].truth == cells[i][0] && list[i].answer == cells[i][1]
                  && list[i].count == cells[i][2]);
    ck_assert_uint_eq(kn_confusions(list, 0), 0);
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

/* The worked example of pytorch-metric-learning's test_calculate_accuracies.py: six queries, whose
 * lists of neighbours end at rank 5, and how many are right anywhere.  Where a list ends before all
 * right ones are found, its AP counts the rest as never found: a rank beyond all others. */
START_TEST(worked_example)
{
    static const struct {
        unsigned char rel[5];
        size_t relevant;
        double precision_at_r, map_at_r, map, rr;
    } q[] = {
        { { 0, 1, 1, 0, 0 }, 3, 2.0 / 3, (1 / 2.0 + 2 / 3.0) / 3, (1 / 2.0 + 2 / 3.0) / 3, 1 / 2.0 },
        { { 1, 0, 1, 1, 0 }, 3, 2.0 / 3, (1 + 2 / 3.0) / 3, (1 + 2 / 3.0 + 3 / 4.0) / 3, 1 },
        { { 0, 0, 0, 0, 1 }, 5, 1.0 / 5, 1 / 5.0 / 5, 1 / 25.0, 1 / 5.0 },
        { { 1, 0, 1, 0, 1 }, 4, 2.0 / 4, (1 + 2 / 3.0) / 4, (1 + 2 / 3.0 + 3 / 5.0) / 4, 1 },
        { { 0, 0, 1, 0, 0 }, 5, 1.0 / 5, 1 / 3.0 / 5, 1 / 3.0 / 5, 1 / 3.0 },
        { { 0, 0, 0, 0, 0 }, 2, 0, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
        uint64_t ranks[64];
        for (size_t found = ranks_of(q[i].rel, 5, ranks); found < q[i].relevant; found++)
            ranks[found] = UINT64_MAX;
        NEAR(kn_precision_at(ranks, q[i].relevant, q[i].relevant), q[i].precision_at_r);
        NEAR(kn_map_at_r(ranks, q[i].relevant), q[i].map_at_r);
        NEAR(kn_average_precision(ranks, q[i].relevant), q[i].map);
        NEAR(kn_reciprocal_rank(ranks, q[i].relevant), q[i].rr);
    }
    const uint64_t second = 2;
    NEAR(kn_ndcg(&second, 1, 1), 0);
    NEAR(kn_ndcg(NULL, 0, 10), 0);
    NEAR(kn_average_precision(NULL, 0), 0);
    NEAR(kn_reciprocal_rank(NULL, 0), 0);
    NEAR(kn_recall_at(&second, 1, 2), 1);
    NEAR(kn_precision_at(&second, 1, 4), .25);
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
    tcase_add_test(tc, confusions_as_scikit_learn);
    tcase_add_test(tc, open_set_figures);
    tcase_add_test(tc, worked_example);
    tcase_add_test(tc, edges);
}

int main(void)
{
    return kn_test_main("metrics", fill);
}
