/* unicode.c - classes, case and normalisation of code points. */
#include "text/unicode.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "text/tables.inc"

#define LEN(a) (sizeof(a) / sizeof *(a))
enum { REPLACEMENT = 0xfffd, SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2, DOTTED_I = 0x130 };

/* ---- code points that grow ---- */

void kn_points_release(kn_points *p)
{
    kn_free(p->at);
    *p = (kn_points){ 0 };
}

ken_status kn_points_add(kn_points *p, uint32_t c)
{
    uint32_t *at = kn_room(p->at, p->len, &p->cap, sizeof *at);
    if (!at)
        return KEN_E_NOMEM;
    p->at = at;
    at[p->len++] = c;
    return KEN_OK;
}

/* Length of the well-formed sequence at s (Unicode, table 3-7), or 0. */
static size_t sequence(const unsigned char *s)
{
    const unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    const size_t n = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) /* the NUL at the end is none either */
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

ken_status kn_points_decode(kn_points *p, const char *text)
{
    ken_status st = KEN_OK;
    for (const unsigned char *s = (const unsigned char *)text; !st && *s;) {
        const size_t n = sequence(s);
        uint32_t c = n == 1 ? s[0] : n == 2 ? s[0] & 31u : n == 3 ? s[0] & 15u : s[0] & 7u;
        for (size_t i = 1; i < n; i++)
            c = c << 6 | (s[i] & 63u);
        st = kn_points_add(p, n ? c : REPLACEMENT);
        s += n ? n : 1;
    }
    return st;
}

size_t kn_utf8_put(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 63));
    out[0] = (unsigned char)(lead[n] | c);
    return n;
}

/* ---- classes and case ---- */

unsigned kn_class(uint32_t c)
{
    size_t low = 0, high = LEN(class_ranges);
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (c > class_ranges[mid].last)
            low = mid + 1;
        else if (c < class_ranges[mid].first)
            high = mid;
        else
            return class_ranges[mid].classes;
    }
    return 0;
}

static uint32_t lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    size_t low = 0, high = LEN(lower_ranges);
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (c > lower_ranges[mid].last)
            low = mid + 1;
        else if (c < lower_ranges[mid].first)
            high = mid;
        else if ((c - lower_ranges[mid].first) % (uint32_t)lower_ranges[mid].step)
            return c;
        else
            return (uint32_t)((int64_t)c + lower_ranges[mid].distance);
    }
    return c;
}

/* Unicode 3.13, Final_Sigma: a cased letter before, none behind, whatever is ignorable between. */
static int is_final(const kn_points *p, size_t at)
{
    size_t i = at, j = at + 1;
    while (i > 0 && kn_class(p->at[i - 1]) & KN_IGNORABLE)
        i--;
    while (j < p->len && kn_class(p->at[j]) & KN_IGNORABLE)
        j++;
    return i > 0 && kn_class(p->at[i - 1]) & KN_CASED && !(j < p->len && kn_class(p->at[j]) & KN_CASED);
}

ken_status kn_points_lower(kn_points *p)
{
    kn_points out = { 0 };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < p->len; i++) {
        const uint32_t c = p->at[i];
        if (c == SIGMA && is_final(p, i)) {
            st = kn_points_add(&out, FINAL_SIGMA);
        } else if (c == DOTTED_I) {
            st = kn_points_add(&out, 'i');
            if (!st)
                st = kn_points_add(&out, 0x307);
        } else {
            st = kn_points_add(&out, lower(c));
        }
    }
    if (st) {
        kn_points_release(&out);
        return st;
    }
    kn_points_release(p);
    *p = out;
    return KEN_OK;
}

/* ---- normal forms ---- */

static int is_ascii(const kn_points *p)
{
    for (size_t i = 0; i < p->len; i++)
        if (p->at[i] >= 0x80)
            return 0;
    return 1;
}

ken_status kn_points_normalize(kn_points *p, kn_form form)
{
    static const int options[] = { UTF8PROC_STABLE | UTF8PROC_COMPOSE, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                                   UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT };
    if (is_ascii(p))
        return KEN_OK;
    unsigned char *bytes = kn_alloc(p->len, 4);
    utf8proc_int32_t *points = NULL;
    utf8proc_ssize_t n = 0;
    ken_status st = bytes ? KEN_OK : KEN_E_NOMEM;
    size_t len = 0;
    for (size_t i = 0; !st && i < p->len; i++)
        len += kn_utf8_put(p->at[i], bytes + len);
    const utf8proc_option_t how = (utf8proc_option_t)options[form];
    if (!st)
        n = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, NULL, 0, how);
    if (!st && n >= 0) {
        points = kn_alloc((size_t)n + 1, sizeof *points); /* it ends its text with a zero */
        st = points ? KEN_OK : KEN_E_NOMEM;
    }
    if (!st && n >= 0)
        n = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, points, n, how);
    if (!st && n >= 0 && form != KN_NFD)
        n = utf8proc_normalize_utf32(points, n, how);
    if (!st && n < 0)
        st = kn_fail(KEN_E_FORMAT, "text: %s", utf8proc_errmsg(n));
    if (!st) {
        kn_free(p->at);
        *p = (kn_points){ (uint32_t *)points, (size_t)n, (size_t)n + 1 };
        points = NULL;
    }
    kn_free(points);
    kn_free(bytes);
    return st;
}

/* ---- entities ---- */

typedef struct span {
    const char *name;
    size_t n;
} span;

static int by_name(const void *a, const void *b)
{
    const span *key = a;
    const char *name = ((const entity *)b)->name;
    const int d = strncmp(key->name, name, key->n);
    return d ? d : name[key->n] ? -1 : 0;
}

int kn_entity(const char *name, size_t n, uint32_t text[3], int any)
{
    const span key = { name, n };
    const entity *e = bsearch(&key, entities, LEN(entities), sizeof *entities, by_name);
    if (!e && any)
        e = bsearch(&key, shouted, LEN(shouted), sizeof *shouted, by_name);
    if (e)
        memcpy(text, e->text, sizeof e->text);
    return e != NULL;
}

uint32_t kn_windows1252(uint32_t c)
{
    return windows1252[c - 0x80];
}

uint32_t kn_entity_number(uint64_t n)
{
    if (n == 0)
        return REPLACEMENT;
    if (n >= 0x80 && n <= 0x9f)
        return kn_windows1252((uint32_t)n);
    if ((n >= 0xd800 && n <= 0xdfff) || n > 0x10ffff)
        return REPLACEMENT;
    if (n < 9 || n == 0xb || (n >= 0xe && n <= 0x1f) || n == 0x7f || (n >= 0xfdd0 && n <= 0xfdef) || (n & 0xfffe) == 0xfffe)
        return 0;
    return (uint32_t)n;
}
