/* test_flat.c - exact search against sorting all pairs; the index half of ken.h. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "index/flat.h"
#include "index/idmap.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { DIM = 37, N = 1500, Q = 130 };

static float rows[N][DIM], queries[Q][DIM];
static uint16_t halves[N][DIM];
static uint64_t ids[N];

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* Every fifth row is a copy of another, so that there are ties. */
static void setup(void)
{
    kn_rand_fill_normal(rows[0], N * DIM, 3, 1, 1);
    kn_rand_fill_normal(queries[0], Q * DIM, 3, 2, 1);
    for (size_t i = 0; i < N; i++) {
        if (i % 5 == 4)
            memcpy(rows[i], rows[i / 2], sizeof rows[i]);
        ids[i] = (i * 7919) % 100003 + 1;
        kn_kernels_get()->f32_to_f16(rows[i], halves[i], DIM);
    }
}

static double exact(const float *a, const float *b, int l2)
{
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += l2 ? -((double)a[i] - b[i]) * ((double)a[i] - b[i]) : (double)a[i] * b[i];
    return sum;
}

static float one_score(const float *q, size_t row, int l2, int f16)
{
    const kn_kernels *k = kn_kernels_get();
    if (l2)
        return -k->l2sq_f32(q, rows[row], DIM);
    return f16 ? k->dot_f16(q, halves[row], DIM) : k->dot_f32(q, rows[row], DIM);
}

static int best_first(const void *a, const void *b)
{
    const kn_near *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t oracle(kn_near *out, const float *q, int l2, int f16, const uint64_t *skip)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        if (!skip || !(skip[i / 64] >> i % 64 & 1))
            out[n++] = (kn_near){ ids[i], one_score(q, i, l2, f16) };
    qsort(out, n, sizeof *out, best_first);
    return n;
}

static size_t cut(kn_run *runs, size_t len, int f16, const uint64_t *skip)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i += len, n++)
        runs[n] = (kn_run){ .rows = f16 ? (const void *)halves[i] : (const void *)rows[i],
                            .type = f16 ? KN_F16 : KN_F32,
                            .n = N - i < len ? N - i : len,
                            .ids = (const unsigned char *)&ids[i],
                            .id_stride = sizeof *ids,
                            .skip = skip,
                            .skip_first = i };
    return n;
}

/* Metric, type, cut and threads all vary; hits must be the oracle's, to the bit. */
START_TEST(equals_sorting)
{
    static kn_near near[Q * 40], want[N];
    static kn_run runs[N];
    uint64_t skip[N / 64 + 1] = { 0 };
    size_t found[Q];
    const int l2 = _i == 1, f16 = _i == 2;
    for (size_t i = 0; i < N; i += 3)
        skip[i / 64] |= 1ull << i % 64;
    for (size_t len = 1; len < 2000; len = len * 5 + 2)
        for (uint32_t threads = 1; threads < 5; threads += 2)
            for (size_t nq = 1; nq <= Q; nq += 43)
                for (size_t k = 1; k <= 40; k += 13) {
                    const uint64_t *skipped = k % 2 ? skip : NULL;
                    kn_flat f = { runs, cut(runs, len, f16, skipped), DIM,
                                  l2 ? KN_METRIC_L2 : KN_METRIC_DOT, threads };
                    OK(kn_flat_search(&f, queries[0], nq, k, near, found));
                    for (size_t q = 0; q < nq; q += 1 + nq / 3) {
                        oracle(want, queries[q], l2, f16, skipped);
                        ck_assert_uint_eq(found[q], k);
                        for (size_t i = 0; i < k; i++) {
                            const kn_near *got = &near[q * k + i];
                            ck_assert_uint_eq(got->id, want[i].id);
                            ck_assert(got->raw == want[i].raw);
                        }
                    }
                }
}
END_TEST

START_TEST(few_rows_and_none)
{
    kn_near near[50];
    size_t found[1];
    kn_run run = { rows, KN_F32, 30, (unsigned char *)ids, sizeof *ids, NULL, 0, 0 };
    kn_flat f = { &run, 1, DIM, KN_METRIC_DOT, 3 };
    OK(kn_flat_search(&f, queries[0], 1, 50, near, found));
    ck_assert_uint_eq(found[0], 30);
    OK(kn_flat_search(&f, queries[0], 1, 0, near, found));
    ck_assert_uint_eq(found[0], 0);
    f.n = 0;
    OK(kn_flat_search(&f, queries[0], 1, 5, near, found));
    ck_assert_uint_eq(found[0], 0);
    OK(kn_flat_search(&f, queries[0], 0, 5, near, found));
}
END_TEST

/* Rows of bytes behind their scales, beside the same numbers as floats. */
START_TEST(rows_of_bytes)
{
    enum { STRIDE = 4 + 40, FEW = 70 };
    static unsigned char packed[FEW][STRIDE];
    static float unpacked[FEW][DIM];
    kn_near near[3 * 9], want[3 * 9];
    size_t found[3];
    for (size_t i = 0; i < FEW; i++) {
        const float scale = .5f + (float)i / 64;
        memcpy(packed[i], &scale, sizeof scale);
        for (size_t d = 0; d < DIM; d++) {
            const int8_t b = (int8_t)((i * 37 + d * 101 + d * d) % 255) - 127;
            packed[i][4 + d] = (unsigned char)b;
            unpacked[i][d] = scale * b;
        }
    }
    const kn_run bytes = { packed, KN_I8, FEW, (unsigned char *)ids, sizeof *ids, NULL, 0, STRIDE };
    const kn_run floats = { unpacked, KN_F32, FEW, (unsigned char *)ids, sizeof *ids, NULL, 0, 0 };
    kn_flat f = { &bytes, 1, DIM, KN_METRIC_DOT, 1 };
    OK(kn_flat_search(&f, queries[0], 3, 9, near, found));
    f.runs = &floats;
    OK(kn_flat_search(&f, queries[0], 3, 9, want, found));
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        ck_assert_uint_eq(near[i].id, want[i].id);
        ck_assert_float_le(fabsf(near[i].raw - want[i].raw), 1e-4f * fabsf(want[i].raw));
    }
}
END_TEST

START_TEST(idmap_against_an_array)
{
    enum { IDS = 500 };
    size_t have[IDS] = { 0 }, at;
    kn_idmap m = { 0 };
    kn_rand r = kn_rand_at(1, 9);
    for (int i = 0; i < 20000; i++) {
        const uint32_t id = kn_rand_below(&r, IDS);
        if (kn_rand_below(&r, 2)) {
            OK(kn_idmap_reserve(&m, 1));
            kn_idmap_put(&m, (uint64_t)id << 40, (size_t)i);
            have[id] = (size_t)i + 1;
        } else {
            kn_idmap_remove(&m, (uint64_t)id << 40);
            have[id] = 0;
        }
        const uint32_t other = kn_rand_below(&r, IDS);
        ck_assert_int_eq(kn_idmap_get(&m, (uint64_t)other << 40, &at), have[other] != 0);
        if (have[other])
            ck_assert_uint_eq(at, have[other] - 1);
    }
    kn_idmap_release(&m);
}
END_TEST

/* The public index: random adds and removals, then the nearest by a double oracle. */
START_TEST(index_follows_its_contents)
{
    static const char *const metrics[] = { "cosine", "l2", "ip" };
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    ken_index *ix = NULL;
    ken_hit hits[3][10];
    size_t found[3];
    int in[N] = { 0 };
    o.metric = metrics[_i];
    o.threads = 2;
    OK(ken_index_new(&ix, &o));
    OK(ken_index_add(ix, ids, rows[0], N));
    memset(in, 1, sizeof in);
    for (size_t i = 0; i < N; i += 3) {
        OK(ken_index_remove(ix, ids[i]));
        in[i] = 0;
    }
    ck_assert_int_eq(ken_index_remove(ix, ids[0]), KEN_E_NOTFOUND);
    ck_assert_int_eq(ken_index_add(ix, ids, rows[0], 2), KEN_E_EXISTS);
    OK(ken_index_add(ix, ids, rows[0], 1));
    in[0] = 1;
    ck_assert_uint_eq(ken_index_len(ix), N - N / 3 + 1);
    OK(ken_index_search(ix, queries[0], 3, 10, hits[0], found));
    for (size_t q = 0; q < 3; q++) {
        double best = -INFINITY;
        for (size_t i = 0; i < N; i++) {
            double s = exact(queries[q], rows[i], _i == 1);
            if (_i == 0)
                s /= sqrt(exact(queries[q], queries[q], 0) * exact(rows[i], rows[i], 0));
            if (in[i] && s > best)
                best = s;
        }
        ck_assert_uint_eq(found[q], 10);
        ck_assert_double_eq_tol((double)hits[q][0].raw, best, 200 * DIM * FLT_EPSILON);
        ck_assert(hits[q][0].score == (hits[q][0].raw > 0 ? hits[q][0].raw : 0));
        for (size_t i = 1; i < 10; i++)
            ck_assert(hits[q][i].raw <= hits[q][i - 1].raw);
    }
    ken_index_free(ix);
}
END_TEST

START_TEST(index_refuses_wrong_use)
{
    ken_index *ix = NULL;
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(0);
    ck_assert_int_eq(ken_index_new(&ix, &o), KEN_E_INVALID);
    o.dim = 2;
    o.kind = "HNSW1";
    ck_assert_int_eq(ken_index_new(&ix, &o), KEN_E_INVALID);
    o.kind = "flat";
    o.metric = "manhattan";
    ck_assert_int_eq(ken_index_new(&ix, &o), KEN_E_INVALID);
    o.metric = NULL;
    OK(ken_index_new(&ix, &o));
    const float bad[] = { 1, NAN };
    const uint64_t twice[] = { 4, 4 };
    const float two[] = { 1, 0, 0, 1 };
    ck_assert_int_eq(ken_index_add(ix, ids, bad, 1), KEN_E_INVALID);
    ck_assert_int_eq(ken_index_add(ix, twice, two, 2), KEN_E_EXISTS);
    ck_assert_uint_eq(ken_index_len(ix), 0);
    OK(ken_index_add(ix, twice, two, 1));
    ken_index_free(ix);
    ken_index_free(NULL);
}
END_TEST

/* Out of memory at every allocation in turn: reported, nothing half done. */
START_TEST(index_survives_oom)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    ken_index *ix = NULL;
    ken_hit hits[5];
    size_t found[1], len = 0;
    kn_alloc_fail_after(_i);
    ken_status st = ken_index_new(&ix, &o);
    for (; !st && len < 300; len += 100)
        if ((st = ken_index_add(ix, ids + len, rows[len], 100)))
            break;
    if (!st)
        st = ken_index_search(ix, queries[0], 1, 5, hits, found);
    kn_alloc_fail_after(-1);
    if (st)
        ck_assert_int_eq(st, KEN_E_NOMEM);
    if (ix) {
        ck_assert_uint_eq(ken_index_len(ix), len);
        OK(ken_index_add(ix, ids + len, rows[len], 100));
        OK(ken_index_search(ix, queries[0], 1, 5, hits, found));
    }
    ken_index_free(ix);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, equals_sorting, 0, 3);
    tcase_add_test(tc, few_rows_and_none);
    tcase_add_test(tc, rows_of_bytes);
    tcase_add_test(tc, idmap_against_an_array);
    tcase_add_loop_test(tc, index_follows_its_contents, 0, 3);
    tcase_add_test(tc, index_refuses_wrong_use);
    tcase_add_loop_test(tc, index_survives_oom, 0, 20);
}

int main(void)
{
    return kn_test_main("flat", fill);
}
