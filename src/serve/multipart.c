/*
 * multipart.c - a form that lies in memory whole, cut up.
 *
 *     --BOUNDARY CRLF headers CRLF CRLF bytes CRLF --BOUNDARY … --BOUNDARY-- anything
 */
#include "serve/multipart.h"

#include "base/error.h"

#include <string.h>
#include <strings.h>

enum { MAX_BOUNDARY = 70 };

typedef struct cursor {
    const char *at, *end;
    char mark[MAX_BOUNDARY + 5]; /* CRLF, "--", the boundary */
    size_t mark_len;
} cursor;

/* `name` of "…; name=value; …", quoted or not, into out; its length, or -1 if it is missing, too long
 * or not plain. */
static long parameter(const char *s, const char *end, const char *name, char *out, size_t room)
{
    const size_t len = strlen(name);
    for (; s < end; s++) {
        if (*s == '"') { /* a quoted value is skipped: what looks like a name in it is none */
            for (s++; s < end && *s != '"'; s++)
                s += *s == '\\';
            continue;
        }
        if (*s != ';')
            continue;
        while (s + 1 < end && (s[1] == ' ' || s[1] == '\t'))
            s++;
        if ((size_t)(end - s) <= len + 1 || strncasecmp(s + 1, name, len) || s[1 + len] != '=')
            continue;
        s += len + 2;
        const int quoted = s < end && *s == '"';
        const char stop = quoted ? '"' : ';';
        size_t n = 0;
        for (s += quoted; s < end && *s != stop && (quoted || *s != ' '); s++) {
            if (n + 1 >= room || *s == '\\' || (unsigned char)*s < ' ')
                return -1;
            out[n++] = *s;
        }
        out[n] = 0;
        return quoted && s == end ? -1 : (long)n;
    }
    return -1;
}

static ken_status read_boundary(cursor *c, const char *type)
{
    static const char kind[] = "multipart/form-data";
    char boundary[MAX_BOUNDARY + 1];
    if (strncasecmp(type, kind, sizeof kind - 1))
        return kn_fail(KEN_E_FORMAT, "not multipart/form-data");
    const long n = parameter(type, type + strlen(type), "boundary", boundary, sizeof boundary);
    if (n < 1)
        return kn_fail(KEN_E_FORMAT, "the form has no boundary of 1 to %d characters", MAX_BOUNDARY);
    memcpy(c->mark, "\r\n--", 4);
    memcpy(c->mark + 4, boundary, (size_t)n + 1);
    c->mark_len = 4 + (size_t)n;
    return KEN_OK;
}

/* One header line of a part.  Only Content-Disposition says something that we need. */
static ken_status read_header(kn_part *p, const char *line, const char *end, int *named)
{
    static const char disposition[] = "Content-Disposition:";
    if ((size_t)(end - line) < sizeof disposition || strncasecmp(line, disposition, sizeof disposition - 1))
        return KEN_OK;
    line += sizeof disposition - 1;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (end - line < 9 || strncasecmp(line, "form-data", 9))
        return kn_fail(KEN_E_FORMAT, "a part that is not form-data");
    *named = parameter(line, end, "name", p->name, sizeof p->name) > 0;
    return KEN_OK;
}

static ken_status read_headers(cursor *c, kn_part *p)
{
    int named = 0;
    ken_status st = KEN_OK;
    while (!st) {
        const char *line = c->at;
        const char *end = memmem(line, (size_t)(c->end - line), "\r\n", 2);
        if (!end)
            return kn_fail(KEN_E_FORMAT, "a part ends in its headers");
        c->at = end + 2;
        if (end == line)
            break;
        st = read_header(p, line, end, &named);
    }
    if (!st && !named)
        st = kn_fail(KEN_E_FORMAT, "a part without a name of 1 to %d characters", KN_PART_NAME - 1);
    return st;
}

/* Behind a boundary: 1 if a part follows, 0 at the end of the form. */
static ken_status read_delimiter(cursor *c, int *more)
{
    const size_t left = (size_t)(c->end - c->at);
    if (left >= 2 && !memcmp(c->at, "--", 2)) {
        *more = 0;
        return KEN_OK;
    }
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
    if (c->end - c->at < 2 || memcmp(c->at, "\r\n", 2))
        return kn_fail(KEN_E_FORMAT, "a boundary without an end of line");
    c->at += 2;
    *more = 1;
    return KEN_OK;
}

static ken_status read_part(cursor *c, kn_part *p)
{
    ken_status st = read_headers(c, p);
    if (st)
        return st;
    /* an empty part's end may be the line end that its headers end with */
    const char *from = c->at - 2;
    const char *mark = memmem(from, (size_t)(c->end - from), c->mark, c->mark_len);
    if (!mark)
        return kn_fail(KEN_E_FORMAT, "part %s has no end", p->name);
    p->bytes = c->at;
    p->len = mark > c->at ? (size_t)(mark - c->at) : 0;
    c->at = mark + c->mark_len;
    return KEN_OK;
}

ken_status kn_form_parse(kn_form *out, const char *type, const char *body, size_t len)
{
    cursor c = { .at = body, .end = body + len };
    int more = 1;
    out->n = 0;
    ken_status st = read_boundary(&c, type);
    if (st)
        return st;
    /* the first boundary may begin the body, without a line end before it */
    const char *first = len ? memmem(body, len, c.mark, c.mark_len) : NULL;
    if (len >= c.mark_len - 2 && !memcmp(body, c.mark + 2, c.mark_len - 2))
        c.at = body + c.mark_len - 2;
    else if (first)
        c.at = first + c.mark_len;
    else
        return kn_fail(KEN_E_FORMAT, "the form's boundary is nowhere in the body");
    st = read_delimiter(&c, &more);
    while (!st && more) {
        if (out->n == KN_FORM_PARTS)
            return kn_fail(KEN_E_LIMIT, "more than %d parts", KN_FORM_PARTS);
        kn_part *p = &out->parts[out->n];
        *p = (kn_part){ .bytes = body };
        st = read_part(&c, p);
        out->n += !st;
        if (!st)
            st = read_delimiter(&c, &more);
    }
    return st;
}

const kn_part *kn_form_part(const kn_form *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->parts[i].name, name))
            return &f->parts[i];
    return NULL;
}
