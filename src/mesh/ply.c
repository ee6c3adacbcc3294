/*
 * ply.c - PLY, ascii and binary_little_endian.
 *
 * The header names elements and their properties in the order in which they are stored; points are
 * those of element "vertex", faces the lists of element "face", whatever else there is is passed over.
 */
#include "mesh/parse.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { MAX_PROPERTIES = 64, MAX_ELEMENTS = 16, MAX_POINTS = 3 * KN_MESH_MAX, MAX_CORNERS = 1 << 16 };

typedef enum type { I8, U8, I16, U16, I32, U32, F32, F64, NONE } type;
static const size_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 8 };

typedef struct property {
    type count, value; /* count NONE: not a list */
    int axis;          /* 0..2: x y z of a point; 3: corners of a face; -1: passed over */
} property;

typedef struct element {
    enum { POINTS, FACES, OTHER } what;
    long long n;
    property list[MAX_PROPERTIES];
    size_t len;
} element;

typedef struct reader {
    kn_mesh *m;
    kn_words w; /* the body too, if it is text */
    int text;
    element elements[MAX_ELEMENTS];
    size_t len;
    float *points; /* (n, 3) */
    size_t n;
} reader;

/* ---- header ---- */

static type type_named(const char *name)
{
    static const char *const names[][2] = { { "char", "int8" },    { "uchar", "uint8" },
                                            { "short", "int16" },  { "ushort", "uint16" },
                                            { "int", "int32" },    { "uint", "uint32" },
                                            { "float", "float32" }, { "double", "float64" } };
    for (int i = 0; i < NONE; i++)
        if (!strcmp(name, names[i][0]) || !strcmp(name, names[i][1]))
            return (type)i;
    return NONE;
}

static ken_status bad_line(const reader *r, const char *what)
{
    return kn_fail(KEN_E_FORMAT, "line %zu: %s", r->w.line, what);
}

static ken_status read_format(reader *r)
{
    if (!kn_words_next_here(&r->w))
        return bad_line(r, "no format");
    r->text = !strcmp(r->w.word, "ascii");
    if (!r->text && strcmp(r->w.word, "binary_little_endian"))
        return kn_fail(KEN_E_UNSUPPORTED, "line %zu: format %s: ascii and binary_little_endian are read",
                       r->w.line, r->w.word);
    return KEN_OK;
}

static ken_status read_element(reader *r)
{
    if (r->len == MAX_ELEMENTS)
        return bad_line(r, "too many elements");
    element *e = &r->elements[r->len++];
    if (!kn_words_next_here(&r->w))
        return bad_line(r, "an element without a name");
    e->what = !strcmp(r->w.word, "vertex") ? POINTS : !strcmp(r->w.word, "face") ? FACES : OTHER;
    if (!kn_words_next_here(&r->w))
        return bad_line(r, "an element without a number");
    ken_status st = kn_words_whole(&r->w, &e->n, NULL);
    if (!st && (e->n < 0 || e->n > MAX_POINTS))
        st = kn_fail(KEN_E_LIMIT, "line %zu: %s elements, at most %d are read", r->w.line, r->w.word,
                     MAX_POINTS);
    return st;
}

static ken_status read_type(reader *r, type *out)
{
    *out = kn_words_next_here(&r->w) ? type_named(r->w.word) : NONE;
    return *out == NONE ? kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" is not a type", r->w.line, r->w.word)
                        : KEN_OK;
}

static ken_status read_property(reader *r)
{
    if (!r->len || r->elements[r->len - 1].len == MAX_PROPERTIES)
        return bad_line(r, "a property of no element, or one too many");
    element *e = &r->elements[r->len - 1];
    property *p = &e->list[e->len++];
    *p = (property){ NONE, NONE, -1 };
    if (!kn_words_next_here(&r->w))
        return bad_line(r, "a property without a type");
    const int is_list = !strcmp(r->w.word, "list");
    ken_status st = is_list ? read_type(r, &p->count) : KEN_OK;
    if (!st && is_list)
        st = read_type(r, &p->value);
    else if (!st && (p->value = type_named(r->w.word)) == NONE)
        st = bad_line(r, "a property of no known type");
    if (st)
        return st;
    if (p->count == F32 || p->count == F64 || !kn_words_next_here(&r->w))
        return bad_line(r, "a list of no whole number, or a property without a name");
    const char c = r->w.word[0];
    if (e->what == POINTS && !is_list && c >= 'x' && c <= 'z' && !r->w.word[1])
        p->axis = c - 'x';
    if (e->what == FACES && is_list && !strncmp(r->w.word, "vertex_ind", 10))
        p->axis = 3;
    return KEN_OK;
}

static ken_status read_header(reader *r)
{
    ken_status st = KEN_OK;
    if (!kn_words_next(&r->w) || strcmp(r->w.word, "ply"))
        return kn_fail(KEN_E_FORMAT, "it does not begin with \"ply\"");
    for (;;) {
        kn_words_skip_line(&r->w);
        if (!kn_words_next(&r->w))
            return bad_line(r, "the file ends within the header");
        if (!strcmp(r->w.word, "end_header"))
            break;
        if (!strcmp(r->w.word, "format"))
            st = read_format(r);
        else if (!strcmp(r->w.word, "element"))
            st = read_element(r);
        else if (!strcmp(r->w.word, "property"))
            st = read_property(r);
        if (st)
            return st;
    }
    kn_words_skip_line(&r->w);
    return KEN_OK;
}

/* ---- body ---- */

static double number_at(const unsigned char *p, type t)
{
    double x;
    uint64_t bits;
    switch (t) {
    case I8: return (signed char)*p;
    case U8: return *p;
    case I16: return (int16_t)kn_little16(p);
    case U16: return kn_little16(p);
    case I32: return (int32_t)kn_little32(p);
    case U32: return kn_little32(p);
    case F32: return (double)kn_little_float(p);
    default:
        bits = (uint64_t)kn_little32(p + 4) << 32 | kn_little32(p);
        memcpy(&x, &bits, sizeof x);
        return x;
    }
}

static ken_status read_number(reader *r, type t, double *out)
{
    float x;
    long long i;
    if (!r->text) {
        if ((size_t)(r->w.end - r->w.at) < sizes[t])
            return kn_fail(KEN_E_FORMAT, "the file ends within its elements");
        *out = number_at(r->w.at, t);
        r->w.at += sizes[t];
        return KEN_OK;
    }
    if (!kn_words_next(&r->w))
        return bad_line(r, "the file ends within its elements");
    ken_status st = t < F32 ? kn_words_whole(&r->w, &i, NULL) : kn_words_float(&r->w, &x);
    if (!st)
        *out = t < F32 ? (double)i : (double)x;
    return st;
}

/* A corner's point; 0 if there is no such. */
static int point_of(const reader *r, double i, float out[3])
{
    if (!(i >= 0 && i < (double)r->n))
        return 0;
    memcpy(out, r->points + 3 * (size_t)i, 3 * sizeof *out);
    return 1;
}

static ken_status read_list(reader *r, const property *p, long long row)
{
    double n, i;
    float t[9];
    ken_status st = read_number(r, p->count, &n);
    if (!st && !(n >= 0 && n <= MAX_CORNERS))
        st = kn_fail(KEN_E_FORMAT, "element %lld: a list of %.0f numbers", row + 1, n);
    for (long long at = 0; !st && at < (long long)n; at++) {
        st = read_number(r, p->value, &i);
        if (st || p->axis != 3)
            continue;
        if (at > 2)
            memcpy(t + 3, t + 6, 3 * sizeof *t);
        if (!point_of(r, i, t + 3 * (at < 2 ? at : 2)))
            st = kn_fail(KEN_E_FORMAT, "face %lld: point %.0f of %zu", row + 1, i, r->n);
        else if (at > 1)
            st = kn_mesh_add(r->m, t);
    }
    return st;
}

static ken_status read_row(reader *r, const element *e, long long row)
{
    double x;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < e->len; i++) {
        const property *p = &e->list[i];
        if (p->count != NONE) {
            st = read_list(r, p, row);
            continue;
        }
        st = read_number(r, p->value, &x);
        if (st || p->axis < 0)
            continue;
        const float f = (float)x;
        if (!isfinite(f))
            return kn_fail(KEN_E_FORMAT, "point %lld: a coordinate is not finite", row + 1);
        r->points[3 * r->n + (size_t)p->axis] = f;
    }
    r->n += !st && e->what == POINTS;
    return st;
}

/* Every property takes a byte at least, so that no more is taken than the file can hold. */
static ken_status make_room(reader *r, const element *e)
{
    unsigned axes = 0;
    for (size_t i = 0; i < e->len; i++)
        axes |= e->list[i].axis >= 0 ? 1u << e->list[i].axis : 0;
    if (axes != 7 || r->points)
        return kn_fail(KEN_E_FORMAT, "points without x, y and z, or twice");
    if ((uint64_t)e->n * 3 > (uint64_t)(r->w.end - r->w.at))
        return kn_fail(KEN_E_FORMAT, "%lld points are more than the file has room for", e->n);
    r->points = kn_alloc((size_t)e->n, 3 * sizeof *r->points);
    return r->points ? KEN_OK : KEN_E_NOMEM;
}

static ken_status read_body(reader *r)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < r->len; i++) {
        const element *e = &r->elements[i];
        if (e->what == POINTS)
            st = make_room(r, e);
        for (long long row = 0; !st && e->len && row < e->n; row++)
            st = read_row(r, e, row);
    }
    return st;
}

ken_status kn_read_ply(kn_mesh *m, const unsigned char *bytes, size_t len)
{
    reader *r = kn_zalloc(1, sizeof *r);
    if (!r)
        return KEN_E_NOMEM;
    r->m = m;
    r->w = (kn_words){ .at = bytes, .end = bytes + len, .line = 1 };
    ken_status st = read_header(r);
    if (!st)
        st = read_body(r);
    kn_free(r->points);
    kn_free(r);
    return st;
}
