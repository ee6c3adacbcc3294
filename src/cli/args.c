/* args.c - the command line.
 *
 * Flags may stand before or after the command, which is the first operand.  Whether a flag takes a value
 * is known without the command, but for a few that must stand behind it (option.h), so one walk
 * collects flags and operands, and the flags are bound to the command's entries afterwards. */
#include "cli/cmd.h"
#include "cli/mem.h"

#include <string.h>

typedef struct flag {
    const char *given; /* as typed: "--min=3", "-n" */
    const char *name;  /* of `len` bytes, or NULL for a letter */
    size_t len;
    char letter;
    const char *value; /* NULL: on */
} flag;

typedef struct walk {
    char **argv;
    int argc, at;
    flag *flags;
    size_t n, cap;
    int no_command; /* `--` stood before the first operand */
} walk;

static void add_operand(cli_args *a, const char *text, cli_opt_id id)
{
    a->operands = cli_mem_room(a->operands, a->n, &a->cap, sizeof *a->operands);
    a->operands[a->n++] = (cli_operand){ text, id };
}

static void add_flag(walk *w, flag f)
{
    w->flags = cli_mem_room(w->flags, w->n, &w->cap, sizeof *w->flags);
    w->flags[w->n++] = f;
}

/* The value that follows a flag, or NULL having complained. */
static const char *following(walk *w, const char *given)
{
    if (w->at + 1 < w->argc)
        return w->argv[++w->at];
    cli_misuse("%s needs a value", given);
    return NULL;
}

/* The command, if it stands before the flag that is being read; CMD_COUNT if not. */
static cli_cmd_id command_so_far(const cli_args *a)
{
    return a->n && a->operands[0].flag == OPT_COUNT ? cli_cmd_find(a->operands[0].text) : CMD_COUNT;
}

static int long_flag(walk *w, cli_args *a, const char *arg)
{
    const char *equals = strchr(arg, '=');
    flag f = { .given = arg, .name = arg + 2 };
    f.len = equals ? (size_t)(equals - f.name) : strlen(f.name);
    f.value = equals ? equals + 1 : NULL;
    cli_opt_id id = cli_option_find(f.name, f.len, command_so_far(a));
    if (id == OPT_COUNT)
        id = cli_option_find(f.name, f.len, CMD_COUNT);
    if (id == OPT_COUNT)
        return cli_misuse("unknown flag %s", arg);
    if (id == OPT_COLOR && !equals)
        f.value = "always"; /* the only flag whose value may be left out */
    else if (cli_option_has_value(id) && !equals && !(f.value = following(w, arg)))
        return CLI_EXIT_WRONG;
    if (cli_options[id].type == OPT_OPERAND)
        add_operand(a, f.value, id);
    add_flag(w, f);
    return 0;
}

/* -q, -vq, -n5, -n 5 */
static int letters(walk *w, const char *arg)
{
    for (const char *c = arg + 1; *c; c++) {
        cli_opt_id id = cli_option_letter(*c, CMD_COUNT);
        if (id == OPT_COUNT)
            return cli_misuse("unknown flag -%c in %s", *c, arg);
        flag f = { .given = arg, .letter = *c };
        if (cli_option_has_value(id)) {
            f.value = c[1] ? c + 1 : following(w, arg);
            add_flag(w, f);
            return f.value ? 0 : CLI_EXIT_WRONG;
        }
        add_flag(w, f);
    }
    return 0;
}

static int collect(walk *w, cli_args *a)
{
    int bad = 0, flags = 1;
    for (w->at = 1; !bad && w->at < w->argc; w->at++) {
        const char *arg = w->argv[w->at];
        if (flags && !strcmp(arg, "--")) {
            flags = 0;
            w->no_command = a->n == 0;
        } else if (flags && !strncmp(arg, "--", 2)) {
            bad = long_flag(w, a, arg);
        } else if (flags && arg[0] == '-' && arg[1] && strncmp(arg, "-id:", 4)) { /* -id:7 is a term */
            bad = letters(w, arg);
        } else {
            add_operand(a, arg, OPT_COUNT);
        }
    }
    return bad;
}

static void take_command(cli_args *a, const walk *w)
{
    a->cmd = CMD_SEARCH;
    if (w->no_command || (a->n && a->operands[0].flag != OPT_COUNT))
        return;
    cli_cmd_id id = a->n ? cli_cmd_find(a->operands[0].text) : CMD_COUNT;
    a->implied = id == CMD_COUNT;
    if (a->implied)
        return;
    a->cmd = id;
    memmove(a->operands, a->operands + 1, --a->n * sizeof *a->operands);
}

static int bind_flag(const flag *f, cli_cmd_id cmd)
{
    cli_opt_id id =
        f->name ? cli_option_find(f->name, f->len, cmd) : cli_option_letter(f->letter, cmd);
    if (id == OPT_COUNT)
        return cli_misuse("%s is not a flag of `ken %s`", f->given, cli_commands[cmd]->name);
    if (cli_options[id].type == OPT_OPERAND)
        return 0;
    char *origin = cli_mem_textf("--%s", cli_options[id].name);
    const char *why = cli_option_set(id, f->value ? f->value : "true", LAYER_FLAG, origin);
    cli_mem_free(origin);
    return why ? cli_misuse("--%s %s: %s%s", cli_options[id].name, f->value ? f->value : "",
                            why == cli_options[id].choices ? "expects one of " : "", why)
               : 0;
}

int cli_args_parse(cli_args *a, int argc, char **argv)
{
    walk w = { .argv = argv, .argc = argc };
    *a = (cli_args){ .cmd = CMD_COUNT };
    int bad = collect(&w, a);
    if (!bad) {
        take_command(a, &w);
        cli_say_command(cli_commands[a->cmd]->name);
    }
    for (size_t i = 0; !bad && i < w.n; i++)
        bad = bind_flag(&w.flags[i], a->cmd);
    cli_mem_free(w.flags);
    return bad;
}

void cli_args_free(cli_args *a)
{
    cli_mem_free(a->operands);
    *a = (cli_args){ 0 };
}
