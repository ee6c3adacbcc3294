/* time_span.c - times as people write them: a year, a month, a day or a second is a span. */
#include "engine/where.h"

#include <string.h>
#include <time.h>

typedef struct moment {
    int part[6]; /* year, month 1.., day 1.., hour, minute, second */
    int n;       /* that were written */
    int has_zone;
    int64_t zone; /* seconds east */
} moment;

/* Exactly `digits` of them. */
static int number(const char **s, int digits, int *out)
{
    int value = 0;
    for (int i = 0; i < digits; i++, ++*s) {
        if (**s < '0' || **s > '9')
            return 0;
        value = value * 10 + (**s - '0');
    }
    *out = value;
    return 1;
}

static int read_zone(const char **s, moment *m)
{
    int hours, minutes;
    if (**s == 'Z' || **s == 'z') {
        ++*s;
        m->has_zone = 1;
        return 1;
    }
    if (**s != '+' && **s != '-')
        return 1;
    const int sign = **s == '-' ? -1 : 1;
    ++*s;
    if (!number(s, 2, &hours))
        return 0;
    *s += **s == ':';
    if (!number(s, 2, &minutes) || hours > 14 || minutes > 59)
        return 0;
    m->has_zone = 1;
    m->zone = sign * (hours * 3600 + minutes * 60);
    return 1;
}

static int read_moment(const char *s, moment *m)
{
    static const char *const before[6] = { "", "-", "-", "T ", ":", ":" };
    static const int most[6] = { 2261, 12, 31, 23, 59, 59 }, least[6] = { 1678, 1, 1, 0, 0, 0 };
    *m = (moment){ .part = { 0, 1, 1, 0, 0, 0 } };
    for (; m->n < 6; m->n++) {
        if (m->n && (!*s || !strchr(before[m->n], *s)))
            break;
        s += m->n > 0;
        if (!number(&s, m->n ? 2 : 4, &m->part[m->n]))
            return 0;
        if (m->part[m->n] > most[m->n] || m->part[m->n] < least[m->n])
            return 0;
    }
    if (m->n == 6 && *s == '.') /* parts of a second count for nothing */
        for (s++; *s >= '0' && *s <= '9';)
            s++;
    if (m->n == 4 || (m->n > 3 && !read_zone(&s, m)))
        return 0;
    return !*s;
}

/* Days since 1970 of the civil calendar (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days(int64_t y, int64_t month, int64_t day)
{
    y -= month <= 2;
    const int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400,
                  of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(const moment *m)
{
    const int *p = m->part;
    if (!m->has_zone) {
        struct tm tm = { .tm_year = p[0] - 1900, .tm_mon = p[1] - 1, .tm_mday = p[2], .tm_hour = p[3],
                         .tm_min = p[4],         .tm_sec = p[5],     .tm_isdst = -1 };
        return (int64_t)mktime(&tm);
    }
    return days(p[0] + (p[1] - 1) / 12, (p[1] - 1) % 12 + 1, p[2]) * 86400 + p[3] * 3600 + p[4] * 60 + p[5]
           - m->zone;
}

int kn_time_span(const char *text, int64_t *from, int64_t *to)
{
    static const int length[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    moment m;
    if (!read_moment(text, &m) || m.part[2] > length[m.part[1] - 1])
        return 0;
    *from = seconds_of(&m) * 1000000000;
    m.part[m.n - 1]++; /* the month 13 and the like are understood */
    *to = seconds_of(&m) * 1000000000;
    return *to > *from;
}
