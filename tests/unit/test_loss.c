/* test_loss.c - what losses do at their edges: nothing to learn from, copies, collapse, NaN, threads. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "train/loss.h"
#include "train/optim.h"

#include <math.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { DIM = 8, MOST = 64 };

static kn_loss_config config(kn_loss_kind kind)
{
    kn_loss_config c = kn_loss_defaults(kind);
    c.dim = DIM;
    c.classes = kn_loss_of_classes(kind) ? 40 : 0;
    return c;
}

static kn_loss *made(const kn_loss_config *c)
{
    kn_loss *l = NULL;
    OK(kn_loss_new(&l, c));
    return l;
}

/* Any kind, of one batch or of pairs. */
static kn_loss_report run(kn_loss *l, kn_loss_kind kind, const float *e, const uint32_t *labels,
                          size_t n, float *de)
{
    kn_loss_report r;
    float v[MOST * DIM], dv[MOST * DIM];
    kn_rand_fill_normal(v, n * DIM, 8, 8, 1);
    if (kn_loss_of_pairs(kind))
        OK(kn_loss_run_pairs(l, e, v, n, NULL, de, dv, &r));
    else
        OK(kn_loss_run(l, e, labels, n, de, &r));
    return r;
}

static int all_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0)
            return 0;
    return 1;
}

static int all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

START_TEST(names)
{
    kn_loss_kind kind;
    kn_mining mining;
    for (int i = 0; i < KN_LOSS_KINDS; i++) {
        OK(kn_loss_named(&kind, kn_loss_name((kn_loss_kind)i)));
        ck_assert_int_eq(kind, i);
    }
    for (int i = KN_MINING_ALL; i <= KN_MINING_AUTO; i++) {
        OK(kn_mining_named(&mining, kn_mining_name((kn_mining)i)));
        ck_assert_int_eq(mining, i);
    }
    ck_assert_int_eq(kn_loss_named(&kind, "tripplet"), KEN_E_INVALID);
    ck_assert_int_eq(kn_mining_named(&mining, ""), KEN_E_INVALID);
}
END_TEST

START_TEST(refused)
{
    kn_loss *l = NULL;
    float e[DIM] = { 1 }, de[DIM];
    kn_loss_report r;
    const uint32_t label = 40;
    kn_loss_config c = config(KN_LOSS_SUPCON);
    c.mining = KN_MINING_HARD;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_CONTRASTIVE);
    c.mining = KN_MINING_SEMIHARD;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_SUPCON);
    c.temperature = 0;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_SOFTMAX);
    c.classes = 0;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_SOFTMAX);
    c.label_smoothing = 1;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_TRIPLET);
    c.dim = 0;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_TRIPLET);
    c.margin = NAN;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    c = config(KN_LOSS_DISTILL);
    c.teacher_dim = DIM + 1;
    ck_assert_int_eq(kn_loss_new(&l, &c), KEN_E_INVALID);
    ck_assert_ptr_null(l);
    c = config(KN_LOSS_SOFTMAX);
    l = made(&c);
    ck_assert_int_eq(kn_loss_run(l, e, &label, 1, de, &r), KEN_E_INVALID);
    ck_assert_int_eq(kn_loss_run(l, e, &label, 0, de, &r), KEN_E_INVALID);
    ck_assert_int_eq(kn_loss_run_pairs(l, e, e, 1, NULL, de, de, &r), KEN_E_INVALID);
    kn_loss_free(l);
    kn_loss_free(NULL);
}
END_TEST

/* Batches without a positive, without a negative, of one row: no loss and no gradient, not NaN. */
START_TEST(nothing_to_learn)
{
    static const kn_loss_kind kinds[] = { KN_LOSS_TRIPLET, KN_LOSS_INFONCE, KN_LOSS_SUPCON,
                                          KN_LOSS_PROTO };
    uint32_t alone[6] = { 0, 1, 2, 3, 4, 5 }, one[6] = { 2, 2, 2, 2, 2, 2 };
    float e[6 * DIM], de[6 * DIM];
    kn_rand_fill_normal(e, 6 * DIM, 1, 1, 1);
    for (size_t i = 0; i < 4; i++)
        for (int mining = 0; mining < (kinds[i] == KN_LOSS_TRIPLET ? 3 : 1); mining++) {
            kn_loss_config c = config(kinds[i]);
            c.mining = (kn_mining)mining;
            kn_loss *l = made(&c);
            kn_loss_report r = run(l, kinds[i], e, alone, 6, de);
            ck_assert_msg(r.loss == 0 && all_zero(de, 6 * DIM), "%s", kn_loss_name(kinds[i]));
            r = run(l, kinds[i], e, alone, 1, de);
            ck_assert(r.loss == 0 && all_zero(de, DIM));
            r = run(l, kinds[i], e, one, 6, de);
            ck_assert(isfinite(r.loss) && all_finite(de, 6 * DIM));
            if (kinds[i] == KN_LOSS_TRIPLET || kinds[i] == KN_LOSS_INFONCE)
                ck_assert(r.loss == 0 && all_zero(de, 6 * DIM));
            kn_loss_free(l);
        }
}
END_TEST

/* Rows that are copies of each other, and rows of zeros: every kind stays finite. */
START_TEST(copies_and_zeros)
{
    enum { N = 12 };
    uint32_t labels[N];
    float e[N * DIM], de[N * DIM], *w, *g;
    size_t count;
    for (int zeros = 0; zeros < 2; zeros++) {
        kn_rand_fill_normal(e, sizeof e / sizeof *e, 1, 1, 1);
        for (size_t i = 0; i < N; i++) {
            labels[i] = (uint32_t)i / 3;
            if (i % 3 == 1)
                memcpy(e + i * DIM, e + (i - 1) * DIM, DIM * sizeof *e);
            if (zeros && i % 3 == 2)
                memset(e + i * DIM, 0, DIM * sizeof *e);
        }
        memcpy(e + 5 * DIM, e, DIM * sizeof *e); /* also across classes */
        for (int k = 0; k < KN_LOSS_KINDS; k++)
            for (int normal = 0; normal < 2; normal++) {
                kn_loss_config c = config((kn_loss_kind)k);
                c.normalize = normal;
                kn_loss *l = made(&c);
                const kn_loss_report r = run(l, c.kind, e, labels, N, de);
                kn_loss_params(l, &w, &g, &count);
                ck_assert_msg(isfinite(r.loss) && all_finite(de, N * DIM) && all_finite(g, count),
                              "%s: %g", kn_loss_name(c.kind), r.loss);
                ck_assert(isfinite(r.positive) && isfinite(r.negative) && r.bad == -1);
                kn_loss_free(l);
            }
    }
}
END_TEST

/* A distance far below what |a|^2 + |b|^2 - 2ab resolves in f32: vectors at 1, 1e-4 apart. */
START_TEST(near_rows_keep_their_digits)
{
    const uint32_t labels[] = { 0, 0, 1 };
    float e[3 * DIM] = { 0 }, de[3 * DIM];
    kn_loss_config c = config(KN_LOSS_TRIPLET);
    kn_loss_report r;
    c.margin = 1;
    for (int i = 0; i < 3; i++)
        e[i * DIM] = 1;
    e[DIM + 1] = 1e-4f;
    e[2 * DIM + 2] = 0.5f;
    kn_loss *l = made(&c);
    OK(kn_loss_run(l, e, labels, 3, de, &r));
    ck_assert_double_eq_tol(r.positive, 1e-4, 1e-8);
    ck_assert_double_eq_tol(r.negative, (0.5 + sqrt(0.25 + 1e-8)) / 2, 1e-6);
    /* both triplets are active: d_ap draws the pair together with slope 1 each, over two */
    ck_assert_double_eq_tol((double)de[DIM + 1], 1 - 1e-4 / 0.5 / 2, 1e-4);
    kn_loss_free(l);
}
END_TEST

START_TEST(bad_numbers_are_named)
{
    enum { N = 6 };
    const float bad[] = { NAN, INFINITY, -INFINITY };
    const uint32_t labels[N] = { 0, 0, 1, 1, 2, 2 };
    float e[N * DIM], de[N * DIM];
    for (int k = 0; k < KN_LOSS_KINDS; k++)
        for (int i = 0; i < 3; i++) {
            const kn_loss_config c = config((kn_loss_kind)k);
            kn_loss *l = made(&c);
            kn_rand_fill_normal(e, N * DIM, 1, 1, 1);
            e[4 * DIM + 3] = bad[i];
            const kn_loss_report r = run(l, c.kind, e, labels, N, de);
            ck_assert(r.bad == 4 && isnan(r.loss) && all_zero(de, N * DIM));
            kn_loss_free(l);
        }
}
END_TEST

/* The same bits for any number of threads, at a size that is split. */
START_TEST(threads_do_not_matter)
{
    enum { N = 61 };
    uint32_t labels[N];
    float e[N * DIM], one[N * DIM], many[N * DIM], *w, *g[2];
    size_t count;
    kn_rand_fill_normal(e, N * DIM, 2, 1, 1);
    for (size_t i = 0; i < N; i++)
        labels[i] = (uint32_t)(i * 7 % 20);
    for (int k = 0; k < KN_LOSS_KINDS; k++)
        for (int mining = 0; mining < (k == KN_LOSS_TRIPLET ? 3 : 1); mining++) {
            kn_loss_config c = config((kn_loss_kind)k);
            c.mining = (kn_mining)mining;
            kn_loss *a = made(&c);
            c.threads = 3;
            kn_loss *b = made(&c);
            const kn_loss_report x = run(a, c.kind, e, labels, N, one);
            const kn_loss_report y = run(b, c.kind, e, labels, N, many);
            ck_assert(x.loss == y.loss && x.active == y.active && x.positive == y.positive);
            ck_assert_mem_eq(one, many, sizeof one);
            kn_loss_params(a, &w, &g[0], &count);
            kn_loss_params(b, &w, &g[1], &count);
            ck_assert_mem_eq(g[0], g[1], count * sizeof **g);
            kn_loss_free(a);
            kn_loss_free(b);
        }
}
END_TEST

START_TEST(clip_scale_is_clamped)
{
    const kn_loss_config c = config(KN_LOSS_CLIP);
    float e[4 * DIM], de[4 * DIM], *w, *g;
    size_t count;
    kn_rand_fill_normal(e, 4 * DIM, 1, 1, 1);
    kn_loss *l = made(&c);
    kn_loss_params(l, &w, &g, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_double_eq_tol((double)w[0], log(1 / 0.07), 1e-6);
    w[0] = 50;
    const kn_loss_report r = run(l, c.kind, e, NULL, 4, de);
    ck_assert_double_eq_tol((double)w[0], log(100), 1e-6);
    ck_assert(isfinite(r.loss));
    kn_loss_free(l);
}
END_TEST

START_TEST(ranges_cover_the_weights)
{
    for (int k = 0; k < KN_LOSS_KINDS; k++) {
        const kn_loss_config c = config((kn_loss_kind)k);
        kn_param_range r[2];
        float *w, *g;
        size_t count, at = 100;
        kn_loss *l = made(&c);
        kn_loss_params(l, &w, &g, &count);
        const size_t n = kn_loss_ranges(l, 100, r);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_eq(r[i].begin, at);
            at += r[i].count;
        }
        ck_assert_uint_eq(at, 100 + count);
        ck_assert(k != KN_LOSS_SOFTMAX || (n == 2 && r[0].decay && !r[1].decay));
        ck_assert(k != KN_LOSS_CLIP || (n == 1 && !r[0].decay));
        kn_loss_free(l);
    }
}
END_TEST

/* ---- mining and collapse ---- */

/* Classes `apart` from each other, spread by `wide`. */
static void clusters(float *e, uint32_t *labels, size_t n, float apart, float wide, uint64_t seed)
{
    float centre[MOST * DIM];
    kn_rand_fill_normal(centre, MOST * DIM, 77, 0, apart);
    kn_rand_fill_normal(e, n * DIM, seed, 1, wide);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint32_t)i / 4;
        for (size_t j = 0; j < DIM; j++)
            e[i * DIM + j] += centre[labels[i] * DIM + j];
    }
}

START_TEST(auto_mining_moves_on)
{
    enum { N = 48 };
    kn_loss_config c = config(KN_LOSS_TRIPLET);
    float e[N * DIM], de[N * DIM];
    uint32_t labels[N];
    kn_loss_report r;
    const char *said[3] = { NULL };
    size_t n = 0;
    c.mining = KN_MINING_AUTO;
    kn_loss *l = made(&c);
    for (uint64_t i = 0; i < 60; i++) { /* hard at first: nothing moves */
        clusters(e, labels, N, 0.1f, 1, i);
        OK(kn_loss_run(l, e, labels, N, de, &r));
        ck_assert(r.mining == KN_MINING_ALL && !r.reason);
    }
    for (uint64_t i = 0; i < 400 && n < 3; i++) {
        clusters(e, labels, N, 3, 0.1f, i);
        OK(kn_loss_run(l, e, labels, N, de, &r));
        if (r.reason)
            said[n++] = r.reason;
    }
    ck_assert_uint_eq(n, 2);
    ck_assert(strstr(said[0], "semi-hard") && strstr(said[1], "to hard"));
    ck_assert_int_eq(r.mining, KN_MINING_HARD);
    /* everything in one place: a step back, and no second time */
    for (uint64_t i = 0; i < 500; i++) {
        clusters(e, labels, N, 1e-4f, 1e-4f, i);
        OK(kn_loss_run(l, e, labels, N, de, &r));
        if (r.reason)
            said[2] = r.reason;
    }
    ck_assert_int_eq(r.mining, KN_MINING_SEMIHARD);
    ck_assert(said[2] && r.collapsed);
    kn_loss_free(l);
}
END_TEST

/* Batch-hard on embeddings that shrink to a point sits at its margin: the run says that it collapses. */
START_TEST(collapse_is_said)
{
    enum { N = 48 };
    for (int soft = 0; soft < 2; soft++) {
        kn_loss_config c = config(KN_LOSS_TRIPLET);
        float e[N * DIM], de[N * DIM];
        uint32_t labels[N];
        kn_loss_report r = { 0 };
        size_t told = 0;
        c.mining = KN_MINING_HARD;
        c.soft = soft;
        kn_loss *l = made(&c);
        for (uint64_t i = 0; i < 100; i++) {
            clusters(e, labels, N, 0.02f / (float)(i + 1), 0.02f / (float)(i + 1), i);
            OK(kn_loss_run(l, e, labels, N, de, &r));
            told += r.reason != NULL;
        }
        ck_assert_msg(r.collapsed && told == 1, "told %zu times; loss %g, active %g, distance %g", told,
                      r.loss, r.active, r.negative);
        kn_loss_free(l);
        /* and a healthy one does not */
        l = made(&c);
        for (uint64_t i = 0; i < 300; i++) {
            clusters(e, labels, N, 1, 0.7f, i);
            OK(kn_loss_run(l, e, labels, N, de, &r));
            ck_assert(!r.collapsed && !r.reason);
        }
        kn_loss_free(l);
    }
}
END_TEST

/* The state goes on where it was: the same reports from a copy. */
START_TEST(state_resumes)
{
    enum { N = 48 };
    kn_loss_config c = config(KN_LOSS_TRIPLET);
    float e[N * DIM], de[N * DIM];
    uint32_t labels[N];
    kn_loss_report x, y;
    double *from, *to;
    size_t count;
    c.mining = KN_MINING_AUTO;
    kn_loss *a = made(&c), *b = made(&c);
    for (uint64_t i = 0; i < 300; i++) {
        clusters(e, labels, N, 3, 0.1f, i);
        if (i == 73) {
            kn_loss_state(a, &from, &count);
            kn_loss_state(b, &to, &count);
            memcpy(to, from, count * sizeof *to);
        }
        OK(kn_loss_run(a, e, labels, N, de, &x));
        if (i < 73)
            continue;
        OK(kn_loss_run(b, e, labels, N, de, &y));
        ck_assert(x.loss == y.loss && x.mining == y.mining && x.reason == y.reason);
    }
    ck_assert_int_eq(x.mining, KN_MINING_HARD);
    kn_loss_free(a);
    kn_loss_free(b);
}
END_TEST

/* Descent along the gradient does what each loss is for: rows of a class become nearest neighbours. */
START_TEST(descent_separates)
{
    enum { N = 32 };
    for (int k = 0; k < KN_LOSS_KINDS; k++) {
        kn_loss_config c = config((kn_loss_kind)k);
        float e[N * DIM], de[N * DIM], *w, *g;
        uint32_t labels[N];
        size_t count;
        kn_loss_report first = { 0 }, r = { 0 };
        if (kn_loss_of_pairs(c.kind))
            continue;
        c.shots = 2;
        kn_loss *l = made(&c);
        kn_loss_params(l, &w, &g, &count);
        kn_rand_fill_normal(e, N * DIM, 5, 1, 1);
        for (size_t i = 0; i < N; i++)
            labels[i] = (uint32_t)i / 4;
        for (int step = 0; step < 400; step++) {
            r = run(l, c.kind, e, labels, N, de);
            first = step ? first : r;
            for (size_t i = 0; i < N * DIM; i++)
                e[i] -= 0.5f * de[i];
            for (size_t i = 0; i < count; i++)
                w[i] -= 0.5f * g[i];
        }
        ck_assert_msg(r.positive < 0.8 * r.negative, "%s: loss %g to %g, distances %g and %g",
                      kn_loss_name(c.kind), first.loss, r.loss, r.positive, r.negative);
        kn_loss_free(l);
    }
}
END_TEST

START_TEST(out_of_memory)
{
    enum { N = 6 };
    const uint32_t labels[N] = { 0, 0, 1, 1, 2, 2 };
    float e[N * DIM], de[N * DIM], dv[N * DIM];
    kn_rand_fill_normal(e, N * DIM, 1, 1, 1);
    for (int k = 0; k < KN_LOSS_KINDS; k++)
        for (long i = 0;; i++) {
            const kn_loss_config c = config((kn_loss_kind)k);
            kn_loss_report r;
            kn_loss *l = NULL;
            kn_alloc_fail_after(i);
            ken_status st = kn_loss_new(&l, &c);
            if (!st)
                st = kn_loss_of_pairs(c.kind) ? kn_loss_run_pairs(l, e, e, N, NULL, de, dv, &r)
                                              : kn_loss_run(l, e, labels, N, de, &r);
            const long denied = kn_alloc_denied();
            kn_alloc_fail_after(-1);
            kn_loss_free(l);
            if (!denied)
                break;
            ck_assert_int_eq(st, KEN_E_NOMEM);
        }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, names);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, nothing_to_learn);
    tcase_add_test(tc, copies_and_zeros);
    tcase_add_test(tc, near_rows_keep_their_digits);
    tcase_add_test(tc, bad_numbers_are_named);
    tcase_add_test(tc, threads_do_not_matter);
    tcase_add_test(tc, clip_scale_is_clamped);
    tcase_add_test(tc, ranges_cover_the_weights);
    tcase_add_test(tc, auto_mining_moves_on);
    tcase_add_test(tc, collapse_is_said);
    tcase_add_test(tc, state_resumes);
    tcase_add_test(tc, descent_separates);
    tcase_add_test(tc, out_of_memory);
}

int main(void)
{
    return kn_test_main("loss", fill);
}
