/* out.c - forms of output. */
#include "cli/out.h"

#include "cli/option.h"
#include "cli/progress.h"
#include "cli/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kn_out_is_terminal(void)
{
    static int known = -1;
    if (known < 0)
        known = isatty(STDOUT_FILENO);
    return known;
}

/* The form asked for by the strongest layer: --csv wins over `json: true` in a file. */
kn_mode kn_out_mode(void)
{
    static const struct {
        kn_opt_id id;
        kn_mode mode;
    } forms[] = { { OPT_JSON, OUT_JSON }, { OPT_JSONL, OUT_JSONL }, { OPT_CSV, OUT_CSV } };
    kn_mode mode = kn_out_is_terminal() ? OUT_TABLE : OUT_PLAIN;
    kn_layer layer = LAYER_NONE;
    for (size_t i = 0; i < 3; i++) {
        if (kn_opt_on(forms[i].id) && kn_opt_layer(forms[i].id) > layer) {
            layer = kn_opt_layer(forms[i].id);
            mode = forms[i].mode;
        }
    }
    return mode;
}

int kn_out_colors(void)
{
    const char *when = kn_opt(OPT_COLOR), *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (strcmp(when, "auto"))
        return !strcmp(when, "always");
    return kn_out_is_terminal() && !(no && *no) && term && strcmp(term, "dumb");
}

int kn_out_close(int code)
{
    kn_progress_hide();
    int bad = ferror(stdout);
    errno = 0;
    if ((fflush(stdout) | fclose(stdout)) == 0 && !bad)
        return code;
    if (errno == EPIPE)
        return 128 + 13;
    return kn_error("standard output: %s", errno ? strerror(errno) : "write failed");
}

void kn_csv_field(const char *s, char after)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, stdout);
    } else {
        putchar('"');
        for (; *s; s++) {
            if (*s == '"')
                putchar('"');
            putchar(*s);
        }
        putchar('"');
    }
    putchar(after);
}
