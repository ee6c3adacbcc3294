/* cmd_object.c - what a collection knows by name: add, list, show, rm, rename; feed is a file of its
 * own. */
#include "cli/cmd_object.h"

#include "cli/input.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/open.h"
#include "cli/out.h"
#include "cli/paths.h"

#include <stdio.h>
#include <string.h>

/* ---- answers ---- */

cJSON *cli_object_json(const ken_object *o)
{
    cJSON *one = cJSON_CreateObject();
    cli_json_path(one, "object", o->name);
    cJSON_AddNumberToObject(one, "references", (double)o->references);
    cJSON_AddNumberToObject(one, "vectors", (double)o->vectors);
    return one;
}

static void say_object(const ken_object *o)
{
    if (cli_out_is_json())
        cli_json_say(cli_object_json(o));
    else
        printf("%s: %llu references, %llu vectors\n", o->name, (unsigned long long)o->references,
               (unsigned long long)o->vectors);
}

int cli_object_failed(ken_status st)
{
    if (st == KEN_E_CANCELED) {
        cli_note("interrupted; what is done is kept");
        return CLI_EXIT_INTERRUPTED;
    }
    if (st == KEN_E_NOTFOUND) {
        cli_tell("object", ken_last_error());
        return CLI_EXIT_NONE;
    }
    return cli_complain(st, st == KEN_E_EXISTS ? ABOUT_INPUT : ABOUT_COLLECTION, NULL);
}

ken_object_options cli_object_options(void)
{
    ken_object_options o = KEN_OBJECT_OPTIONS_INIT;
    if (cli_opt(OPT_CROPS))
        o.crops = cli_opt_whole(OPT_CROPS) ? (int)cli_opt_whole(OPT_CROPS) : -1;
    return o;
}

/* ---- add ---- */

typedef struct adding {
    ken_reference *refs;
    size_t failed;
} adding;

static void tell_problem(size_t reference, const char *why, void *cookie)
{
    adding *a = cookie;
    a->failed++;
    cli_tell(a->refs[reference].path, why);
}

static int add_files(ken *db, const char *name, const cli_inputs *in)
{
    adding a = { cli_mem_new(in->n, sizeof *a.refs), 0 };
    ken_object_options o = cli_object_options();
    ken_object object;
    for (size_t i = 0; i < in->n; i++) {
        const char *path = in->list[i].name;
        a.refs[i] = (ken_reference){ *path == '@' ? path + 1 : path, name };
    }
    o.problem = tell_problem;
    o.cookie = &a;
    ken_status st = ken_object_add(db, a.refs, in->n, &o, NULL);
    cli_mem_free(a.refs);
    if (st)
        return cli_object_failed(st);
    if (!ken_object_get(db, name, &object))
        say_object(&object);
    return a.failed || in->unreadable ? CLI_EXIT_SOME : 0;
}

static int add(ken *db, const cli_args *a)
{
    cli_inputs in = { 0 };
    const cli_args files = { .operands = a->operands + 2, .n = a->n - 2 };
    int code = cli_inputs_collect(&in, &files);
    for (size_t i = 0; !code && i < in.n; i++)
        if (!strcmp(in.list[i].name, "@-"))
            code = cli_misuse("a reference is a file; save the picture first");
    if (!code && !in.n)
        code = cli_misuse("no pictures there");
    if (!code)
        code = add_files(db, a->operands[1].text, &in);
    cli_inputs_free(&in);
    return code;
}

/* ---- list ---- */

typedef struct listing {
    cli_table *table;
    cJSON *all;
    size_t n;
} listing;

static int list_one(const ken_object *o, void *cookie)
{
    listing *l = cookie;
    l->n++;
    if (l->all)
        cJSON_AddItemToArray(l->all, cli_object_json(o));
    else if (cli_out_mode() == OUT_JSONL)
        cli_json_say(cli_object_json(o));
    else if (cli_out_mode() == OUT_CSV) {
        cli_csv_field(o->name, ',');
        printf("%llu,%llu\n", (unsigned long long)o->references, (unsigned long long)o->vectors);
    } else {
        cli_table_cell(l->table, "%llu", (unsigned long long)o->references);
        cli_table_cell(l->table, "%llu", (unsigned long long)o->vectors);
        cli_table_cell(l->table, "%s", o->name);
    }
    return ken_interrupted();
}

static int list(ken *db, const cli_args *a)
{
    static const char *const columns[] = { ">references", ">vectors", "~object" };
    cli_table t = CLI_TABLE(columns);
    listing l = { .table = &t };
    (void)a;
    if (cli_out_mode() == OUT_JSON)
        l.all = cJSON_CreateArray();
    if (cli_out_mode() == OUT_CSV)
        puts("object,references,vectors");
    ken_status st = ken_object_each(db, list_one, &l);
    cli_table_end(&t);
    if (l.all && !st)
        cli_json_say(l.all);
    else
        cJSON_Delete(l.all);
    return st ? cli_object_failed(st) : ken_interrupted() ? CLI_EXIT_INTERRUPTED : 0;
}

/* ---- show ---- */

static cJSON *item_json(const ken_record *r)
{
    cJSON *o = cJSON_CreateObject();
    cli_json_id(o, "id", r->id);
    cli_json_path(o, "path", r->path);
    cJSON_AddBoolToObject(o, "hidden", r->hidden);
    return o;
}

static void show_items(ken *db, const ken_object *o, const uint64_t *ids, size_t n)
{
    cJSON *one = cli_out_is_json() ? cli_object_json(o) : NULL;
    cJSON *items = one ? cJSON_AddArrayToObject(one, "items") : NULL;
    if (!one)
        say_object(o);
    for (size_t i = 0; i < n; i++) {
        ken_record *r = NULL;
        if (ken_get(db, ids[i], &r))
            continue; /* removed since by another process */
        if (one) {
            cJSON_AddItemToArray(items, item_json(r));
        } else {
            char *shown = cli_path_shown(r->path);
            printf("%llu\t%s%s\n", (unsigned long long)r->id, shown,
                   r->hidden ? "\t(the file has vanished)" : "");
            cli_mem_free(shown);
        }
        ken_record_free(r);
    }
    if (one)
        cli_json_say(one);
}

static int show(ken *db, const cli_args *a)
{
    ken_object o;
    uint64_t *ids = NULL;
    size_t n = 0;
    ken_status st = ken_object_get(db, a->operands[1].text, &o);
    if (!st)
        st = ken_object_items(db, a->operands[1].text, &ids, &n);
    if (!st)
        show_items(db, &o, ids, n);
    ken_ids_free(ids);
    return st ? cli_object_failed(st) : 0;
}

/* ---- rm and rename ---- */

static int rm(ken *db, const cli_args *a)
{
    size_t done = 0;
    for (size_t i = 1; i < a->n; i++) {
        ken_object o;
        ken_status st = ken_object_get(db, a->operands[i].text, &o);
        if (!st)
            st = ken_object_remove(db, a->operands[i].text);
        if (st == KEN_E_NOTFOUND)
            cli_tell(a->operands[i].text, ken_last_error());
        else if (st)
            return cli_object_failed(st);
        if (st)
            continue;
        done++;
        if (cli_out_is_json())
            cli_json_say(cli_object_json(&o));
        else
            cli_note("%s is forgotten; the files are untouched", o.name);
    }
    return done == a->n - 1 ? 0 : done ? CLI_EXIT_SOME : CLI_EXIT_NONE;
}

static int rename_object(ken *db, const cli_args *a)
{
    ken_object o;
    ken_status st = ken_object_rename(db, a->operands[1].text, a->operands[2].text);
    if (!st)
        st = ken_object_get(db, a->operands[2].text, &o);
    if (st)
        return cli_object_failed(st);
    say_object(&o);
    return 0;
}

/* ---- the command ---- */

static const struct verb {
    const char *name, *usage;
    size_t least, most; /* words, the verb included; most 0: any number */
    cli_access access;
    int (*run)(ken *db, const cli_args *a);
} verbs[] = {
    { "add", "object add NAME FILE...", 3, 0, TO_CREATE, add },
    { "list", "object list", 1, 1, TO_READ, list },
    { "show", "object show NAME", 2, 2, TO_READ, show },
    { "rm", "object rm NAME...", 2, 0, TO_WRITE, rm },
    { "rename", "object rename OLD NEW", 3, 3, TO_WRITE, rename_object },
    { "feed", "object feed @-", 2, 2, TO_CREATE, cli_object_feed },
};

static int run(const cli_args *a)
{
    const struct verb *v = NULL;
    ken *db = NULL;
    for (size_t i = 0; a->n && i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(verbs[i].name, a->operands[0].text))
            v = &verbs[i];
    if (!v)
        return cli_misuse("object what?  add, list, show, rm, rename or feed");
    if (a->n < v->least || (v->most && a->n > v->most))
        return cli_misuse("expects: ken %s", v->usage);
    if (a->n > 1 && !*a->operands[1].text)
        return cli_misuse("an empty name");
    int code = cli_open_collection(&db, v->access);
    if (!code)
        code = v->run(db, a);
    ken_close(db);
    return code;
}

const cli_cmd cli_cmd_object = {
    .name = "object",
    .args = "(add NAME FILE... | list | show NAME | rm NAME... | rename OLD NEW | feed @-)",
    .summary = "teach the collection what things are called",
    .about =
        "One to three photographs of an object are enough: `ken recognize` then knows it again.\n"
        "Nothing is trained, no other object changes, and what was added is on the disk when the\n"
        "command returns.  A picture belongs to one object; adding it to another moves it.  Each\n"
        "picture is encoded whole and in overlapping parts (--crops), so that a photograph of a\n"
        "part finds its object.\n\n"
        "feed reads JSON lines {\"path\", \"object\"}, from standard input or a file, and stores them\n"
        "as they come; a bad line is named with its number, and the rest is done.  rm forgets the\n"
        "pictures that add and feed brought; those that `ken index` brought stay.\n\n"
        "feed --keep FILE also writes what was stored as lines path,object.  `ken train FILE --online`\n"
        "goes on training on them, and keeps the network only if it knows the old ones as well.",
    .examples = "ken object add bear front.jpg side.jpg\tone to three photographs\n"
                "ken object add duck shots/duck/\ta folder of them\n"
                "ken object list\twhat is known\n"
                "ken object show bear\tits pictures\n"
                "producer | ken object feed @- --jsonl\ta stream, an answer a line\n"
                "producer | ken object feed @- --keep new.csv\tkept for `ken train --online`\n",
    .run = run,
};
