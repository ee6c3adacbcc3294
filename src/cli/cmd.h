/* cmd.h - a command: one struct and one file, cmd_NAME.c.
 *
 * To add one: a cli_cmd_id in option.h, its struct here and in main.c's table, its flags in
 * option.c, and a test in tests/cli/. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/option.h"
#include "cli/say.h"

#include <stddef.h>

/* An argument that is not a flag. */
typedef struct cli_operand {
    const char *text;
    cli_opt_id flag; /* OPT_COUNT, or the OPT_OPERAND it came with: --text STR */
} cli_operand;

typedef struct cli_args {
    cli_cmd_id cmd;
    cli_operand *operands; /* without the command's name; owned */
    size_t n, cap;
    int implied; /* no command was named: `ken QUERY` */
} cli_args;

typedef struct cli_cmd {
    const char *name;
    const char *args;              /* "QUERY..." for the usage line */
    const char *summary;           /* a line without a full stop */
    const char *about;             /* paragraphs, or NULL */
    const char *examples;          /* lines "command\twhat it does\n" */
    int (*run)(const cli_args *a); /* returns the exit status */
} cli_cmd;

extern const cli_cmd cli_cmd_index, cli_cmd_build, cli_cmd_search, cli_cmd_object, cli_cmd_recognize,
    cli_cmd_show, cli_cmd_rm, cli_cmd_stats, cli_cmd_store, cli_cmd_dups,
    cli_cmd_check, cli_cmd_embed, cli_cmd_compare, cli_cmd_explain, cli_cmd_classify, cli_cmd_preprocess,
    cli_cmd_tokens, cli_cmd_models, cli_cmd_train, cli_cmd_eval, cli_cmd_ann, cli_cmd_serve, cli_cmd_bench,
    cli_cmd_config, cli_cmd_doctor,
    cli_cmd_help, cli_cmd_version;

extern const cli_cmd *const cli_commands[CMD_COUNT];
/* CMD_COUNT if there is no such command. */
cli_cmd_id cli_cmd_find(const char *name);
/* A command that `word` may have meant, or CMD_COUNT.  *sure: two letters swapped, one missing or
 * doubled - a slip no word of a query is likely to be; otherwise only worth a hint. */
cli_cmd_id cli_cmd_like(const char *word, int *sure);

/* Sort argv into flags, which go to cli_option_set(), and operands; a->cmd is CMD_SEARCH where no
 * command is named.  0, or the exit status with the reason printed. */
int cli_args_parse(cli_args *a, int argc, char **argv);
void cli_args_free(cli_args *a);

void cli_help_program(void);
void cli_help_command(const cli_cmd *c, cli_cmd_id id);

#endif
