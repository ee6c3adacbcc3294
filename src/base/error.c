/*
 * error.c - one message per thread.
 *
 * A fixed buffer, not a heap string: reporting must work when memory is gone,
 * and there is nothing to free at thread exit.  Long messages are cut.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE = 1024, DOING = 512 };

static _Thread_local char message[MESSAGE] = "no error";

ken_status kn_fail(ken_status st, const char *fmt, ...)
{
    char text[MESSAGE]; /* an argument may be the old message itself */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(message, text, sizeof message);
    return st;
}

ken_status kn_fail_in(ken_status st, const char *fmt, ...)
{
    char cause[MESSAGE];
    char doing[DOING];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(doing, sizeof doing, fmt, ap);
    va_end(ap);
    memcpy(cause, message, sizeof cause);
    snprintf(message, sizeof message, "%s: %.*s", doing, MESSAGE - DOING - 3, cause);
    return st;
}

ken_status kn_fail_errno(int err)
{
    ken_status st = KEN_E_IO;
    if (err == ENOENT || err == ENOTDIR)
        st = KEN_E_NOTFOUND;
    else if (err == ENOMEM)
        st = KEN_E_NOMEM;
    return kn_fail(st, "%s", strerror(err));
}

ken_status ken_fail(ken_status st, const char *why)
{
    return kn_fail(st, "%s", why);
}

const char *ken_last_error(void)
{
    return message;
}

const char *ken_status_name(ken_status st)
{
    static const char *const names[] = {
        "KEN_OK",       "KEN_E_NOMEM",  "KEN_E_INVALID", "KEN_E_IO",      "KEN_E_NOTFOUND",
        "KEN_E_EXISTS", "KEN_E_FORMAT", "KEN_E_CORRUPT", "KEN_E_VERSION", "KEN_E_UNSUPPORTED",
        "KEN_E_LIMIT",  "KEN_E_BUSY",   "KEN_E_NET",     "KEN_E_DEVICE",  "KEN_E_CANCELED",
        "KEN_E_MODEL",
    };
    size_t n = sizeof names / sizeof *names;
    return (size_t)st < n ? names[st] : "KEN_E_UNKNOWN";
}
