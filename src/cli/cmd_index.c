/* cmd_index.c - bring the collection up to date with files and folders. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/notes.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_STDIN = 1 << 30 };

typedef struct names {
    const char **list;
    size_t n, cap;
    int owned;       /* the list's names: those of the collection, for a space */
    char *read;      /* from standard input */
    cli_notes notes; /* of LIST.json */
} names;

static void add(names *p, const char *path)
{
    p->list = cli_mem_room(p->list, p->n, &p->cap, sizeof *p->list);
    p->list[p->n++] = path;
}

static int is_list(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json") && !cli_path_is_dir(path);
}

static int add_known(const ken_record *r, void *cookie)
{
    names *p = cookie;
    if (!r->hidden && access(r->path, F_OK) == 0)
        add(p, cli_mem_text(r->path));
    return 0;
}

/* For a space: all that the collection has. */
static int gather_known(names *p)
{
    ken *db = NULL;
    int code = cli_open_collection(&db, TO_READ);
    if (code)
        return code;
    const ken_status st = ken_each(db, add_known, p);
    p->owned = 1;
    ken_close(db);
    return st ? cli_complain(st, ABOUT_COLLECTION, NULL) : 0;
}

static void forget(names *p)
{
    for (size_t i = 0; p->owned && i < p->n; i++)
        cli_mem_free((char *)(uintptr_t)p->list[i]);
    cli_notes_free(&p->notes);
    cli_mem_free(p->list);
    cli_mem_free(p->read);
}

static int gather(names *p, const cli_args *a)
{
    size_t len;
    int bad = 0;
    for (size_t i = 0; !bad && i < a->n; i++) {
        if (is_list(a->operands[i].text))
            bad = cli_notes_read(&p->notes, a->operands[i].text);
        else
            add(p, a->operands[i].text);
    }
    for (size_t i = 0; i < p->notes.n; i++)
        add(p, p->notes.list[i].path);
    if (bad)
        return bad;
    if (!p->n && cli_opt(OPT_INDEX_SPACE) && !cli_opt_on(OPT_INDEX_NULL))
        return gather_known(p);
    if (!cli_opt_on(OPT_INDEX_NULL))
        return p->n ? 0
                    : cli_misuse("nothing to index: name folders or files, or pipe a list to -0");
    p->read = cli_read_file("-", MAX_STDIN, &len);
    if (!p->read)
        return cli_error("standard input: %s", strerror(errno));
    for (char *c = p->read; c < p->read + len; c += strlen(c) + 1)
        if (*c)
            add(p, c);
    return 0;
}

static void tell_problem(const char *path, const char *why, int skipped, void *cookie)
{
    (void)cookie;
    if (!skipped || cli_opt_on(OPT_VERBOSE))
        cli_tell(path, why);
}

static void say_json(const ken_scan_report *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "seen", (double)r->seen);
    cJSON_AddNumberToObject(o, "added", (double)r->added);
    cJSON_AddNumberToObject(o, "updated", (double)r->updated);
    cJSON_AddNumberToObject(o, "moved", (double)r->moved);
    cJSON_AddNumberToObject(o, "removed", (double)r->removed);
    cJSON_AddNumberToObject(o, "failed", (double)r->failed);
    cJSON_AddNumberToObject(o, "skipped", (double)r->skipped);
    cli_json_real(o, "seconds", r->seconds, 6);
    cli_json_real(o, "images_per_second", r->images_per_second, 5);
    cli_json_say(o);
}

static void say(const ken_scan_report *r)
{
    if (cli_out_is_json()) {
        say_json(r);
        return;
    }
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        { "added", r->added },     { "updated", r->updated }, { "moved", r->moved },
        { "removed", r->removed }, { "failed", r->failed },   { "skipped", r->skipped }
    };
    if (cli_opt_on(OPT_QUIET))
        return;
    printf("%llu files seen", (unsigned long long)r->seen);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].n)
            printf(", %llu %s", (unsigned long long)counts[i].n, counts[i].name);
    printf(" in %.1f s", r->seconds);
    if (r->images_per_second > 0)
        printf(" (%.1f pictures a second)", r->images_per_second);
    putchar('\n');
}

static int describe(ken *db, const cli_notes *l)
{
    size_t done = 0;
    ken_status st = l->n ? ken_describe(db, l->list, l->n, &done) : KEN_OK;
    if (!st && done < l->n)
        cli_note("%zu of %zu descriptions are of files that were not indexed", l->n - done, l->n);
    return st ? cli_complain(st, ABOUT_COLLECTION, NULL) : 0;
}

/* `again`: a round of --watch, which says nothing when nothing changed. */
static int scan(ken *db, const names *p, int again)
{
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r = { 0 };
    o.reembed = cli_opt_on(OPT_INDEX_RE_EMBED) && !again;
    o.prune = cli_opt_on(OPT_INDEX_PRUNE);
    o.objects_from_dirs = cli_opt_on(OPT_INDEX_OBJECTS);
    o.progress = cli_progress();
    o.problem = tell_problem;
    o.no_ignore = cli_opt_on(OPT_INDEX_NO_IGNORE);
    o.index = again ? NULL : cli_opt(OPT_INDEX_KIND);
    ken_status st = ken_scan(db, p->list, p->n, &o, &r);
    cli_progress_hide();
    if (st && st != KEN_E_CANCELED)
        return cli_complain(st, st == KEN_E_NOTFOUND ? ABOUT_INPUT : ABOUT_COLLECTION, NULL);
    if (!again || r.added + r.updated + r.moved + r.removed)
        say(&r);
    fflush(stdout);
    if (st) {
        cli_note("interrupted; what is done is kept, the next run goes on from here");
        return CLI_EXIT_INTERRUPTED;
    }
    int bad = again || cli_opt(OPT_INDEX_SPACE) ? 0 : describe(db, &p->notes);
    return bad ? bad : r.failed ? CLI_EXIT_SOME : 0;
}

static int watch(ken *db, const names *p)
{
    cli_watch w;
    int code = cli_watch_start(&w, p->list, p->n);
    for (int again = 0; !code || code == CLI_EXIT_SOME; again = 1) {
        code = scan(db, p, again);
        if (!code || code == CLI_EXIT_SOME)
            code = cli_watch_wait(&w);
    }
    cli_watch_stop(&w);
    return code;
}

static int run(const cli_args *a)
{
    names p = { 0 };
    ken *db = NULL;
    int code = gather(&p, a);
    if (!code)
        code = cli_open_collection(&db, TO_INDEX);
    if (!code)
        code = cli_opt_on(OPT_INDEX_WATCH) ? watch(db, &p) : scan(db, &p, 0);
    ken_close(db);
    forget(&p);
    return code;
}

const cli_cmd cli_cmd_index = {
    .name = "index",
    .args = "(DIR | FILE | LIST.json)...",
    .summary = "bring the collection up to date with files and folders",
    .about =
        "Encodes new and changed pictures, follows renamed ones, hides vanished ones.  A second\n"
        "run over unchanged files reads no pixels.  Ctrl-C keeps what is done.  The model is\n"
        "needed once, and remembered.  --space NAME makes, or brings up to date, a space: what the\n"
        "collection has as another model sees it, for `ken search --spaces own,NAME`; from then on every\n"
        "run brings it along.  LIST.json is {path: description}, or a list of\n"
        "{\"path\", \"description\", \"object\", ...}: what it says is kept with the pictures.\n\n"
        "A folder's .kenignore says, as a .gitignore does, what in and below it is passed over.",
    .examples = "ken index ~/Photos -m clip-b32\tthe first time\n"
                "ken index ~/Photos\twhat has changed since\n"
                "ken index ~/Photos --watch\tand what will change, until Ctrl-C\n"
                "ken index --db shop.ken shop/ --objects-from-dirs\ta collection of its own\n"
                "ken index --space b32 -m clip-b32\ta second model, for all that is there\n"
                "find . -name '*.png' -print0 | ken index -0\ta list from another program\n"
                "ken index ~/Photos --re-embed -m clip-l14\teverything, with another model\n",
    .run = run,
};
