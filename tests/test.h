/*
 * test.h - what every Check program under tests/ needs.
 *
 *   START_TEST(name) { … } END_TEST
 *   int main(void) { return kn_test_main("image", fill); }
 */
#ifndef TEST_H
#define TEST_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Run one suite; the exit status of main. */
static inline int kn_test_main(const char *name, void (*fill)(TCase *))
{
    Suite *s = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 300);
    fill(tc);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* How much of a long test is done: the whole; what QUICK=1 asks for, for whoever is coding; what SHORT=1 asks
 * for beside it, for sanitizers, under which each step costs many times as much. */
static inline size_t kn_test_size(size_t whole, size_t quick, size_t least)
{
    return !getenv("QUICK") ? whole : getenv("SHORT") ? least : quick;
}

/* The folder of the outside test data, or NULL having said that `test` is skipped. */
static inline const char *kn_test_data(const char *test)
{
    struct stat info;
    const char *dir = getenv("KEN_TEST_DATA");
    if (!dir || !*dir)
        dir = "../shared/data";
    if (stat(dir, &info) == 0)
        return dir;
    printf("skipped %s: no test data at %s\n", test, dir);
    fflush(stdout);
    return NULL;
}

#endif
