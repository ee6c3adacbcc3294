/* test_kmeans.c - k-means against plain loops in double; the same bits at any threads and level. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rand.h"
#include "index/kmeans.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { N = 3000, MOST = 96, K = 40 };

/* Rows around `classes` points. */
static float *clustered(size_t n, size_t dim, size_t classes, float spread, float shift)
{
    float *rows = kn_alloc_aligned(n * dim, sizeof *rows);
    float *centre = kn_alloc_aligned(classes * dim, sizeof *centre);
    kn_rand_fill_normal(rows, n * dim, 5, 1, spread);
    kn_rand_fill_normal(centre, classes * dim, 5, 2, 1);
    for (size_t i = 0; i < n * dim; i++)
        rows[i] += centre[i / dim * 7 % classes * dim + i % dim] + shift;
    kn_free(centre);
    return rows;
}

static double distance(const float *a, const float *b, size_t dim, int dot)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += dot ? -(double)a[i] * (double)b[i]
                   : ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static double error_of(const float *rows, size_t n, const float *c, size_t k, size_t dim)
{
    double all = 0;
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (size_t j = 0; j < k; j++)
            least = fmin(least, distance(rows + i * dim, c + j * dim, dim, 0));
        all += least;
    }
    return all / (double)n;
}

/* Far from the origin products are all rounding: the finish must put that right. */
START_TEST(assigns_the_nearest)
{
    static const size_t dims[] = { 1, 3, 16, 64, 96 };
    static const float shifts[] = { 0, 3, 1000 };
    const size_t dim = dims[_i % 5];
    const float shift = shifts[_i / 5 % 3];
    const int dot = _i / 15;
    float *rows = clustered(N, dim, 30, 0.5f, shift), *c = clustered(K, dim, 30, 0.6f, shift);
    uint32_t near[N];
    memcpy(c + 7 * dim, c + 3 * dim, dim * sizeof *c); /* a tie: the lower one wins */
    OK(kn_kmeans_assign(c, K, dim, dot, rows, N, 2, near));
    for (size_t i = 0; i < N; i++) {
        double least = INFINITY;
        for (size_t j = 0; j < K; j++)
            least = fmin(least, distance(rows + i * dim, c + j * dim, dim, dot));
        const double got = distance(rows + i * dim, c + near[i] * dim, dim, dot);
        ck_assert_msg(got <= least + 1e-13 * fabs(least), "row %zu: %.17g, not %.17g", i, got, least);
        ck_assert_uint_ne(near[i], 7);
    }
    kn_free(rows);
    kn_free(c);
}
END_TEST

/* Twenty far classes and twenty centres that start far apart: each class gets its own. */
START_TEST(finds_the_classes)
{
    const kn_kmeans km = { 20, 24, 0, 1, 25, 0, 9, 2 };
    float *rows = clustered(2000, 24, 20, 0.02f, 0), c[20 * 24];
    OK(kn_kmeans_train(&km, rows, 2000, c));
    const double e = error_of(rows, 2000, c, 20, 24);
    ck_assert_msg(e < 1.02 * 24 * 0.02 * 0.02, "error %g", e);
    kn_free(rows);
}
END_TEST

/* At the end every centre is the mean of the rows that are nearest to it, but for the few rows (one
 * in a thousand, of two centres each) that may still have moved. */
START_TEST(is_a_fixed_point)
{
    const size_t dim = 12;
    const kn_kmeans km = { K, dim, 0, 0, 200, 0, 3, 2 };
    float *rows = clustered(N, dim, 30, 0.5f, 0), *c = kn_alloc(K * dim, sizeof *c);
    double mean[K][12] = { { 0 } };
    size_t count[K] = { 0 }, other = 0;
    OK(kn_kmeans_train(&km, rows, N, c));
    for (size_t i = 0; i < N; i++) {
        size_t best = 0;
        for (size_t j = 1; j < K; j++)
            if (distance(rows + i * dim, c + j * dim, dim, 0)
                < distance(rows + i * dim, c + best * dim, dim, 0))
                best = j;
        count[best]++;
        for (size_t e = 0; e < dim; e++)
            mean[best][e] += (double)rows[i * dim + e];
    }
    for (size_t j = 0; j < K; j++) {
        double worst = 0;
        ck_assert_uint_gt(count[j], 0);
        for (size_t e = 0; e < dim; e++)
            worst = fmax(worst, fabs(mean[j][e] / (double)count[j] - (double)c[j * dim + e]));
        other += worst > 1e-5;
    }
    ck_assert_uint_le(other, 2 * N / 1000);
    kn_free(rows);
    kn_free(c);
}
END_TEST

/* Nine rows in ten are one row: it must not starve the other centres. */
START_TEST(copies_leave_no_list_empty)
{
    const size_t dim = 16;
    const kn_kmeans km = { K, dim, 0, 0, 20, 0, 4, 1 };
    float *rows = clustered(N, dim, 200, 0.3f, 0), *c = kn_alloc(K * dim, sizeof *c);
    uint32_t near[N];
    size_t count[K] = { 0 }, used = 0;
    for (size_t i = 0; i < N; i++)
        if (i % 10)
            memcpy(rows + i * dim, rows, dim * sizeof *rows);
    OK(kn_kmeans_train(&km, rows, N, c));
    OK(kn_kmeans_assign(c, K, dim, 0, rows, N, 1, near));
    for (size_t i = 0; i < N; i++)
        count[near[i]]++;
    for (size_t j = 0; j < K; j++)
        used += count[j] > 0;
    ck_assert_msg(used >= K - 4, "%zu of %d lists used", used, K);
    kn_free(rows);
    kn_free(c);
}
END_TEST

START_TEST(few_rows)
{
    const size_t dim = 5;
    float rows[3 * 5], c[8 * 5];
    kn_rand_fill_normal(rows, 15, 1, 1, 1);
    for (size_t n = 0; n <= 3; n++)
        for (int plus = 0; plus < 2; plus++) {
            const kn_kmeans km = { 8, dim, 0, plus, 10, 0, 1, 3 };
            OK(kn_kmeans_train(&km, rows, n, c));
            for (size_t i = 0; i < 40; i++)
                ck_assert(isfinite(c[i]));
            if (n)
                ck_assert(error_of(rows, n, c, 8, dim) < 1e-3);
        }
}
END_TEST

START_TEST(unit_centres)
{
    const kn_kmeans km = { K, 20, 1, 0, 10, 20, 1, 2 };
    float *rows = clustered(N, 20, 30, 0.5f, 0), c[K * 20];
    OK(kn_kmeans_train(&km, rows, N, c));
    for (size_t j = 0; j < K; j++) {
        double s = 0;
        for (size_t e = 0; e < 20; e++)
            s += (double)c[j * 20 + e] * (double)c[j * 20 + e];
        ck_assert_msg(fabs(s - 1) < 1e-6, "%g", s);
    }
    kn_free(rows);
}
END_TEST

static uint64_t hash_of(uint32_t threads, int plus, size_t sample)
{
    const kn_kmeans km = { K, MOST, 0, plus, 12, sample, 77, threads };
    float *rows = clustered(N, MOST, 11, 1.5f, 0.2f), *c = kn_alloc(K * MOST, sizeof *c);
    OK(kn_kmeans_train(&km, rows, N, c));
    const uint64_t h = kn_hash64(c, K * MOST * sizeof *c);
    kn_free(rows);
    kn_free(c);
    return h;
}

/* test_index_levels.sh holds the printed bits of each level side by side. */
START_TEST(same_bits_everywhere)
{
    for (int i = 0; i < 3; i++) {
        const uint64_t want = hash_of(1, i == 1, i == 2 ? 30 : 0);
        for (uint32_t threads = 2; threads < 6; threads += 3)
            ck_assert_uint_eq(hash_of(threads, i == 1, i == 2 ? 30 : 0), want);
        printf("bits %d %016llx\n", i, (unsigned long long)want);
        fflush(stdout);
    }
}
END_TEST

static void fill(TCase *tc)
{
    if (getenv("KEN_BITS")) { /* test_index_levels.sh */
        tcase_add_test(tc, same_bits_everywhere);
        return;
    }
    tcase_add_loop_test(tc, assigns_the_nearest, 0, 30);
    tcase_add_test(tc, finds_the_classes);
    tcase_add_test(tc, is_a_fixed_point);
    tcase_add_test(tc, copies_leave_no_list_empty);
    tcase_add_test(tc, few_rows);
    tcase_add_test(tc, unit_centres);
    tcase_add_test(tc, same_bits_everywhere);
}

int main(void)
{
    printf("level %s of kmeans\n", kn_level_get());
    return kn_test_main("kmeans", fill);
}
