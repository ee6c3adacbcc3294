/* say.c - errors in one voice. */
#include "cli/say.h"

#include "cli/option.h"
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *command;

void cli_say_command(const char *name)
{
    command = name;
}

int cli_exit_of(ken_status st, cli_subject about)
{
    switch (st) {
    case KEN_OK:
        return CLI_EXIT_OK;
    case KEN_E_CANCELED:
        return CLI_EXIT_INTERRUPTED;
    case KEN_E_NET:
        return CLI_EXIT_REMOTE;
    case KEN_E_MODEL:
        return CLI_EXIT_MODEL;
    case KEN_E_BUSY:
        return CLI_EXIT_COLLECTION;
    case KEN_E_NOMEM:
    case KEN_E_INVALID:
    case KEN_E_DEVICE:
        return CLI_EXIT_WRONG;
    default:
        break;
    }
    return about == ABOUT_MODEL        ? CLI_EXIT_MODEL
           : about == ABOUT_COLLECTION ? CLI_EXIT_COLLECTION
                                       : CLI_EXIT_WRONG;
}

static void line(const char *fmt, va_list ap)
{
    cli_progress_hide();
    fputs("ken: ", stderr);
    vfprintf(stderr, fmt, ap);
    putc('\n', stderr);
}

/* What the user can do about it; NULL where nothing general can be said. */
static const char *way_out(ken_status st, cli_subject about)
{
    if (about == ABOUT_COLLECTION && st == KEN_E_NOTFOUND)
        return "`ken index FOLDER` makes a collection; --db DIR names another";
    if (about == ABOUT_COLLECTION && st == KEN_E_MODEL)
        return "`ken models` lists what is here; `ken index --re-embed --model NAME` encodes "
               "the collection with another one";
    if (about == ABOUT_COLLECTION && st == KEN_E_BUSY)
        return "wait longer with --wait SECONDS";
    if (about == ABOUT_COLLECTION && st == KEN_E_CORRUPT)
        return "`ken check` lists what is broken";
    if (about == ABOUT_MODEL && (st == KEN_E_MODEL || st == KEN_E_NOTFOUND))
        return "`ken models` lists what is here; `ken-convert` makes a model from a checkpoint";
    if (st == KEN_E_VERSION)
        return "a newer ken wrote this";
    return NULL;
}

void cli_tell(const char *what, const char *why)
{
    cli_progress_hide();
    if (!what || strstr(why, what))
        fprintf(stderr, "ken: %s\n", why);
    else
        fprintf(stderr, "ken: %s: %s\n", what, why);
}

int cli_complain(ken_status st, cli_subject about, const char *what)
{
    const char *way = way_out(st, about);
    if (st == KEN_E_CANCELED)
        return CLI_EXIT_INTERRUPTED;
    cli_tell(what, ken_last_error());
    if (way)
        fprintf(stderr, "     %s\n", way);
    return cli_exit_of(st, about);
}

int cli_misuse(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    if (command)
        fprintf(stderr, "     try `ken %s --help`\n", command);
    else
        fputs("     try `ken help`\n", stderr);
    return CLI_EXIT_WRONG;
}

int cli_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    return CLI_EXIT_WRONG;
}

void cli_note(const char *fmt, ...)
{
    va_list ap;
    if (cli_opt_on(OPT_QUIET))
        return;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
}
