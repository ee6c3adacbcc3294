/*
 * test_oom.c - memory runs out at every allocation of a collection's life in turn, SQLite's included.
 *
 * Each call says so or does its work; what it did before stays; and with memory again, the same
 * work ends well.  Leaks are the address sanitizer's to find.  QUICK=1 tries a few.
 */
#include "base/hash.h"
#include "tests/crash/crash.h"

#include <malloc.h>

#ifdef KEN_SQLITE
#include <sqlite3.h>
#endif

enum { PICTURES = 5 };

static const char *store;

#ifdef KEN_SQLITE
static void *sq_malloc(int n)
{
    return kn_malloc((size_t)n);
}

static void *sq_realloc(void *p, int n)
{
    return kn_realloc(p, (size_t)n);
}

static int sq_size(void *p)
{
    return p ? (int)malloc_usable_size(p) : 0;
}

static int sq_roundup(int n)
{
    return (n + 7) & ~7;
}

static int sq_init(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void sq_shutdown(void *unused)
{
    (void)unused;
}
#endif

static void use_our_memory(void)
{
#ifdef KEN_SQLITE
    static const sqlite3_mem_methods methods = { sq_malloc,  kn_free, sq_realloc,  sq_size,
                                                 sq_roundup, sq_init, sq_shutdown, NULL };
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
#endif
}

/* Everything that a collection can do, each step only if the one before went well. */
static ken_status live(int reembed)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    ken_scan_options so = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    const char *root = "p";
    const ken_term terms[2] = { { .text = "rgb:1,2,3", .weight = 1 },
                                { .is_id = 1, .id = 1, .weight = 0.5f } };
    const ken_note note = { "p/1.ppm", "one", "{}" };
    ken_hit hits[10];
    size_t found, done;
    uint64_t id = 0;
    ken_record *rec = NULL;
    ken_stats stats;
    o.store = store;
    o.model = reembed ? "b" : "a";
    o.create = !reembed;
    o.models.threads = 1;
    so.reembed = reembed;
    ken_status st = kn_collection_open(&k, "c", &o, &fake_encoder);
    if (!st)
        st = ken_scan(k, &root, 1, &so, &r);
    if (!st)
        st = ken_search(k, terms, 2, NULL, hits, &found, NULL);
    if (!st)
        st = ken_describe(k, &note, 1, &done);
    if (!st)
        st = ken_find(k, "p/1.ppm", &id);
    if (!st)
        st = ken_get(k, id, &rec);
    ken_record_free(rec);
    if (!st)
        st = ken_get_stats(k, &stats);
    if (!st)
        st = ken_remove(k, &id, 1);
    if (!st)
        st = ken_check(k, NULL, NULL);
    ken_close(k);
    return st;
}

static void prepare(int reembed)
{
    char path[40];
    shell("rm -rf p c && mkdir p");
    for (int i = 0; i < PICTURES; i++) {
        snprintf(path, sizeof path, "p/%d.ppm", i);
        make_picture(path, (uint64_t)i);
    }
    shell("printf broken > p/bad.ppm");
    if (reembed) {
        OK(live(0));
        shell("mv c before");
    }
}

START_TEST(every_allocation)
{
    const int reembed = _i / STORES, quick = getenv("QUICK") != NULL;
    long n = 0, denied;
    store = stores[_i % STORES];
    enter_folder();
    use_our_memory();
    prepare(reembed);
    do {
        shell(reembed ? "rm -rf c && cp -r before c" : "rm -rf c");
        kn_alloc_fail_after(n);
        ken_status st = live(reembed);
        denied = kn_alloc_denied();
        kn_alloc_fail_after(-1);
        ck_assert_msg(st == KEN_E_NOMEM || st == KEN_OK, "after %ld: %s: %s", n, ken_status_name(st),
                      ken_last_error());
        ck_assert_int_eq(fake_open, 0);
        if (st) {
            st = live(reembed);
            ck_assert_msg(st == KEN_OK, "again, after %ld: %s", n, ken_last_error());
        }
        n += quick ? 23 : 1;
    } while (denied);
    ck_assert_int_gt(n, 100);
    leave_folder();
}
END_TEST

static void fill(TCase *tc)
{
    tcase_set_timeout(tc, 1200);
    tcase_add_loop_test(tc, every_allocation, 0, STORES * 2);
}

int main(void)
{
    return kn_test_main("oom", fill);
}
