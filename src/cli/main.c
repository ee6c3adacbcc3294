/* main.c - the table of commands, signals, and the one way out. */
#include "cli/cmd.h"
#include "cli/out.h"
#include "ken.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

const cli_cmd *const cli_commands[CMD_COUNT] = {
    [CMD_INDEX] = &cli_cmd_index,       [CMD_BUILD] = &cli_cmd_build,
    [CMD_SEARCH] = &cli_cmd_search,
    [CMD_OBJECT] = &cli_cmd_object,     [CMD_RECOGNIZE] = &cli_cmd_recognize,
    [CMD_SHOW] = &cli_cmd_show,         [CMD_RM] = &cli_cmd_rm,
    [CMD_STORE] = &cli_cmd_store,
    [CMD_STATS] = &cli_cmd_stats,       [CMD_DUPS] = &cli_cmd_dups,
    [CMD_CHECK] = &cli_cmd_check,
    [CMD_EMBED] = &cli_cmd_embed,       [CMD_COMPARE] = &cli_cmd_compare,
    [CMD_EXPLAIN] = &cli_cmd_explain,
    [CMD_CLASSIFY] = &cli_cmd_classify, [CMD_PREPROCESS] = &cli_cmd_preprocess,
    [CMD_TOKENS] = &cli_cmd_tokens,     [CMD_MODELS] = &cli_cmd_models,
    [CMD_TRAIN] = &cli_cmd_train,
    [CMD_EVAL] = &cli_cmd_eval,         [CMD_ANN] = &cli_cmd_ann,
    [CMD_SERVE] = &cli_cmd_serve,       [CMD_BENCH] = &cli_cmd_bench,
    [CMD_CONFIG] = &cli_cmd_config,     [CMD_DOCTOR] = &cli_cmd_doctor,
    [CMD_HELP] = &cli_cmd_help,         [CMD_VERSION] = &cli_cmd_version,
};

cli_cmd_id cli_cmd_find(const char *name)
{
    int i = 0;
    while (i < CMD_COUNT && strcmp(cli_commands[i]->name, name))
        i++;
    return (cli_cmd_id)i;
}

/* The first Ctrl-C asks the library to stop; SA_RESETHAND leaves the second to the system. */
static void on_signal(int sig)
{
    (void)sig;
    ken_interrupt();
}

static void set_signals(void)
{
    struct sigaction stop = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    signal(SIGPIPE, SIG_DFL); /* even if our parent ignores it */
}

static void log_line(ken_log_level level, const char *line, void *cookie)
{
    (void)cookie;
    if (level <= KEN_LOG_WARN || cli_opt_on(OPT_VERBOSE))
        cli_note("%s", line);
}

static int misspelt(const char *word, cli_cmd_id meant)
{
    cli_say_command(NULL);
    return cli_misuse("no command %s; did you mean `ken %s`?  `ken search %s` looks for the word",
                      word, cli_commands[meant]->name, word);
}

static int run(const cli_args *a)
{
    const cli_cmd *cmd = cli_commands[a->cmd];
    if (cli_opt_on(OPT_HELP)) {
        if (a->implied && !a->n)
            cli_help_program(); /* `ken --help` */
        else
            cli_help_command(cmd, a->cmd);
        return 0;
    }
    if (cli_opt_on(OPT_VERSION))
        return cli_cmd_version.run(a);
    int sure = 0, bad = cli_settings_load(a->cmd);
    cli_cmd_id meant = a->implied && a->n ? cli_cmd_like(a->operands[0].text, &sure) : CMD_COUNT;
    if (!bad && meant != CMD_COUNT && sure)
        return misspelt(a->operands[0].text, meant);
    int code = bad ? bad : cmd->run(a);
    if (meant != CMD_COUNT && code && code != CLI_EXIT_WRONG && code != CLI_EXIT_INTERRUPTED)
        cli_note("did you mean the command `ken %s`?", cli_commands[meant]->name);
    return code;
}

int main(int argc, char **argv)
{
    cli_args a;
    if (argc < 2) {
        fputs("usage: ken COMMAND ..., or ken QUERY...; `ken help` lists the commands\n", stderr);
        return CLI_EXIT_WRONG;
    }
    set_signals();
    ken_set_logger(log_line, NULL);
    int code = cli_args_parse(&a, argc, argv);
    if (!code)
        code = run(&a);
    code = cli_out_close(code);
    cli_args_free(&a);
    cli_settings_free();
    return code;
}
