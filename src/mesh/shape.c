/* shape.c - triangles that know their neighbours: smooth normals, and whether the surface is closed. */
#include "mesh/shape.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static const float CREASE = .8660254f; /* cos 30 degrees */
enum { CROWD = 64 }; /* more corners at one place: a tip or a hub, which is drawn flat */

typedef struct welder {
    const kn_mesh *m;
    kn_shape *s;
    float *flat;     /* (n, 3) unit normals of the triangles */
    uint32_t *table; /* (mask + 1) first corner of a place + 1; 0: free */
    uint32_t *place; /* (3 n) first corner at the same place */
    uint32_t *next;  /* (3 n) the next corner there + 1, 0: the last */
    size_t mask;
} welder;

/* ---- the unit sphere ---- */

static void fit_sphere(const kn_mesh *m, kn_shape *s)
{
    double most = 0;
    for (int d = 0; d < 3; d++)
        s->centre[d] = ((double)m->low[d] + (double)m->high[d]) / 2;
    for (size_t i = 0; i < 3 * m->n; i++) {
        double sum = 0;
        for (int d = 0; d < 3; d++) {
            const double x = (double)m->corners[3 * i + (size_t)d] - s->centre[d];
            sum += x * x;
        }
        most = sum > most ? sum : most;
    }
    s->radius = sqrt(most);
    for (size_t i = 0; i < 9 * m->n; i++)
        s->points[i] = (float)(((double)m->corners[i] - s->centre[i % 3]) / s->radius);
}

/* In double, from the file's own numbers: a sliver has a normal too. */
static void find_flat(welder *w)
{
    for (size_t i = 0; i < w->m->n; i++) {
        const float *t = w->m->corners + 9 * i;
        double u[3], v[3], c[3];
        for (int d = 0; d < 3; d++) {
            u[d] = ((double)t[3 + d] - (double)t[d]) / w->s->radius;
            v[d] = ((double)t[6 + d] - (double)t[d]) / w->s->radius;
        }
        for (int d = 0; d < 3; d++)
            c[d] = u[(d + 1) % 3] * v[(d + 2) % 3] - u[(d + 2) % 3] * v[(d + 1) % 3];
        const double len = sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
        for (int d = 0; d < 3; d++)
            w->flat[3 * i + (size_t)d] = len > 0 ? (float)(c[d] / len) : d == 2;
    }
}

/* ---- corners at one place ---- */

static size_t hash_of(const float p[3])
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int d = 0; d < 3; d++) {
        const float x = p[d] + 0.0f; /* -0 is 0 */
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        h = (h ^ bits) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (size_t)h;
}

static void weld(welder *w)
{
    const float *all = w->m->corners;
    for (uint32_t c = 0; c < 3 * w->m->n; c++) {
        const float *p = all + 3 * (size_t)c;
        size_t at = hash_of(p) & w->mask;
        while (w->table[at]) {
            const float *q = all + 3 * (size_t)(w->table[at] - 1);
            if (p[0] == q[0] && p[1] == q[1] && p[2] == q[2])
                break;
            at = (at + 1) & w->mask;
        }
        if (!w->table[at]) {
            w->table[at] = c + 1;
            w->next[c] = 0;
        } else {
            const uint32_t first = w->table[at] - 1;
            w->next[c] = w->next[first];
            w->next[first] = c + 1;
        }
        w->place[c] = w->table[at] - 1;
    }
}

/* ---- normals ---- */

static float dot(const float *a, const float *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* sin(angle) / (|a| |b|) of the two sides that meet in a corner. */
static float weight_of(const float *t, uint32_t corner)
{
    double a = 0, b = 0, ab = 0;
    for (int d = 0; d < 3; d++) {
        const double p = (double)t[3 * corner + (uint32_t)d];
        const double u = (double)t[3 * ((corner + 1) % 3) + (uint32_t)d] - p;
        const double v = (double)t[3 * ((corner + 2) % 3) + (uint32_t)d] - p;
        a += u * u;
        b += v * v;
        ab += u * v;
    }
    const double sine2 = a * b - ab * ab; /* (|a| |b| sin)^2 */
    return a * b > 0 && sine2 > 0 ? (float)fmin(sqrt(sine2) / (a * b), 1e18) : 0;
}

static size_t crowd_at(const welder *w, uint32_t corner)
{
    size_t n = 1;
    for (uint32_t c = w->next[w->place[corner]]; c && n <= CROWD; c = w->next[c - 1])
        n++;
    return n;
}

static void smooth_one(const welder *w, uint32_t corner, float *out)
{
    const float *own = w->flat + 3 * (size_t)(corner / 3);
    double sum[3] = { 0, 0, 0 };
    memcpy(out, own, 3 * sizeof *out);
    if (crowd_at(w, corner) > CROWD)
        return;
    for (uint32_t c = w->place[corner] + 1; c; c = w->next[c - 1]) {
        const float *other = w->flat + 3 * (size_t)((c - 1) / 3);
        if (dot(own, other) < CREASE)
            continue;
        const float weight = weight_of(w->s->points + 9 * (size_t)((c - 1) / 3), (c - 1) % 3);
        for (int d = 0; d < 3; d++)
            sum[d] += (double)weight * (double)other[d];
    }
    const double len = sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
    for (int d = 0; len > 0 && d < 3; d++)
        out[d] = (float)(sum[d] / len);
}

/* ---- closed surfaces ---- */

static double volume_of(const kn_mesh *m)
{
    return kn_mesh_volume(m);
}

/* How often the side from one place to another is run through, up to 2. */
static int runs(const welder *w, uint32_t from, uint32_t to)
{
    int n = 0;
    for (uint32_t c = from + 1; c && n < 2; c = w->next[c - 1]) {
        const uint32_t t = (c - 1) / 3 * 3, k = (c - 1) % 3;
        n += w->place[t + (k + 1) % 3] == to;
    }
    return n;
}

/* Each side is met by exactly one other, the other way round, and the volume is positive. */
static int is_closed(const welder *w)
{
    for (uint32_t c = 0; c < 3 * w->m->n; c++) {
        const uint32_t from = w->place[c], to = w->place[c / 3 * 3 + (c + 1) % 3];
        if (crowd_at(w, c) > CROWD)
            continue; /* its other end sees the sides; only sides between two hubs go unseen */
        if (runs(w, from, to) != 1 || (crowd_at(w, to) <= CROWD && runs(w, to, from) != 1))
            return 0;
    }
    return volume_of(w->m) > 0;
}

/* ---- making ---- */

static ken_status build(welder *w)
{
    const size_t n = w->m->n;
    size_t room = 16;
    while (room < 6 * n)
        room *= 2;
    w->mask = room - 1;
    w->s->n = n;
    w->s->points = kn_alloc(n, 9 * sizeof(float));
    w->s->normals = kn_alloc(n, 9 * sizeof(float));
    w->flat = kn_alloc(n, 3 * sizeof(float));
    w->table = kn_zalloc(room, sizeof *w->table);
    w->place = kn_alloc(n, 3 * sizeof *w->place);
    w->next = kn_alloc(n, 3 * sizeof *w->next);
    if (!w->s->points || !w->s->normals || !w->flat || !w->table || !w->place || !w->next)
        return KEN_E_NOMEM;
    fit_sphere(w->m, w->s);
    find_flat(w);
    weld(w);
    for (uint32_t c = 0; c < 3 * n; c++)
        smooth_one(w, c, w->s->normals + 3 * (size_t)c);
    w->s->closed = is_closed(w);
    return KEN_OK;
}

ken_status kn_shape_new(kn_shape *out, const kn_mesh *m)
{
    kn_shape s = { 0 };
    welder w = { .m = m, .s = &s };
    if (!m->n || m->n > KN_MESH_MAX)
        return kn_fail(KEN_E_INVALID, "a shape of %zu triangles", m->n);
    ken_status st = build(&w);
    kn_free(w.flat);
    kn_free(w.table);
    kn_free(w.place);
    kn_free(w.next);
    if (st)
        kn_shape_release(&s);
    else
        *out = s;
    return st;
}

ken_status kn_shape_parse(kn_shape *out, const char *kind, const void *bytes, size_t len)
{
    kn_mesh m = { 0 };
    ken_status st = kn_mesh_parse(&m, kind, bytes, len);
    if (!st)
        st = kn_shape_new(out, &m);
    kn_mesh_release(&m);
    return st;
}

void kn_shape_release(kn_shape *s)
{
    kn_free(s->points);
    kn_free(s->normals);
    *s = (kn_shape){ 0 };
}
