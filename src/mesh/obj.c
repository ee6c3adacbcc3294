/* obj.c - Wavefront OBJ: its points and faces; all else (normals, textures, groups) is passed over. */
#include "mesh/parse.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { MAX_POINTS = 3 * KN_MESH_MAX };

typedef struct reader {
    kn_mesh *m;
    kn_words w;
    float *points; /* (n, 3) */
    size_t n, cap;
} reader;

static ken_status read_point(reader *r)
{
    if (r->n == MAX_POINTS)
        return kn_fail(KEN_E_LIMIT, "line %zu: more than %d points", r->w.line, MAX_POINTS);
    float *all = kn_room(r->points, r->n, &r->cap, 3 * sizeof *all);
    if (!all)
        return KEN_E_NOMEM;
    r->points = all;
    for (int i = 0; i < 3; i++) {
        if (!kn_words_next_here(&r->w))
            return kn_fail(KEN_E_FORMAT, "line %zu: a point of %d numbers", r->w.line, i);
        ken_status st = kn_words_float(&r->w, &all[3 * r->n + (size_t)i]);
        if (st)
            return st;
    }
    r->n++;
    return KEN_OK;
}

/* "7", "7/1", "7//3" or "-1", the last point so far. */
static ken_status read_corner(reader *r, float out[3])
{
    const char *rest;
    long long i;
    ken_status st = kn_words_whole(&r->w, &i, &rest);
    if (st)
        return st;
    if (*rest && *rest != '/')
        return kn_fail(KEN_E_FORMAT, "line %zu: \"%s\" is not a corner", r->w.line, r->w.word);
    const long long n = (long long)r->n, at = i < 0 ? n + i : i - 1;
    if (i == 0 || at < 0 || at >= n)
        return kn_fail(KEN_E_FORMAT, "line %zu: point %lld of %zu", r->w.line, i, r->n);
    memcpy(out, r->points + 3 * at, 3 * sizeof *out);
    return KEN_OK;
}

/* A polygon as triangles around its first corner. */
static ken_status read_face(reader *r)
{
    float t[9];
    size_t corners = 0;
    ken_status st = KEN_OK;
    while (!st && kn_words_next_here(&r->w)) {
        if (corners > 2)
            memcpy(t + 3, t + 6, 3 * sizeof *t);
        st = read_corner(r, t + 3 * (corners < 2 ? corners : 2));
        if (!st && ++corners > 2)
            st = kn_mesh_add(r->m, t);
    }
    if (!st && corners < 3)
        st = kn_fail(KEN_E_FORMAT, "line %zu: a face of %zu corners", r->w.line, corners);
    return st;
}

ken_status kn_read_obj(kn_mesh *m, const unsigned char *bytes, size_t len)
{
    reader r = { .m = m, .w = { .at = bytes, .end = bytes + len, .line = 1 } };
    ken_status st = KEN_OK;
    while (!st && kn_words_next(&r.w)) {
        if (!strcmp(r.w.word, "v"))
            st = read_point(&r);
        else if (!strcmp(r.w.word, "f"))
            st = read_face(&r);
        if (!st)
            kn_words_skip_line(&r.w);
    }
    kn_free(r.points);
    return st;
}
