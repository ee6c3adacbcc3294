/* cmd_config.c - every setting, its value, and where that came from. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"

#include <stdio.h>
#include <string.h>

/* Everything is gathered before anything is printed: a command's settings share their places with
 * those of the next (`search.number`, `classify.number`). */
typedef struct row {
    char *key, *value, *origin;
} row;

typedef struct rows {
    row *list;
    size_t n, cap;
} rows;

static void gather(rows *r, kn_cmd_id cmd)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const kn_option *o = &kn_options[i];
        int global = o->commands == KN_EVERY;
        if (o->transient || global != (cmd == CMD_COUNT) ||
            (!global && !kn_option_takes((kn_opt_id)i, cmd)))
            continue;
        r->list = kn_mem_room(r->list, r->n, &r->cap, sizeof *r->list);
        r->list[r->n++] = (row){
            global ? kn_mem_text(o->name) : kn_mem_textf("%s.%s", kn_commands[cmd]->name, o->name),
            kn_mem_text(kn_opt((kn_opt_id)i)),
            kn_mem_text(kn_opt_origin((kn_opt_id)i)),
        };
    }
}

static void say_json(const rows *r)
{
    cJSON *all = cJSON_CreateObject();
    for (size_t i = 0; i < r->n; i++) {
        cJSON *o = cJSON_CreateObject();
        kn_json_text(o, "value", r->list[i].value);
        kn_json_text(o, "origin", r->list[i].origin ? r->list[i].origin : "built-in");
        cJSON_AddItemToObject(all, r->list[i].key, o);
    }
    kn_json_say(all);
}

static void say_lines(const rows *r)
{
    static const char *const columns[] = { "key", "~value", "origin" };
    static const char *const two[] = { "key", "~value" };
    int origin = kn_opt_on(OPT_ORIGIN);
    kn_table t = KN_TABLE(columns);
    if (!origin)
        t = (kn_table)KN_TABLE(two);
    for (size_t i = 0; i < r->n; i++) {
        const row *one = &r->list[i];
        kn_table_cell(&t, "%s", one->key);
        kn_table_cell(&t, "%s", one->value ? one->value : "");
        if (origin)
            kn_table_cell(&t, "%s", one->origin ? one->origin : "built-in");
    }
    kn_table_end(&t);
}

static void release(rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        kn_mem_free(r->list[i].key);
        kn_mem_free(r->list[i].value);
        kn_mem_free(r->list[i].origin);
    }
    kn_mem_free(r->list);
}

static int run(const kn_args *a)
{
    rows r = { 0 };
    int bad = 0, origin = kn_opt_on(OPT_ORIGIN);
    if (a->n)
        return kn_misuse("config takes no argument %s", a->operands[0].text);
    gather(&r, CMD_COUNT);
    for (int i = 0; !bad && i < CMD_COUNT; i++) {
        bad = kn_settings_reload((kn_cmd_id)i);
        gather(&r, (kn_cmd_id)i);
    }
    if (origin)
        (void)kn_option_set(OPT_ORIGIN, "true", LAYER_FLAG, "--origin");
    if (!bad && (kn_out_mode() == OUT_JSON || kn_out_mode() == OUT_JSONL))
        say_json(&r);
    else if (!bad)
        say_lines(&r);
    release(&r);
    return bad;
}

const kn_cmd kn_cmd_config = {
    .name = "config",
    .args = "",
    .summary = "every setting and where its value came from",
    .about = "Keys as in ken.yaml; those of one command are command.name.",
    .examples = "ken config --origin\twith the file and line, variable or flag\n"
                "ken config --json | jq .threads\t{\"value\":\"0\",\"origin\":\"built-in\"}\n",
    .run = run,
};
