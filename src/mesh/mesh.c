/* mesh.c - see mesh.h: choosing the reader, and what is measured of triangles. */
#include "mesh/mesh.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "mesh/parse.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const size_t MAX_FILE = (size_t)1 << 30;

static const struct {
    const char *kind;
    kn_mesh_reader *read;
} readers[] = { { "stl", kn_read_stl }, { "obj", kn_read_obj }, { "ply", kn_read_ply } };

enum { READERS = sizeof readers / sizeof *readers };

const char *kn_mesh_kind(const char *path)
{
    const char *dot = strrchr(kn_path_name(path), '.');
    for (int i = 0; dot && i < READERS; i++)
        if (!strcasecmp(dot + 1, readers[i].kind))
            return readers[i].kind;
    return NULL;
}

float kn_little_float(const unsigned char *p)
{
    const uint32_t bits = kn_little32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* (b - a) x (c - a): twice the area long, along the normal.  Differences of floats are exact enough in
 * double for any size; products of the largest stay far below its end. */
static void cross(double out[3], const float t[9])
{
    double u[3], v[3];
    for (int i = 0; i < 3; i++) {
        u[i] = (double)t[3 + i] - (double)t[i];
        v[i] = (double)t[6 + i] - (double)t[i];
    }
    for (int i = 0; i < 3; i++)
        out[i] = u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3];
}

static double length(const double v[3])
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

ken_status kn_mesh_add(kn_mesh *m, const float corners[9])
{
    double normal[3];
    cross(normal, corners);
    if (!(length(normal) > 0)) {
        m->dropped++;
        return KEN_OK;
    }
    if (m->n >= KN_MESH_MAX)
        return kn_fail(KEN_E_LIMIT, "more than %d triangles", KN_MESH_MAX);
    float *all = kn_room(m->corners, m->n, &m->cap, 9 * sizeof *all);
    if (!all)
        return KEN_E_NOMEM;
    m->corners = all;
    memcpy(all + 9 * m->n++, corners, 9 * sizeof *all);
    return KEN_OK;
}

static void find_bounds(kn_mesh *m)
{
    memcpy(m->low, m->corners, sizeof m->low);
    memcpy(m->high, m->corners, sizeof m->high);
    for (size_t i = 0; i < 9 * m->n; i++) {
        m->low[i % 3] = fminf(m->low[i % 3], m->corners[i]);
        m->high[i % 3] = fmaxf(m->high[i % 3], m->corners[i]);
    }
}

ken_status kn_mesh_parse(kn_mesh *out, const char *kind, const void *bytes, size_t len)
{
    kn_mesh m = { 0 };
    int i = 0;
    while (i < READERS && strcmp(readers[i].kind, kind))
        i++;
    if (i == READERS)
        return kn_fail(KEN_E_UNSUPPORTED, "no model of a kind that is read: stl, obj, ply");
    ken_status st = readers[i].read(&m, bytes, len);
    if (!st && !m.n)
        st = kn_fail(KEN_E_FORMAT, "no triangle with an area among %zu", m.dropped);
    if (st) {
        kn_mesh_release(&m);
        return st == KEN_E_NOMEM ? st : kn_fail_in(st, "%s", kind);
    }
    find_bounds(&m);
    *out = m;
    return KEN_OK;
}

ken_status kn_mesh_load(kn_mesh *out, const char *path)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    const char *kind = kn_mesh_kind(path);
    ken_status st = kn_read_file(&bytes, &len, path, MAX_FILE);
    if (!st)
        st = kn_mesh_parse(out, kind ? kind : "", bytes, len);
    kn_free(bytes);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

void kn_mesh_release(kn_mesh *m)
{
    kn_free(m->corners);
    *m = (kn_mesh){ 0 };
}

double kn_mesh_area(const kn_mesh *m)
{
    double sum = 0, normal[3];
    for (size_t i = 0; i < m->n; i++) {
        cross(normal, m->corners + 9 * i);
        sum += length(normal);
    }
    return sum / 2;
}

/* Tetrahedra between the triangles and the first corner: nothing is lost far from the origin. */
double kn_mesh_volume(const kn_mesh *m)
{
    double sum = 0, normal[3];
    for (size_t i = 0; i < m->n; i++) {
        const float *t = m->corners + 9 * i;
        cross(normal, t);
        for (int d = 0; d < 3; d++)
            sum += normal[d] * ((double)t[d] - (double)m->corners[d]);
    }
    return sum / 6;
}
