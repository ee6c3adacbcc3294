/* shell.c - reads lines, splits them, does what they say. */
#include "cli/shell.h"

#include "cli/line.h"
#include "cli/mem.h"
#include "cli/option.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    cli_opt_id id;
    const char *says;
} SETTINGS[] = { { "n", OPT_NUMBER, ":n 20              at most so many answers" },
                 { "where", OPT_WHERE, ":where ext=jpg     only pictures of which this holds" },
                 { "min", OPT_MIN_HIT, ":min auto          least score; auto: what has to do with it" },
                 { "group", OPT_GROUP, ":group near        of pictures that belong together the best alone" },
                 { "expand", OPT_EXPAND, ":expand prompts    add to the query" } };
enum { N_SETTINGS = sizeof SETTINGS / sizeof *SETTINGS };

int cli_shell_split(const char *line, char ***words, size_t *n)
{
    const size_t len = strlen(line);
    /* a word takes two bytes of the line at least, but for the last */
    *words = cli_mem_new((len / 2 + 2) * sizeof **words + len + 1, 1);
    char *to = (char *)(*words + len / 2 + 2), quote = 0;
    int inside = 0;
    *n = 0;
    for (const char *s = line; *s; s++) {
        if (!quote && (*s == ' ' || *s == '\t')) {
            if (inside)
                *to++ = 0;
            inside = 0;
            continue;
        }
        if (!inside)
            (*words)[(*n)++] = to;
        inside = 1;
        if (quote ? *s == quote : *s == '\'' || *s == '"')
            quote = quote ? 0 : *s;
        else if (*s == '\\' && s[1] && (quote ? quote == '"' && strchr("\"\\", s[1]) : 1))
            *to++ = *++s;
        else
            *to++ = *s;
    }
    *to = 0;
    return quote ? -1 : 0;
}

static void help(void)
{
    puts("A line is a query as `ken search` takes it: words, ./a.jpg, id:7, obj:NAME, + and - between.");
    for (size_t i = 0; i < N_SETTINGS; i++)
        puts(SETTINGS[i].says);
    puts("Without a value they show the one in force; :where - clears it.  :quit, or Ctrl-D, ends.");
}

static void set(cli_opt_id id, const char *value)
{
    const char *now = cli_opt(id);
    if (!*value) {
        printf("%s\n", now ? now : "-");
        return;
    }
    if (!strcmp(value, "-")) {
        cli_option_reset(id);
        return;
    }
    const char *why = cli_option_set(id, value, LAYER_FLAG, "the shell");
    if (why)
        cli_error("%s: %s%s", value, why == cli_options[id].choices ? "expects one of " : "", why);
}

/* 1: the end is asked for. */
static int command(char *line)
{
    char *value = line + strcspn(line, " \t");
    value += strspn(value, " \t");
    if (value > line && *value)
        value[-1] = 0;
    line[strcspn(line, " \t")] = 0;
    if (!strcmp(line, "quit") || !strcmp(line, "q"))
        return 1;
    if (!strcmp(line, "help") || !strcmp(line, "h") || !strcmp(line, "?")) {
        help();
        return 0;
    }
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (!strcmp(line, SETTINGS[i].name)) {
            set(SETTINGS[i].id, value);
            return 0;
        }
    cli_error("no :%s; :help says what there is", line);
    return 0;
}

int cli_shell(int (*ask)(const char *const *words, size_t n, void *cookie), void *cookie)
{
    cli_lines before = { 0 };
    int code = 0, over = 0;
    char *line;
    while (!over && (line = cli_line_read("ken> ", &before))) {
        char **words = NULL;
        size_t n = 0;
        const char *from = line + strspn(line, " \t");
        if (*from == ':')
            over = command(line + (from - line) + 1);
        else if (cli_shell_split(from, &words, &n))
            cli_error("a quote without an end");
        else if (n)
            code = ask((const char *const *)words, n, cookie);
        fflush(stdout);
        over |= code > CLI_EXIT_WRONG;
        cli_mem_free(words);
        cli_mem_free(line);
    }
    cli_lines_free(&before);
    return code > CLI_EXIT_WRONG ? code : 0;
}
