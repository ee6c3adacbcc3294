/*
 * stl.c - STL, binary and ASCII.
 *
 * Binary: 80 bytes of anything, the number of triangles, then 50 bytes each: normal, three corners, 16
 * bits that nobody agrees about.  Normals are not read: they follow from the corners, which are right
 * more often.  Many binary files begin with "solid" as ASCII ones do; what a file is follows from
 * whether its length and its number of triangles agree.
 */
#include "mesh/parse.h"

#include "base/bytes.h"
#include "base/error.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { HEAD = 84, RECORD = 50 };

static ken_status read_binary(kn_mesh *m, const unsigned char *bytes, size_t count)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < count; i++) {
        const unsigned char *at = bytes + HEAD + i * RECORD + 12;
        float corners[9];
        for (int j = 0; j < 9; j++) {
            corners[j] = kn_little_float(at + 4 * j);
            if (!isfinite(corners[j]))
                return kn_fail(KEN_E_FORMAT,
                               "triangle %zu (at byte %zu): corner %d is not finite", i + 1,
                               HEAD + i * RECORD, j / 3 + 1);
        }
        st = kn_mesh_add(m, corners);
    }
    return st;
}

static ken_status expect(kn_words *w, const char *word)
{
    if (kn_words_next(w) && !strcmp(w->word, word))
        return KEN_OK;
    return w->word[0] ? kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" where \"%s\" is due", w->line,
                                w->word, word)
                      : kn_fail(KEN_E_FORMAT, "line %zu: the file ends where \"%s\" is due",
                                w->line, word);
}

static ken_status read_numbers(kn_words *w, float *out, int n)
{
    ken_status st = KEN_OK;
    for (int i = 0; !st && i < n; i++) {
        if (!kn_words_next(w))
            return kn_fail(KEN_E_FORMAT, "line %zu: the file ends within numbers", w->line);
        st = kn_words_float(w, &out[i]);
    }
    return st;
}

/* Behind "facet". */
static ken_status read_facet(kn_mesh *m, kn_words *w)
{
    float corners[9];
    ken_status st = expect(w, "normal");
    for (int i = 0; !st && i < 3; i++) /* some write NaN for a normal: it is not looked at */
        if (!kn_words_next(w))
            st = expect(w, "outer");
    if (!st)
        st = expect(w, "outer");
    if (!st)
        st = expect(w, "loop");
    for (int i = 0; !st && i < 3; i++) {
        st = expect(w, "vertex");
        if (!st)
            st = read_numbers(w, corners + 3 * i, 3);
    }
    if (!st)
        st = expect(w, "endloop");
    if (!st)
        st = expect(w, "endfacet");
    return st ? st : kn_mesh_add(m, corners);
}

/* One solid or more, each "solid NAME", facets, "endsolid NAME". */
static ken_status read_ascii(kn_mesh *m, const unsigned char *bytes, size_t len)
{
    kn_words w = { .at = bytes, .end = bytes + len, .line = 1 };
    ken_status st = KEN_OK;
    int open = 0;
    while (!st && kn_words_next(&w)) {
        const int begins = !strcmp(w.word, "solid"), ends = !strcmp(w.word, "endsolid");
        if ((begins && !open) || (ends && open)) {
            open = begins;
            kn_words_skip_line(&w);
        } else if (open && !strcmp(w.word, "facet")) {
            st = read_facet(m, &w);
        } else {
            st = kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" where \"%s\" is due", w.line, w.word,
                         open ? "facet" : "solid");
        }
    }
    if (!st && open)
        st = kn_fail(KEN_E_FORMAT, "line %zu: the file ends before \"endsolid\"", w.line);
    return st;
}

/* Whether it is text as far as it matters: the second word that is looked for stands behind the name. */
static int looks_ascii(const unsigned char *bytes, size_t len)
{
    kn_words w = { .at = bytes, .end = bytes + len, .line = 1 };
    if (!kn_words_next(&w) || strcmp(w.word, "solid"))
        return 0;
    kn_words_skip_line(&w);
    return kn_words_next(&w) && (!strcmp(w.word, "facet") || !strcmp(w.word, "endsolid"));
}

ken_status kn_read_stl(kn_mesh *m, const unsigned char *bytes, size_t len)
{
    const uint64_t count = len >= HEAD ? kn_little32(bytes + 80) : 0;
    const uint64_t need = HEAD + count * RECORD;
    const size_t room = len >= HEAD ? (len - HEAD) / RECORD : 0;
    if (len >= HEAD && len >= need && len - need < RECORD && count)
        return count > KN_MESH_MAX ? kn_fail(KEN_E_LIMIT, "%llu triangles, more than %d",
                                             (unsigned long long)count, KN_MESH_MAX)
                                   : read_binary(m, bytes, (size_t)count);
    if (looks_ascii(bytes, len))
        return read_ascii(m, bytes, len);
    if (len < HEAD)
        return kn_fail(KEN_E_FORMAT, "neither text nor binary: %zu bytes, a header takes %d", len,
                       HEAD);
    return kn_fail(KEN_E_FORMAT,
                   "the header counts %llu triangles, the file has room for %zu: it is cut off, or "
                   "no STL; export it again",
                   (unsigned long long)count, room);
}
