/* cmd_help.c - help, printed from the tables that the parser reads; and slips of the keyboard. */
#include "cli/cmd.h"
#include "cli/json.h"
#include "cli/mem.h"
#include "cli/out.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN = 26 };

/* What tells the short list of commands apart; each begins a group of cli_cmd_id's order. */
static const struct {
    cli_cmd_id first;
    const char *title;
} GROUPS[] = {
    { CMD_INDEX, "Collections" },
    { CMD_EMBED, "Pictures and models" },
    { CMD_ANN, "Vectors alone" },
    { CMD_TRAIN, "Training" },
    { CMD_EVAL, "Measuring" },
    { CMD_CONFIG, "The program" },
};

static void print_option(const cli_option *o)
{
    char head[80];
    int n = o->letter ? snprintf(head, sizeof head, "  -%c, --%s", o->letter, o->name)
                      : snprintf(head, sizeof head, "      --%s", o->name);
    if (o->arg)
        snprintf(head + n, sizeof head - (size_t)n, " %s", o->arg);
    printf("%-*s %s", COLUMN, head, o->help);
    if (o->initial && o->type != OPT_BOOL && o->type != OPT_CHOICE)
        printf(" (%s)", o->initial);
    else if (o->type == OPT_CHOICE && o->initial)
        printf(" (default %s)", o->initial);
    putchar('\n');
}

void cli_help_program(void)
{
    fputs("ken - recognise and find pictures\n\n"
          "usage: ken COMMAND [flags] ...\n"
          "       ken QUERY...               the same as ken search QUERY...\n",
          stdout);
    size_t group = 0;
    for (int i = 0; i < CMD_COUNT; i++) {
        if (group < sizeof GROUPS / sizeof *GROUPS && GROUPS[group].first == (cli_cmd_id)i)
            printf("\n%s\n", GROUPS[group++].title);
        printf("  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    fputs("\nFlags of every command, before or after its name; -- ends them\n", stdout);
    for (int i = 0; i < OPT_COUNT; i++)
        if (cli_options[i].commands == CLI_EVERY)
            print_option(&cli_options[i]);
    fputs(
        "\nA flag --some-name is also the variable KEN_SOME_NAME and the key some-name of\n"
        "ken.yaml; one of a single command is KEN_COMMAND_SOME_NAME and command.some-name.\n"
        "Weakest first: built-in, /etc/ken/ken.yaml, $XDG_CONFIG_HOME/ken/ken.yaml,\n"
        ".ken/ken.yaml upward from here, variables, flags.  `ken config --origin` shows all.\n"
        "\nStatus: 0 found or done, 1 nothing found, 2 wrong use or fatal, 3 some inputs failed,\n"
        "4 collection missing or locked, 5 model missing or of another kind, 6 remote end,\n"
        "130 interrupted.\n"
        "\n`ken help COMMAND` tells more, with examples.\n",
        stdout);
}

static void print_examples(const char *lines)
{
    fputs("\nexamples:\n", stdout);
    while (*lines) {
        const char *tab = strchr(lines, '\t'), *end = strchr(lines, '\n');
        printf("  %-44.*s %.*s\n", (int)(tab - lines), lines, (int)(end - tab - 1), tab + 1);
        lines = end + 1;
    }
}

void cli_help_command(const cli_cmd *c, cli_cmd_id id)
{
    int head = 0;
    printf("usage: ken %s [flags]%s%s\n\n%s\n", c->name, *c->args ? " " : "", c->args, c->summary);
    if (c->about)
        printf("\n%s\n", c->about);
    for (int i = 0; i < OPT_COUNT; i++) {
        if (cli_options[i].commands == CLI_EVERY || !cli_option_takes((cli_opt_id)i, id))
            continue;
        if (!head++)
            fputs("\nflags:\n", stdout);
        print_option(&cli_options[i]);
    }
    print_examples(c->examples);
    fputs("\n`ken help` lists the flags of every command.\n", stdout);
}

/* ---- the same for programs ---- */

static cJSON *option_json(const cli_option *o)
{
    const char letter[] = { o->letter, 0 };
    cJSON *v = cJSON_CreateObject();
    cli_json_text(v, "name", o->name);
    cli_json_text(v, "letter", o->letter ? letter : NULL);
    cli_json_text(v, "arg", o->arg);
    cli_json_text(v, "default", o->initial);
    cli_json_text(v, "choices", o->choices);
    cli_json_text(v, "help", o->help);
    return v;
}

/* The flags of one command alone; of every command if id is CMD_COUNT. */
static cJSON *options_json(cli_cmd_id id)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < OPT_COUNT; i++)
        if ((cli_options[i].commands == CLI_EVERY) == (id == CMD_COUNT) &&
            cli_option_takes((cli_opt_id)i, id))
            cJSON_AddItemToArray(list, option_json(&cli_options[i]));
    return list;
}

static cJSON *examples_json(const char *lines)
{
    cJSON *list = cJSON_CreateArray();
    for (const char *end; *lines; lines = end + 1) {
        const char *tab = strchr(lines, '\t');
        end = strchr(lines, '\n');
        char *command = cli_mem_textn(lines, (size_t)(tab - lines)),
             *what = cli_mem_textn(tab + 1, (size_t)(end - tab - 1));
        cJSON *v = cJSON_CreateObject();
        cli_json_text(v, "command", command);
        cli_json_text(v, "what", what);
        cJSON_AddItemToArray(list, v);
        cli_mem_free(command);
        cli_mem_free(what);
    }
    return list;
}

static cJSON *command_json(cli_cmd_id id)
{
    const cli_cmd *c = cli_commands[id];
    cJSON *v = cJSON_CreateObject();
    cli_json_text(v, "name", c->name);
    cli_json_text(v, "args", c->args);
    cli_json_text(v, "summary", c->summary);
    cli_json_text(v, "about", c->about);
    cJSON_AddItemToObject(v, "flags", options_json(id));
    cJSON_AddItemToObject(v, "examples", examples_json(c->examples));
    return v;
}

static cJSON *program_json(void)
{
    cJSON *v = cJSON_CreateObject(), *list = cJSON_CreateArray();
    for (int i = 0; i < CMD_COUNT; i++)
        cJSON_AddItemToArray(list, command_json((cli_cmd_id)i));
    cJSON_AddItemToObject(v, "flags", options_json(CMD_COUNT));
    cJSON_AddItemToObject(v, "commands", list);
    return v;
}

/* ---- slips ---- */

static size_t common_start(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] && a[i] == b[i])
        i++;
    return i;
}

/* One slip apart: two neighbours swapped, a letter missing or added, or (not sure) another one. */
static int one_slip(const char *word, const char *name, int *sure)
{
    size_t w = strlen(word), n = strlen(name), i = common_start(word, name);
    const char *a = word + i, *b = name + i;
    *sure = 1;
    if (w == n && i + 1 < n && a[0] == b[1] && a[1] == b[0] && !strcmp(a + 2, b + 2))
        return 1;
    *sure = n >= 6; /* of shorter names the result may well be a word: models, but show */
    if ((w + 1 == n && !strcmp(a, b + 1)) || (w == n + 1 && !strcmp(a + 1, b)))
        return 1;
    *sure = 0;
    return w == n && i < n && !strcmp(a + 1, b + 1);
}

cli_cmd_id cli_cmd_like(const char *word, int *sure)
{
    for (int i = 0; i < CMD_COUNT; i++)
        if (one_slip(word, cli_commands[i]->name, sure))
            return (cli_cmd_id)i;
    return CMD_COUNT;
}

static int help(const cli_args *a)
{
    int sure;
    const int json = cli_out_is_json();
    if (!a->n) {
        json ? cli_json_say(program_json()) : cli_help_program();
        return 0;
    }
    cli_cmd_id id = cli_cmd_find(a->operands[0].text);
    if (id != CMD_COUNT) {
        json ? cli_json_say(command_json(id)) : cli_help_command(cli_commands[id], id);
        return 0;
    }
    id = cli_cmd_like(a->operands[0].text, &sure);
    return id == CMD_COUNT ? cli_misuse("no command %s", a->operands[0].text)
                           : cli_misuse("no command %s; did you mean %s?", a->operands[0].text,
                                        cli_commands[id]->name);
}

const cli_cmd cli_cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "how ken, or one of its commands, is used",
    .about = "With --json for programs: commands, flags and examples.",
    .examples = "ken help search\tquery terms and flags\n"
                "ken help --json\tall of it, for programs\n",
    .run = help,
};
