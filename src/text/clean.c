/*
 * clean.c - openai/CLIP's basic_clean, whitespace_clean and lower(), on code points.
 *
 * ftfy.fix_text (version 6, default settings) works line by line and repeats its steps on a line until
 * nothing changes; its fix_encoding, which guesses at text decoded with the wrong table, is left out.
 * html.unescape (Python) follows, twice.  Facts from the two sources; every step is one pass.
 */
#include "text/clean.h"

#include "base/error.h"

#include <string.h>

enum { NAME = 32, REPEATS = 64 };

typedef ken_status step_fn(kn_points *out, const kn_points *in, size_t *i);

/* out = every character of p through fn, which reads from in->at[*i] on and moves *i. */
static ken_status pass(kn_points *p, step_fn *fn)
{
    kn_points out = { 0 };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < p->len;)
        st = fn(&out, p, &i);
    if (st) {
        kn_points_release(&out);
        return st;
    }
    kn_points_release(p);
    *p = out;
    return KEN_OK;
}


static ken_status add_three(kn_points *out, const uint32_t text[3])
{
    ken_status st = KEN_OK;
    for (int i = 0; !st && i < 3 && text[i]; i++)
        st = kn_points_add(out, text[i]);
    return st;
}

static int is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int is_ascii_letter(uint32_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static int hex_digit(uint32_t c)
{
    if (is_digit(c))
        return (int)(c - '0');
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (int)((c | 32) - 'a') + 10 : -1;
}

/* The number behind "&#" at in->at[*j]; moves *j behind its last digit.  0 digits: no number. */
static size_t number_at(const kn_points *in, size_t *j, uint64_t *value)
{
    const int hex = *j < in->len && (in->at[*j] | 32) == 'x';
    size_t k = *j + (size_t)hex, digits = 0;
    uint64_t v = 0;
    for (; k < in->len; k++, digits++) {
        const int d = hex ? hex_digit(in->at[k]) : is_digit(in->at[k]) ? (int)(in->at[k] - '0') : -1;
        if (d < 0)
            break;
        v = v * (hex ? 16 : 10) + (uint64_t)d;
        v = v > 0x110000 ? 0x110000 : v; /* beyond Unicode stays beyond */
    }
    if (digits) {
        *j = k;
        *value = v;
    }
    return digits;
}

/* ---- ftfy ---- */

/* An entity as ftfy takes it: & # letters and digits, 1 .. 24 of them, and the semicolon. */
static ken_status unescape_strict(kn_points *out, const kn_points *in, size_t *i)
{
    const uint32_t c = in->at[*i];
    size_t j = *i + 1, n = 0;
    char name[NAME];
    uint32_t text[3];
    uint64_t value;
    const int number = c == '&' && j < in->len && in->at[j] == '#';
    j += (size_t)number;
    size_t digits = j;
    for (; c == '&' && j + n < in->len && n < 24 && (is_digit(in->at[j + n]) || is_ascii_letter(in->at[j + n])); n++)
        name[n] = (char)in->at[j + n];
    if (n && j + n < in->len && in->at[j + n] == ';') {
        name[n] = ';';
        if (number && number_at(in, &digits, &value) && digits == j + n) {
            *i = j + n + 1;
            const uint32_t one = kn_entity_number(value);
            return one ? kn_points_add(out, one) : KEN_OK;
        }
        if (!number && kn_entity(name, n + 1, text, 1)) {
            *i = j + n + 1;
            return add_three(out, text);
        }
    }
    ++*i;
    return kn_points_add(out, c);
}

static ken_status c1_control(kn_points *out, const kn_points *in, size_t *i)
{
    const uint32_t c = in->at[(*i)++];
    return kn_points_add(out, c >= 0x80 && c <= 0x9f ? kn_windows1252(c) : c);
}

static ken_status ligature(kn_points *out, const kn_points *in, size_t *i)
{
    static const struct {
        uint32_t c, text[3];
    } table[] = {
        { 0x132, { 'I', 'J' } },      { 0x133, { 'i', 'j' } },       { 0x149, { 0x2bc, 'n' } },
        { 0x1f1, { 'D', 'Z' } },      { 0x1f2, { 'D', 'z' } },       { 0x1f3, { 'd', 'z' } },
        { 0x1c4, { 'D', 0x17d } },    { 0x1c5, { 'D', 0x17e } },     { 0x1c6, { 'd', 0x17e } },
        { 0x1c7, { 'L', 'J' } },      { 0x1c8, { 'L', 'j' } },       { 0x1c9, { 'l', 'j' } },
        { 0x1ca, { 'N', 'J' } },      { 0x1cb, { 'N', 'j' } },       { 0x1cc, { 'n', 'j' } },
        { 0xfb00, { 'f', 'f' } },     { 0xfb01, { 'f', 'i' } },      { 0xfb02, { 'f', 'l' } },
        { 0xfb03, { 'f', 'f', 'i' } }, { 0xfb04, { 'f', 'f', 'l' } }, { 0xfb05, { 0x17f, 't' } },
        { 0xfb06, { 's', 't' } },
    };
    const uint32_t c = in->at[(*i)++];
    for (size_t k = 0; c >= 0x132 && k < sizeof table / sizeof *table; k++)
        if (table[k].c == c)
            return add_three(out, table[k].text);
    return kn_points_add(out, c);
}

static ken_status width(kn_points *out, const kn_points *in, size_t *i)
{
    const uint32_t c = in->at[(*i)++];
    if (c == 0x3000)
        return kn_points_add(out, ' ');
    if (c < 0xff01 || c > 0xffef)
        return kn_points_add(out, c);
    kn_points one = { 0 };
    ken_status st = kn_points_add(&one, c);
    if (!st)
        st = kn_points_normalize(&one, KN_NFKC);
    for (size_t k = 0; !st && k < one.len; k++)
        st = kn_points_add(out, one.at[k]);
    kn_points_release(&one);
    return st;
}

static ken_status quotes_and_breaks(kn_points *out, const kn_points *in, size_t *i)
{
    const uint32_t c = in->at[(*i)++];
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
        return kn_points_add(out, '\'');
    if (c >= 0x201c && c <= 0x201f)
        return kn_points_add(out, '"');
    if (c == '\r' && *i < in->len && in->at[*i] == '\n')
        return KEN_OK; /* the line feed follows */
    return kn_points_add(out, c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? '\n' : c);
}

/* ESC [ digits and semicolons, a letter */
static ken_status terminal_escape(kn_points *out, const kn_points *in, size_t *i)
{
    size_t j = *i + 2;
    if (in->at[*i] == 0x1b && *i + 1 < in->len && in->at[*i + 1] == '[') {
        while (j < in->len && (in->at[j] == ';' || (kn_class(in->at[j]) & KN_NUMBER && is_digit(in->at[j]))))
            j++;
        if (j < in->len && is_ascii_letter(in->at[j])) {
            *i = j + 1;
            return KEN_OK;
        }
    }
    return kn_points_add(out, in->at[(*i)++]);
}

static ken_status control(kn_points *out, const kn_points *in, size_t *i)
{
    const uint32_t c = in->at[(*i)++];
    const int drop = c < 9 || c == 0xb || (c >= 0xe && c < 0x20) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
                     c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
    return drop ? KEN_OK : kn_points_add(out, c);
}

static ken_status fix_once(kn_points *p, int entities)
{
    static step_fn *const steps[] = { c1_control, ligature, width, quotes_and_breaks, terminal_escape, control };
    ken_status st = entities ? pass(p, unescape_strict) : KEN_OK;
    for (size_t k = 0; !st && k < sizeof steps / sizeof *steps; k++)
        st = pass(p, steps[k]);
    return st ? st : kn_points_normalize(p, KN_NFC);
}

/* One line, until nothing changes.  Each round that changes something shortens it or takes away a
 * character that never comes back, so few rounds suffice; the limit is a seat belt. */
static ken_status fix_line(kn_points *line, int entities)
{
    kn_points before = { 0 };
    ken_status st = KEN_OK;
    for (int k = 0; !st && k < REPEATS; k++) {
        kn_points_release(&before);
        for (size_t i = 0; !st && i < line->len; i++)
            st = kn_points_add(&before, line->at[i]);
        if (!st)
            st = fix_once(line, entities);
        if (!st && line->len == before.len && (!line->len || !memcmp(line->at, before.at, line->len * sizeof *line->at)))
            break;
    }
    kn_points_release(&before);
    return st;
}

static int plain(const kn_points *p)
{
    for (size_t i = 0; i < p->len; i++)
        if (p->at[i] >= 0x7f || p->at[i] < 0x20 || p->at[i] == '&')
            return 0;
    return 1;
}

static ken_status fix_text(kn_points *p)
{
    kn_points out = { 0 }, line = { 0 };
    ken_status st = KEN_OK;
    int entities = 1; /* off from the first line with '<' on */
    for (size_t i = 0; !st && i < p->len;) {
        line.len = 0;
        for (int end = 0; !st && !end && i < p->len; i++) {
            end = p->at[i] == '\n';
            entities &= p->at[i] != '<';
            st = kn_points_add(&line, p->at[i]);
        }
        if (!st)
            st = fix_line(&line, entities);
        for (size_t k = 0; !st && k < line.len; k++)
            st = kn_points_add(&out, line.at[k]);
    }
    kn_points_release(&line);
    kn_points *keep = st ? &out : p;
    kn_points_release(keep);
    if (!st)
        *p = out;
    return st;
}

/* ---- html.unescape ---- */

/* "&" and up to 32 characters of a name; the longest prefix that is a name of its own is taken. */
static ken_status unescape_name(kn_points *out, const kn_points *in, size_t *i)
{
    char name[NAME + 2];
    uint32_t text[3];
    size_t n = 0, j = *i + 1;
    for (; j < in->len && n < NAME && in->at[j] < 0x80 && !strchr("\t\n\f <&#;", (int)in->at[j]) && in->at[j]; j++)
        name[n++] = (char)in->at[j];
    if (n && j < in->len && in->at[j] == ';')
        name[n++] = ';';
    for (size_t k = n; k > 1; k--)
        if (kn_entity(name, k, text, 0)) {
            *i += 1 + k;
            return add_three(out, text);
        }
    return kn_points_add(out, in->at[(*i)++]);
}

static ken_status unescape(kn_points *out, const kn_points *in, size_t *i)
{
    if (in->at[*i] != '&')
        return kn_points_add(out, in->at[(*i)++]);
    if (*i + 1 < in->len && in->at[*i + 1] == '#') {
        size_t j = *i + 2;
        uint64_t value;
        if (!number_at(in, &j, &value))
            return kn_points_add(out, in->at[(*i)++]);
        *i = j + (j < in->len && in->at[j] == ';');
        const uint32_t c = value == 0xd ? '\r' : kn_entity_number(value);
        return c ? kn_points_add(out, c) : KEN_OK;
    }
    return unescape_name(out, in, i);
}

/* ---- together ---- */

/* Runs of white space become one space; none at the ends. */
static void squeeze(kn_points *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->len; i++) {
        const int space = (kn_class(p->at[i]) & KN_SPACE) != 0;
        if (!space)
            p->at[n++] = p->at[i];
        else if (n && p->at[n - 1] != ' ')
            p->at[n++] = ' ';
    }
    p->len = n && p->at[n - 1] == ' ' ? n - 1 : n;
}

ken_status kn_clean_clip(kn_points *p)
{
    ken_status st = KEN_OK;
    if (!plain(p)) {
        st = fix_text(p);
        for (int k = 0; !st && k < 2; k++)
            st = pass(p, unescape);
    }
    squeeze(p);
    return st ? st : kn_points_lower(p);
}
