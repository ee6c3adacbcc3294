/*
 * clean.c - openai/CLIP's basic_clean, whitespace_clean and lower(), on code points.
 *
 * ftfy.fix_text (version 6.3, its defaults) takes each line by itself and repeats its steps until
 * they change nothing.  Of these fix_encoding, which guesses at text that was decoded with the wrong
 * table, is left out.  Then html.unescape, twice; runs of spaces become one; lower case.
 *
 * A line that none of the steps could change is recognised in one look.
 */
#include "text/clean.h"

#include "base/error.h"

#include <string.h>

enum { ESCAPE = 0x1b };

/* A caption costs a few hundred of these; a text of nested entities ("&amp;amp;…") needs a step over
 * all of it for each level. */
enum { MOST_WORK = 1 << 25 };

typedef struct fixer {
    kn_points now, next; /* the line before and after a round */
    int entities;        /* whether they are decoded: until a line has a '<' in it */
    size_t work;         /* characters looked at */
} fixer;

/* ---- ftfy's steps ---- */

static int is_quiet(const uint32_t *c, size_t n, int entities)
{
    for (size_t i = 0; i < n; i++) {
        if (kn_flags(c[i]) & (KN_FIX | KN_NFC) || c[i] == '\r' || (c[i] == '&' && entities))
            return 0;
    }
    return 1;
}

/* fix_c1_controls, fix_latin_ligatures, fix_character_width, uncurl_quotes, fix_line_breaks.  Control
 * characters stay: the next step wants to see them. */
static ken_status fix_characters(kn_points *to, const kn_points *from)
{
    ken_status st = KEN_OK;
    to->len = 0;
    for (size_t i = 0; !st && i < from->len; i++) {
        uint32_t c = from->at[i], out[3];
        size_t n = kn_fixed(c, out);
        if (c == '\r') {
            out[0] = '\n';
            i += i + 1 < from->len && from->at[i + 1] == '\n';
        }
        n += !n;
        for (size_t k = 0; !st && k < n; k++)
            st = kn_points_add(to, out[k]);
    }
    return st;
}

/* Length of a terminal's escape sequence at c, or 0: ESC [ digits and semicolons, a letter. */
static size_t escape(const uint32_t *c, size_t n)
{
    size_t i = 2;
    if (n < 3 || c[0] != ESCAPE || c[1] != '[')
        return 0;
    while (i < n && (c[i] == ';' || kn_flags(c[i]) & KN_DIGIT))
        i++;
    return i < n && (c[i] | 32) >= 'a' && (c[i] | 32) <= 'z' ? i + 1 : 0;
}

/* remove_terminal_escapes, remove_control_chars */
static void remove_controls(kn_points *p)
{
    size_t to = 0;
    for (size_t i = 0; i < p->len;) {
        uint32_t c = p->at[i], out[3];
        size_t n = escape(p->at + i, p->len - i);
        if (!n && kn_fixed(c, out))
            p->at[to++] = c;
        i += n ? n : 1;
    }
    p->len = to;
}

/* f->now to f->next, once through all steps. */
static ken_status fix_round(fixer *f)
{
    if (f->work > MOST_WORK)
        return kn_fail(KEN_E_LIMIT, "text: cleaning it takes too many rounds");
    f->work += f->now.len;
    kn_points before = { 0 };
    ken_status st = kn_points_append(&before, f->now.at, f->now.len);
    if (!st && f->entities)
        kn_unescape_careful(&before);
    if (!st)
        st = fix_characters(&f->next, &before);
    kn_points_release(&before);
    if (st)
        return st;
    remove_controls(&f->next);
    return kn_points_normalize(&f->next, KN_FORM_C);
}

static int same(const kn_points *a, const kn_points *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->at, b->at, a->len * sizeof(*a->at)));
}

static ken_status fix_line(fixer *f, const uint32_t *c, size_t n)
{
    f->now.len = 0;
    ken_status st = kn_points_append(&f->now, c, n);
    while (!st) {
        st = fix_round(f);
        if (st || same(&f->now, &f->next))
            break;
        kn_points swap = f->now;
        f->now = f->next;
        f->next = swap;
    }
    return st;
}

static size_t line_length(const uint32_t *c, size_t n)
{
    size_t i = 0;
    while (i < n && c[i] != '\n')
        i++;
    return i + (i < n);
}

static int has_less_than(const uint32_t *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c[i] == '<')
            return 1;
    return 0;
}

/* The lines of p, fixed, to `to`. */
static ken_status fix_lines(fixer *f, kn_points *to, const kn_points *p)
{
    ken_status st = KEN_OK;
    for (size_t i = 0, n; !st && i < p->len; i += n) {
        const uint32_t *line = p->at + i;
        n = line_length(line, p->len - i);
        f->entities = f->entities && !has_less_than(line, n);
        if (is_quiet(line, n, f->entities)) {
            st = kn_points_append(to, line, n);
            continue;
        }
        st = fix_line(f, line, n);
        if (!st)
            st = kn_points_append(to, f->now.at, f->now.len);
    }
    return st;
}

ken_status kn_fix_text(kn_points *p)
{
    fixer f = { .entities = 1 };
    kn_points out = { 0 };
    if (is_quiet(p->at, p->len, 1))
        return KEN_OK;
    ken_status st = fix_lines(&f, &out, p);
    kn_points_release(&f.now);
    kn_points_release(&f.next);
    if (st) {
        kn_points_release(&out);
        return st;
    }
    kn_points_release(p);
    *p = out;
    return KEN_OK;
}

/* ---- the rest ---- */

static void collapse_spaces(kn_points *p)
{
    size_t to = 0;
    for (size_t i = 0; i < p->len; i++) {
        if (!(kn_flags(p->at[i]) & KN_SPACE))
            p->at[to++] = p->at[i];
        else if (to && p->at[to - 1] != ' ')
            p->at[to++] = ' ';
    }
    p->len = to - (to && p->at[to - 1] == ' ');
}

ken_status kn_clean_clip(kn_points *p)
{
    ken_status st = kn_fix_text(p);
    if (st)
        return st;
    kn_unescape(p);
    kn_unescape(p);
    collapse_spaces(p);
    return kn_points_lower(p);
}
