/* test_base.c - src/base: what the rest of the tree takes for granted. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digits.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rand.h"
#include "base/sha256.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(errors_keep_their_cause)
{
    ck_assert_int_eq(kn_fail(KEN_E_FORMAT, "tensor %d: bad shape", 3), KEN_E_FORMAT);
    ck_assert_int_eq(kn_fail_in(KEN_E_FORMAT, "open %s", "m"), KEN_E_FORMAT);
    ck_assert_str_eq(ken_last_error(), "open m: tensor 3: bad shape");
    kn_fail(KEN_E_IO, "again: %s", ken_last_error());
    ck_assert_str_eq(ken_last_error(), "again: open m: tensor 3: bad shape");
    ck_assert_str_eq(ken_status_name(KEN_E_MODEL), "KEN_E_MODEL");
    ck_assert_str_eq(ken_status_name((ken_status)99), "KEN_E_UNKNOWN");
}
END_TEST

START_TEST(allocation_fails_when_told)
{
    kn_alloc_fail_after(1);
    void *a = kn_alloc(1, 1), *b = kn_zalloc(1, 1);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_null(b);
    ck_assert_int_eq(kn_alloc_denied(), 1);
    kn_alloc_fail_after(-1);
    ck_assert_ptr_null(kn_alloc(SIZE_MAX / 2, 4));
    kn_free(a);
}
END_TEST

START_TEST(buffers_stop_at_their_maximum)
{
    kn_buf b;
    kn_buf_init(&b, 10);
    ck_assert_int_eq(kn_buf_addf(&b, "%s-%d", "abc", 12), KEN_OK);
    ck_assert_int_eq(kn_buf_adds(&b, "12345"), KEN_E_LIMIT);
    ck_assert_str_eq(b.data, "abc-12");
    kn_buf_release(&b);
}
END_TEST

/* Known answers of Random123's kat_vectors, philox4x32 with 10 rounds. */
START_TEST(philox_known_answers)
{
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } kat[] = {
        { { 0 }, { 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        kn_philox(out, kat[i].ctr, kat[i].key);
        ck_assert_mem_eq(out, kat[i].out, sizeof out);
    }
}
END_TEST

START_TEST(random_numbers_do_not_depend_on_the_cut)
{
    float all[101], part[101];
    kn_rand_fill_normal(all, 101, 7, 9, 1);
    kn_rand_fill_normal(part, 50, 7, 9, 1);
    ck_assert_mem_eq(all, part, 50 * sizeof *all);
    double sum = 0, sq = 0;
    kn_rand r = kn_rand_at(1, 2);
    for (int i = 0; i < 20000; i++) {
        double x = (double)kn_rand_normal(&r);
        sum += x;
        sq += x * x;
        ck_assert_uint_lt(kn_rand_below(&r, 7), 7);
    }
    ck_assert_double_eq_tol(sum / 20000, 0, 0.03);
    ck_assert_double_eq_tol(sq / 20000, 1, 0.04);
}
END_TEST

static ken_status add_up(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    int *seen = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        seen[i]++;
    return KEN_OK;
}

static ken_status fail_late(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    (void)end;
    (void)worker;
    (void)cookie;
    return begin ? kn_fail(KEN_E_IO, "piece at %zu", begin) : KEN_OK;
}

START_TEST(parallel_covers_each_item_once)
{
    int seen[1000];
    for (uint32_t threads = 1; threads < 9; threads++)
        for (size_t n = 0; n <= 1000; n += 111)
            for (size_t grain = 1; grain < 40; grain += 13) {
                memset(seen, 0, sizeof seen);
                ck_assert_int_eq(kn_parallel(n, grain, threads, add_up, seen), KEN_OK);
                for (size_t i = 0; i < 1000; i++)
                    ck_assert_int_eq(seen[i], i < n);
            }
}
END_TEST

START_TEST(parallel_reports_the_first_failure)
{
    ck_assert_int_eq(kn_parallel(4, 1, 4, fail_late, NULL), KEN_E_IO);
    ck_assert_str_eq(ken_last_error(), "piece at 1");
}
END_TEST

START_TEST(parallel_works_in_a_forked_child)
{
    int seen[8] = { 0 }, status;
    ck_assert_int_eq(kn_parallel(8, 1, 4, add_up, seen), KEN_OK);
    pid_t child = fork();
    if (!child)
        _exit(kn_parallel(8, 1, 4, add_up, seen) != KEN_OK || seen[7] < 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(replace_leaves_old_or_new)
{
    char dir[] = "/tmp/ken-base-XXXXXX", *path;
    unsigned char *got;
    size_t len;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = kn_path_join(dir, "file");
    ck_assert_int_eq(kn_replace_file(path, "old", 3), KEN_OK);
    long steps = 0;
    for (long n = 1; n < 20; n++) {
        kn_file_fault(KN_FAULT_FAIL, n);
        ken_status st = kn_replace_file(path, "newer", 5);
        steps = kn_file_steps();
        kn_file_fault(KN_FAULT_NONE, 0);
        ck_assert_int_eq(kn_read_file(&got, &len, path, 100), KEN_OK);
        ck_assert(!strcmp((char *)got, st ? "old" : "newer") || (st && !strcmp((char *)got, "newer")));
        kn_free(got);
        if (!st)
            break;
        ck_assert_int_eq(kn_replace_file(path, "old", 3), KEN_OK);
    }
    ck_assert_int_ge(steps, 4); /* open, write, sync, rename, sync the folder */
    ck_assert_int_eq(kn_read_file(&got, &len, path, 4), KEN_E_LIMIT);
    ck_assert_int_eq(kn_unlink(path), KEN_OK);
    rmdir(dir);
    kn_free(path);
}
END_TEST

START_TEST(decimals_are_whole)
{
    static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1.0", "18446744073709551616",
                                       "99999999999999999999999" };
    uint64_t n = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!kn_decimal(bad[i], &n) && n == 7, "%s", bad[i]);
    ck_assert(kn_decimal("0", &n) && n == 0);
    ck_assert(kn_decimal("0042", &n) && n == 42);
    ck_assert(kn_decimal("18446744073709551615", &n) && n == UINT64_MAX);
}
END_TEST

/* As when two threads write the same file: each is whole, and the later stays. */
START_TEST(two_replace_the_same_file)
{
    char path[] = "/tmp/ken-twice-XXXXXX";
    unsigned char *got = NULL;
    size_t n = 0;
    kn_replace a, b;
    close(mkstemp(path));
    ck_assert_int_eq(kn_replace_begin(&a, path), KEN_OK);
    ck_assert_int_eq(kn_write(a.fd, "one", 3), KEN_OK);
    ck_assert_int_eq(kn_replace_begin(&b, path), KEN_OK);
    ck_assert_int_eq(kn_replace_commit(&a), KEN_OK);
    ck_assert_int_eq(kn_read_file(&got, &n, path, 100), KEN_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_mem_eq(got, "one", 3);
    kn_free(got);
    ck_assert_int_eq(kn_write(b.fd, "two", 3), KEN_OK);
    ck_assert_int_eq(kn_replace_commit(&b), KEN_OK);
    ck_assert_int_eq(kn_read_file(&got, &n, path, 100), KEN_OK);
    ck_assert_mem_eq(got, "two", 3);
    kn_free(got);
    unlink(path);
}
END_TEST

START_TEST(paths)
{
    static const char *const cases[][2] = { { "/a/./b/../c//d", "/a/c/d" },
                                            { "/..", "/" },
                                            { "/a/../../b", "/b" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got;
        ck_assert_int_eq(kn_path_absolute(&got, cases[i][0]), KEN_OK);
        ck_assert_str_eq(got, cases[i][1]);
        kn_free(got);
    }
}
END_TEST

/* XXH3 of the empty input, as the xxHash specification gives it. */
START_TEST(hash_known_answers)
{
    char hex[33];
    ck_assert(kn_hash64("", 0) == 0x2D06800538D394C2u);
    kn_hash128_hex(hex, "", 0);
    ck_assert_str_eq(hex, "99aa06d3014798d86001c324468d497f");
}
END_TEST

static int stop_at_once(const ken_progress *p, void *cookie)
{
    *(ken_progress *)cookie = *p;
    return 1;
}

START_TEST(progress_can_stop_the_call)
{
    kn_meter m;
    ken_progress seen = { 0 };
    kn_meter_start(&m, "scan", "files", 10, stop_at_once, &seen);
    ck_assert_int_eq(kn_meter_tell(&m, 4, "x"), KEN_E_CANCELED);
    ck_assert_uint_eq(seen.done, 4);
    ck_assert_uint_eq(seen.total, 10);
    ken_interrupt();
    ck_assert_int_eq(kn_check_interrupt(), KEN_E_CANCELED);
    ken_interrupt_clear();
    ck_assert_int_eq(kn_check_interrupt(), KEN_OK);
}
END_TEST

/* The digest of text `times` over, handed over in pieces of `step` bytes. */
static void digest(char hex[65], const char *text, size_t times, size_t step)
{
    uint8_t d[KN_SHA256_BYTES];
    kn_sha256_state s;
    kn_sha256_start(&s);
    for (size_t t = 0; t < times; t++)
        for (size_t at = 0, n = strlen(text); at < n; at += step)
            kn_sha256_add(&s, text + at, n - at < step ? n - at : step);
    kn_sha256_end(&s, d);
    for (int i = 0; i < KN_SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", d[i]);
}

/* FIPS 180-4's examples (NIST, "SHA-256 example values"), and one of exactly 64 bytes by sha256sum. */
START_TEST(sha256_is_fips)
{
    static const struct {
        const char *text;
        size_t times;
        const char *digest;
    } cases[] = {
        { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "0123456789012345678901234567890123456789012345678901234567890123", 1,
          "9674d9e078535b7cec43284387a6ee39956188e735a85452b0050b55341cda56" },
        { "aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    };
    static const size_t steps[] = { 1, 7, 55, 63, 64, 65, 1000 };
    char hex[65];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            digest(hex, cases[c].text, cases[c].times, steps[i]);
            ck_assert_str_eq(hex, cases[c].digest);
        }
}
END_TEST

/* A digest taken in the middle changes nothing. */
START_TEST(sha256_goes_on)
{
    uint8_t whole[KN_SHA256_BYTES], pieces[KN_SHA256_BYTES];
    char text[300];
    memset(text, 'k', sizeof text);
    kn_sha256(whole, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        kn_sha256_state s;
        kn_sha256_start(&s);
        kn_sha256_add(&s, text, cut);
        kn_sha256_end(&s, pieces);
        kn_sha256_add(&s, text + cut, sizeof text - cut);
        kn_sha256_end(&s, pieces);
        ck_assert_mem_eq(whole, pieces, sizeof whole);
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, errors_keep_their_cause);
    tcase_add_test(tc, allocation_fails_when_told);
    tcase_add_test(tc, buffers_stop_at_their_maximum);
    tcase_add_test(tc, philox_known_answers);
    tcase_add_test(tc, random_numbers_do_not_depend_on_the_cut);
    tcase_add_test(tc, parallel_covers_each_item_once);
    tcase_add_test(tc, parallel_reports_the_first_failure);
    tcase_add_test(tc, parallel_works_in_a_forked_child);
    tcase_add_test(tc, replace_leaves_old_or_new);
    tcase_add_test(tc, decimals_are_whole);
    tcase_add_test(tc, two_replace_the_same_file);
    tcase_add_test(tc, paths);
    tcase_add_test(tc, hash_known_answers);
    tcase_add_test(tc, sha256_is_fips);
    tcase_add_test(tc, sha256_goes_on);
    tcase_add_test(tc, progress_can_stop_the_call);
}

int main(void)
{
    return kn_test_main("base", fill);
}
