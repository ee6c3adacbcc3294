/* out.c - forms of output. */
#include "cli/out.h"

#include "cli/mem.h"
#include "cli/option.h"
#include "cli/progress.h"
#include "cli/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_out_is_terminal(void)
{
    static int known = -1;
    if (known < 0)
        known = isatty(STDOUT_FILENO);
    return known;
}

/* The form asked for by the strongest layer: --csv wins over `json: true` in a file. */
cli_mode cli_out_mode(void)
{
    static const struct {
        cli_opt_id id;
        cli_mode mode;
    } forms[] = { { OPT_JSON, OUT_JSON }, { OPT_JSONL, OUT_JSONL }, { OPT_CSV, OUT_CSV } };
    cli_mode mode = cli_out_is_terminal() ? OUT_TABLE : OUT_PLAIN;
    cli_layer layer = LAYER_NONE;
    for (size_t i = 0; i < 3; i++) {
        if (cli_opt_on(forms[i].id) && cli_opt_layer(forms[i].id) > layer) {
            layer = cli_opt_layer(forms[i].id);
            mode = forms[i].mode;
        }
    }
    return mode;
}

int cli_out_is_json(void)
{
    const cli_mode mode = cli_out_mode();
    return mode == OUT_JSON || mode == OUT_JSONL;
}

int cli_out_colors(void)
{
    const char *when = cli_opt(OPT_COLOR), *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (strcmp(when, "auto"))
        return !strcmp(when, "always");
    return cli_out_is_terminal() && !(no && *no) && term && strcmp(term, "dumb");
}

/* file://HOST/path, all but what an address may hold as %xx: hosts tell a terminal whose file it is. */
char *cli_link_to(const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    static const char hex[] = "0123456789ABCDEF";
    char host[256] = "";
    if (!cli_out_is_terminal() || !cli_out_colors() || *path != '/')
        return NULL;
    if (gethostname(host, sizeof host - 1) || host[strspn(host, plain)])
        host[0] = 0;
    char *name = cli_mem_new(3 * strlen(path) + 1, 1), *end = name;
    for (; *path; path++) {
        const unsigned c = (unsigned char)*path;
        *end++ = strchr(plain, *path) ? *path : '%';
        if (end[-1] == '%') {
            *end++ = hex[c >> 4];
            *end++ = hex[c & 15];
        }
    }
    char *link = cli_mem_textf("file://%s%s", host, name);
    cli_mem_free(name);
    return link;
}

void cli_link_print(const char *text, const char *link)
{
    if (link)
        printf("\033]8;;%s\033\\%s\033]8;;\033\\", link, text);
    else
        fputs(text, stdout);
}

int cli_out_close(int code)
{
    cli_progress_hide();
    int bad = ferror(stdout);
    errno = 0;
    if ((fflush(stdout) | fclose(stdout)) == 0 && !bad)
        return code;
    if (errno == EPIPE)
        return 128 + 13;
    return cli_error("standard output: %s", errno ? strerror(errno) : "write failed");
}

void cli_csv_put(FILE *f, const char *s, char after)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, f);
    } else {
        putc('"', f);
        for (; *s; s++) {
            if (*s == '"')
                putc('"', f);
            putc(*s, f);
        }
        putc('"', f);
    }
    putc(after, f);
}

void cli_csv_field(const char *s, char after)
{
    cli_csv_put(stdout, s, after);
}
