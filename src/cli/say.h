/* say.h - standard error and exit statuses: the one place that decides both. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "ken.h"

typedef enum kn_exit {
    KN_EXIT_OK = 0,
    KN_EXIT_NONE = 1,       /* nothing found, or below --min */
    KN_EXIT_WRONG = 2,      /* wrong use, or fatal */
    KN_EXIT_SOME = 3,       /* some inputs failed, each named */
    KN_EXIT_COLLECTION = 4, /* missing, locked, broken or from a newer ken */
    KN_EXIT_MODEL = 5,      /* missing, broken or of another kind */
    KN_EXIT_REMOTE = 6,
    KN_EXIT_INTERRUPTED = 130
} kn_exit;

/* What a failing call was about, which settles what its status means to a script. */
typedef enum kn_subject { ABOUT_INPUT, ABOUT_MODEL, ABOUT_COLLECTION } kn_subject;

int kn_exit_of(ken_status st, kn_subject about);

/* "ken: what: why", why being ken_last_error(), and the way out on a second line where there is
 * one.  Returns the exit status. */
int kn_complain(ken_status st, kn_subject about, const char *what);
/* "ken: …" and how to get help.  Returns KN_EXIT_WRONG. */
int kn_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "ken: …".  Returns KN_EXIT_WRONG. */
int kn_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "ken: …", but not with -q. */
void kn_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The command that kn_misuse() names; NULL before it is known. */
void kn_say_command(const char *name);

#endif
