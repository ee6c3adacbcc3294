/* glob.c - see glob.h. */
#include "base/glob.h"

#include <stddef.h>
#include <stdint.h>

/* Behind the character at s. */
static const char *next(const char *s)
{
    s++;
    while (((unsigned char)*s & 0xc0) == 0x80)
        s++;
    return s;
}

static uint32_t code_at(const char *s)
{
    uint32_t code = 0;
    for (const char *end = next(s); s < end; s++)
        code = code << 8 | (unsigned char)*s; /* the order of the bytes is that of the characters */
    return code;
}

/* Whether the character at text is in the set that begins behind '['; *end is behind its ']', or NULL if
 * there is none: then '[' is an ordinary character. */
static int in_set(const char *set, const char *text, const char **end)
{
    const int negated = *set == '!' || *set == '^';
    const uint32_t c = code_at(text);
    int found = 0;
    const char *s = set + negated;
    *end = NULL;
    for (int first = 1; *s && (*s != ']' || first); first = 0) {
        if (*s == '\\' && s[1])
            s++;
        const uint32_t low = code_at(s);
        uint32_t high = low;
        s = next(s);
        if (*s == '-' && s[1] && s[1] != ']') {
            high = code_at(s + 1);
            s = next(s + 1);
        }
        found |= low <= c && c <= high;
    }
    if (*s == ']')
        *end = s + 1;
    return found != negated;
}

/* One character of text against one item of the pattern: behind the item, or NULL. */
static const char *step(const char *p, const char *text)
{
    const char *end;
    if (*p == '?')
        return p + 1;
    if (*p == '[') {
        const int in = in_set(p + 1, text, &end);
        if (end)
            return in ? end : NULL;
    }
    if (*p == '\\' && p[1])
        p++;
    return *p && code_at(p) == code_at(text) ? next(p) : NULL;
}

int kn_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        const char *on;
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if ((on = step(pattern, text))) {
            pattern = on;
            text = next(text);
        } else if (star) {
            pattern = star;
            text = retry = next(retry);
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
