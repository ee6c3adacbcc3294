/* models_get.c - a publisher's file becomes a model in the folder for models.
 *
 * NAME.part grows there until its SHA-256 is the table's, ken-convert makes NAME.new of it, and that is
 * renamed: at every moment the model is there whole or not at all, and what was fetched is not fetched again,
 * even if ken-convert fails. */
#include "cli/models_get.h"

#include "cli/json.h"
#include "cli/mem.h"
#include "cli/option.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/publishers.h"
#include "cli/say.h"
#include "ken.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGS = 12 + CLI_PUBLISHED_ARGS };

/* ---- the table ---- */

static cJSON *to_json(const cli_published *p)
{
    cJSON *o = cJSON_CreateObject();
    cli_json_text(o, "name", p->name);
    cli_json_text(o, "licence", p->licence);
    cli_json_text(o, "sha256", p->sha256);
    cli_json_text(o, "url", p->url);
    return o;
}

static void to_csv(const cli_published *p)
{
    cli_csv_field(p->name, ',');
    cli_csv_field(p->licence, ',');
    cli_csv_field(p->sha256, ',');
    cli_csv_field(p->url, '\n');
}

static int list(const cli_publishers *all)
{
    static const char *const columns[] = { "name", "licence", "SHA-256", "~url" };
    const cli_mode mode = cli_out_mode();
    cli_table table = CLI_TABLE(columns);
    cJSON *array = mode == OUT_JSON ? cJSON_CreateArray() : NULL;
    if (mode == OUT_CSV)
        puts("name,licence,sha256,url");
    for (const cli_published *p = all->list; p < all->list + all->n; p++) {
        if (!cli_published_is_model(p))
            continue;
        if (mode == OUT_JSON)
            cJSON_AddItemToArray(array, to_json(p));
        else if (mode == OUT_JSONL)
            cli_json_say_line(to_json(p));
        else if (mode == OUT_CSV)
            to_csv(p);
        else {
            cli_table_cell(&table, "%s", p->name);
            cli_table_cell(&table, "%s", p->licence);
            cli_table_cell(&table, "%.8s%s", p->sha256, strlen(p->sha256) < 64 ? " (8 digits)" : "");
            cli_table_cell(&table, "%s", p->url);
        }
    }
    cli_table_end(&table);
    if (array)
        cli_json_say(array);
    return 0;
}

/* ---- one of it ---- */

typedef struct job {
    const cli_publishers *all;
    char *folder;
} job;

/* The first of --models and $KEN_MODELS, else the user's own; NULL without a home. */
static char *models_folder(void)
{
    const char *dirs = cli_opt(OPT_MODELS);
    if (dirs && *dirs && *dirs != ':')
        return cli_mem_textn(dirs, strcspn(dirs, ":"));
    return cli_path_xdg("XDG_DATA_HOME", ".local/share", "ken/models");
}

static char *in_folder(const job *j, const char *name, const char *ending)
{
    char *file = cli_mem_textf("%s%s", name, ending), *path = cli_path_in(j->folder, file);
    cli_mem_free(file);
    return path;
}

static int exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* The address, at the mirror if one is named. */
static char *address(const cli_published *p)
{
    const char *mirror = cli_opt(OPT_GET_FROM), *host = strstr(p->url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    if (!mirror || !*mirror || !path)
        return cli_mem_text(p->url);
    size_t len = strlen(mirror);
    while (len && mirror[len - 1] == '/')
        len--;
    return cli_mem_textf("%.*s%s", (int)len, mirror, path);
}

static int fetch(const cli_published *p, const char *path)
{
    ken_fetch_options o = KEN_FETCH_OPTIONS_INIT;
    char *url = address(p);
    o.sha256 = p->sha256;
    o.timeout = (uint32_t)cli_opt_whole(OPT_GET_TIMEOUT);
    o.max_bytes = (uint64_t)cli_opt_whole(OPT_GET_MAX_SIZE) << 20;
    o.progress = cli_progress();
    const ken_status st = ken_fetch(url, path, &o);
    cli_progress_hide();
    cli_mem_free(url);
    if (!st)
        return 0;
    const int differs = st == KEN_E_FORMAT || st == KEN_E_LIMIT;
    const int code = cli_complain(st, differs ? ABOUT_MODEL : ABOUT_INPUT, p->name);
    if (differs)
        cli_note("it is not what the table says; nothing of it was kept");
    else if (exists(path))
        cli_note("the same command goes on from here (%s)", path);
    return code;
}

/* A file that a model needs beside its weights, fetched if it is not there yet; the path, or NULL with
 * *code set. */
static char *companion(const job *j, const char *name, int *code)
{
    const cli_published *p = cli_publishers_find(j->all, name);
    if (!p) {
        *code = cli_error("the table has no file %s", name);
        return NULL;
    }
    char *path = in_folder(j, p->name, "");
    *code = fetch(p, path); /* one that is whole is only read */
    if (*code) {
        cli_mem_free(path);
        return NULL;
    }
    return path;
}

/* The converter lies beside this program. */
static char *converter(void)
{
    char at[4096];
    const ssize_t n = readlink("/proc/self/exe", at, sizeof at - 1);
    if (n <= 0)
        return cli_mem_text("ken-convert");
    at[n] = 0;
    char *folder = cli_path_folder(at), *path = cli_path_in(folder, "ken-convert");
    cli_mem_free(folder);
    return path;
}

/* Its exit status. */
static int spawn(const char *const *argv)
{
    pid_t pid;
    int status = 0;
    const int err = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (err)
        return cli_error("%s: %s", argv[0], strerror(err));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        if (ken_interrupted())
            kill(pid, SIGTERM); /* a Ctrl-C has reached it already, a plain kill of ours has not */
    if (!WIFEXITED(status))
        return ken_interrupted() ? CLI_EXIT_INTERRUPTED : cli_error("%s: killed by a signal", argv[0]);
    return WEXITSTATUS(status);
}

/* part to the model file `to`; for @NAME stands that file of the table. */
static int convert(const job *j, const cli_published *p, const char *part, const char *to)
{
    char *program = converter(), *owned[CLI_PUBLISHED_ARGS] = { NULL };
    const char *argv[MOST_ARGS] = { program, part,        "-o",       to,     "-q",    "--name",
                                    p->name, "--licence", p->licence, "--source", p->url };
    size_t n = 11, held = 0;
    int code = 0;
    for (const char *const *a = p->args; !code && *a; a++) {
        if (**a == '@')
            argv[n++] = owned[held++] = companion(j, *a + 1, &code);
        else
            argv[n++] = *a;
    }
    if (!code)
        code = spawn(argv);
    while (held)
        cli_mem_free(owned[--held]);
    cli_mem_free(program);
    return code;
}

static void say(const cli_published *p, const char *path)
{
    struct stat info = { 0 };
    if (!cli_out_is_json()) {
        printf("%s\n", path);
        return;
    }
    cJSON *o = to_json(p);
    cli_json_path(o, "path", path);
    stat(path, &info);
    cJSON_AddNumberToObject(o, "bytes", (double)info.st_size);
    cli_json_say(o);
}

static int make(const job *j, const cli_published *p, const char *path)
{
    char *part = in_folder(j, p->name, ".part"), *fresh = in_folder(j, p->name, ".new");
    int code = fetch(p, part);
    if (!code)
        code = convert(j, p, part, fresh);
    if (!code && rename(fresh, path))
        code = cli_error("%s: %s", path, strerror(errno));
    unlink(code ? fresh : part);
    cli_mem_free(part);
    cli_mem_free(fresh);
    return code;
}

static int get(const job *j, const char *name)
{
    const cli_published *p = cli_publishers_find(j->all, name);
    if (!p || !cli_published_is_model(p))
        return cli_misuse("no publisher's model %s; `ken models get` lists them", name);
    char *path = in_folder(j, p->name, ".safetensors");
    int code = 0;
    if (exists(path))
        cli_note("it is here already; remove the file to fetch it again");
    else
        code = make(j, p, path);
    if (!code)
        say(p, path);
    cli_mem_free(path);
    return code;
}

int cli_models_get(const char *name)
{
    cli_publishers all;
    job j = { &all, NULL };
    if (name && cli_opt_on(OPT_OFFLINE))
        return cli_error("models get: --offline forbids the network; fetch the file elsewhere and use "
                         "`ken-convert`");
    int code = cli_publishers_read(&all, cli_opt(OPT_GET_PUBLISHERS));
    if (code)
        return code;
    if (!name) {
        code = list(&all);
    } else {
        j.folder = models_folder();
        code = j.folder ? get(&j, name) : cli_error("where to? --models DIR: there is no home here");
    }
    cli_mem_free(j.folder);
    cli_publishers_free(&all);
    return code;
}
