/* pickle_constants.c - operands, and the opcodes that push what they hold. */
#include "tools/convert/pickle_machine.h"

#include <string.h>

/* ---- operands ---- */

static ken_status take(machine *m, size_t n, const unsigned char **out)
{
    if (n > m->len - m->at)
        return cv_pickle_bad(m, "cut off");
    *out = m->bytes + m->at;
    m->at += n;
    return KEN_OK;
}

ken_status cv_pickle_take_number(machine *m, size_t bytes, uint64_t *out)
{
    const unsigned char *p = NULL;
    ken_status st = take(m, bytes, &p);
    *out = 0;
    for (size_t i = bytes; !st && i-- > 0;)
        *out = *out << 8 | p[i];
    return st;
}

ken_status cv_pickle_take_line(machine *m, const char **line, size_t *n)
{
    const size_t room = m->len - m->at < CV_PICKLE_LINE ? m->len - m->at : CV_PICKLE_LINE;
    const char *p = (const char *)m->bytes + m->at, *end = memchr(p, '\n', room);
    if (!end)
        return cv_pickle_bad(m, "a line without end");
    *line = p;
    *n = (size_t)(end - p);
    m->at += *n + 1;
    return KEN_OK;
}

/* ---- constants ---- */

ken_status cv_op_none(machine *m)
{
    return cv_pickle_push(m, 0);
}

ken_status cv_op_true(machine *m)
{
    return cv_pickle_push_new(m, (cv_node){ .kind = CV_BOOL, .u.i = 1 });
}

ken_status cv_op_false(machine *m)
{
    return cv_pickle_push_new(m, (cv_node){ .kind = CV_BOOL, .u.i = 0 });
}

static ken_status push_int(machine *m, int64_t v)
{
    return cv_pickle_push_new(m, (cv_node){ .kind = CV_INT, .u.i = v });
}

ken_status cv_op_binint(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 4, &v);
    return st ? st : push_int(m, (int32_t)(uint32_t)v);
}

ken_status cv_op_binint1(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 1, &v);
    return st ? st : push_int(m, (int64_t)v);
}

ken_status cv_op_binint2(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 2, &v);
    return st ? st : push_int(m, (int64_t)v);
}

static ken_status push_long(machine *m, uint64_t bytes)
{
    const unsigned char *p = NULL;
    ken_status st = bytes > m->len ? cv_pickle_bad(m, "cut off") : take(m, (size_t)bytes, &p);
    if (st)
        return st;
    if (bytes > 8)
        return cv_pickle_push_new(m, (cv_node){ .kind = CV_LONG });
    uint64_t v = bytes && (p[bytes - 1] & 0x80) ? UINT64_MAX : 0; /* the sign goes on */
    for (size_t i = (size_t)bytes; i-- > 0;)
        v = v << 8 | p[i];
    return push_int(m, (int64_t)v);
}

ken_status cv_op_long1(machine *m)
{
    uint64_t n;
    ken_status st = cv_pickle_take_number(m, 1, &n);
    return st ? st : push_long(m, n);
}

ken_status cv_op_long4(machine *m)
{
    uint64_t n;
    ken_status st = cv_pickle_take_number(m, 4, &n);
    return st ? st : push_long(m, n);
}

/* Decimal; I's "00" and "01" are the booleans of old. */
ken_status cv_op_int(machine *m)
{
    const char *s = NULL;
    size_t n = 0, i = 0;
    int64_t v = 0;
    ken_status st = cv_pickle_take_line(m, &s, &n);
    if (st)
        return st;
    if (n && s[n - 1] == 'L')
        n--;
    const int negative = n && s[0] == '-';
    for (i = (size_t)negative; i < n && s[i] >= '0' && s[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s[i] - '0', &v))
            return cv_pickle_push_new(m, (cv_node){ .kind = CV_LONG });
    if (i != n || i == (size_t)negative)
        return cv_pickle_bad(m, "not a number");
    return push_int(m, negative ? -v : v);
}

ken_status cv_op_float(machine *m)
{
    const char *s = NULL;
    size_t n = 0;
    ken_status st = cv_pickle_take_line(m, &s, &n);
    return st ? st : cv_pickle_push_new(m, (cv_node){ .kind = CV_FLOAT });
}

ken_status cv_op_binfloat(machine *m)
{
    uint64_t v;
    ken_status st = cv_pickle_take_number(m, 8, &v);
    return st ? st : cv_pickle_push_new(m, (cv_node){ .kind = CV_FLOAT });
}

/* ---- text ---- */

static ken_status push_text(machine *m, const char *s, size_t n)
{
    return cv_pickle_push_new(m, (cv_node){ .kind = CV_TEXT, .u.text = { s, n } });
}

static ken_status counted_text(machine *m, size_t bytes)
{
    uint64_t n;
    const unsigned char *p = NULL;
    ken_status st = cv_pickle_take_number(m, bytes, &n);
    if (!st)
        st = n > m->len ? cv_pickle_bad(m, "cut off") : take(m, (size_t)n, &p);
    return st ? st : push_text(m, (const char *)p, (size_t)n);
}

ken_status cv_op_text1(machine *m)
{
    return counted_text(m, 1);
}

ken_status cv_op_text4(machine *m)
{
    return counted_text(m, 4);
}

ken_status cv_op_text8(machine *m)
{
    return counted_text(m, 8);
}

ken_status cv_op_unicode(machine *m)
{
    const char *s = NULL;
    size_t n = 0;
    ken_status st = cv_pickle_take_line(m, &s, &n);
    return st ? st : push_text(m, s, n);
}

/* Between quotes; escapes stay as they are: no name that we look for has one. */
ken_status cv_op_string(machine *m)
{
    const char *s = NULL;
    size_t n = 0;
    ken_status st = cv_pickle_take_line(m, &s, &n);
    if (st)
        return st;
    if (n < 2 || (s[0] != '\'' && s[0] != '"') || s[n - 1] != s[0])
        return cv_pickle_bad(m, "a string without quotes");
    return push_text(m, s + 1, n - 2);
}
