/*
 * entity.c - HTML's character references.
 *
 * Two readings.  Python's html.unescape follows the HTML standard: old names also count without
 * their semicolon and as the beginning of a longer name.  ftfy's wants the semicolon, knows some
 * names in capitals too, and leaves a reference to the semicolon alone.
 *
 * What a reference stands for is never longer than itself, so both work in place.
 */
#include "text/clean.h"

#include <string.h>

#include "text/entities.inc"

enum { REPLACEMENT = 0xfffd, WITH_SEMICOLON = 1, WITHOUT = 2, CAPITALS = 4, NONE = -1 };

static int is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(uint32_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* ---- names ---- */

/* Place in the table of a name known in one of the ways of `kinds`. */
static int find(const char *name, size_t n, unsigned kinds)
{
    int low = 0, high = ENTITIES;
    while (low < high) {
        int mid = (low + high) / 2;
        size_t len = entity_start[mid + 1] - entity_start[mid];
        int d = memcmp(entity_names + entity_start[mid], name, len < n ? len : n);
        if (!d && len == n)
            return entity_value[mid] >> 21 & kinds ? mid : NONE;
        if (d < 0 || (!d && len < n))
            low = mid + 1;
        else
            high = mid;
    }
    return NONE;
}

static size_t put_entity(uint32_t *to, int entity)
{
    enum {
        MORE = 1 << 24,
        FIRST = (1 << 21) - 1,
        RESTS = sizeof entity_rests / sizeof *entity_rests
    };
    size_t n = 1, i = 0;
    to[0] = entity_value[entity] & FIRST;
    if (!(entity_value[entity] & MORE))
        return 1;
    while (i < RESTS - 1 && entity_rests[i].entity != entity)
        i++;
    for (size_t k = 0; k < 2 && entity_rests[i].rest[k]; k++)
        to[n++] = entity_rests[i].rest[k];
    return n;
}

/* ---- numbers ---- */

/* Digits at c (n), decimal or after an x hexadecimal; how many characters they take, 0: none. */
static size_t read_number(const uint32_t *c, size_t n, uint32_t *value)
{
    unsigned base = n && (c[0] | 32) == 'x' ? 16 : 10;
    size_t first = base == 16, i = first;
    *value = 0;
    for (; i < n; i++) {
        uint32_t d = is_digit(c[i]) ? c[i] - '0' : is_letter(c[i]) ? (c[i] | 32) - 'a' + 10 : base;
        if (d >= base)
            break;
        *value = *value * base + d;
        if (*value > 0x110000)
            *value = 0x110000;
    }
    return i > first ? i : 0;
}

static size_t put_number(uint32_t *to, uint32_t v)
{
    if (v >= 0x80 && v < 0xa0)
        v = charref_80[v - 0x80];
    else if (v == 0 || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
        v = REPLACEMENT;
    else if (v < 9 || v == 0x0b || (v > 0x0d && v < 0x20) || v == 0x7f ||
             (v >= 0xfdd0 && v < 0xfdf0) || (v & 0xfffe) == 0xfffe)
        return 0;
    to[0] = v;
    return 1;
}

/* ---- html.unescape ---- */

/* As characters up to ENTITY_LONGEST + 1 of them; what is no ASCII is in no name. */
static size_t read_name(char name[32], const uint32_t *c, size_t n)
{
    size_t i = 0;
    for (; i < 32 && i < n; i++) {
        if (c[i] == '\t' || c[i] == '\n' || c[i] == '\f' || c[i] == ' ' || c[i] == '<' ||
            c[i] == '&' || c[i] == '#' || c[i] == ';')
            break;
        name[i] = c[i] < 0x80 ? (char)c[i] : '?';
    }
    return i;
}

/* The reference at c[0] == '&': characters it takes, 0 if it is none; *put what it became. */
static size_t reference(const uint32_t *c, size_t n, uint32_t *to, size_t *put)
{
    char name[32];
    uint32_t value;
    if (n > 2 && c[1] == '#') {
        size_t digits = read_number(c + 2, n - 2, &value);
        if (!digits)
            return 0;
        size_t end = 2 + digits;
        end += end < n && c[end] == ';';
        *put = put_number(to, value);
        return end;
    }
    size_t len = read_name(name, c + 1, n - 1), end = 1 + len;
    int semicolon = end < n && c[end] == ';';
    int entity = find(name, len, semicolon ? WITH_SEMICOLON : WITHOUT);
    if (entity != NONE)
        end += (size_t)semicolon;
    for (size_t k = len; entity == NONE && k > 1; k--)
        if ((entity = find(name, k, WITHOUT)) != NONE)
            end = 1 + k;
    if (entity == NONE)
        return 0;
    *put = put_entity(to, entity);
    return end;
}

void kn_unescape(kn_points *p)
{
    size_t to = 0, put = 0;
    for (size_t i = 0; i < p->len;) {
        uint32_t out[3];
        size_t took = p->at[i] == '&' ? reference(p->at + i, p->len - i, out, &put) : 0;
        if (took) {
            memcpy(p->at + to, out, put * sizeof(*out));
            to += put;
            i += took;
        } else {
            p->at[to++] = p->at[i++];
        }
    }
    p->len = to;
}

/* ---- ftfy ---- */

/* As reference(), in ftfy's way. */
static size_t careful(const uint32_t *c, size_t n, uint32_t *to, size_t *put)
{
    enum { LONGEST = 24 };
    char name[LONGEST];
    uint32_t value;
    size_t number = n > 1 && c[1] == '#', len = 0;
    const uint32_t *s = c + 1 + number;
    for (n -= 1 + number; len < n && len < LONGEST && (is_digit(s[len]) || is_letter(s[len]));
         len++)
        name[len] = (char)s[len];
    if (!len || len == n || s[len] != ';')
        return 0;
    if (number) {
        if (read_number(s, len, &value) != len || value == ';')
            return 0;
        *put = put_number(to, value);
    } else {
        int entity = find(name, len, WITH_SEMICOLON | CAPITALS);
        if (entity == NONE)
            return 0;
        *put = put_entity(to, entity);
    }
    return 1 + number + len + 1;
}

void kn_unescape_careful(kn_points *p)
{
    size_t to = 0, put = 0;
    for (size_t i = 0; i < p->len;) {
        uint32_t out[3];
        size_t took = p->at[i] == '&' ? careful(p->at + i, p->len - i, out, &put) : 0;
        if (took) {
            memcpy(p->at + to, out, put * sizeof(*out));
            to += put;
            i += took;
        } else {
            p->at[to++] = p->at[i++];
        }
    }
    p->len = to;
}
