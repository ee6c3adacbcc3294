/* test_eval.c - rankings and first answers in one pass, against sorting everything. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "engine/eval_match.h"
#include "kernels/kernels.h"
#include "train/metrics.h"

#include <math.h>
#include <string.h>

enum { DIM = 19, N = 1300, LABELS = 150, KNOWN = 150, UNKNOWN = 20, ALL = KNOWN + UNKNOWN };

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static uint32_t label[N], places[N];
static uint16_t variants[N];
static size_t first[LABELS + 2];
static int64_t truth[ALL];
static uint64_t told[ALL][N], told_n[ALL], object_rank[ALL];

static void note(size_t query, const uint64_t *ranks, size_t relevant, uint64_t rank, void *cookie)
{
    (void)cookie;
    memcpy(told[query], ranks, relevant * sizeof *ranks);
    told_n[query] = relevant;
    object_rank[query] = rank;
}

typedef struct scored {
    float score;
    uint32_t place;
} scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

static void make(kn_eval_data *d, uint32_t crops, uint32_t looks, size_t memory, float **gallery,
                 float **queries)
{
    const size_t rows = N * (1 + crops), asks = ALL * (1 + looks);
    *gallery = kn_alloc(rows * DIM, sizeof **gallery);
    *queries = kn_alloc(asks * DIM, sizeof **queries);
    kn_rand_fill_normal(*gallery, rows * DIM, 5, crops, 1);
    kn_rand_fill_normal(*queries, asks * DIM, 6, looks, 1);
    for (size_t i = 0; i + 7 < rows; i += 7) /* ties */
        memcpy(*gallery + i * DIM, *gallery + (i / 3) * DIM, DIM * sizeof **gallery);
    memset(first, 0, sizeof first);
    for (size_t i = 0; i < N; i++) {
        label[i] = (uint32_t)(i * 31 % 101 + i % 50) % LABELS;
        variants[i] = (uint16_t)(1 | (label[i] % 2 ? 0 : 2) | (i % 3 ? 0 : 4));
        first[label[i] + 1]++;
    }
    for (size_t l = 0; l < LABELS; l++)
        first[l + 1] += first[l];
    for (size_t l = 0, at = 0; l < LABELS; l++)
        for (size_t i = 0; i < N; i++)
            if (label[i] == l)
                places[at++] = (uint32_t)i;
    for (size_t q = 0; q < ALL; q++)
        truth[q] = q < KNOWN && first[q + 1] > first[q] ? (int64_t)q : -1;
    *d = (kn_eval_data){ .dim = DIM, .n = N, .label = label, .labels_n = LABELS, .first = first,
                         .places = places, .known = KNOWN, .unknown = UNKNOWN, .truth = truth };
    d->r.crops = crops;
    d->r.looks = looks;
    kn_spill_init(&d->gallery, DIM, memory);
    kn_spill_init(&d->queries, DIM, memory);
    OK(kn_spill_add(&d->gallery, *gallery, rows));
    OK(kn_spill_add(&d->queries, *queries, asks));
}

static float best_score(const kn_eval_data *d, const float *gallery, const float *queries, size_t q,
                        size_t place)
{
    float best = -INFINITY;
    for (size_t l = 0; l <= d->r.looks; l++)
        for (size_t c = 0; c <= d->r.crops; c++)
            best = fmaxf(best, kn_kernels_get()->dot_f32(
                                   queries + (q * (1 + d->r.looks) + l) * DIM,
                                   gallery + (place * (1 + d->r.crops) + c) * DIM, DIM));
    return best;
}

static void check_ranking(const scored *order, size_t q)
{
    uint64_t ranks[N], n = 0, objects = 0;
    char met[LABELS] = { 0 };
    for (size_t i = 0; i < N; i++) {
        const uint32_t l = label[order[i].place];
        if ((int64_t)l == truth[q])
            ranks[n++] = i + 1;
        objects += n <= 1 && !met[l] && (n == 0 || (int64_t)l == truth[q]);
        met[l] = 1;
    }
    ck_assert_uint_eq(told_n[q], n);
    ck_assert_mem_eq(told[q], ranks, n * sizeof *ranks);
    ck_assert_uint_eq(object_rank[q], objects);
}

static void check_first(const kn_first *f, const scored *order, unsigned bit)
{
    uint32_t answer = UINT32_MAX;
    float raw = -INFINITY, other = -INFINITY;
    for (size_t i = 0; i < N; i++) {
        const uint32_t l = label[order[i].place];
        if (!(variants[order[i].place] & bit))
            continue;
        if (answer == UINT32_MAX) {
            answer = l;
            raw = order[i].score;
        } else if (l != answer && other < -1e30f)
            other = order[i].score;
    }
    ck_assert_uint_eq(f->label, answer);
    ck_assert(f->raw == raw && f->other == other);
}

START_TEST(as_sorting_says)
{
    const uint32_t crops = (uint32_t)_i % 3, looks = (uint32_t)_i / 3;
    kn_eval_data d;
    float *gallery, *queries;
    static kn_first answers[ALL][3];
    static scored order[N];
    make(&d, crops, looks, _i % 2 ? SIZE_MAX / 2 : 4000, &gallery, &queries);
    const kn_match m = { .d = &d, .variants = variants, .variants_n = 3, .first = answers[0],
                         .ranking = note };
    OK(kn_match_all(&m));
    for (size_t q = 0; q < ALL; q++) {
        for (size_t i = 0; i < N; i++)
            order[i] = (scored){ best_score(&d, gallery, queries, q, i), (uint32_t)i };
        qsort(order, N, sizeof *order, best_first);
        if (truth[q] >= 0)
            check_ranking(order, q);
        for (unsigned v = 0; v < 3; v++)
            check_first(&answers[q][v], order, 1u << v);
    }
    kn_spill_release(&d.gallery);
    kn_spill_release(&d.queries);
    kn_free(gallery);
    kn_free(queries);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_loop_test(tc, as_sorting_says, 0, 6);
}

int main(void)
{
    return kn_test_main("eval", fill);
}
