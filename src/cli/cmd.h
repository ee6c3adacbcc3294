/* cmd.h - a command: one struct and one file, cmd_NAME.c.
 *
 * To add one: a kn_cmd_id in option.h, its struct here and in main.c's table, its flags in option.c,
 * and tests/cli/. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/option.h"
#include "cli/say.h"

#include <stddef.h>

/* An argument that is not a flag. */
typedef struct kn_operand {
    const char *text;
    kn_opt_id flag; /* OPT_COUNT, or the OPT_OPERAND it came with: --text STR */
} kn_operand;

typedef struct kn_args {
    kn_cmd_id cmd;
    kn_operand *operands; /* without the command's name; owned */
    size_t n, cap;
    int implied; /* no command was named: `ken QUERY` */
} kn_args;

typedef struct kn_cmd {
    const char *name;
    const char *args;     /* "QUERY..." for the usage line */
    const char *summary;  /* a line without a full stop */
    const char *about;    /* paragraphs, or NULL */
    const char *examples; /* lines "command\twhat it does\n" */
    int (*run)(const kn_args *a); /* returns the exit status */
} kn_cmd;

extern const kn_cmd kn_cmd_index, kn_cmd_search, kn_cmd_show, kn_cmd_rm, kn_cmd_stats, kn_cmd_check,
    kn_cmd_embed, kn_cmd_compare, kn_cmd_classify, kn_cmd_preprocess, kn_cmd_tokens, kn_cmd_models,
    kn_cmd_eval, kn_cmd_bench, kn_cmd_config, kn_cmd_doctor, kn_cmd_help, kn_cmd_version;

extern const kn_cmd *const kn_commands[CMD_COUNT];
/* CMD_COUNT if there is no such command. */
kn_cmd_id kn_cmd_find(const char *name);
/* A command that `word` may have meant, or CMD_COUNT.  *sure: two letters swapped, one missing or
 * doubled - a slip no word of a query is likely to be; otherwise only worth a hint. */
kn_cmd_id kn_cmd_like(const char *word, int *sure);

/* Sort argv into flags, which go to kn_option_set(), and operands; a->cmd is CMD_SEARCH where no
 * command is named.  0, or the exit status with the reason printed. */
int kn_args_parse(kn_args *a, int argc, char **argv);
void kn_args_free(kn_args *a);

void kn_help_program(void);
void kn_help_command(const kn_cmd *c, kn_cmd_id id);

#endif
