/*
 * test_faults.c - every step that changes a file fails, is cut short, is the last one before a kill,
 * or is the last one before a power cut, in turn.
 *
 * After each: the collection passes ken_check, holds what was acknowledged, and the same work done
 * again ends in the very collection of an undisturbed run.  Both stores, SQLite's own writes
 * included (store/vfs.h).  QUICK=1 tries a few of the steps only.
 */
#include "base/hash.h"
#include "tests/crash/crash.h"

#include "base/file.h"
#include "store/vfs.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum { PICTURES = 40 };

static const char *store;

/* ---- the works ---- */

static int say = -1; /* a pipe: what is acknowledged */

static void acknowledge(char what)
{
    if (say >= 0 && write(say, &what, 1) != 1)
        _exit(9);
}

/* When the network is asked for the next batch, the one before is committed. */
static size_t batch_before;

static ken_status telling_pixels(const ken_model *m, const uint8_t *pixels, size_t n, float *out)
{
    for (; batch_before; batch_before--)
        acknowledge('p');
    batch_before = n;
    return fake_pixels(m, pixels, n, out);
}

static kn_encoder telling;

static ken_status open_it(ken **k, const char *model, int create)
{
    ken_options o = KEN_OPTIONS_INIT;
    o.store = store;
    o.model = model;
    o.create = create;
    o.wait = -1;
    return kn_collection_open(k, "c", &o, &telling);
}

static ken_status scan(ken *k, int reembed)
{
    const char *root = "p";
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    o.reembed = reembed;
    o.index = "HNSW4"; /* built at the end of each, as many as the pictures may be */
    ken_status st = ken_scan(k, &root, 1, &o, &r);
    if (!st)
        acknowledge('s');
    return st;
}

static ken_status work_create(ken *k)
{
    return scan(k, 0);
}

static ken_status work_change(ken *k)
{
    const ken_note note = { "p/05.ppm", "five", "{}" };
    size_t done;
    uint64_t id;
    ken_status st = scan(k, 0);
    if (!st)
        st = ken_describe(k, &note, 1, &done);
    if (!st)
        acknowledge('d');
    if (!st && !ken_find(k, "p/06.ppm", &id))
        st = ken_remove(k, &id, 1);
    if (!st)
        acknowledge('r');
    return st;
}

static ken_status work_reembed(ken *k)
{
    return scan(k, 1);
}

/* Done again from anywhere it ends in the same: what was renamed is taken back first. */
static ken_status work_objects(ken *k)
{
    const ken_reference refs[] = { { "p/01.ppm", "bear" }, { "p/02.ppm", "bear" },
                                   { "q/0.ppm", "duck" },  { "q/1.ppm", "duck" },
                                   { "p/03.ppm", "cow" } };
    ken_status st = ken_object_add(k, refs, 4, NULL, NULL);
    if (!st)
        acknowledge('o');
    if (!st)
        st = ken_object_add(k, refs + 4, 1, NULL, NULL);
    if (!st)
        st = ken_object_rename(k, "duck", "goose");
    if (!st)
        st = ken_object_remove(k, "cow");
    if (!st)
        acknowledge('r');
    return st;
}

typedef struct work {
    const char *name, *model;
    ken_status (*run)(ken *k);
} work;
static const work works[] = { { "create", "a", work_create },
                              { "change", NULL, work_change },
                              { "re-embed", "wide", work_reembed },
                              { "objects", NULL, work_objects } };
enum { WORKS = sizeof works / sizeof *works };

/* Pictures, and in c.before the collection that the work begins with. */
static void prepare(int w)
{
    char path[40];
    shell("mkdir p");
    for (int i = 0; i < PICTURES; i++) {
        snprintf(path, sizeof path, "p/%02d.ppm", i);
        make_picture(path, (uint64_t)i);
    }
    shell("mkdir q");
    make_picture("q/0.ppm", 900);
    make_picture("q/1.ppm", 901);
    if (w) {
        ken *k = NULL;
        OK(open_it(&k, "a", 1));
        OK(scan(k, 0));
        ken_close(k);
        shell("mv c c.before");
    }
    if (w == 1) {
        make_picture("p/03.ppm", 300);
        make_picture("p/new.ppm", 301);
        shell("mv p/10.ppm p/99.ppm && rm p/11.ppm && printf broken > p/12.ppm");
        shell("touch -d @1000 p/13.ppm && mkdir p/sub && mv p/14.ppm p/sub/x.ppm");
    }
}

static void begin_again(int w)
{
    shell(w ? "rm -rf c && cp -a c.before c" : "rm -rf c");
}

/* ---- one trial ---- */

static ken_status do_work(int w, ken **k)
{
    ken_status st = open_it(k, works[w].model, works[w].model != NULL && w == 0);
    return st ? st : works[w].run(*k);
}

/* In a child, with a fault at step n; "psd…" of what was acknowledged into told, and how many steps
 * there were, if it has lived. */
static long trial(int w, kn_fault kind, long n, char *told, size_t size)
{
    int ends[2];
    long steps = 0;
    size_t have = 0;
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        ken *k = NULL;
        close(ends[0]);
        say = ends[1];
        batch_before = 0;
        kn_file_fault(kind, n);
        ken_status st = do_work(w, &k);
        say = -1;
        steps = kn_file_steps();
        kn_file_fault(KN_FAULT_NONE, 0);
        if (k && st) { /* what has failed can be done again, by the same handle */
            st = ken_check(k, print_problem, NULL);
            if (st)
                printf("check after a failure: %s\n", ken_last_error());
            if (!st && (st = works[w].run(k)) != KEN_OK)
                printf("again: %s\n", ken_last_error());
        } else
            st = KEN_OK;
        ken_close(k);
        steps = write(ends[1], &steps, sizeof steps) == sizeof steps;
        fflush(NULL);
        _exit(st || !steps ? 1 : 0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], told + have, size - 1 - have)) > 0;)
        have += (size_t)got;
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        ck_assert_msg(WEXITSTATUS(status) == 0, "%s, fault %d at %ld: exit %d", works[w].name, kind,
                      n, WEXITSTATUS(status));
        ck_assert_uint_ge(have, sizeof steps);
        memcpy(&steps, told + have - sizeof steps, sizeof steps);
        have -= sizeof steps;
    } else
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    told[have] = 0;
    return steps;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
        n++;
    return n;
}

/* What was acknowledged is in the collection that the fault has left. */
static void expect_acknowledged(int w, ken *k, const char *told, const char *want)
{
    char *now = dump_of(k);
    if (w == 0)
        ck_assert_msg(count(now, "\n") >= count(told, "p"), "%zu of %zu pictures are there",
                      count(now, "\n"), count(told, "p"));
    if (strchr(told, 's') && w != 1)
        ck_assert_str_eq(now, want);
    if (strchr(told, 'd'))
        ck_assert_ptr_nonnull(strstr(now, "p/05.ppm five {}"));
    if (strchr(told, 'o'))
        ck_assert_ptr_nonnull(strstr(now, "object bear: 2, 6"));
    if (strchr(told, 'r'))
        ck_assert_str_eq(now, want);
    free(now);
}

static void after(int w, kn_fault kind, long n, const char *told, const char *want)
{
    ken *k = NULL;
    ken_status st = open_it(&k, works[w].model, 0);
    if (st == KEN_E_NOTFOUND && w == 0) /* it died while creating it */
        ck_assert_str_eq(told, "");
    else
        ck_assert_msg(st == KEN_OK, "%s, fault %d at %ld: open: %s", works[w].name, kind, n,
                      ken_last_error());
    if (k) {
        ck_assert_msg(ken_check(k, print_problem, NULL) == KEN_OK, "%s, fault %d at %ld: %s",
                      works[w].name, kind, n, ken_last_error());
        expect_acknowledged(w, k, told, want);
        ken_close(k);
    }
    k = NULL;
    OK(do_work(w, &k));
    char *now = dump_of(k);
    ck_assert_str_eq(now, want);
    free(now);
    OK(ken_check(k, print_problem, NULL));
    ken_close(k);
}

static char *undisturbed(int w)
{
    ken *k = NULL;
    begin_again(w);
    OK(do_work(w, &k));
    char *text = dump_of(k);
    ken_close(k);
    ck_assert_int_ge((int)count(text, "\n"), PICTURES - 3);
    return text;
}

/* ---- all of them ---- */

START_TEST(every_step)
{
    char told[4096];
    const int w = _i / STORES % WORKS, quick = getenv("QUICK") != NULL;
    const kn_fault kind = (kn_fault)(KN_FAULT_FAIL + _i / (STORES * WORKS));
    store = stores[_i % STORES];
    telling = fake_encoder;
    telling.pixels = telling_pixels;
    enter_folder();
#ifdef KEN_SQLITE
    OK(kn_vfs_register());
#endif
    prepare(w);
    char *want = undisturbed(w);
    begin_again(w);
    const long steps = trial(w, KN_FAULT_NONE, 0, told, sizeof told);
    ck_assert_int_gt(steps, 15);
    for (long n = 1; n <= steps; n += quick ? 1 + steps / 9 : 1) {
        begin_again(w);
        (void)trial(w, kind, n, told, sizeof told);
        after(w, kind, n, told, want);
    }
    free(want);
    leave_folder();
}
END_TEST

static void fill(TCase *tc)
{
    tcase_set_timeout(tc, 1200);
    tcase_add_loop_test(tc, every_step, 0, STORES * WORKS * 4);
}

int main(void)
{
    return kn_test_main("faults", fill);
}
