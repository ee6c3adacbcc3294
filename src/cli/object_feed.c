/*
 * object_feed.c - a stream of references, JSON lines {"path", "object"}.
 *
 * What has arrived is stored before more is waited for: a slow producer sees its lines answered at
 * once, a fast one is read in batches, one commit each.
 */
#include "cli/cmd_object.h"
#include "cli/mem.h"
#include "cli/out.h"
#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64, CHUNK = 1 << 16, MAX_LINE = 1 << 20 };

typedef struct feed {
    ken *db;
    int fd;
    char *bytes; /* (len) read and not yet used; what lies before `at` is done with */
    size_t at, len, cap;
    int ended;
    size_t line; /* number of the last one taken */
    char *paths[BATCH], *objects[BATCH];
    size_t lines[BATCH], n;
    int bad[BATCH]; /* it could not be read */
    char **names;   /* every object that was fed, for --json */
    size_t names_n, names_cap;
    size_t added, failed;
    FILE *list;     /* of --keep, or NULL */
    int code;
} feed;

/* ---- lines ---- */

static void read_more(feed *f)
{
    if (f->at) {
        memmove(f->bytes, f->bytes + f->at, f->len - f->at);
        f->len -= f->at;
        f->at = 0;
    }
    if (f->len + CHUNK + 1 > f->cap) {
        f->cap = 2 * (f->len + CHUNK + 1);
        f->bytes = cli_mem_grow(f->bytes, f->cap, 1);
    }
    ssize_t got = read(f->fd, f->bytes + f->len, CHUNK);
    if (got > 0)
        f->len += (size_t)got;
    else if (got == 0 || errno != EINTR)
        f->ended = 1;
    if (got < 0 && errno != EINTR)
        f->code = cli_error("reading the lines: %s", strerror(errno));
}

/* The next whole line, terminated in place, or NULL: more must be read. */
static char *take_line(feed *f)
{
    char *start = f->bytes + f->at;
    char *end = f->len > f->at ? memchr(start, '\n', f->len - f->at) : NULL;
    if (!end && !(f->ended && f->len > f->at))
        return NULL;
    if (!end)
        end = f->bytes + f->len; /* the last one, without its newline: there is room for the NUL */
    *end = 0;
    f->at = (size_t)(end - f->bytes) + 1;
    if (f->at > f->len)
        f->at = f->len;
    f->line++;
    return start;
}

static int more_is_waiting(const feed *f)
{
    struct pollfd p = { .fd = f->fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

static void refuse(feed *f, const char *why)
{
    cli_progress_hide();
    char *what = cli_mem_textf("line %zu", f->line);
    cli_tell(what, why);
    cli_mem_free(what);
    f->failed++;
}

static void parse(feed *f, const char *line)
{
    if (!line[strspn(line, " \t\r")])
        return;
    cJSON *o = cJSON_Parse(line);
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(o, "path");
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(o, "object");
    if (!cJSON_IsObject(o))
        refuse(f, "not a JSON object");
    else if (!cJSON_IsString(path) || !*path->valuestring)
        refuse(f, "no \"path\"");
    else if (!cJSON_IsString(object) || !*object->valuestring)
        refuse(f, "no \"object\"");
    else {
        f->paths[f->n] = cli_mem_text(path->valuestring);
        f->objects[f->n] = cli_mem_text(object->valuestring);
        f->lines[f->n] = f->line;
        f->bad[f->n++] = 0;
    }
    cJSON_Delete(o);
}

/* ---- batches ---- */

static void tell_problem(size_t reference, const char *why, void *cookie)
{
    feed *f = cookie;
    char *what = cli_mem_textf("line %zu: %s", f->lines[reference], f->paths[reference]);
    cli_tell(what, why);
    cli_mem_free(what);
    f->bad[reference] = 1;
    f->failed++;
}

/* A line of --keep; absolute, since a list's own paths start beside it. */
static void note_in_list(feed *f, size_t i)
{
    char path[PATH_MAX];
    cli_csv_put(f->list, realpath(f->paths[i], path) ? path : f->paths[i], ',');
    cli_csv_put(f->list, f->objects[i], '\n');
}

static void answer(feed *f, size_t i)
{
    ken_object o;
    if (f->bad[i])
        return;
    f->added++;
    if (f->list)
        note_in_list(f, i);
    if (cli_out_mode() == OUT_JSONL && !ken_object_get(f->db, f->objects[i], &o))
        cli_json_say(cli_object_json(&o));
    if (cli_out_mode() != OUT_JSON)
        return;
    f->names = cli_mem_room(f->names, f->names_n, &f->names_cap, sizeof *f->names);
    f->names[f->names_n++] = cli_mem_text(f->objects[i]);
}

static void store_batch(feed *f)
{
    ken_reference refs[BATCH];
    ken_object_options o = cli_object_options();
    size_t done = 0;
    for (size_t i = 0; i < f->n; i++)
        refs[i] = (ken_reference){ f->paths[i], f->objects[i] };
    o.problem = tell_problem;
    o.cookie = f;
    ken_status st = f->n ? ken_object_add(f->db, refs, f->n, &o, &done) : KEN_OK;
    for (size_t i = 0; i < done; i++)
        answer(f, i);
    if (done)
        fflush(stdout);
    if (f->list && (fflush(f->list) || ferror(f->list)) && !f->code)
        f->code = cli_error("%s: %s", cli_opt(OPT_FEED_KEEP), strerror(errno));
    if (st)
        f->code = cli_object_failed(st);
    for (size_t i = 0; i < f->n; i++) {
        cli_mem_free(f->paths[i]);
        cli_mem_free(f->objects[i]);
    }
    f->n = 0;
}

static void run_feed(feed *f)
{
    while (!f->code) {
        char *line = take_line(f);
        if (line)
            parse(f, line);
        else if (f->ended)
            break;
        else if (f->len - f->at > MAX_LINE)
            f->code = cli_error("line %zu is longer than %d bytes", f->line + 1, MAX_LINE);
        else if (!f->n || more_is_waiting(f))
            read_more(f);
        else
            store_batch(f);
        if (f->n == BATCH && !f->code)
            store_batch(f);
        if (ken_interrupted() && !f->code)
            f->code = CLI_EXIT_INTERRUPTED;
    }
    if (!f->code || f->code == CLI_EXIT_INTERRUPTED)
        store_batch(f);
}

/* ---- the end ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void say_objects(feed *f)
{
    cJSON *all = cJSON_CreateArray();
    if (f->names_n)
        qsort(f->names, f->names_n, sizeof *f->names, by_text);
    for (size_t i = 0; i < f->names_n; i++) {
        ken_object o;
        if ((!i || strcmp(f->names[i], f->names[i - 1])) && !ken_object_get(f->db, f->names[i], &o))
            cJSON_AddItemToArray(all, cli_object_json(&o));
    }
    cli_json_say(all);
}

static int follow(ken *db)
{
    ken_build_options o = KEN_BUILD_OPTIONS_INIT;
    o.if_needed = 1;
    o.progress = cli_progress();
    const ken_status st = ken_build(db, &o);
    cli_progress_hide();
    return st == KEN_E_CANCELED ? CLI_EXIT_INTERRUPTED
           : st                 ? cli_complain(st, ABOUT_COLLECTION, NULL)
                                : 0;
}

int cli_object_feed(ken *db, const cli_args *a)
{
    const char *from = a->operands[1].text;
    feed f = { .db = db, .fd = STDIN_FILENO };
    f.cap = CHUNK + 1;
    f.bytes = cli_mem_new(f.cap, 1);
    from += *from == '@';
    if (strcmp(from, "-") && (f.fd = open(from, O_RDONLY | O_CLOEXEC)) < 0)
        return cli_error("%s: %s", from, strerror(errno));
    if (cli_opt(OPT_FEED_KEEP) && !(f.list = fopen(cli_opt(OPT_FEED_KEEP), "ae")))
        f.code = cli_error("%s: %s", cli_opt(OPT_FEED_KEEP), strerror(errno));
    run_feed(&f);
    if (f.list)
        fclose(f.list);
    if (!f.code && f.added) /* the index follows, as at the end of `ken index` */
        f.code = follow(db);
    if (cli_out_mode() == OUT_JSON)
        say_objects(&f);
    else if (cli_out_mode() != OUT_JSONL)
        printf("%zu pictures added%s\n", f.added, f.failed ? ", others failed" : "");
    if (f.fd != STDIN_FILENO)
        close(f.fd);
    for (size_t i = 0; i < f.names_n; i++)
        cli_mem_free(f.names[i]);
    cli_mem_free(f.names);
    cli_mem_free(f.bytes);
    return f.code ? f.code : f.failed ? CLI_EXIT_SOME : 0;
}
