/* test_sampler.c - batches cover everything evenly, repeat nothing, and depend on (seed, step) alone. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "train/sampler.h"

#include <string.h>
#include <time.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* `classes` labels of `each` samples, of label l a few more. */
static uint32_t *make_labels(uint32_t classes, uint32_t each, uint32_t more, size_t *n)
{
    uint32_t *labels = kn_alloc((size_t)classes * (each + more), sizeof *labels);
    *n = 0;
    for (uint32_t round = 0; round < each + more; round++)
        for (uint32_t l = 0; l < classes; l++)
            if (round < each || (more && round - each < l % (more + 1)))
                labels[(*n)++] = l;
    return labels;
}

static kn_sampler *pk(const uint32_t *labels, const uint32_t *photos, size_t n, uint32_t p,
                      uint32_t k)
{
    const kn_sampler_config c = { .kind = KN_SAMPLER_PK, .seed = 7, .classes = p, .images = k };
    kn_sampler *s = NULL;
    OK(kn_sampler_new(&s, &c, labels, photos, n));
    return s;
}

static int holds(const uint32_t *list, size_t n, uint32_t x)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == x)
            return 1;
    return 0;
}

/* P different classes, K of each one behind the other, no sample twice. */
static void check_batch(const uint32_t *batch, const uint32_t *labels, uint32_t p, uint32_t k)
{
    for (uint32_t i = 0; i < p; i++) {
        const uint32_t label = labels[batch[i * k]];
        for (uint32_t j = 0; j < k; j++)
            ck_assert_uint_eq(labels[batch[i * k + j]], label);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(labels[batch[j * k]], label);
    }
    for (size_t i = 0; i < (size_t)p * k; i++)
        ck_assert(!holds(batch, i, batch[i]));
}

/* Whatever the sizes: after s steps every class was seen floor or ceil of s P / C times, and in
 * each class no sample more than once more often than another. */
START_TEST(pk_is_even)
{
    static const uint32_t sizes[][4] = {
        /* classes, P, K, steps */
        { 5, 5, 4, 40 },   { 6, 5, 3, 60 },      { 7, 4, 2, 90 },    { 13, 8, 4, 100 },
        { 31, 8, 4, 100 }, { 100, 8, 4, 150 },   { 101, 25, 2, 60 }, { 1, 1, 4, 30 },
        { 9, 1, 2, 50 },   { 1000, 32, 4, 200 },
    };
    for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
        const uint32_t classes = sizes[t][0], p = sizes[t][1], k = sizes[t][2];
        size_t n;
        uint32_t *labels = make_labels(classes, k, 5, &n), batch[512];
        uint32_t *seen = kn_zalloc(n, sizeof *seen), *visits = kn_zalloc(classes, sizeof *visits);
        kn_sampler *s = pk(labels, NULL, n, p, k);
        ck_assert_uint_eq(kn_sampler_batch(s), p * k);
        ck_assert_uint_eq(kn_sampler_classes(s), classes);
        ck_assert_uint_eq(kn_sampler_epoch(s), (classes + p - 1) / p);
        for (uint64_t step = 0; step < sizes[t][3]; step++) {
            kn_sampler_get(s, step, batch);
            check_batch(batch, labels, p, k);
            for (size_t i = 0; i < (size_t)p * k; i++)
                seen[batch[i]]++;
            for (size_t i = 0; i < p; i++)
                visits[labels[batch[i * k]]]++;
            const uint64_t least = (step + 1) * p / classes;
            for (uint32_t c = 0; c < classes; c++)
                ck_assert_msg(visits[c] == least || visits[c] == least + 1,
                              "case %zu, step %d: class %u seen %u times, not %d", t, (int)step,
                              (unsigned)c, (unsigned)visits[c], (int)least);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n && n < 300; j++)
                ck_assert(labels[i] != labels[j] || seen[i] <= seen[j] + 1);
        kn_sampler_free(s);
        kn_free(labels);
        kn_free(seen);
        kn_free(visits);
    }
}
END_TEST

/* Any order of steps, and a sampler made anew, give the same batches. */
static void check_seeking(const kn_sampler_config *c, const uint32_t *labels, size_t n,
                          size_t steps)
{
    kn_sampler *s, *again;
    OK(kn_sampler_new(&s, c, labels, NULL, n));
    const size_t size = kn_sampler_batch(s);
    uint32_t *all = kn_alloc(steps * size, sizeof *all), *one = kn_alloc(size, sizeof *one);
    kn_rand r = kn_rand_at(1, 1);
    for (uint64_t step = 0; step < steps; step++)
        kn_sampler_get(s, step, all + step * size);
    for (size_t i = 0; i < steps; i++) {
        const uint32_t step = kn_rand_below(&r, (uint32_t)steps);
        OK(kn_sampler_new(&again, c, labels, NULL, n));
        kn_sampler_get(again, i, one);
        ck_assert_mem_eq(one, all + i * size, size * sizeof *one);
        kn_sampler_free(again);
        kn_sampler_get(s, step, one); /* from wherever it stands */
        ck_assert_mem_eq(one, all + step * size, size * sizeof *one);
    }
    ck_assert(memcmp(all, all + size, size * sizeof *all) != 0);
    kn_sampler_free(s);
    kn_free(all);
    kn_free(one);
}

START_TEST(any_order_of_steps)
{
    static const uint32_t classes[] = { 8, 9, 13, 31, 33, 57, 200 };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t n;
        uint32_t *labels = make_labels(classes[i], 3, 4, &n);
        const kn_sampler_config c[] = {
            { .kind = KN_SAMPLER_PK, .seed = 3, .classes = 8, .images = 3 },
            { .kind = KN_SAMPLER_SHUFFLE, .seed = 3, .batch = 20 },
            { .kind = KN_SAMPLER_EPISODES, .seed = 3, .classes = 5, .images = 3 },
        };
        for (int j = 0; j < 3; j++)
            check_seeking(&c[j], labels, n, classes[i] == 33 && !j ? 1500 : 150); /* tight there */
        kn_free(labels);
    }
}
END_TEST

/* A class with fewer samples than asked for gives all it has, as evenly as it can. */
START_TEST(small_classes_repeat)
{
    const uint32_t labels[] = { 0, 0, 0, 1, 2, 2, 2, 2, 2, 2 };
    uint32_t batch[12], seen[10] = { 0 };
    kn_sampler *s = pk(labels, NULL, 10, 3, 4);
    for (uint64_t step = 0; step < 30; step++) {
        kn_sampler_get(s, step, batch);
        for (size_t i = 0; i < 12; i += 4) {
            const uint32_t label = labels[batch[i]];
            const size_t has = label == 0 ? 3 : label == 1 ? 1 : 4;
            size_t different = 0;
            for (size_t j = 0; j < 4; j++) {
                different += !holds(batch + i, j, batch[i + j]);
                seen[batch[i + j]]++;
            }
            ck_assert_uint_eq(different, has);
        }
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(seen[i], 40);
    ck_assert_uint_eq(seen[3], 120);
    for (size_t i = 4; i < 10; i++)
        ck_assert_uint_eq(seen[i], 20);
    kn_sampler_free(s);
}
END_TEST

/* Samples 0 and 1 are one photograph, 9 is the same under another label. */
START_TEST(copies_of_a_photo_do_not_meet)
{
    const uint32_t labels[] = { 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1 };
    const uint32_t photos[] = { 50, 50, 51, 52, 53, 54, 60, 61, 62, 50, 63, 64 };
    uint32_t batch[8], seen[12] = { 0 };
    kn_sampler *s = pk(labels, photos, 12, 2, 4);
    for (uint64_t step = 0; step < 100; step++) {
        kn_sampler_get(s, step, batch);
        size_t copies = 0;
        for (size_t i = 0; i < 8; i++) {
            copies += photos[batch[i]] == 50;
            seen[batch[i]]++;
        }
        ck_assert_uint_le(copies, 1);
    }
    for (size_t i = 0; i < 12; i++)
        ck_assert_uint_gt(seen[i], 0);
    kn_sampler_free(s);
    /* where there is nothing else, they do */
    const uint32_t same[] = { 1, 1, 1 };
    s = pk(labels, same, 3, 1, 3);
    kn_sampler_get(s, 0, batch);
    ck_assert_uint_eq(batch[0] + batch[1] + batch[2], 3);
    kn_sampler_free(s);
}
END_TEST

START_TEST(shuffle_is_even)
{
    enum { N = 103, BATCH = 10 };
    uint32_t batch[BATCH], seen[N] = { 0 };
    const kn_sampler_config c = { .kind = KN_SAMPLER_SHUFFLE, .seed = 2, .batch = BATCH };
    kn_sampler *s;
    OK(kn_sampler_new(&s, &c, NULL, NULL, N));
    ck_assert_uint_eq(kn_sampler_epoch(s), 11);
    for (uint64_t step = 0; step < 500; step++) {
        kn_sampler_get(s, step, batch);
        for (size_t i = 0; i < BATCH; i++) {
            ck_assert(!holds(batch, i, batch[i]));
            seen[batch[i]]++;
        }
        for (size_t i = 0; i < N; i++)
            ck_assert_uint_le(seen[i] - (step + 1) * BATCH / N, 1);
    }
    kn_sampler_free(s);
}
END_TEST

/* Every class and every sample about as often as the others: within five deviations. */
START_TEST(episodes_are_uniform)
{
    enum { CLASSES = 20, EACH = 6, WAYS = 5, IMAGES = 3, EPISODES = 8000 };
    size_t n;
    uint32_t *labels = make_labels(CLASSES, EACH, 0, &n), batch[WAYS * IMAGES];
    uint32_t seen[CLASSES * EACH] = { 0 }, first[CLASSES * EACH] = { 0 };
    const kn_sampler_config c = {
        .kind = KN_SAMPLER_EPISODES, .seed = 2, .classes = WAYS, .images = IMAGES
    };
    kn_sampler *s;
    OK(kn_sampler_new(&s, &c, labels, NULL, n));
    for (uint64_t step = 0; step < EPISODES; step++) {
        kn_sampler_get(s, step, batch);
        check_batch(batch, labels, WAYS, IMAGES);
        for (size_t i = 0; i < WAYS * IMAGES; i++) {
            seen[batch[i]]++;
            first[batch[i]] += i % IMAGES == 0;
        }
    }
    for (size_t i = 0; i < n; i++) { /* 1000 and 333.3 expected */
        ck_assert_uint_le(seen[i], 1000 + 5 * 30);
        ck_assert_uint_ge(seen[i], 1000 - 5 * 30);
        ck_assert_uint_le(first[i], 333 + 5 * 18);
        ck_assert_uint_ge(first[i], 333 - 5 * 18);
    }
    kn_sampler_free(s);
    kn_free(labels);
}
END_TEST

START_TEST(refused)
{
    const uint32_t labels[] = { 0, 0, 1, 2 }, huge[] = { 0xfffffff0u };
    kn_sampler_config c = { .kind = KN_SAMPLER_PK, .classes = 4, .images = 2 };
    kn_sampler *s = NULL;
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 4), KEN_E_INVALID);
    c.classes = 2;
    c.least = 2;
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 4), KEN_E_INVALID);
    c.least = 0;
    c.images = 0;
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 4), KEN_E_INVALID);
    c.images = 2;
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 0), KEN_E_INVALID);
    ck_assert_int_eq(kn_sampler_new(&s, &c, huge, NULL, 1), KEN_E_LIMIT);
    c.kind = KN_SAMPLER_EPISODES; /* two of each class are needed */
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 4), KEN_E_INVALID);
    c = (kn_sampler_config){ .kind = KN_SAMPLER_SHUFFLE, .batch = 5 };
    ck_assert_int_eq(kn_sampler_new(&s, &c, labels, NULL, 4), KEN_E_INVALID);
    ck_assert_ptr_null(s);
    kn_sampler_free(NULL);
}
END_TEST

START_TEST(out_of_memory)
{
    const uint32_t labels[] = { 0, 0, 1, 1 }, photos[] = { 0, 1, 2, 3 };
    const kn_sampler_config c = { .kind = KN_SAMPLER_PK, .classes = 2, .images = 2 };
    for (long i = 0;; i++) {
        kn_sampler *s = NULL;
        kn_alloc_fail_after(i);
        const ken_status st = kn_sampler_new(&s, &c, labels, photos, 4);
        const long denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        kn_sampler_free(s);
        if (!denied)
            break;
        ck_assert_int_eq(st, KEN_E_NOMEM);
    }
}
END_TEST

/* A million classes of two samples start up in two seconds of this process's time. */
START_TEST(a_million_classes)
{
    size_t n;
    uint32_t *labels = make_labels(1000000, 2, 0, &n), batch[128];
    const clock_t begin = clock();
    kn_sampler *s = pk(labels, NULL, n, 64, 2);
    kn_sampler_get(s, 123456, batch);
    const double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    check_batch(batch, labels, 64, 2);
    ck_assert_msg(seconds < 2, "%g s", seconds);
    kn_sampler_free(s);
    kn_free(labels);
}
END_TEST

/* 5 rare classes come round 30 times for each time that one of the other 200 does, their samples
 * in turn; batches are otherwise as ever. */
START_TEST(some_classes_come_more_often)
{
    enum { RARE = 5, OTHERS = 200, EACH = 8, REPEAT = 30, P = 10, K = 2, CARDS = RARE * REPEAT + OTHERS };
    size_t n;
    uint32_t *labels = make_labels(RARE + OTHERS, EACH, 0, &n), batch[P * K];
    uint32_t classes[RARE + OTHERS] = { 0 }, samples[(RARE + OTHERS) * EACH] = { 0 };
    const kn_sampler_config c = { .kind = KN_SAMPLER_PK, .seed = 3, .classes = P, .images = K,
                                  .repeat = REPEAT, .repeated = RARE };
    kn_sampler *s = NULL;
    OK(kn_sampler_new(&s, &c, labels, NULL, n));
    ck_assert_uint_eq(kn_sampler_epoch(s), CARDS / P);
    for (uint64_t step = 0; step < 4 * CARDS / P; step++) {
        kn_sampler_get(s, step, batch);
        for (uint32_t i = 0; i < P; i++)
            classes[labels[batch[i * K]]]++;
        for (uint32_t i = 0; i < P * K; i++) {
            ck_assert_uint_eq(labels[batch[i]], labels[batch[i / K * K]]);
            samples[batch[i]]++;
        }
        for (uint32_t i = 0; i < P * K; i += K)
            ck_assert_uint_ne(batch[i], batch[i + 1]);
    }
    for (uint32_t l = 0; l < RARE + OTHERS; l++)
        ck_assert_uint_eq(classes[l], l < RARE ? 4 * REPEAT : 4);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(samples[i], 4 * (labels[i] < RARE ? REPEAT : 1) * K / EACH);
    kn_sampler_free(s);
    kn_free(labels);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, some_classes_come_more_often);
    tcase_add_test(tc, pk_is_even);
    tcase_add_test(tc, any_order_of_steps);
    tcase_add_test(tc, small_classes_repeat);
    tcase_add_test(tc, copies_of_a_photo_do_not_meet);
    tcase_add_test(tc, shuffle_is_even);
    tcase_add_test(tc, episodes_are_uniform);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, out_of_memory);
    tcase_add_test(tc, a_million_classes);
}

int main(void)
{
    return kn_test_main("sampler", fill);
}
