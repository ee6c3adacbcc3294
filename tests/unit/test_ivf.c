/* test_ivf.c - inverted lists against sorting all pairs; the same bits at any threads and level. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "index/ivf.h"
#include "index/opq.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { N = 4000, DIM = 64, Q = 40, K = 10, LISTS = 300 };

static float rows[N][DIM], queries[Q][DIM];
static uint64_t ids[N];
static char path[] = "/tmp/ken-ivf-XXXXXX";

static void to_unit(float *x)
{
    double s = 0;
    for (size_t e = 0; e < DIM; e++)
        s += (double)x[e] * (double)x[e];
    for (size_t e = 0; e < DIM; e++)
        x[e] = (float)((double)x[e] / sqrt(s));
}

/* Rows around 100 points; queries near some of them. */
static void setup(void)
{
    static float centre[100][DIM];
    kn_rand_fill_normal(rows[0], N * DIM, 3, 1, 0.5f);
    kn_rand_fill_normal(centre[0], 100 * DIM, 3, 2, 1);
    kn_rand_fill_normal(queries[0], Q * DIM, 3, 3, 0.3f);
    for (size_t i = 0; i < N; i++) {
        for (size_t e = 0; e < DIM; e++)
            rows[i][e] += centre[i % 100][e] + (e % 3 ? 0 : 0.7f);
        ids[i] = (i * 7919) % 100003 + 1;
    }
    for (size_t i = 0; i < Q; i++)
        for (size_t e = 0; e < DIM; e++)
            queries[i][e] += rows[i * 97][e];
}

static void setup_unit(void)
{
    setup();
    for (size_t i = 0; i < N; i++)
        to_unit(rows[i]);
    for (size_t i = 0; i < Q; i++)
        to_unit(queries[i]);
}

static kn_rows given(size_t n, kn_metric metric)
{
    if (metric == KN_METRIC_COSINE)
        setup_unit();
    else
        setup();
    return (kn_rows){ rows[0], ids, n, DIM, metric, NULL };
}

static kn_spec spec_of(const char *text)
{
    kn_spec s;
    OK(kn_spec_parse(&s, text, N, DIM, KN_METRIC_L2));
    return s;
}

static kn_ivf *built(const kn_rows *r, const char *text, uint32_t threads)
{
    void *x = NULL;
    const kn_spec s = spec_of(text);
    const kn_build b = { .seed = 5, .threads = threads };
    OK(kn_kind_ivf.build(&x, r, &s, &b));
    return x;
}

static float one_score(const kn_rows *r, const float *q, const float *row)
{
    const kn_kernels *k = kn_kernels_get();
    return r->metric == KN_METRIC_L2 ? -k->l2sq_f32(q, row, DIM) : k->dot_f32(q, row, DIM);
}

static int best_first(const void *a, const void *b)
{
    const kn_near *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t oracle(kn_near *out, const kn_rows *r, const float *q, const uint64_t *allowed)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!allowed || (allowed[i / 64] >> i % 64 & 1))
            out[n++] = (kn_near){ r->ids[i], one_score(r, q, r->f32 + i * DIM) };
    qsort(out, n, sizeof *out, best_first);
    return n;
}

static void find(const kn_ivf *x, const kn_find *p, kn_near *near, size_t *found)
{
    kn_scratch scratch = { 0 };
    kn_topk top[Q];
    for (size_t q = 0; q < Q; q++)
        kn_topk_init(&top[q], near + q * p->k, p->k);
    OK(kn_kind_ivf.search(x, queries[0], Q, p, &scratch, top));
    for (size_t q = 0; q < Q; q++) {
        kn_topk_sort(&top[q]);
        found[q] = top[q].len;
    }
    kn_free(scratch.p);
}

/* The share of the k nearest that are found; `same` demands all of them, scores to the bit. */
static double recall(const kn_ivf *x, const kn_rows *r, const kn_find *p, int same)
{
    static kn_near near[Q * 200], want[N];
    size_t found[Q], hits = 0, all = 0;
    find(x, p, near, found);
    for (size_t q = 0; q < Q; q++) {
        const size_t n = oracle(want, r, queries[q], p->allowed), k = p->k < n ? p->k : n;
        ck_assert_uint_eq(found[q], k);
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < k; j++)
                hits += near[q * p->k + i].id == want[j].id;
        for (size_t i = 0; same && i < k; i++) {
            ck_assert_uint_eq(near[q * p->k + i].id, want[i].id);
            ck_assert(near[q * p->k + i].raw == want[i].raw);
        }
        all += k;
    }
    return all ? (double)hits / (double)all : 1;
}

static const char *const kinds[] = { "IVF50,Flat", "IVF50,PQ16", "IVF50,PQ32x4fs,RFlat",
                                     "OPQ8,IVF50,PQ8,RFlat", "OPQ16,IVF50,PQ16x4fs,RFlat",
                                     "IVF300,PQ32x4fs,RFlat" }; /* centres are found by their codes */

/* SHORT: of each kind one metric. */
static int left_out(int i)
{
    return kn_test_size(0, 0, i % 3 != i / 3 % 3);
}

/* All lists and all rows compared: what is left is exact search. */
START_TEST(all_lists_are_exact)
{
    if (left_out(_i))
        return;
    const kn_rows r = given(N, (kn_metric)(_i % 3));
    kn_ivf *x = built(&r, kinds[_i / 3], 2);
    const kn_find p = { .k = 17, .nprobe = LISTS, .rerank = N };
    recall(x, &r, &p, 1);
    OK(kn_kind_ivf.check(x, NULL, NULL));
    kn_ivf_release(x);
}
END_TEST

START_TEST(few_lists_find_most)
{
    static const double least[] = { 0.97, 0.55, 0.97, 0.90, 0.93, 0.80 };
    if (left_out(_i))
        return;
    const kn_rows r = given(N, (kn_metric)(_i % 3));
    kn_ivf *x = built(&r, kinds[_i / 3], 2);
    const kn_find p = { .k = K, .nprobe = r.metric == KN_METRIC_DOT ? 20 : 8 };
    const double got = recall(x, &r, &p, 0);
    ck_assert_msg(got >= least[_i / 3], "%s, metric %d: recall %.3f", kinds[_i / 3], _i % 3, got);
    kn_ivf_release(x);
}
END_TEST

/* Without rows, scores are those of the rows that the codes stand for. */
START_TEST(codes_alone)
{
    static const char *const coded[] = { "IVF50,PQ16", "IVF50,PQ32x4fs", "OPQ16,IVF50,PQ16x4fs" };
    static kn_near near[Q * K];
    static float back[N][DIM];
    size_t found[Q];
    if (left_out(_i))
        return;
    const kn_rows r = given(N, (kn_metric)(_i % 3));
    kn_ivf *x = built(&r, coded[_i / 3], 2);
    const kn_find p = { .k = K, .nprobe = LISTS };
    for (size_t i = 0; i < N; i++)
        OK(kn_kind_ivf.reconstruct(x, i, back[i]));
    x->rows.f32 = NULL;
    find(x, &p, near, found);
    for (size_t q = 0; q < Q; q++) {
        double best = -INFINITY, size = 1;
        for (size_t i = 0; i < N; i++) {
            const double raw = (double)one_score(&r, queries[q], back[i]);
            best = raw > best ? raw : best;
            size = fmax(size, fabs(raw));
            for (size_t j = 0; j < K; j++)
                if (near[q * K + j].id == ids[i])
                    ck_assert_msg(fabs((double)near[q * K + j].raw - raw)
                                      < (x->pq.space.k == 16 ? 0.02 : 1e-5) * size,
                                  "%g, not %g", (double)near[q * K + j].raw, raw);
        }
        ck_assert_uint_eq(found[q], K);
        ck_assert((double)near[q * K].raw > best - (x->pq.space.k == 16 ? 0.03 : 1e-4) * size);
    }
    kn_ivf_release(x);
}
END_TEST

/* From one row in two to none; there are always k answers where k are allowed, all of them allowed. */
START_TEST(filters)
{
    const kn_rows r = given(N, KN_METRIC_L2);
    kn_ivf *x = built(&r, kinds[_i], 1);
    static const size_t every[] = { 2, 10, 100, 700, N };
    for (size_t f = 0; f < 5; f++) {
        uint64_t allowed[N / 64 + 1] = { 0 };
        size_t n = 0;
        for (size_t i = every[f] / 2; i < N; i += every[f], n++)
            allowed[i / 64] |= 1ull << i % 64;
        for (size_t k = 1; k < 100; k += kn_test_size(33, 33, 66)) {
            const kn_find p = { .k = k, .nprobe = 3, .rerank = 50, .allowed = allowed, .n_allowed = n };
            const double got = recall(x, &r, &p, 0);
            ck_assert_msg(got > (every[f] > 50 ? 0.999 : 0.5), "1 in %zu, k %zu: %.3f", every[f], k,
                          got);
        }
    }
    kn_ivf_release(x);
}
END_TEST

/* Queries that come together read each list once for all; each gets what it would get alone, to the bit. */
START_TEST(together_as_alone)
{
    static kn_near all[Q * K], one[K];
    size_t found[Q];
    const kn_rows r = given(N, (kn_metric)(_i % 3));
    kn_ivf *x = built(&r, kinds[_i / 3], 2);
    uint64_t allowed[N / 64 + 1] = { 0 };
    for (size_t i = 0; i < N; i += 3)
        allowed[i / 64] |= 1ull << i % 64;
    for (int filtered = 0; filtered < 2; filtered++) {
        const kn_find p = { .k = K, .nprobe = 20, .rerank = 30, .allowed = filtered ? allowed : NULL,
                            .n_allowed = filtered ? (N + 2) / 3 : 0 };
        find(x, &p, all, found);
        for (size_t q = 0; q < Q; q++) {
            kn_scratch scratch = { 0 };
            kn_topk top;
            kn_topk_init(&top, one, K);
            OK(kn_kind_ivf.search(x, queries[q], 1, &p, &scratch, &top));
            kn_topk_sort(&top);
            ck_assert_uint_eq(top.len, found[q]);
            for (size_t i = 0; i < top.len; i++) {
                ck_assert_uint_eq(one[i].id, all[q * K + i].id);
                ck_assert(one[i].raw == all[q * K + i].raw);
            }
            kn_free(scratch.p);
        }
    }
    kn_ivf_release(x);
}
END_TEST

START_TEST(changes)
{
    kn_rows r = given(N, KN_METRIC_L2), half = r;
    half.n = 3 * N / 4;
    kn_ivf *x = built(&half, kinds[_i], 1);
    const kn_build b = { .seed = 5, .threads = 2 };
    uint64_t gone[N / 64 + 1] = { 0 };
    static float kept[N][DIM];
    static uint64_t kept_ids[N];
    size_t n = 0;
    void *next = NULL;
    for (size_t i = 0; i < N; i++)
        if (i < half.n && i % 3 == 1)
            gone[i / 64] |= 1ull << i % 64;
        else {
            memcpy(kept[n], rows[i], sizeof *kept);
            kept_ids[n++] = ids[i];
        }
    r = (kn_rows){ kept[0], kept_ids, n, DIM, KN_METRIC_L2, NULL };
    OK(kn_kind_ivf.change(&next, x, gone, &r, &b));
    kn_ivf_release(x);
    const kn_find all = { .k = 9, .nprobe = LISTS, .rerank = N }, some = { .k = K, .nprobe = 8 };
    recall(next, &r, &all, 1);
    ck_assert(recall(next, &r, &some, 0) > 0.6);
    OK(kn_kind_ivf.check(next, NULL, NULL));
    kn_ivf_release(next);
}
END_TEST

static void saved(const kn_ivf *x, const char *text)
{
    kn_index_writer w;
    kn_index_about about = { .metric = x->rows.metric, .dim = DIM, .n = x->rows.n, .seed = 5 };
    snprintf(about.spec, sizeof about.spec, "%s", text);
    OK(kn_index_writer_begin(&w, path));
    OK(kn_kind_ivf.save(x, &w));
    OK(kn_index_writer_commit(&w, &about));
}

START_TEST(saved_and_opened)
{
    static kn_near a[Q * K], b[Q * K];
    size_t found[Q];
    if (left_out(_i))
        return;
    const kn_rows r = given(N, (kn_metric)(_i % 3));
    const kn_spec s = spec_of(kinds[_i / 3]), other = spec_of("IVF51,PQ16");
    kn_ivf *x = built(&r, s.text, 2);
    kn_index_file f;
    void *y = NULL;
    const kn_find p = { .k = K, .nprobe = 5 };
    saved(x, s.text);
    OK(kn_index_file_open(&f, path));
    ck_assert_int_eq(kn_kind_ivf.open(&y, &r, &other, &f), KEN_E_CORRUPT);
    OK(kn_kind_ivf.open(&y, &r, &s, &f));
    find(x, &p, a, found);
    find(y, &p, b, found);
    for (size_t i = 0; i < Q * K; i++)
        ck_assert(a[i].id == b[i].id && a[i].raw == b[i].raw);
    kn_ivf_release(x);
    kn_ivf_release(y);
    kn_index_file_close(&f);
}
END_TEST

/* Whatever the payload says, opening ends in an error or searching ends. */
START_TEST(forged_sections)
{
    static kn_near near[Q * K];
    const kn_rows r = given(N, KN_METRIC_L2);
    const kn_spec s = spec_of(kinds[_i]);
    const kn_find p = { .k = K, .nprobe = LISTS };
    kn_ivf *x = built(&r, s.text, 2);
    kn_rand rnd = kn_rand_at(4, 4);
    kn_index_file f;
    size_t refused = 0, len;
    unsigned char *bytes = NULL;
    saved(x, s.text);
    kn_ivf_release(x);
    OK(kn_read_file(&bytes, &len, path, 1u << 30));
    unsigned char *copy = kn_alloc_aligned(len, 1);
    for (int turn = 0; turn < (int)kn_test_size(60, 60, 10); turn++) {
        memcpy(copy, bytes, len);
        OK(kn_index_file_from_memory(&f, copy, len));
        const kn_section *c = &f.sections[kn_rand_below(&rnd, f.n)];
        for (int i = 0; i < 20; i++)
            copy[c->offset + kn_rand_below(&rnd, (uint32_t)c->bytes)] =
                (unsigned char)kn_rand_u32(&rnd);
        void *y = NULL;
        if (kn_kind_ivf.open(&y, &r, &s, &f)) {
            ck_assert_msg(strstr(ken_last_error(), "ivf") != NULL, "%s", ken_last_error());
            refused++;
        } else {
            kn_topk top[Q];
            kn_scratch scratch = { 0 };
            for (size_t q = 0; q < Q; q++)
                kn_topk_init(&top[q], near + q * K, K);
            OK(kn_kind_ivf.search(y, queries[0], Q, &p, &scratch, top));
            kn_free(scratch.p);
            kn_ivf_release(y);
        }
        kn_index_file_close(&f);
    }
    ck_assert_uint_gt(refused, 0);
    kn_free(copy);
    kn_free(bytes);
}
END_TEST

static void rotates(const float *r)
{
    for (size_t i = 0; i < DIM; i++)
        for (size_t j = 0; j <= i; j++) {
            double dot = 0;
            for (size_t e = 0; e < DIM; e++)
                dot += (double)r[i * DIM + e] * (double)r[j * DIM + e];
            ck_assert_msg(fabs(dot - (i == j)) < 1e-4, "rows %zu, %zu: %g", i, j, dot);
        }
}

/* All spread is in the first eight dimensions: a rotation must share it out among the pieces. */
START_TEST(opq_loses_less)
{
    static float r[DIM * DIM], flat[N][DIM];
    static const char *const with[] = { "IVF1,PQ8x4fs", "OPQ8,IVF1,PQ8x4fs" };
    double error[2] = { 0 };
    kn_rows given_rows = { flat[0], ids, N, DIM, KN_METRIC_L2, NULL };
    kn_rand_fill_normal(flat[0], N * DIM, 6, 1, 1);
    for (size_t i = 0; i < N; i++)
        for (size_t e = 8; e < DIM; e++)
            flat[i][e] *= 0.1f;
    OK(kn_opq_train(flat[0], N, DIM, 8, 1, 2, r));
    rotates(r);
    for (int i = 0; i < 2; i++) {
        kn_ivf *x = built(&given_rows, with[i], 2);
        for (size_t j = 0; j < N; j += 7) {
            float back[DIM];
            OK(kn_kind_ivf.reconstruct(x, j, back));
            for (size_t e = 0; e < DIM; e++)
                error[i] += pow((double)back[e] - (double)flat[j][e], 2);
        }
        kn_ivf_release(x);
    }
    ck_assert_msg(error[1] < 0.75 * error[0], "%g with, %g without", error[1], error[0]);
}
END_TEST

START_TEST(few_rows_and_odd_ones)
{
    static kn_near near[Q * K];
    size_t found[Q];
    for (size_t n = 0; n < 4; n++)
        for (size_t kind = 0; kind < 6; kind++) {
            kn_rows r = given(n, KN_METRIC_COSINE);
            memset(rows[1], 0, sizeof rows[1]);
            memset(queries[2], 0, sizeof queries[2]);
            kn_ivf *x = built(&r, kinds[kind], 3);
            const kn_find p = { .k = K };
            find(x, &p, near, found);
            for (size_t q = 0; q < Q; q++)
                ck_assert_uint_eq(found[q], n);
            kn_ivf_release(x);
        }
}
END_TEST

START_TEST(same_bits_everywhere)
{
    for (size_t kind = 0; kind < 6; kind++) {
        char want[33] = "", got[33];
        const kn_rows r = given(N, kind % 2 ? KN_METRIC_L2 : KN_METRIC_COSINE);
        for (uint32_t threads = 1; threads < 5; threads += 3) {
            unsigned char *bytes = NULL;
            size_t len;
            kn_ivf *x = built(&r, kinds[kind], threads);
            saved(x, kinds[kind]);
            kn_ivf_release(x);
            OK(kn_read_file(&bytes, &len, path, 1u << 30));
            kn_hash128_hex(got, bytes, len);
            kn_free(bytes);
            if (!*want)
                memcpy(want, got, sizeof want);
            ck_assert_str_eq(got, want);
        }
        printf("bits %s %s\n", kinds[kind], want);
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
    tcase_add_loop_test(tc, all_lists_are_exact, 0, 18);
    tcase_add_loop_test(tc, few_lists_find_most, 0, 18);
    tcase_add_loop_test(tc, codes_alone, 0, 9);
    tcase_add_loop_test(tc, filters, 0, 6);
    tcase_add_loop_test(tc, together_as_alone, 0, 18);
    tcase_add_loop_test(tc, changes, 0, 6);
    tcase_add_loop_test(tc, saved_and_opened, 0, 18);
    tcase_add_loop_test(tc, forged_sections, 0, 6);
    tcase_add_test(tc, opq_loses_less);
    tcase_add_test(tc, few_rows_and_odd_ones);
    tcase_add_test(tc, same_bits_everywhere);
}

int main(void)
{
    const int fd = mkstemp(path);
    if (fd < 0)
        return 2;
    close(fd);
    printf("level %s of ivf\n", kn_level_get());
    const int failed = kn_test_main("ivf", fill);
    unlink(path);
    return failed;
}
