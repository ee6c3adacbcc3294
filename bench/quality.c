/* quality.c - does a picture of a part say whether the part is as designed?
 *
 *   quality MODEL DIR [QUERIES]      DIR holds .stl, .obj, .ply; QUERIES pictures of each, 1
 *
 * Each part is damaged in three ways, made from its triangles: one side 10 % longer; its slightest
 * outermost end cut flat; its largest through hole plugged.  Pictures of the intact and of the damaged part,
 * from anywhere in any light with noise, are held against the intact design: by the best of the standard
 * views' vectors, by outline and by what the aligned design explains.  Prints a line a picture and the area
 * under the ROC curve of each. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rand.h"
#include "engine/views.h"
#include "mesh/align.h"
#include "mesh/parse.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 224, SEEN = 112, MOST = 4096, MAP = 128 };
enum { INTACT, SCALED, CUT, PLUGGED, KINDS };
static const char *const kinds[KINDS] = { "intact", "scaled", "cut", "plugged" };

typedef struct result {
    int kind;
    float score[3]; /* vectors, outline, agreement */
} result;

static result results[MOST];
static size_t results_n;
static ken_model *model;

static void must(ken_status st)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", ken_last_error());
    exit(2);
}

/* ---- damage ---- */

static kn_mesh copy_of(const kn_mesh *m)
{
    kn_mesh c = { 0 };
    for (size_t i = 0; i < m->n; i++)
        must(kn_mesh_add(&c, m->corners + 9 * i));
    return c;
}

static void find_bounds(kn_mesh *m)
{
    for (int d = 0; d < 3; d++)
        m->low[d] = m->high[d] = m->corners[d];
    for (size_t i = 0; i < 9 * m->n; i++) {
        m->low[i % 3] = fminf(m->low[i % 3], m->corners[i]);
        m->high[i % 3] = fmaxf(m->high[i % 3], m->corners[i]);
    }
}

static kn_mesh scaled(const kn_mesh *m, int axis)
{
    kn_mesh c = copy_of(m);
    for (size_t i = 0; i < 3 * c.n; i++)
        c.corners[3 * i + (size_t)axis] *= 1.1f;
    return c;
}

/* Whatever lies beyond a plane is pushed onto it. */
static kn_mesh pushed(const kn_mesh *m, int side)
{
    const int axis = side % 3;
    const float depth = .15f * (m->high[axis] - m->low[axis]);
    kn_mesh c = { 0 };
    for (size_t i = 0; i < m->n; i++) {
        float t[9];
        memcpy(t, m->corners + 9 * i, sizeof t);
        for (int k = axis; k < 9; k += 3)
            t[k] = side < 3 ? fminf(t[k], m->high[axis] - depth) : fmaxf(t[k], m->low[axis] + depth);
        must(kn_mesh_add(&c, t));
    }
    return c;
}

/* The end that is least, but 1 % of the part at least where there is such. */
static kn_mesh cut(const kn_mesh *m)
{
    const double whole = kn_mesh_volume(m);
    int best = 0;
    double least = 2;
    for (int side = 0; side < 6; side++) {
        kn_mesh c = pushed(m, side);
        const double loss = 1 - kn_mesh_volume(&c) / whole, cost = loss < .01 ? 1 - loss : loss;
        if (cost < least) {
            least = cost;
            best = side;
        }
        kn_mesh_release(&c);
    }
    return pushed(m, best);
}

static void add_box(kn_mesh *m, const float low[3], const float high[3])
{
    static const int faces[12][3] = { { 0, 2, 1 }, { 1, 2, 3 }, { 4, 5, 6 }, { 5, 7, 6 },
                                      { 0, 1, 4 }, { 1, 5, 4 }, { 2, 6, 3 }, { 3, 6, 7 },
                                      { 0, 4, 2 }, { 2, 4, 6 }, { 1, 3, 5 }, { 3, 7, 5 } };
    for (int f = 0; f < 12; f++) {
        float t[9];
        for (int k = 0; k < 3; k++)
            for (int d = 0; d < 3; d++)
                t[3 * k + d] = faces[f][k] >> d & 1 ? high[d] : low[d];
        must(kn_mesh_add(m, t));
    }
}

/* The pixels of the island of background (0) around `from`, which become 2.  0 if it reaches the border. */
static size_t flood(uint8_t *map, uint32_t from, uint32_t *island)
{
    size_t n = 1;
    int open = 0;
    island[0] = from;
    map[from] = 2;
    for (size_t at = 0; at < n; at++) {
        const uint32_t p = island[at], x = p % MAP, y = p / MAP;
        const uint32_t next[] = { p - 1, p + 1, p - MAP, p + MAP };
        const int edge = !x || !y || x == MAP - 1 || y == MAP - 1;
        open |= edge;
        for (int i = 0; !edge && i < 4; i++)
            if (!map[next[i]]) {
                map[next[i]] = 2;
                island[n++] = next[i];
            }
    }
    return open ? 0 : n;
}

/* Seen along an axis: 0 background, 1 the part. */
static void look_along(const kn_shape *s, int axis, uint8_t *map)
{
    static uint8_t rgb[MAP * MAP * 3];
    kn_shot shot;
    kn_shot_init(&shot);
    for (int d = 0; d < 3; d++) {
        shot.eye[d] = d == axis;
        shot.up[d] = d == (axis + 2) % 3; /* right is then the axis behind this one */
    }
    shot.perspective = 0;
    shot.fill = .95f;
    shot.size = MAP;
    shot.samples = 1;
    must(kn_shape_render(s, &shot, rgb, map));
    for (int i = 0; i < MAP * MAP; i++)
        map[i] = map[i] != 0;
}

/* The box around a hole seen along axis, as deep as the walls around it; 0 if there are none. */
static int box_around(const kn_mesh *m, const kn_shape *s, int axis, const uint32_t *island, size_t n,
                      float low[3], float high[3])
{
    const double scale = s->radius / (MAP / 2.0 * .95);
    const int u = (axis + 1) % 3, v = (axis + 2) % 3;
    for (int d = 0; d < 3; d++) {
        low[d] = INFINITY;
        high[d] = -INFINITY;
    }
    for (size_t i = 0; i < n; i++) {
        const double pu = s->centre[u] + (island[i] % MAP + .5 - MAP / 2.0) * scale;
        const double pv = s->centre[v] - ((double)(island[i] / MAP) + .5 - MAP / 2.0) * scale;
        low[u] = fminf(low[u], (float)(pu - scale));
        high[u] = fmaxf(high[u], (float)(pu + scale));
        low[v] = fminf(low[v], (float)(pv - scale));
        high[v] = fmaxf(high[v], (float)(pv + scale));
    }
    for (size_t i = 0; i < 3 * m->n; i++) {
        const float *p = m->corners + 3 * i;
        if (p[u] < low[u] || p[u] > high[u] || p[v] < low[v] || p[v] > high[v])
            continue;
        low[axis] = fminf(low[axis], p[axis]);
        high[axis] = fmaxf(high[axis], p[axis]);
    }
    return low[axis] < high[axis];
}

/* The largest hole along any axis is filled with a box.  0: there is none. */
static int plugged(const kn_mesh *m, const kn_shape *s, kn_mesh *out)
{
    static uint8_t map[MAP * MAP];
    static uint32_t island[MAP * MAP];
    float low[3], high[3], best[2][3];
    size_t most = 12;
    for (int axis = 0; axis < 3; axis++) {
        look_along(s, axis, map);
        for (uint32_t from = 0; from < MAP * MAP; from++) {
            const size_t n = map[from] ? 0 : flood(map, from, island);
            if (n <= most || !box_around(m, s, axis, island, n, low, high))
                continue;
            most = n;
            memcpy(best[0], low, sizeof low);
            memcpy(best[1], high, sizeof high);
        }
    }
    if (most == 12)
        return 0;
    *out = copy_of(m);
    add_box(out, best[0], best[1]);
    return 1;
}

/* ---- pictures ---- */

static float between(kn_rand *r, float a, float b)
{
    return a + (b - a) * kn_rand_float(r);
}

static void take(const kn_shape *s, kn_rand *r, uint8_t *rgb)
{
    kn_shot shot;
    kn_shot_init(&shot);
    for (int i = 0; i < 3; i++) {
        shot.eye[i] = kn_rand_normal(r);
        shot.up[i] = kn_rand_normal(r);
        shot.key[i] = kn_rand_normal(r);
        shot.fills[i] = kn_rand_normal(r);
    }
    shot.key[2] = fabsf(shot.key[2]) + .3f;
    shot.fills[2] = fabsf(shot.fills[2]) + .3f;
    shot.key_strength = between(r, .4f, .8f);
    shot.fill_strength = between(r, .1f, .4f);
    shot.ambient = between(r, .08f, .25f);
    shot.perspective = between(r, .1f, .45f);
    shot.fill = between(r, .7f, .95f);
    must(kn_shape_render(s, &shot, rgb, NULL));
    const float sigma = between(r, 2, 10);
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        rgb[i] = (uint8_t)fminf(fmaxf((float)rgb[i] + sigma * kn_rand_normal(r) + .5f, 0), 255);
}

static void judge(const char *name, const kn_shape *design, const float *views, int kind,
                  const uint8_t *rgb)
{
    const size_t dim = ken_model_get_info(model)->dim;
    ken_image *img = NULL, *small = NULL;
    kn_alignment a = { 0 };
    float *q = kn_alloc(dim, sizeof *q), best = -2;
    must(ken_image_from_rgb(&img, rgb, SIDE, SIDE, (size_t)SIDE * 3));
    must(ken_model_embed(model, (const ken_image *const *)&img, 1, q));
    for (size_t v = 0; v < KN_VIEWS; v++) {
        double dot = 0;
        for (size_t d = 0; d < dim; d++)
            dot += (double)q[d] * (double)views[v * dim + d];
        best = fmaxf(best, (float)dot);
    }
    must(ken_image_resize(&small, img, SEEN, SEEN, "box"));
    uint8_t *pixels = kn_alloc((size_t)SEEN * SEEN, 3);
    for (uint32_t y = 0; y < SEEN; y++)
        memcpy(pixels + (size_t)y * SEEN * 3, ken_image_row(small, y), (size_t)SEEN * 3);
    const double start = kn_clock();
    must(kn_align(design, pixels, SEEN, &a));
    printf("%-32s %-8s %.4f %.4f %.4f  %.1f s\n", name, kinds[kind], (double)best, (double)a.outline,
           (double)a.agreement, kn_clock() - start);
    fflush(stdout);
    if (results_n < MOST)
        results[results_n++] = (result){ kind, { best, a.outline, a.agreement } };
    kn_free(pixels);
    kn_free(q);
    ken_image_free(img);
    ken_image_free(small);
}

static void try_part(const char *path, size_t number, size_t queries)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_mesh m[KINDS] = { { 0 } };
    ken_mesh design;
    float *views = kn_alloc(KN_VIEWS * (size_t)ken_model_get_info(model)->dim, sizeof *views);
    kn_rand r = kn_rand_at(number, 21);
    must(kn_mesh_load(&m[INTACT], path));
    must(kn_shape_new(&design.shape, &m[INTACT]));
    must(ken_model_embed_mesh(model, &design, views));
    m[SCALED] = scaled(&m[INTACT], (int)kn_rand_below(&r, 3));
    m[CUT] = cut(&m[INTACT]);
    const int has_hole = plugged(&m[INTACT], &design.shape, &m[PLUGGED]);
    for (int kind = 0; kind < KINDS - !has_hole; kind++) {
        kn_shape s;
        find_bounds(&m[kind]);
        must(kn_shape_new(&s, &m[kind]));
        for (size_t i = 0; i < queries; i++) {
            kn_rand shot = kn_rand_at(number * queries + i, 22 + (uint64_t)kind);
            take(&s, &shot, rgb);
            judge(kn_path_name(path), &design.shape, views, kind, rgb);
        }
        kn_shape_release(&s);
    }
    for (int kind = 0; kind < KINDS; kind++)
        kn_mesh_release(&m[kind]);
    kn_shape_release(&design.shape);
    kn_free(views);
}

/* The chance that an intact one scores higher than one of `kind` (KINDS: any damaged one). */
static double auroc(int how, int kind)
{
    double wins = 0, pairs = 0;
    for (size_t i = 0; i < results_n; i++)
        for (size_t j = 0; j < results_n; j++) {
            if (results[i].kind != INTACT || results[j].kind == INTACT
                || (kind < KINDS && results[j].kind != kind))
                continue;
            const float a = results[i].score[how], b = results[j].score[how];
            wins += a > b ? 1 : a == b ? .5 : 0;
            pairs++;
        }
    return pairs > 0 ? wins / pairs : 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
    static const char *const hows[] = { "vectors", "outline", "agreement" };
    struct dirent **list;
    if (argc < 3) {
        fputs("usage: quality MODEL DIR [QUERIES]\n", stderr);
        return 2;
    }
    must(ken_model_open(&model, argv[1], NULL));
    const int n = scandir(argv[2], &list, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char *path = kn_path_join(argv[2], list[i]->d_name);
        if (path && kn_mesh_kind(path))
            try_part(path, (size_t)i, argc > 3 ? strtoul(argv[3], NULL, 10) : 1);
        kn_free(path);
    }
    for (int how = 0; how < 3; how++)
        printf("AUROC by %-9s %.3f: scaled %.3f, cut %.3f, plugged %.3f\n", hows[how], auroc(how, KINDS),
               auroc(how, SCALED), auroc(how, CUT), auroc(how, PLUGGED));
    ken_model_close(model);
    return 0;
}
