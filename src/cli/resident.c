/* resident.c - where the resident process listens, asking it, and starting it. */
#include "cli/resident.h"

#include "cli/form.h"
#include "cli/http.h"
#include "cli/mem.h"
#include "cli/option.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const double CONNECT = .25, SILENCE = 5; /* seconds; beyond them the query runs here */
#define ROUTES "/v1/collections/default/"
#define ANY_PICTURE "268" /* millions of pixels; what is sent was decoded here already */
#define ANY_BODY "1024"   /* MiB */

static int answered; /* in this process */

int cli_resident_wanted(void)
{
#ifdef KEN_HTTP
    const char *store = cli_opt(OPT_STORE);
    return !strcmp(cli_opt(OPT_ENCODER), "auto")
           && (cli_opt_layer(OPT_ENCODER) > LAYER_BUILT_IN || cli_out_is_terminal())
           && (!store || !strstr(store, "://"));
#else
    return 0;
#endif
}

/* ---- the name of its socket ---- */

/* What an answer depends on, beside the query. */
static const cli_opt_id TELLING[] = { OPT_MODEL,     OPT_MODELS, OPT_THREADS,
                                      OPT_PRECISION, OPT_DEVICE, OPT_STORE };
enum { N_TELLING = sizeof TELLING / sizeof *TELLING };

static int is_given(cli_opt_id id)
{
    return cli_opt_layer(id) > LAYER_BUILT_IN && cli_opt(id);
}

/* FNV-1a, 64 bits; the NUL byte too, so that parts don't run together. */
static uint64_t hash(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    while (*s++);
    return h;
}

static uint64_t hash_environment(uint64_t h)
{
    static const char *const names[] = { "KEN_CPU", "KEN_MODELS", "XDG_DATA_HOME", "HOME" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        h = hash(h, getenv(names[i]) ? getenv(names[i]) : "");
    return h;
}

/* Another build of the program is another file, and a file that was written anew has another time. */
static uint64_t hash_program(uint64_t h)
{
    struct stat me = { 0 };
    char text[160];
    (void)stat("/proc/self/exe", &me);
    snprintf(text, sizeof text, "%s %" PRIuMAX " %" PRIuMAX " %" PRIdMAX " %" PRIdMAX ".%ld", ken_version(),
             (uintmax_t)me.st_dev, (uintmax_t)me.st_ino, (intmax_t)me.st_size, (intmax_t)me.st_mtim.tv_sec,
             me.st_mtim.tv_nsec);
    return hash(h, text);
}

/* The collection's folder without links, or NULL; malloc's. */
static char *collection(void)
{
    char *dir = cli_collection_dir(), *real = realpath(dir, NULL);
    cli_mem_free(dir);
    return real;
}

/* Relative names of models mean something else elsewhere. */
static int is_of_this_folder(void)
{
    return is_given(OPT_MODEL) || is_given(OPT_MODELS);
}

static uint64_t name_of(const char *dir)
{
    uint64_t h = hash_program(hash(UINT64_C(0xcbf29ce484222325), dir));
    for (size_t i = 0; i < N_TELLING; i++)
        h = hash(h, is_given(TELLING[i]) ? cli_opt(TELLING[i]) : "");
    if (is_of_this_folder()) {
        char *here = getcwd(NULL, 0);
        h = hash(h, here ? here : "");
        cli_mem_free(here);
    }
    return hash_environment(h);
}

/* ---- the folder ---- */

/* A folder or socket that nobody else can have put there or can use. */
static int is_private(const char *path, mode_t kind)
{
    struct stat info;
    return lstat(path, &info) == 0 && (info.st_mode & S_IFMT) == kind && info.st_uid == geteuid()
           && !(info.st_mode & 077);
}

static char *folder(void)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    return run && *run == '/' ? cli_path_in(run, "ken") : cli_path_xdg("XDG_CACHE_HOME", ".cache", "ken/run");
}

/* What cannot be made, or was there as something else, is seen at the end. */
static int make_private(const char *path)
{
    char *all = cli_mem_textf("%s/", path);
    (void)cli_path_make_folders(all, 0700);
    cli_mem_free(all);
    return is_private(path, S_IFDIR) ? 0 : -1;
}

/* "unix:PATH" of the socket, or NULL: there is no place for one. */
static char *address(const char *dir)
{
    char *in = folder();
    if (!in || make_private(in)) {
        cli_mem_free(in);
        return NULL;
    }
    char *all = cli_mem_textf("unix:%s/%016" PRIx64 ".sock", in, name_of(dir));
    cli_mem_free(in);
    if (strlen(all + 5) < sizeof((struct sockaddr_un *)0)->sun_path)
        return all;
    cli_mem_free(all);
    return NULL;
}

/* ---- asking ---- */

/* One whose collection has got another model knows that it is of no use any more. */
static void dismiss(const cli_reply *r)
{
    if (r->status == 409 && r->pid > 1)
        kill(r->pid, SIGTERM);
}

static cJSON *ask(const char *at, const char *route, const cli_form *f)
{
    const cli_http h = { .address = at, .connect = CONNECT, .silence = SILENCE, .own = 1 };
    cli_reply r;
    if (!is_private(at + 5, S_IFSOCK) || cli_http_post(&h, route, cli_form_type(f), f->bytes, f->len, &r))
        return NULL;
    cJSON *v = r.status == 200 ? cJSON_ParseWithLength(r.body, r.len) : NULL;
    dismiss(&r);
    cli_mem_free(r.body);
    return v;
}

cJSON *cli_resident_ask(const char *route, const cJSON *body, const char *field,
                        const ken_image *const *pictures, size_t n)
{
    char *dir = collection(), *at = dir ? address(dir) : NULL, *path = cli_mem_textf(ROUTES "%s", route);
    cli_form f = { 0 };
    cJSON *v = NULL;
    if (at && is_private(at + 5, S_IFSOCK)) { /* before pictures are copied */
        cli_form_start(&f, body, field, n > 0);
        for (size_t i = 0; i < n; i++)
            cli_form_picture(&f, field ? (int)i : -1, pictures[i]);
        cli_form_end(&f);
        v = ask(at, path, &f);
    }
    answered |= v != NULL;
    cli_form_free(&f);
    cli_mem_free(path);
    cli_mem_free(at);
    cli_mem_free(dir);
    return v;
}

/* ---- starting ---- */

static char **arguments(const char *at, const char *dir)
{
    const char *const fixed[] = { "ken", "serve", "--quiet", "--read-only", "--api-key=", "--keys-file=",
                                  "--config=/dev/null", "--encoder=none", "--workers=4",
                                  "--max-pixels=" ANY_PICTURE, "--max-body=" ANY_BODY };
    enum { N_FIXED = sizeof fixed / sizeof *fixed };
    char **all = cli_mem_new(N_FIXED + N_TELLING + 4, sizeof *all);
    size_t n = 0;
    while (n < N_FIXED) {
        all[n] = cli_mem_text(fixed[n]);
        n++;
    }
    all[n++] = cli_mem_textf("--listen=%s", at);
    all[n++] = cli_mem_textf("--db=%s", dir);
    all[n++] = cli_mem_textf("--idle=%s", cli_opt(OPT_IDLE) ? cli_opt(OPT_IDLE) : "300");
    for (size_t i = 0; i < N_TELLING; i++)
        if (is_given(TELLING[i]))
            all[n++] = cli_mem_textf("--%s=%s", cli_options[TELLING[i]].name, cli_opt(TELLING[i]));
    return all;
}

/* In a child's child: nothing of ours stays open, nor does it hold our terminal or our folder. */
static void become(char *const *argv, int stay)
{
    setsid();
    if (fork() != 0)
        _exit(0);
    const int none = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(none, fd);
    if (close_range(3, UINT_MAX, 0) != 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    if (!stay && chdir("/") != 0)
        _exit(127);
    execv("/proc/self/exe", argv);
    _exit(127);
}

void cli_resident_start(void)
{
    char *dir = answered ? NULL : collection(), *at = dir ? address(dir) : NULL;
    if (at) {
        char **argv = arguments(at, dir);
        const pid_t child = fork();
        if (child == 0)
            become(argv, is_of_this_folder());
        if (child > 0)
            waitpid(child, NULL, 0);
        for (size_t i = 0; argv[i]; i++)
            cli_mem_free(argv[i]);
        cli_mem_free(argv);
    }
    cli_mem_free(at);
    cli_mem_free(dir);
}
