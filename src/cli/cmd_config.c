/* cmd_config.c - every setting, its value, and where that came from. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"

#include <string.h>

/* Everything is gathered before anything is printed: a command's settings share their places with
 * those of the next (`search.number`, `classify.number`). */
typedef struct row {
    char *key, *value, *origin;
} row;

typedef struct rows {
    row *list;
    size_t n, cap;
    int secrets; /* --show-secrets */
} rows;

/* The value for everybody's eyes: without a key, and without who may come in at an address. */
static char *masked(const cli_option *o, const char *value)
{
    const char *scheme = value ? strstr(value, "://") : NULL, *start = scheme ? scheme + 3 : NULL;
    const size_t n = start ? strcspn(start, "/?#") : 0;
    const char *at = start ? memrchr(start, '@', n) : NULL;
    if (value && o->traits & CLI_SECRET)
        return cli_mem_text("***");
    return at ? cli_mem_textf("%.*s***%s", (int)(start - value), value, at) : cli_mem_text(value);
}

static void gather(rows *r, cli_cmd_id cmd)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const cli_option *o = &cli_options[i];
        int global = o->commands == CLI_EVERY;
        if (o->traits & CLI_FLAG_ONLY || global != (cmd == CMD_COUNT) ||
            (!global && !cli_option_takes((cli_opt_id)i, cmd)))
            continue;
        r->list = cli_mem_room(r->list, r->n, &r->cap, sizeof *r->list);
        r->list[r->n++] = (row){
            global ? cli_mem_text(o->name)
                   : cli_mem_textf("%s.%s", cli_commands[cmd]->name, o->name),
            r->secrets ? cli_mem_text(cli_opt((cli_opt_id)i)) : masked(o, cli_opt((cli_opt_id)i)),
            cli_mem_text(cli_opt_origin((cli_opt_id)i)),
        };
    }
}

static void say_json(const rows *r)
{
    cJSON *all = cJSON_CreateObject();
    for (size_t i = 0; i < r->n; i++) {
        cJSON *o = cJSON_CreateObject();
        cli_json_text(o, "value", r->list[i].value);
        cli_json_text(o, "origin", r->list[i].origin ? r->list[i].origin : "built-in");
        cJSON_AddItemToObject(all, r->list[i].key, o);
    }
    cli_json_say(all);
}

static void say_lines(const rows *r)
{
    static const char *const columns[] = { "key", "~value", "origin" };
    static const char *const two[] = { "key", "~value" };
    int origin = cli_opt_on(OPT_ORIGIN);
    cli_table t = CLI_TABLE(columns);
    if (!origin)
        t = (cli_table)CLI_TABLE(two);
    for (size_t i = 0; i < r->n; i++) {
        const row *one = &r->list[i];
        cli_table_cell(&t, "%s", one->key);
        cli_table_cell(&t, "%s", one->value ? one->value : "");
        if (origin)
            cli_table_cell(&t, "%s", one->origin ? one->origin : "built-in");
    }
    cli_table_end(&t);
}

static void release(rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        cli_mem_free(r->list[i].key);
        cli_mem_free(r->list[i].value);
        cli_mem_free(r->list[i].origin);
    }
    cli_mem_free(r->list);
}

static int run(const cli_args *a)
{
    rows r = { .secrets = cli_opt_on(OPT_SHOW_SECRETS) };
    int bad = 0, origin = cli_opt_on(OPT_ORIGIN);
    if (a->n)
        return cli_misuse("config takes no argument %s", a->operands[0].text);
    gather(&r, CMD_COUNT);
    for (int i = 0; !bad && i < CMD_COUNT; i++) {
        bad = cli_settings_reload((cli_cmd_id)i);
        gather(&r, (cli_cmd_id)i);
    }
    if (origin)
        (void)cli_option_set(OPT_ORIGIN, "true", LAYER_FLAG, "--origin");
    if (!bad && cli_out_is_json())
        say_json(&r);
    else if (!bad)
        say_lines(&r);
    release(&r);
    return bad;
}

const cli_cmd cli_cmd_config = {
    .name = "config",
    .args = "",
    .summary = "every setting and where its value came from",
    .about = "Keys as in ken.yaml; those of one command are command.name.  What is secret is shown as ***.",
    .examples = "ken config --origin\twith the file and line, variable or flag\n"
                "ken config --json | jq .threads\t{\"value\":\"0\",\"origin\":\"built-in\"}\n",
    .run = run,
};
