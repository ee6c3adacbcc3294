/* test_fetch.c - what a download that was broken off leaves; with a server: tests/cli/models_get.sh. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"

#include <string.h>
#include <unistd.h>

static char top[] = "/tmp/ken-fetch-XXXXXX";

static void setup(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

/* Cancelled before its first byte is read. */
START_TEST(a_part_outlives_its_fetch)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    ck_assert_int_eq(kn_replace_file("part", "0123456789", 10), KEN_OK);
    ck_assert_int_eq(kn_replace_file("part.from", "http://127.0.0.1:9/x\n\"one\"\n", 27), KEN_OK);
    ken_interrupt();
    ck_assert_int_eq(ken_fetch("http://127.0.0.1:9/x", "part", NULL), KEN_E_CANCELED);
    ck_assert_int_eq(ken_fetch("http://127.0.0.1:9/x", "none", NULL), KEN_E_CANCELED);
    ken_interrupt_clear();
    ck_assert_int_eq(kn_read_file(&bytes, &n, "part", 100), KEN_OK);
    ck_assert(n == 10 && !memcmp(bytes, "0123456789", 10));
    kn_free(bytes);
    ck_assert_int_eq(access("part.from", F_OK), 0);
    ck_assert_int_ne(access("none", F_OK), 0); /* an empty one is nothing to go on with */
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_part_outlives_its_fetch);
}

int main(void)
{
#ifndef KEN_CURL
    puts("skipped unit/test_fetch: this build has no downloads (CURL=0)");
    return 0;
#endif
    return kn_test_main("fetch", fill);
}
