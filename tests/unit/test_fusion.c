/* test_fusion.c - rankings fused, against examples worked by hand from the papers' formulas (fusion.h). */
#include "tests/test.h"

#include "engine/fusion.h"

static const ken_hit a[] = { { 1, 0, .9f }, { 2, 0, .5f }, { 3, 0, .1f } };
static const ken_hit b[] = { { 3, 0, .8f }, { 1, 0, .6f }, { 4, 0, .4f } };

static void fuse(float wa, float wb, kn_fusion how, ken_hit *out, size_t *n)
{
    const kn_ranking lists[] = { { a, 3, wa }, { b, 3, wb } };
    ck_assert_int_eq(kn_fuse(lists, 2, how, out, n), KEN_OK);
}

/* 1: 1/61 + 1/62, 3: 1/63 + 1/61, 2: 1/62, 4: 1/63; the most there can be is 2/61. */
START_TEST(reciprocal_ranks)
{
    ken_hit out[6];
    size_t n;
    fuse(1, 1, KN_FUSION_RRF, out, &n);
    ck_assert_uint_eq(n, 4);
    const uint64_t ids[] = { 1, 3, 2, 4 };
    const double sums[] = { 1 / 61. + 1 / 62., 1 / 63. + 1 / 61., 1 / 62., 1 / 63. };
    const float raws[] = { .9f, .1f, .5f, .4f }; /* of the first list that has it */
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(out[i].id, ids[i]);
        ck_assert_double_eq_tol((double)out[i].score, sums[i] * 61 / 2, 1e-6);
        ck_assert(out[i].raw == raws[i]);
    }
    fuse(1, 9, KN_FUSION_RRF, out, &n); /* 3: .1/63 + .9/61 is more than 1: .1/61 + .9/62 */
    ck_assert_uint_eq(out[0].id, 3);
    ck_assert_double_eq_tol((double)out[0].score, (.1 / 63 + .9 / 61) * 61, 1e-6);
}
END_TEST

/* a brought to 0 … 1: 1, .5, 0; b: 1, .5, 0. */
START_TEST(normalised_cosines)
{
    ken_hit out[6];
    size_t n;
    fuse(7, 3, KN_FUSION_WEIGHTED, out, &n);
    const uint64_t ids[] = { 1, 2, 3, 4 };
    const double want[] = { .7 + .3 * .5, .7 * .5, .3, 0 };
    ck_assert_uint_eq(n, 4);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(out[i].id, ids[i]);
        ck_assert_double_eq_tol((double)out[i].score, want[i], 1e-6);
    }
}
END_TEST

START_TEST(little_to_fuse)
{
    ken_hit out[2];
    size_t n = 9;
    const kn_ranking none[] = { { NULL, 0, 1 }, { NULL, 0, 1 } };
    ck_assert_int_eq(kn_fuse(none, 2, KN_FUSION_WEIGHTED, out, &n), KEN_OK);
    ck_assert_uint_eq(n, 0);
    const kn_ranking one[] = { { NULL, 0, 1 }, { a, 1, 1 } };
    ck_assert_int_eq(kn_fuse(one, 2, KN_FUSION_WEIGHTED, out, &n), KEN_OK);
    ck_assert(n == 1 && out[0].id == 1 && out[0].score == .5f); /* all it could say speaks for it */
    const ken_hit even[] = { { 8, 0, .2f }, { 5, 0, .2f } };
    const kn_ranking equal[] = { { even, 2, 1 } };
    ck_assert_int_eq(kn_fuse(equal, 1, KN_FUSION_WEIGHTED, out, &n), KEN_OK);
    ck_assert(n == 2 && out[0].id == 5 && out[0].score == 1 && out[1].score == 1);
}
END_TEST

START_TEST(names)
{
    kn_fusion how;
    ck_assert(!kn_fusion_named(&how, NULL) && how == KN_FUSION_RRF);
    ck_assert(!kn_fusion_named(&how, "weighted") && how == KN_FUSION_WEIGHTED);
    ck_assert_int_eq(kn_fusion_named(&how, "sum"), KEN_E_INVALID);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, reciprocal_ranks);
    tcase_add_test(tc, normalised_cosines);
    tcase_add_test(tc, little_to_fuse);
    tcase_add_test(tc, names);
}

int main(void)
{
    return kn_test_main("fusion", fill);
}
