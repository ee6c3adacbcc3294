/* say.h - standard error and exit statuses: the one place that decides both. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "ken.h"

typedef enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_NONE = 1,       /* nothing found, or below --min */
    CLI_EXIT_WRONG = 2,      /* wrong use, or fatal */
    CLI_EXIT_SOME = 3,       /* some inputs failed, each named */
    CLI_EXIT_COLLECTION = 4, /* missing, locked, broken or from a newer ken */
    CLI_EXIT_MODEL = 5,      /* missing, broken or of another kind */
    CLI_EXIT_REMOTE = 6,
    CLI_EXIT_INTERRUPTED = 130
} cli_exit;

/* What a failing call was about, which settles what its status means to a script. */
typedef enum cli_subject { ABOUT_INPUT, ABOUT_MODEL, ABOUT_COLLECTION } cli_subject;

int cli_exit_of(ken_status st, cli_subject about);

/* "ken: what: why", why being ken_last_error(), and the way out on a second line where there is
 * one.  Returns the exit status. */
int cli_complain(ken_status st, cli_subject about, const char *what);
/* "ken: what: why", or "ken: why" where why names it already: an input that failed, while the
 * work goes on. */
void cli_tell(const char *what, const char *why);
/* "ken: …" and how to get help.  Returns CLI_EXIT_WRONG. */
int cli_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "ken: …".  Returns CLI_EXIT_WRONG. */
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "ken: …", but not with -q. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The command that cli_misuse() names; NULL before it is known. */
void cli_say_command(const char *name);

#endif
