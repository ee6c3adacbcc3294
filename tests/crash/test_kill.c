/*
 * test_kill.c - `ken index` killed at random moments.
 *
 * After each kill the collection passes its check, holds every picture that was reported as done,
 * and a second run ends in the very collection of an undisturbed one.  Once with the program and a
 * real network (from the outside test data), and once within this process and a small model, where
 * the moments are much denser.  QUICK=1 tries a few.
 */
#include "base/hash.h"
#include "tests/crash/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { PICTURES = 120, MOMENTS = 200, QUICK_MOMENTS = 12 };

static int moments(void)
{
    return getenv("QUICK") ? QUICK_MOMENTS : MOMENTS;
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void pause_for(double seconds)
{
    const struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&ts, NULL);
}

static void make_pictures(int n)
{
    char path[40];
    shell("mkdir p");
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "p/%03d.ppm", i);
        make_picture(path, (uint64_t)i);
    }
}

/* Killed after that long; the exit status, or -1 if it was killed. */
static int kill_after(pid_t child, double seconds)
{
    int status = 0;
    pause_for(seconds);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the program ---- */

static char program[8400], model[] = "model.safetensors", *store;

static pid_t start_index(void)
{
    fflush(NULL);
    unlink("out"); /* or a child killed at once would leave what the one before it said */
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child)
        return child;
    int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(out, 1);
    dup2(out, 2);
    execl(program, "ken", "index", "p", "--db", "c", "-m", model, "--store", store, "--progress",
          "json", "--cache", "v", (char *)NULL);
    _exit(99);
}

/* The last "done" of stage encode in what the killed program has said. */
static unsigned pictures_done(void)
{
    char line[1024];
    unsigned done = 0, value;
    FILE *f = fopen("out", "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "\"done\":");
        if (strstr(line, "\"encode\"") && at && sscanf(at + 7, "%u", &value) == 1)
            done = value;
    }
    if (f)
        fclose(f);
    return done;
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static ken_status look(char **text)
{
    ken *k = NULL;
    ken_status st = ken_open(&k, "c", NULL);
    if (st)
        return st;
    ck_assert_msg(ken_check(k, print_problem, NULL) == KEN_OK, "%s", ken_last_error());
    *text = dump_of(k);
    ken_close(k);
    return KEN_OK;
}

/* A network small enough for hundreds of runs; 0 where there is none. */
static int make_model(void)
{
    char command[14000], here[4096];
    const char *build = getenv("KEN_BUILD"), *data = kn_test_data("the_program");
    if (!data)
        return 0;
    if (!build || !getcwd(here, sizeof here)) {
        printf("skipped the_program: KEN_BUILD is not set\n");
        return 0;
    }
    snprintf(program, sizeof program, "%s%s%s/ken", build[0] == '/' ? "" : here,
             build[0] == '/' ? "" : "/", build);
    if (access(program, X_OK) != 0) {
        printf("skipped the_program: %s is not built\n", program);
        return 0;
    }
    enter_folder();
    snprintf(command, sizeof command,
             "%s-convert %s%s%s/cifar-resnet/resnet20-12fca82f.th -o %s >log 2>&1", program,
             data[0] == '/' ? "" : here, data[0] == '/' ? "" : "/", data, model);
    shell(command);
    return 1;
}

START_TEST(the_program)
{
    int status, cut = 0;
    char *want = NULL, *text = NULL;
    store = (char *)(uintptr_t)stores[_i];
    if (!make_model())
        return;
    make_pictures(PICTURES);
    const double start = now();
    ck_assert_int_eq(waitpid(start_index(), &status, 0) > 0 && WIFEXITED(status), 1);
    ck_assert_msg(WEXITSTATUS(status) == 0, "ken index: %d", WEXITSTATUS(status));
    const double whole = now() - start;
    OK(look(&want));
    ck_assert_uint_eq(count_lines(want), PICTURES);
    srand(1);
    for (int i = 0; i < moments() / STORES; i++) {
        shell("rm -rf c v"); /* nothing remembered, or it would be done long before the first was */
        cut += kill_after(start_index(), whole * (rand() % 1000) / 1000.0) < 0;
        const unsigned done = pictures_done();
        ken_status st = look(&text);
        if (st == KEN_E_NOTFOUND)
            ck_assert_uint_eq(done, 0);
        else {
            ck_assert_msg(st == KEN_OK, "%s", ken_last_error());
            ck_assert_uint_ge(count_lines(text), done);
            free(text);
        }
        ck_assert_int_eq(waitpid(start_index(), &status, 0) > 0 && status == 0, 1);
        OK(look(&text));
        ck_assert_str_eq(text, want);
        free(text);
    }
    ck_assert_int_gt(cut, moments() / STORES / 3);
    free(want);
    leave_folder();
}
END_TEST

/* ---- within this process ---- */

static ken_status index_all(ken **k)
{
    const char *root = "p";
    ken_options o = KEN_OPTIONS_INIT;
    ken_scan_report r;
    o.store = store;
    o.model = "a";
    o.create = 1;
    ken_status st = kn_collection_open(k, "c", &o, &fake_encoder);
    return st ? st : ken_scan(*k, &root, 1, NULL, &r);
}

static char *finish(void)
{
    ken *k = NULL;
    OK(index_all(&k));
    OK(ken_check(k, print_problem, NULL));
    char *text = dump_of(k);
    ken_close(k);
    return text;
}

START_TEST(the_library)
{
    store = (char *)(uintptr_t)stores[_i];
    enter_folder();
    make_pictures(PICTURES);
    const double start = now();
    char *want = finish(), *text = NULL;
    const double whole = now() - start;
    int cut = 0;
    srand(2);
    for (int i = 0; i < moments() / STORES; i++) {
        shell("rm -rf c");
        for (int again = 0; again < 3; again++) { /* killed again while it goes on */
            pid_t child = fork();
            if (!child) {
                ken *k = NULL;
                _exit(index_all(&k) != KEN_OK);
            }
            cut += kill_after(child, whole * (rand() % 1000) / 1500.0) < 0;
            ken_status st = look(&text);
            ck_assert(st == KEN_OK || st == KEN_E_NOTFOUND);
            if (!st)
                free(text);
        }
        text = finish();
        ck_assert_str_eq(text, want);
        free(text);
    }
    ck_assert_int_gt(cut, 0);
    free(want);
    leave_folder();
}
END_TEST

/* ---- objects, one at a time ---- */

static ken_status add_one(ken *k, int i)
{
    char path[40], object[16];
    const ken_reference r = { path, object };
    snprintf(path, sizeof path, "p/%03d.ppm", i);
    snprintf(object, sizeof object, "object %d", i / 3);
    return ken_object_add(k, &r, 1, NULL, NULL);
}

static ken_status open_objects(ken **k)
{
    ken_options o = KEN_OPTIONS_INIT;
    o.store = store;
    o.model = "a";
    o.create = 1;
    return kn_collection_open(k, "c", &o, &fake_encoder);
}

static char *add_all(void)
{
    ken *k = NULL;
    OK(open_objects(&k));
    for (int i = 0; i < PICTURES / 2; i++)
        OK(add_one(k, i));
    OK(ken_check(k, print_problem, NULL));
    char *text = dump_of(k);
    ken_close(k);
    return text;
}

static unsigned references_in(const char *text)
{
    unsigned n = 0;
    for (; (text = strstr(text, ".ppm object")) != NULL; text++)
        n++;
    return n;
}

/* What was acknowledged before the kill is there after it. */
START_TEST(objects_that_were_added)
{
    store = (char *)(uintptr_t)stores[_i];
    enter_folder();
    make_pictures(PICTURES);
    const double start = now();
    char *want = add_all(), *text = NULL;
    const double whole = now() - start;
    int cut = 0;
    ck_assert_uint_eq(references_in(want), PICTURES / 2);
    srand(3);
    for (int i = 0; i < moments() / STORES; i++) {
        int ends[2];
        char told[PICTURES];
        shell("rm -rf c");
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        if (!child) {
            ken *k = NULL;
            ken_status st = open_objects(&k);
            for (int j = 0; !st && j < PICTURES / 2; j++) {
                st = add_one(k, j);
                if (!st && write(ends[1], "a", 1) != 1)
                    _exit(2);
            }
            _exit(st != KEN_OK);
        }
        close(ends[1]);
        cut += kill_after(child, whole * (rand() % 1000) / 1000.0) < 0;
        const ssize_t done = read(ends[0], told, sizeof told);
        close(ends[0]);
        ken_status st = look(&text);
        ck_assert(st == KEN_OK || (st == KEN_E_NOTFOUND && done == 0));
        if (!st) {
            ck_assert_int_ge((int)references_in(text), (int)done);
            free(text);
        }
        text = add_all();
        ck_assert_str_eq(text, want);
        free(text);
    }
    ck_assert_int_gt(cut, 0);
    free(want);
    leave_folder();
}
END_TEST

static void fill(TCase *tc)
{
    tcase_set_timeout(tc, 1200);
    tcase_add_loop_test(tc, the_program, 0, STORES);
    tcase_add_loop_test(tc, the_library, 0, STORES);
    tcase_add_loop_test(tc, objects_that_were_added, 0, STORES);
}

int main(void)
{
    return kn_test_main("kill", fill);
}
