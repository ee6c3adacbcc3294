/* test_index_link.c - rows that a thread links behind (src/index/index_link.c), while others read and write. */
#include "tests/test.h"
#include "tests/unit/index_make.h"

#include "base/alloc.h"
#include "base/file.h"
#include "index/index_state.h"

#include <pthread.h>
#include <string.h>

/* Whoever publishes has room for what it replaces, also while a reader keeps all of that alive and memory is
 * refused again and again. */
START_TEST(without_memory_nothing_is_lost)
{
    const float row[4] = { 1, 2, 3, 4 };
    kn_index *ix = NULL;
    uint64_t id = 0;
    OK(kn_index_new(&ix, "Flat", 4, KN_METRIC_COSINE));
    const size_t place = kn_readers_enter(ix->readers);
    for (; id < 100; id++)
        for (long n = 0;; n++) {
            ken_status st = KEN_E_NOMEM;
            for (int again = 0; st && again < 100; again++) {
                kn_alloc_fail_after(n);
                st = kn_index_put(ix, &id, row, 1, 0);
                kn_alloc_fail_after(-1);
                ck_assert(!st || st == KEN_E_NOMEM);
            }
            ck_assert_uint_eq(atomic_load(&ix->now)->n, id + !st);
            if (!st)
                break;
        }
    kn_readers_leave(ix->readers, place);
    ck_assert_uint_eq(kn_index_len(ix), id);
    kn_index_free(ix);
}
END_TEST

/* Until at least so many added rows are linked. */
static size_t wait_for_links(kn_index *ix, size_t least)
{
    kn_index_info i = { 0 };
    for (size_t turn = 0; turn < 60000 && i.linked < least; turn++) {
        usleep(10000);
        kn_index_get_info(ix, &i);
    }
    ck_assert_msg(i.linked >= least, "%zu of %zu rows are linked", i.linked, least);
    return i.linked;
}

/* Of the K nearest, by comparing all; whoever is answered lives and is asked for. */
static double share_found(const kn_index *ix, const float *q, size_t nq, size_t dim, const uint64_t *only,
                          size_t n_only)
{
    enum { K = 10 };
    size_t hit = 0, all = 0;
    for (size_t i = 0; i < nq; i++) {
        kn_near want[K * 8], got[K];
        size_t n_want, n, m = 0;
        const kn_find p = { .k = K };
        OK(kn_index_exact(ix, q + i * dim, 1, K * 8, 1, want, &n_want));
        OK(kn_index_search(ix, q + i * dim, 1, &p, only, n_only, 1, got, &n));
        ck_assert_uint_eq(n, K);
        for (size_t j = 0; j < n_want && m < K; j++) {
            int asked = !only, found = 0;
            for (size_t o = 0; o < n_only && !asked; o++)
                asked = only[o] == want[j].id;
            for (size_t o = 0; o < n && asked; o++)
                found |= got[o].id == want[j].id;
            m += asked;
            all += asked;
            hit += found;
        }
    }
    return (double)hit / (double)all;
}

/* Two lives of the same changes, one of which gives the thread its time. */
START_TEST(added_rows_are_linked_behind)
{
    enum { BASE = 600, N = 4000, DIM = 24, LATE = 3000 };
    const kn_metric metric = (const kn_metric[]){ KN_METRIC_COSINE, KN_METRIC_L2, KN_METRIC_DOT }[_i];
    const kn_build b = { .seed = 3, .threads = 1 };
    float *rows = make_rows(N + 100, DIM, 77), *q = rows + (size_t)N * DIM;
    kn_index *ix[2] = { NULL, NULL };
    unsigned char *bytes[2];
    size_t len[2];
    uint64_t half[N];
    for (size_t life = 0; life < 2; life++) {
        OK(kn_index_build(&ix[life], "HNSW8", metric, NULL, rows, BASE, DIM, &b));
        for (uint64_t i = BASE; i < LATE; i++)
            OK(kn_index_put(ix[life], &i, rows + i * DIM, 1, 0));
        for (uint64_t i = 1; i < LATE; i += 5) /* while the thread works: it has copied them, or not yet */
            OK(kn_index_remove(ix[life], &i, 1, NULL));
        for (uint64_t i = 2; i < LATE; i += 500) /* another row for the id */
            OK(kn_index_put(ix[life], &i, rows + (N - i) * DIM, 1, 1));
        if (!life)
            wait_for_links(ix[0], 800);
        for (uint64_t i = LATE; i < N; i++)
            OK(kn_index_put(ix[life], &i, rows + i * DIM, 1, 0));
        if (!life) {
            size_t n = 0, own = 0, asked = 0;
            int there;
            /* of 2,922: up to 1,023 are not worth a turn; of inner products as many as are linked */
            wait_for_links(ix[0], metric == KN_METRIC_DOT ? 1400 : 1890);
            OK(kn_index_check(ix[0], NULL, NULL));
            ck_assert_uint_eq(kn_index_next_id(ix[0]), N);
            for (uint64_t i = 0; i < N; i++) {
                const kn_find p = { .k = 1 };
                kn_near near;
                size_t found;
                OK(kn_index_has(ix[0], i, &there));
                ck_assert_int_eq(there, !(i % 5 == 1 && i < LATE && (i + 500 - 2) % 500));
                if (i % 2 && there)
                    half[n++] = i;
                if (i % 7 || !there || metric == KN_METRIC_DOT)
                    continue;
                const uint64_t row = i % 500 == 2 && i < LATE ? N - i : i;
                OK(kn_index_search(ix[0], rows + row * DIM, 1, &p, NULL, 0, 1, &near, &found));
                ck_assert_uint_eq(found, 1);
                own += near.id == i || (i + row == N && near.id == row);
                asked++;
            }
            ck_assert_msg(own * 100 >= asked * 98, "%zu of %zu rows find themselves", own, asked);
            const double all = share_found(ix[0], q, 100, DIM, NULL, 0),
                         some = share_found(ix[0], q, 100, DIM, half, n);
            ck_assert_msg(all > .97 && some > .97, "%.3f, of half of them %.3f", all, some);
            for (uint64_t i = BASE; i < LATE; i += 10) { /* of the tier */
                OK(kn_index_remove(ix[0], &i, 1, NULL));
                OK(kn_index_has(ix[0], i, &there));
                ck_assert_int_eq(there, 0);
            }
            ck_assert_msg(share_found(ix[0], q, 100, DIM, NULL, 0) > .97, "after taking away");
        } else
            for (uint64_t i = BASE; i < LATE; i += 10)
                OK(kn_index_remove(ix[1], &i, 1, NULL));
        OK(kn_index_compact(ix[life], &b));
        OK(kn_index_save(ix[life], path));
        OK(kn_read_file(&bytes[life], &len[life], path, SIZE_MAX));
        kn_index_free(ix[life]);
    }
    ck_assert_uint_eq(len[0], len[1]);
    ck_assert_int_eq(memcmp(bytes[0], bytes[1], len[0]), 0);
    kn_free(bytes[0]);
    kn_free(bytes[1]);
    free(rows);
}
END_TEST

/* ---- readers beside the thread ---- */

typedef struct reader {
    kn_index *ix;
    const float *rows;
    size_t dim, always; /* every tenth below this stays */
    _Atomic int stop;
    size_t asked, wrong;
} reader;

static void *read_on(void *cookie)
{
    enum { K = 10 };
    reader *r = cookie;
    const kn_find p = { .k = K };
    for (size_t i = 0; !atomic_load(&r->stop); i = (i + 10) % r->always) {
        kn_near near[K];
        size_t n;
        int wrong = kn_index_exact(r->ix, r->rows + i * r->dim, 1, 1, 1, near, &n) || n != 1 || near->id != i;
        wrong |= kn_index_search(r->ix, r->rows + i * r->dim, 1, &p, NULL, 0, 1, near, &n) || n != K;
        for (size_t j = 1; !wrong && j < n; j++)
            wrong = near[j].raw > near[j - 1].raw || near[j].id == near[j - 1].id;
        if (r->asked % 50 == 0)
            wrong |= kn_index_check(r->ix, NULL, NULL) != KEN_OK;
        r->asked++;
        r->wrong += (size_t)wrong;
    }
    return NULL;
}

/* Three tiers replace each other, then a compaction all of them. */
START_TEST(searches_go_on_beside_the_thread)
{
    enum { BASE = 600, N = 4500, DIM = 8 };
    float *rows = make_rows(N, DIM, 5);
    const kn_build b = { .seed = 3, .threads = 1 };
    kn_index *ix = NULL;
    pthread_t thread;
    size_t added = 0; /* and there still */
    OK(kn_index_build(&ix, "HNSW8", KN_METRIC_L2, NULL, rows, BASE, DIM, &b));
    reader r = { .ix = ix, .rows = rows, .dim = DIM, .always = BASE };
    ck_assert_int_eq(pthread_create(&thread, NULL, read_on, &r), 0);
    for (uint64_t i = BASE; i < N; i++) {
        const uint64_t gone = i - BASE / 2;
        OK(kn_index_put(ix, &i, rows + i * DIM, 1, 0));
        added++;
        if (gone % 10 == 1)
            OK(kn_index_remove(ix, &gone, 1, NULL));
        added -= gone % 10 == 1 && gone >= BASE;
        if ((i - BASE) % 1300 == 1299)
            wait_for_links(ix, added - 1023); /* so many may wait for a turn; and more than there were before */
    }
    OK(kn_index_compact(ix, &b));
    atomic_store(&r.stop, 1);
    pthread_join(thread, NULL);
    ck_assert_msg(r.asked > 0 && r.wrong == 0, "%zu of %zu answers are wrong", r.wrong, r.asked);
    kn_index_free(ix);
    free(rows);
}
END_TEST

/* ---- when the thread has its turns ---- */

enum { MANY = 1024, WIDTH = 8 }; /* as many rows as are worth one */

static kn_index *small_base(const float *rows, size_t n)
{
    const kn_build b = { .seed = 3, .threads = 1 };
    kn_index *ix = NULL;
    OK(kn_index_build(&ix, "HNSW8", KN_METRIC_L2, NULL, rows, n, WIDTH, &b));
    return ix;
}

static void put_many(kn_index *ix, const float *rows, uint64_t first, size_t n)
{
    uint64_t ids[2 * MANY];
    for (size_t i = 0; i < n; i++)
        ids[i] = first + i;
    OK(kn_index_put(ix, ids, rows + first * WIDTH, n, 0));
}

static void remove_many(kn_index *ix, uint64_t first, size_t n)
{
    uint64_t ids[2 * MANY];
    for (size_t i = 0; i < n; i++)
        ids[i] = first + i;
    OK(kn_index_remove(ix, ids, n, NULL));
}

static void wait_until_idle(const kn_index *ix)
{
    for (size_t turn = 0; turn < 60000 && atomic_load(&ix->linker.busy); turn++)
        usleep(1000);
    ck_assert_int_eq(atomic_load(&ix->linker.busy), 0);
}

/* All rows of a turn may be gone when the thread looks, of the tier before it, too. */
START_TEST(a_turn_may_find_no_rows)
{
    float *rows = make_rows(10 + 2 * MANY, WIDTH, 6);
    kn_index *ix = small_base(rows, 10);
    for (int again = 0; again < 20; again++) {
        put_many(ix, rows, 10, MANY);
        if (again % 2)
            wait_for_links(ix, MANY);
        remove_many(ix, 10, MANY);
        wait_until_idle(ix);
        ck_assert_uint_eq(kn_index_len(ix), 10);
        ck_assert_uint_eq(ix->patience, 0); /* no turn has failed */
        OK(kn_index_check(ix, NULL, NULL));
    }
    put_many(ix, rows, 10, 2 * MANY);
    ck_assert_uint_eq(wait_for_links(ix, 2 * MANY), 2 * MANY);
    kn_index_free(ix);
    free(rows);
}
END_TEST

/* A turn that failed is tried again when twice as many rows wait, not at the next change. */
START_TEST(a_failed_turn_is_not_tried_at_each_change)
{
    float *rows = make_rows(10 + 3 * MANY, WIDTH, 7);
    kn_index *ix = small_base(rows, 10);
    kn_index_link_stop(ix);
    put_many(ix, rows, 10, MANY);
    kn_index_link_go_on(ix);
    uint64_t next = 10 + MANY;
    for (long n = 0; n < 100 && !ix->patience; n++) { /* until the change has its memory, and the thread has not */
        kn_alloc_fail_after(n);
        next += !kn_index_put(ix, &next, rows + next * WIDTH, 1, 0);
        wait_until_idle(ix);
        kn_alloc_fail_after(-1);
    }
    const size_t waiting = next - 10;
    ck_assert_uint_eq(ix->patience, 2 * waiting);
    for (; next < 10 + 2 * waiting - 1; next++) {
        OK(kn_index_put(ix, &next, rows + next * WIDTH, 1, 0));
        ck_assert_int_eq(atomic_load(&ix->linker.busy), 0);
    }
    OK(kn_index_put(ix, &next, rows + next * WIDTH, 1, 0));
    wait_for_links(ix, 2 * waiting);
    wait_until_idle(ix);
    ck_assert_uint_eq(ix->patience, 0);
    kn_index_free(ix);
    free(rows);
}
END_TEST

START_TEST(rows_of_the_log_are_linked)
{
    float *rows = make_rows(10 + MANY, WIDTH, 8);
    const kn_build b = { .seed = 3, .threads = 1 };
    kn_index *ix = small_base(rows, 10);
    OK(kn_index_save(ix, path));
    kn_index_free(ix);
    OK(kn_index_open(&ix, path, 1));
    kn_index_link_stop(ix);
    put_many(ix, rows, 10, MANY);
    kn_index_free(ix);
    OK(kn_index_open(&ix, path, 1));
    ck_assert_uint_eq(wait_for_links(ix, MANY), MANY);
    OK(kn_index_compact(ix, &b));
    ck_assert_uint_eq(kn_index_len(ix), 10 + MANY);
    kn_index_free(ix);
    free(rows);
}
END_TEST

/* A writer at work keeps nobody from checking; a row that replaces nothing copies no bits. */
START_TEST(checks_wait_for_no_writer)
{
    float *rows = make_rows(11, WIDTH, 9);
    kn_index *ix = small_base(rows, 10);
    put_many(ix, rows, 10, 1);
    ck_assert_ptr_null(ix->dead);
    pthread_mutex_lock(&ix->writing);
    OK(kn_index_check(ix, NULL, NULL));
    pthread_mutex_unlock(&ix->writing);
    kn_index_free(ix);
    free(rows);
}
END_TEST

static void fill(TCase *t)
{
    tcase_set_timeout(t, 1200);
    tcase_add_checked_fixture(t, enter, leave);
    tcase_add_test(t, without_memory_nothing_is_lost);
    tcase_add_loop_test(t, added_rows_are_linked_behind, 0, (int)kn_test_size(3, 3, 1));
    tcase_add_test(t, searches_go_on_beside_the_thread);
    tcase_add_test(t, a_turn_may_find_no_rows);
    tcase_add_test(t, a_failed_turn_is_not_tried_at_each_change);
    tcase_add_test(t, rows_of_the_log_are_linked);
    tcase_add_test(t, checks_wait_for_no_writer);
}

int main(void)
{
    return kn_test_main("index_link", fill);
}
