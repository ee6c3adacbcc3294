/*
 * test_index.c - every step that changes an index's file or its log fails, is cut short, is the last one
 * before a kill, or before a power cut, in turn.
 *
 * After each, what is on disk opens, passes ken_index_check, and holds what was acknowledged, or that
 * and the whole of the change that was under way: never a part of one.
 */
#include "tests/test.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/rand.h"
#include "ken.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { DIM = 12, BASE = 60, MOST = 120, CHANGES = 8 };

static float rows[MOST][DIM];
static uint64_t ids[MOST];
static char top[64];

static ken_index_options options(void)
{
    ken_index_options o = KEN_INDEX_OPTIONS_INIT(DIM);
    o.kind = "HNSW4";
    o.metric = "l2";
    return o;
}

static ken_status build_over(size_t first, size_t n)
{
    const ken_index_options o = options();
    ken_index *ix = NULL;
    ken_status st = ken_index_build(&ix, &o, ids + first, rows[first], n);
    if (!st)
        st = ken_index_save(ix, "ix");
    ken_index_free(ix);
    return st;
}

/* Change c of an open index; 7 replaces the file by another index. */
static ken_status change(ken_index *ix, int c)
{
    switch (c) {
    case 0:
        return ken_index_put(ix, ids + BASE, rows[BASE], 10);
    case 1:
        return ken_index_remove_all(ix, ids + BASE - 5, 10, NULL);
    case 2:
        return ken_index_put(ix, ids + 3, rows[MOST - 20], 4);
    case 3:
    case 6:
        return ken_index_compact(ix);
    case 4:
        return ken_index_put(ix, ids + BASE + 20, rows[BASE + 20], 3);
    case 5:
        return ken_index_remove(ix, ids[0]);
    default:
        return build_over(20, 50);
    }
}

/* All ids with their scores: one number for what the index holds. */
static ken_status digest(ken_index *ix, uint64_t *out)
{
    ken_hit hits[MOST];
    size_t found;
    memset(hits, 0, sizeof hits);
    ken_status st = ken_index_search(ix, rows[MOST - 1], 1, MOST, hits, &found);
    if (!st && found != ken_index_len(ix))
        st = KEN_E_CORRUPT;
    *out = kn_hash64(hits, found * sizeof *hits);
    return st;
}

static ken_status digest_of_file(uint64_t *out)
{
    ken_index *ix = NULL;
    ken_status st = ken_index_open(&ix, "ix", 0, NULL);
    if (!st)
        st = ken_index_check(ix, NULL, NULL);
    if (!st)
        st = digest(ix, out);
    ken_index_free(ix);
    return st;
}

/* All changes; each that is done is told by a byte. */
static ken_status work(int tell)
{
    ken_index *ix = NULL;
    ken_status st = ken_index_open(&ix, "ix", 1, NULL);
    for (int c = 0; !st && c < CHANGES; c++) {
        if (c == CHANGES - 1) {
            ken_index_free(ix);
            ix = NULL;
        }
        st = change(ix, c);
        if (!st && tell >= 0 && write(tell, "x", 1) != 1)
            _exit(9);
    }
    ken_index_free(ix);
    return st;
}

static void begin_again(void)
{
    unlink("ix.log");
    OK(build_over(0, BASE));
}

/* In a child; how many changes it told of.  *steps: how many there were, if it has lived. */
static int trial(kn_fault kind, long n, long *steps)
{
    int ends[2], told = 0, status;
    char bytes[64];
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        close(ends[0]);
        kn_file_fault(kind, n);
        const ken_status st = work(ends[1]);
        const long made = kn_file_steps();
        kn_file_fault(KN_FAULT_NONE, 0);
        _exit(kind == KN_FAULT_NONE ? (st ? 255 : made > 250 ? 250 : (int)made) : 0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
        told += (int)got;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    if (steps)
        *steps = WEXITSTATUS(status);
    return told;
}

static void fill_rows(void)
{
    kn_rand_fill_normal(rows[0], (size_t)MOST * DIM, 5, 1, 1);
    for (size_t i = 0; i < MOST; i++)
        ids[i] = 1000 + 7 * i;
}

START_TEST(every_step)
{
    uint64_t want[CHANGES + 1], now;
    long steps = 0;
    const kn_fault kind = (kn_fault)(KN_FAULT_FAIL + _i);
    snprintf(top, sizeof top, "%s/ken-index-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    fill_rows();
    begin_again();
    OK(digest_of_file(&want[0]));
    ken_index *ix = NULL;
    OK(ken_index_open(&ix, "ix", 1, NULL));
    for (int c = 0; c < CHANGES; c++) {
        if (c == CHANGES - 1) {
            ken_index_free(ix);
            ix = NULL;
        }
        OK(change(ix, c));
        OK(digest_of_file(&want[c + 1]));
    }
    begin_again();
    ck_assert_int_eq(trial(KN_FAULT_NONE, 0, &steps), CHANGES);
    ck_assert_int_gt((int)steps, 40);
    ck_assert_int_lt((int)steps, 250);
    for (long n = 1; n <= steps; n++) {
        begin_again();
        const int told = trial(kind, n, NULL);
        ck_assert_msg(digest_of_file(&now) == KEN_OK, "fault %d at %ld, after %d changes: %s", kind,
                      n, told, ken_last_error());
        ck_assert_msg(now == want[told] || (told < CHANGES && now == want[told + 1]),
                      "fault %d at %ld: neither %d changes nor one more", kind, n, told);
        OK(ken_index_open(&ix, "ix", 1, NULL)); /* and goes on from there */
        OK(ken_index_put(ix, ids + MOST - 2, rows[MOST - 2], 1));
        OK(ken_index_compact(ix));
        ken_index_free(ix);
        ix = NULL;
        OK(digest_of_file(&now));
    }
    ck_assert_int_eq(chdir("/"), 0);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, every_step, 0, 4);
}

int main(void)
{
    return kn_test_main("index, cut short", fill);
}
