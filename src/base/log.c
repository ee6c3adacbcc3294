/* log.c - format a line and hand it over. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static ken_log_fn logger;
static void *logger_cookie;

void ken_set_logger(ken_log_fn fn, void *cookie)
{
    logger = fn;
    logger_cookie = cookie;
}

void kn_log(ken_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    if (!logger)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    logger(level, line, logger_cookie);
}
