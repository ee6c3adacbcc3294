/* test_pq.c - product quantisers against plain loops in double; the same bits at any level. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rand.h"
#include "index/pq.h"

#include <math.h>
#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { N = 2000, DIM = 48 };

static float rows[N][DIM];

static kn_pq quantiser(size_t m, size_t k, float *centroids)
{
    return (kn_pq){ { m, k, DIM / m, centroids }, DIM };
}

/* Pieces are drawn from k vectors each: a quantiser that learns must reproduce all rows. */
static void setup_drawn(size_t m, size_t k)
{
    static float words[DIM * 256];
    kn_rand r = kn_rand_at(1, 1);
    kn_rand_fill_normal(words, DIM * 256, 2, 1, 1);
    for (size_t i = 0; i < N; i++)
        for (size_t s = 0; s < m; s++)
            memcpy(rows[i] + s * (DIM / m), words + (s * k + kn_rand_below(&r, (uint32_t)k)) * (DIM / m),
                   DIM / m * sizeof(float));
}

static double error_of(const kn_pq *pq, const uint8_t *codes)
{
    float back[DIM];
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        kn_pq_decode(pq, codes + i * pq->space.m, back);
        for (size_t e = 0; e < DIM; e++)
            sum += pow((double)rows[i][e] - (double)back[e], 2);
    }
    return sum / N;
}

START_TEST(learns_all_words)
{
    static float c[DIM * 256];
    static uint8_t codes[N * DIM];
    const kn_pq pq = quantiser(12, 16, c);
    setup_drawn(12, 8); /* half as many words as centroids: random starts may miss a few */
    OK(kn_pq_train(&pq, rows[0], N, 3, 2, c));
    OK(kn_pq_encode(&pq, rows[0], N, 2, codes));
    const double e = error_of(&pq, codes);
    ck_assert_msg(e < 1e-6 * DIM, "error %g", e);
}
END_TEST

START_TEST(encodes_the_nearest)
{
    static float c[DIM * 256];
    static uint8_t codes[N * DIM];
    const size_t m = _i % 2 ? 6 : 24, k = _i / 2 ? 256 : 16;
    const kn_pq pq = quantiser(m, k, c);
    kn_rand_fill_normal(rows[0], N * DIM, 7, 1, 1);
    OK(kn_pq_train(&pq, rows[0], N, 5, 1, c));
    OK(kn_pq_encode(&pq, rows[0], N, 3, codes));
    for (size_t i = 0; i < N; i++)
        for (size_t s = 0; s < m; s++) {
            double d[256], least = INFINITY;
            for (size_t j = 0; j < k; j++) {
                d[j] = 0;
                for (size_t t = 0; t < DIM / m; t++)
                    d[j] += pow((double)rows[i][s * (DIM / m) + t]
                                    - (double)c[(s * (DIM / m) + t) * k + j], 2);
                least = fmin(least, d[j]);
            }
            ck_assert_msg(d[codes[i * m + s]] <= least * (1 + 2e-6), "row %zu, piece %zu", i, s);
        }
    /* 4 bits for pieces of 2: a Gaussian's distortion by 16 points is .12 of its variance at best */
    const double share = error_of(&pq, codes) / DIM;
    ck_assert_msg(k == 256 || m != 24 || (share > 0.1 && share < 0.16), "error %g", share);
}
END_TEST

START_TEST(packs_blocks)
{
    uint8_t codes[70 * 9], blocks[3 * 160], code[9];
    kn_rand r = kn_rand_at(2, 2);
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)kn_rand_below(&r, 16);
    for (size_t m = 1; m <= 9; m++)
        for (size_t n = 0; n <= 70; n += 7) {
            uint16_t sums[96];
            uint32_t hits[3];
            uint8_t lut[10 * 16] = { 0 };
            kn_pq4_pack(codes, n, m, blocks);
            for (size_t i = 0; i < m * 16; i++)
                lut[i] = (uint8_t)kn_rand_below(&r, 256);
            kn_kernels_get()->pq4_scan(blocks, kn_pq4_blocks(n), (m + 1) / 2 * 2, lut, 500, sums,
                                       hits);
            for (size_t i = 0; i < n; i++) {
                unsigned want = 0;
                kn_pq4_unpack(blocks, m, i, code);
                ck_assert_mem_eq(code, codes + i * m, m);
                for (size_t s = 0; s < m; s++)
                    want += lut[16 * s + code[s]];
                ck_assert_uint_eq(sums[i], want);
            }
        }
}
END_TEST

/* Any sum of the small table is the large one's within half a step for each piece, and fits. */
START_TEST(small_tables)
{
    static float table[700 * 16];
    static uint8_t lut[700 * 16];
    kn_rand r = kn_rand_at(8, _i);
    const size_t m = _i < 3 ? 1 + (size_t)_i : _i < 6 ? 255 + (size_t)_i : 700;
    kn_rand_fill_normal(table, m * 16, 11, (uint64_t)_i, 3);
    if (_i == 4)
        for (size_t i = 0; i < m * 16; i++)
            table[i] = 5; /* nothing to tell apart */
    const kn_pq4_lut q = kn_pq4_quantise(table, m, lut);
    unsigned most = 0;
    for (size_t s = 0; s < m; s++) {
        unsigned top = 0;
        for (size_t c = 0; c < 16; c++)
            top = lut[16 * s + c] > top ? lut[16 * s + c] : top;
        most += top;
    }
    ck_assert_uint_le(most, 65535);
    for (int turn = 0; turn < 200; turn++) {
        double want = 0;
        unsigned sum = 0;
        for (size_t s = 0; s < m; s++) {
            const size_t c = kn_rand_below(&r, 16);
            want += (double)table[16 * s + c];
            sum += lut[16 * s + c];
        }
        const double got = (double)q.base + (double)q.step * sum;
        ck_assert_msg(fabs(got - want) <= (double)m * (double)q.step * 0.51 + 1e-3, "%g, not %g",
                      got, want);
    }
}
END_TEST

START_TEST(both_layouts)
{
    static float c[DIM * 16], back[DIM * 16], r[DIM * 16];
    const kn_pq pq = quantiser(8, 16, c), from = quantiser(8, 16, back);
    kn_rand_fill_normal(c, DIM * 16, 3, 3, 1);
    kn_pq_to_rows(&pq, r);
    ck_assert(r[(2 * 16 + 5) * 6 + 4] == c[(2 * 6 + 4) * 16 + 5]);
    kn_pq_from_rows(&from, r, back);
    ck_assert_mem_eq(back, c, sizeof c);
}
END_TEST

START_TEST(same_bits_everywhere)
{
    static float c[DIM * 256];
    static uint8_t codes[N * DIM];
    kn_rand_fill_normal(rows[0], N * DIM, 7, 1, 1);
    for (int i = 0; i < 2; i++) {
        const kn_pq pq = quantiser(12, i ? 256 : 16, c);
        uint64_t want[2];
        for (uint32_t threads = 1; threads < 6; threads += 2) {
            OK(kn_pq_train(&pq, rows[0], N, 5, threads, c));
            OK(kn_pq_encode(&pq, rows[0], N, threads, codes));
            const uint64_t h[2] = { kn_hash64(c, DIM * pq.space.k * 4), kn_hash64(codes, N * 12) };
            if (threads == 1)
                memcpy(want, h, sizeof want);
            ck_assert_mem_eq(h, want, sizeof want);
        }
        printf("bits %016llx %016llx\n", (unsigned long long)want[0], (unsigned long long)want[1]);
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
    tcase_add_test(tc, learns_all_words);
    tcase_add_loop_test(tc, encodes_the_nearest, 0, 4);
    tcase_add_test(tc, packs_blocks);
    tcase_add_loop_test(tc, small_tables, 0, 9);
    tcase_add_test(tc, both_layouts);
    tcase_add_test(tc, same_bits_everywhere);
}

int main(void)
{
    printf("level %s of pq\n", kn_level_get());
    return kn_test_main("pq", fill);
}
