/*
 * unicode.c - classes, case and normal forms of code points.
 *
 * A class is two look-ups: the block of 128 code points, and the code point in it.
 *
 * Normalisation follows UAX 15: text of characters that are inert in the wanted form, which is
 * nearly all, is left alone after one look at each.  Else every character is decomposed, marks are
 * put in canonical order, and for NFC composed again.  The order is made here, since utf8proc's own
 * is quadratic in the length of a run of marks, and a run may be as long as the text.
 */
#include "text/unicode.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

#include <utf8proc.h>

#include "text/unicode.inc"

#define LEN(a) (sizeof(a) / sizeof *(a))
enum { REPLACEMENT = 0xfffd, SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2, DOTTED_I = 0x130, DOT = 0x307 };

/* ---- code points that grow ---- */

void kn_points_release(kn_points *p)
{
    kn_free(p->at);
    *p = (kn_points){ 0 };
}

ken_status kn_points_reserve(kn_points *p, size_t n)
{
    if (n <= p->cap)
        return KEN_OK;
    uint32_t *at = kn_grow(p->at, n, sizeof(*at));
    if (!at)
        return KEN_E_NOMEM;
    p->at = at;
    p->cap = n;
    return KEN_OK;
}

ken_status kn_points_add(kn_points *p, uint32_t c)
{
    uint32_t *at = kn_room(p->at, p->len, &p->cap, sizeof(*at));
    if (!at)
        return KEN_E_NOMEM;
    p->at = at;
    at[p->len++] = c;
    return KEN_OK;
}

ken_status kn_points_append(kn_points *to, const uint32_t *from, size_t n)
{
    size_t cap = to->cap > to->len + n ? to->cap : to->len + n + to->len / 2;
    ken_status st = kn_points_reserve(to, cap);
    if (!st && n) {
        memcpy(to->at + to->len, from, n * sizeof(*from));
        to->len += n;
    }
    return st;
}

/* Length of the well-formed sequence at s (Unicode, table 3-7), or 0. */
static size_t sequence(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t n = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

ken_status kn_points_decode(kn_points *p, const char *text, size_t n, size_t *bad)
{
    const unsigned char *s = (const unsigned char *)text;
    ken_status st = kn_points_reserve(p, p->len + n);
    *bad = 0;
    for (size_t i = 0, step; !st && i < n; i += step) {
        size_t len = sequence(s + i, n - i);
        uint32_t c = len <= 1 ? s[i] : s[i] & (0x7fu >> len);
        for (size_t k = 1; k < len; k++)
            c = c << 6 | (s[i + k] & 0x3fu);
        *bad += !len;
        p->at[p->len++] = len ? c : REPLACEMENT;
        step = len ? len : 1;
    }
    return st;
}

size_t kn_utf8_put(uint32_t c, unsigned char out[4])
{
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3f));
    out[0] = (unsigned char)(lead[n] | c);
    return n;
}

/* ---- classes and case ---- */

unsigned kn_flags(uint32_t c)
{
    size_t block = c >> 7;
    if (block >= LEN(class_block))
        return 0;
    return class_flags[class_of[(size_t)class_block[block] << 7 | (c & 127)]];
}

static int is_removed(uint32_t c)
{
    return c < 0x80 || (c >= 0x206a && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

size_t kn_fixed(uint32_t c, uint32_t out[3])
{
    size_t low = 0, high = LEN(fix_rows), n = 0;
    out[0] = c;
    if (!(kn_flags(c) & KN_FIX))
        return 1;
    if (is_removed(c))
        return 0;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (fix_rows[mid].from < c)
            low = mid + 1;
        else
            high = mid;
    }
    for (; n < 3 && fix_rows[low].to[n]; n++)
        out[n] = fix_rows[low].to[n];
    return n;
}

static uint32_t lower(uint32_t c)
{
    size_t low = 0, high = LEN(lower_runs);
    if (c < 0x80)
        return c - 'A' < 26 ? c + 32 : c;
    if (!(kn_flags(c) & KN_LOWER))
        return c;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (lower_runs[mid].first <= c)
            low = mid;
        else
            high = mid;
    }
    return c + (uint32_t)lower_runs[low].difference;
}

/* Unicode 3.13, Final_Sigma: a cased letter before, none behind, whatever is ignorable between. */
static int is_final(const kn_points *p, size_t at)
{
    size_t i = at, j = at + 1;
    while (i > 0 && kn_flags(p->at[i - 1]) & KN_IGNORABLE)
        i--;
    while (j < p->len && kn_flags(p->at[j]) & KN_IGNORABLE)
        j++;
    return i > 0 && kn_flags(p->at[i - 1]) & KN_CASED &&
           !(j < p->len && kn_flags(p->at[j]) & KN_CASED);
}

/* U+0130 becomes i and a dot above: from the end, for the rest moves towards it. */
static ken_status split_dotted(kn_points *p, size_t dotted)
{
    ken_status st = kn_points_reserve(p, p->len + dotted);
    if (st)
        return st;
    size_t from = p->len, to = p->len += dotted;
    while (to > from) {
        uint32_t c = p->at[--from];
        if (c == DOTTED_I) {
            p->at[--to] = DOT;
            c = 'i';
        }
        p->at[--to] = c;
    }
    return KEN_OK;
}

ken_status kn_points_lower(kn_points *p)
{
    size_t dotted = 0;
    for (size_t i = 0; i < p->len; i++) { /* first: a final sigma is as cased as the other two */
        if (p->at[i] == SIGMA && is_final(p, i))
            p->at[i] = FINAL_SIGMA;
        dotted += p->at[i] == DOTTED_I;
    }
    for (size_t i = 0; i < p->len; i++)
        if (p->at[i] != DOTTED_I)
            p->at[i] = lower(p->at[i]);
    return dotted ? split_dotted(p, dotted) : KEN_OK;
}

/* ---- normal forms ---- */

/* Canonical combining class; nothing before U+0300 has one. */
static unsigned mark_class(uint32_t c)
{
    return c < 0x300 ? 0 : utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

static ken_status decompose(kn_points *to, const kn_points *from)
{
    enum { MOST = 4 }; /* characters in the longest canonical decomposition (UAX 15) */
    ken_status st = KEN_OK;
    to->len = 0;
    for (size_t i = 0; !st && i < from->len; i++) {
        utf8proc_int32_t c = (utf8proc_int32_t)from->at[i], out[MOST];
        int unused = 0;
        utf8proc_ssize_t n =
            utf8proc_decompose_char(c, out, MOST, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &unused);
        if (n < 0 || n > MOST) {
            out[0] = c;
            n = 1;
        }
        for (utf8proc_ssize_t k = 0; !st && k < n; k++)
            st = kn_points_add(to, (uint32_t)out[k]);
    }
    return st;
}

static void sort_short(uint32_t *c, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t x = c[i];
        unsigned k = mark_class(x);
        size_t j = i;
        for (; j && mark_class(c[j - 1]) > k; j--)
            c[j] = c[j - 1];
        c[j] = x;
    }
}

/* The same in linear time; spare (n). */
static void sort_long(uint32_t *c, size_t n, uint32_t *spare)
{
    size_t start[257] = { 0 };
    for (size_t i = 0; i < n; i++)
        start[mark_class(c[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        spare[start[mark_class(c[i])]++] = c[i];
    memcpy(c, spare, n * sizeof(*c));
}

static ken_status put_in_order(kn_points *p, kn_points *spare)
{
    enum { SHORT = 24 };
    for (size_t i = 0, end; i < p->len; i = end) {
        for (end = i; end < p->len && mark_class(p->at[end]); end++)
            continue;
        if (end - i > SHORT) {
            ken_status st = kn_points_reserve(spare, end - i);
            if (st)
                return st;
            sort_long(p->at + i, end - i, spare->at);
        } else {
            sort_short(p->at + i, end - i);
        }
        end += end == i;
    }
    return KEN_OK;
}

static int is_normal(const kn_points *p, kn_form form)
{
    unsigned flag = form == KN_FORM_C ? KN_NFC : KN_NFD;
    for (size_t i = 0; i < p->len; i++)
        if (p->at[i] >= 0x80 && kn_flags(p->at[i]) & flag)
            return 0;
    return 1;
}

static ken_status compose_part(uint32_t *c, size_t *n)
{
    utf8proc_ssize_t len = utf8proc_normalize_utf32((utf8proc_int32_t *)c, (utf8proc_ssize_t)*n,
                                                    UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len < 0)
        return kn_fail(KEN_E_FORMAT, "text: %s", utf8proc_errmsg(len));
    *n = (size_t)len;
    return KEN_OK;
}

/* U+11A7 composes with nothing, but utf8proc (up to 2.8 at least) takes it for the first final
 * consonant of Hangul, and swallows it behind a syllable: it is handed what lies between. */
static ken_status compose(kn_points *p)
{
    enum { HANGUL_T_BASE = 0x11a7 };
    size_t to = 0;
    for (size_t i = 0, n; i < p->len; i += n + 1) {
        for (n = 0; i + n < p->len && p->at[i + n] != HANGUL_T_BASE; n++)
            continue;
        size_t len = n;
        ken_status st = compose_part(p->at + i, &len);
        if (st)
            return st;
        memmove(p->at + to, p->at + i, len * sizeof(*p->at));
        to += len;
        if (i + n < p->len)
            p->at[to++] = HANGUL_T_BASE;
    }
    p->len = to;
    return KEN_OK;
}

ken_status kn_points_normalize(kn_points *p, kn_form form)
{
    kn_points out = { 0 };
    if (is_normal(p, form))
        return KEN_OK;
    ken_status st = decompose(&out, p);
    if (!st)
        st = put_in_order(&out, p); /* p's text has been read */
    if (!st && form == KN_FORM_C)
        st = compose(&out);
    if (st) {
        kn_points_release(&out);
        return st;
    }
    kn_points_release(p);
    *p = out;
    return KEN_OK;
}
