/* bench_cold.c - `ken bench cold`: what one search costs from process start to exit.
 *
 * Everything is run as a process of its own, in turns, the page cache warm; each line is the least
 * of many.  The parts come from the search's own --json times and from smaller processes. */
#include "cli/bench.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/paths.h"
#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_ANSWER = 1 << 20 };

typedef struct child {
    char *out; /* its standard output, if wanted */
    double seconds;
} child;

/* argv[0] is a path or a name to look up; standard error passes through. */
static int run(const char *const *argv, child *c)
{
    int pipes[2], status = 0;
    pid_t pid;
    posix_spawn_file_actions_t fa;
    if (pipe2(pipes, O_CLOEXEC))
        return cli_error("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, pipes[1], STDOUT_FILENO);
    double start = cli_now();
    int err = posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(pipes[1]);
    if (err) {
        close(pipes[0]);
        return cli_error("%s: %s", argv[0], strerror(err));
    }
    size_t n = 0;
    c->out = cli_mem_new(MAX_ANSWER + 1, 1);
    for (ssize_t got; n < MAX_ANSWER && (got = read(pipes[0], c->out + n, MAX_ANSWER - n)) > 0;)
        n += (size_t)got;
    close(pipes[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    c->seconds = cli_now() - start;
    return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : CLI_EXIT_WRONG;
}

typedef struct parts {
    double none, start, search, encode, scan; /* seconds */
} parts;

static void least(double *to, double v)
{
    if (v < *to)
        *to = v;
}

static double took(const cJSON *answer, const char *part)
{
    const cJSON *ms = cJSON_GetObjectItem(answer, "took_ms");
    const cJSON *v = cJSON_GetObjectItem(ms, part);
    return cJSON_IsNumber(v) ? v->valuedouble * 1e-3 : 1e30;
}

static int turn(const char *self, const char *query, const char *db, parts *p)
{
    const char *const none[] = { "true", NULL };
    const char *const start[] = { self, "version", NULL };
    const char *const search[] = { self, "search", "--db", db, "--json", "--", query, NULL };
    const char *const *const all[] = { none, start, search };
    double *const into[] = { &p->none, &p->start, &p->search };
    int bad = 0;
    for (int i = 0; !bad && i < 3; i++) {
        child c = { 0 };
        bad = run(all[i], &c);
        if (!bad) {
            least(into[i], c.seconds);
            cJSON *answer = i == 2 ? cJSON_Parse(c.out) : NULL;
            least(&p->encode, answer ? took(answer, "encode") : 1e30);
            least(&p->scan, answer ? took(answer, "search") : 1e30);
            cJSON_Delete(answer);
        }
        cli_mem_free(c.out);
    }
    return bad;
}

static void say(const parts *p)
{
    const struct {
        const char *name;
        double seconds;
    } rows[] = {
        { "true", p->none },
        { "start", p->start },
        { "encode", p->encode },
        { "search", p->scan },
        { "rest", p->search - p->start - p->encode - p->scan },
        { "total", p->search },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cli_case c = CLI_CASE;
        c.bench = "cold";
        c.part = rows[i].name;
        c.batch = 1;
        c.ms = rows[i].seconds * 1e3;
        c.per_second = rows[i].seconds > 0 ? 1 / rows[i].seconds : 0;
        c.share = rows[i].seconds / p->search;
        cli_bench_say(&c);
    }
}

int cli_bench_cold(const cli_args *a)
{
    parts p = { 1e30, 1e30, 1e30, 1e30, 1e30 };
    const char *query = a->n > 1 ? a->operands[1].text : "a red apple";
    char self[4096], *db = cli_collection_dir();
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int bad = n < 0 ? cli_error("/proc/self/exe: %s", strerror(errno)) : 0;
    double start = cli_now();
    self[n < 0 ? 0 : n] = 0;
    for (int i = 0; !bad && (i < 5 || cli_now() - start < cli_opt_real(OPT_SECONDS)); i++) {
        bad = turn(self, query, db, &p);
        if (ken_interrupted())
            bad = CLI_EXIT_INTERRUPTED;
    }
    if (!bad)
        say(&p);
    cli_mem_free(db);
    return bad;
}
