/*
 * test_readers.c - an index that is searched while it changes: what stays is always found, what was gone
 * before a search began is never answered, and what was told to be added is there.  Meant for
 * ThreadSanitizer, too (`make tsan-short`).
 */
#include "tests/test.h"

#include "base/rand.h"
#include "index/readers.h"
#include "ken.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { DIM = 24, STAY = 200, MOST = 4000, THREADS = 3 };

static char dir[64], path[128], log_path[160];

static void setup(void)
{
    snprintf(dir, sizeof dir, "%s/ken-readers-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ix", dir);
    snprintf(log_path, sizeof log_path, "%s.log", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(log_path);
    rmdir(dir);
}

static void row_of(uint64_t id, float *row)
{
    kn_rand r = kn_rand_at(id, 3);
    for (size_t j = 0; j < DIM; j++)
        row[j] = kn_rand_normal(&r);
}

/* ---- the play ---- */

enum { UNKNOWN, THERE, GONE };

typedef struct play {
    ken_index *ix;
    atomic_int stop, state[MOST]; /* state of an id: the writer says THERE before it begins to take it away */
    atomic_size_t asked;
    char wrong[THREADS][160];
} play;

typedef struct reader {
    play *p;
    int number;
} reader;

static int answers(const ken_hit *hits, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (hits[i].id == id)
            return 1;
    return 0;
}

/* Ask for the row of an id: all, some, or by comparing. */
static int ask(play *p, uint64_t id, uint32_t how, ken_hit *hits, size_t *found)
{
    ken_find_options o = KEN_FIND_OPTIONS_INIT;
    const uint64_t only[] = { id, 1, 2, id + 1, MOST + 5 };
    float q[DIM];
    row_of(id, q);
    o.exact = how == 1;
    o.only = how == 2 ? only : NULL;
    o.n_only = how == 2 ? 5 : 0;
    return ken_index_find(p->ix, q, 1, 5, &o, hits, found) != KEN_OK;
}

static void *read_on(void *cookie)
{
    const reader *me = cookie;
    play *p = me->p;
    kn_rand r = kn_rand_at(9, (uint64_t)me->number);
    char *wrong = p->wrong[me->number];
    while (!atomic_load(&p->stop) && !*wrong) {
        const uint64_t id = kn_rand_below(&r, kn_rand_below(&r, 2) ? STAY : MOST);
        const int before = atomic_load(&p->state[id]);
        ken_hit hits[5] = { { 0, 0, 0 } };
        size_t found = 0;
        const uint32_t how = kn_rand_below(&r, 3);
        if (ask(p, id, how, hits, &found))
            snprintf(wrong, 160, "a search failed: %s", ken_last_error());
        const int there = answers(hits, found, id), after = atomic_load(&p->state[id]);
        if (there ? before == GONE && after == GONE : before == THERE && after == THERE)
            snprintf(wrong, 160, "id %d is %sanswered, way %u, %d then %d", (int)id, there ? "" : "not ", how,
                     before, after);
        for (size_t i = 1; i < found; i++)
            if (answers(hits, i, hits[i].id) || hits[i].raw > hits[i - 1].raw)
                snprintf(wrong, 160, "an answer comes twice, or out of order");
        atomic_fetch_add(&p->asked, 1);
    }
    return NULL;
}

static void put(play *p, uint64_t id)
{
    float row[DIM];
    row_of(id, row);
    OK(ken_index_put(p->ix, &id, row, 1));
    atomic_store(&p->state[id], THERE);
}

static void take_away(play *p, uint64_t id)
{
    atomic_store(&p->state[id], UNKNOWN);
    OK(ken_index_remove(p->ix, id));
    atomic_store(&p->state[id], GONE);
}

/* Ids come, are replaced by themselves, and go for ever. */
static void write_some(play *p, kn_rand *r, uint64_t *next, uint64_t *oldest)
{
    const uint32_t what = kn_rand_below(r, 100);
    if (what < 55 && *next < MOST)
        put(p, (*next)++);
    else if (what < 70)
        put(p, kn_rand_below(r, STAY));
    else if (what < 97 && *oldest + 20 < *next)
        take_away(p, (*oldest)++);
    else
        OK(ken_index_compact(p->ix));
}

static void run(const char *kind, int on_disk, size_t steps)
{
    static play p;
    reader me[THREADS];
    pthread_t threads[THREADS];
    uint64_t next = STAY, oldest = STAY;
    kn_rand r = kn_rand_at(1, 2);
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    memset(&p, 0, sizeof p);
    o.kind = kind;
    o.metric = "l2";
    OK(ken_index_new(&p.ix, &o));
    for (uint64_t id = 0; id < STAY; id++)
        put(&p, id);
    for (uint64_t id = STAY; id < MOST; id++)
        atomic_store(&p.state[id], GONE); /* not there yet, which is the same … */
    if (on_disk) {
        OK(ken_index_compact(p.ix));
        OK(ken_index_save(p.ix, path));
        ken_index_free(p.ix);
        OK(ken_index_open(&p.ix, path, 1, NULL));
    }
    for (int i = 0; i < THREADS; i++) {
        me[i] = (reader){ &p, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &me[i]), 0);
    }
    for (size_t i = 0; i < steps; i++) {
        if (next < MOST)
            atomic_store(&p.state[next], UNKNOWN); /* … until it may come */
        write_some(&p, &r, &next, &oldest);
    }
    atomic_store(&p.stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!*p.wrong[i], "%s: %s", kind, p.wrong[i]);
    ck_assert_uint_gt(atomic_load(&p.asked), 10);
    ck_assert_uint_eq(ken_index_len(p.ix), STAY + next - oldest);
    OK(ken_index_check(p.ix, NULL, NULL));
    ken_index_free(p.ix);
    unlink(path);
    unlink(log_path);
}

static size_t steps(size_t all)
{
    return getenv("QUICK") ? all / 4 : all;
}

START_TEST(flat_is_read_while_it_changes)
{
    run("Flat", _i, steps(_i ? 1000 : 3000));
}
END_TEST

START_TEST(hnsw_is_read_while_it_changes)
{
    run("HNSW8", _i, steps(1000));
}
END_TEST

/* ---- epochs ---- */

static atomic_int freed;

static void count_freed(void *p)
{
    (void)p;
    atomic_fetch_add(&freed, 1);
}

START_TEST(nothing_is_freed_under_a_reader)
{
    int thing;
    kn_readers *r = kn_readers_new();
    ck_assert_ptr_nonnull(r);
    OK(kn_readers_reserve(r, 10));
    atomic_store(&freed, 0);
    const size_t a = kn_readers_enter(r), b = kn_readers_enter(r);
    ck_assert_uint_ne(a, b);
    kn_readers_retire(r, count_freed, &thing);
    ck_assert_int_eq(atomic_load(&freed), 0);
    const size_t late = kn_readers_enter(r); /* cannot have met it */
    kn_readers_leave(r, a);
    kn_readers_retire(r, count_freed, &thing);
    ck_assert_int_eq(atomic_load(&freed), 0); /* b is still in */
    kn_readers_leave(r, b);
    kn_readers_retire(r, count_freed, &thing);
    ck_assert_int_eq(atomic_load(&freed), 1); /* the late one may read what was replaced after it came */
    kn_readers_leave(r, late);
    kn_readers_retire(r, count_freed, &thing);
    ck_assert_int_eq(atomic_load(&freed), 4);
    kn_readers_retire(r, count_freed, NULL);
    kn_readers_enter(r);
    kn_readers_retire(r, count_freed, &thing);
    kn_readers_free(r);
    ck_assert_int_eq(atomic_load(&freed), 5);
}
END_TEST

static void fill(TCase *t)
{
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, flat_is_read_while_it_changes, 0, 2);
    tcase_add_loop_test(t, hnsw_is_read_while_it_changes, 0, 2);
    tcase_add_test(t, nothing_is_freed_under_a_reader);
}

int main(void)
{
    return kn_test_main("readers", fill);
}
