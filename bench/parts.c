/* parts.c - are models found by pictures of them?
 *
 *   parts MODEL DIR [QUERIES [ROLL]]      DIR holds .stl, .obj, .ply; QUERIES a part, 10; ROLL degrees, 15
 *
 * The parts are indexed in a collection of their own, in a folder that is taken away again.  Queries are
 * drawn from directions at least 8 degrees from each of the standard views, rolled up to ROLL to either side,
 * lit from elsewhere, nearer and further away, with noise; `plain`: of the indexed colours; `any`: of any
 * colour on any background.  Prints the share of queries that find their part first, and among the first
 * three, by the vectors alone and with the first fourteen held against the picture by outline; and the median
 * time of a search. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rand.h"
#include "ken.h"
#include "mesh/shape.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, SIDE = 224, SECONDS = 4096 };

typedef struct part {
    char *name;
    uint64_t id;
    kn_shape shape;
} part;

static ken *k;
static part parts[MOST];
static size_t parts_n;

static void must(ken_status st)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", ken_last_error());
    exit(2);
}

static void load_part(part *p, const char *path)
{
    kn_mesh m;
    must(ken_find(k, path, &p->id));
    must(kn_mesh_load(&m, path));
    must(kn_shape_new(&p->shape, &m));
    kn_mesh_release(&m);
    p->name = kn_strdup(kn_path_name(path));
}

static float between(kn_rand *r, float a, float b)
{
    return a + (b - a) * kn_rand_float(r);
}

static void direction(kn_rand *r, float out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = kn_rand_normal(r);
}

/* Degrees from the nearest standard view. */
static double apart(const float eye[3])
{
    double best = -1;
    kn_shot s;
    kn_shot_init(&s);
    for (uint32_t v = 0; v < KN_VIEWS; v++) {
        double ab = 0, a = 0, b = 0;
        kn_shot_view(&s, v);
        for (int i = 0; i < 3; i++) {
            ab += (double)eye[i] * (double)s.eye[i];
            a += (double)eye[i] * (double)eye[i];
            b += (double)s.eye[i] * (double)s.eye[i];
        }
        best = fmax(best, ab / sqrt(a * b));
    }
    return acos(best) * 180 / M_PI;
}

static void choose_shot(kn_shot *s, kn_rand *r, double roll, int any)
{
    kn_shot_init(s);
    do
        direction(r, s->eye);
    while (apart(s->eye) < 8);
    /* up is z turned around the line of sight */
    double e[3], side[3], len = 0;
    const double a = (double)between(r, -1, 1) * roll * M_PI / 180;
    for (int i = 0; i < 3; i++)
        len += (double)s->eye[i] * (double)s->eye[i];
    for (int i = 0; i < 3; i++)
        e[i] = (double)s->eye[i] / sqrt(len);
    side[0] = -e[1];
    side[1] = e[0];
    side[2] = 0;
    len = hypot(side[0], side[1]) + 1e-9;
    for (int i = 0; i < 3; i++)
        s->up[i] = (float)(((i == 2) - e[2] * e[i]) / len * cos(a) + side[i] / len * sin(a));
    direction(r, s->key);
    direction(r, s->fills);
    s->key[2] = fabsf(s->key[2]) + .3f;
    s->fills[2] = fabsf(s->fills[2]) + .3f;
    s->key_strength = between(r, .4f, .8f);
    s->fill_strength = between(r, .1f, .4f);
    s->ambient = between(r, .08f, .25f);
    s->perspective = between(r, .1f, .45f);
    s->fill = between(r, .7f, .95f);
    for (int i = 0; any && i < 3; i++) {
        s->colour[i] = (uint8_t)(60 + kn_rand_below(r, 196));
        s->background[i] = (uint8_t)kn_rand_below(r, 256);
    }
}

static ken_image *photograph(const part *p, kn_rand *r, double roll, int any)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    ken_image *img = NULL;
    kn_shot shot;
    choose_shot(&shot, r, roll, any);
    must(kn_shape_render(&p->shape, &shot, rgb, NULL));
    const float sigma = between(r, 4, 16);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)fminf(fmaxf((float)rgb[i] + sigma * kn_rand_normal(r) + .5f, 0), 255);
    must(ken_image_from_rgb(&img, rgb, SIDE, SIDE, SIDE * 3));
    return img;
}

static size_t rank_of(const ken_image *img, uint64_t id, int verify, double *seconds)
{
    ken_hit hits[MOST];
    size_t n = 0;
    const ken_term t = { .image = img, .weight = 1 };
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    o.k = (uint32_t)parts_n;
    o.verify = verify;
    const double start = kn_clock();
    must(ken_search(k, &t, 1, &o, hits, &n, NULL));
    *seconds = kn_clock() - start;
    for (size_t i = 0; i < n; i++)
        if (hits[i].id == id)
            return i + 1;
    return MOST;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(size_t queries, double roll, int any)
{
    static double seconds[2][SECONDS];
    static const char *const how[2] = { "vectors", "outlines" };
    size_t found[2][2] = { { 0 } }, n = 0;
    for (size_t p = 0; p < parts_n; p++)
        for (size_t i = 0; i < queries && n < SECONDS; i++, n++) {
            kn_rand r = kn_rand_at(p * queries + i, 11);
            ken_image *img = photograph(&parts[p], &r, roll, any);
            for (int h = 0; h < 2; h++) {
                const size_t rank = rank_of(img, parts[p].id, h ? 0 : -1, &seconds[h][n]);
                found[h][0] += rank == 1;
                found[h][1] += rank <= 3;
            }
            ken_image_free(img);
        }
    for (int h = 0; h < 2; h++) {
        qsort(seconds[h], n, sizeof(double), by_value);
        printf("%s, by %s: %zu queries, %.1f %% first, %.1f %% in three, %.0f ms\n", any ? "any" : "plain", how[h],
               n, 100 * (double)found[h][0] / (double)n, 100 * (double)found[h][1] / (double)n,
               seconds[h][n / 2] * 1e3);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const part *)a)->name, ((const part *)b)->name);
}

static void index_parts(const char *db, const char *model, const char *dir)
{
    ken_options o = KEN_OPTIONS_INIT;
    ken_scan_options scan = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report report = { 0 };
    o.model = model;
    o.create = 1;
    o.store = "file:";
    must(ken_open(&k, db, &o));
    must(ken_scan(k, &dir, 1, &scan, &report));
    DIR *d = opendir(dir);
    for (struct dirent *e; d && parts_n < MOST && (e = readdir(d));) {
        char *path = kn_path_join(dir, e->d_name);
        if (path && kn_mesh_kind(path))
            load_part(&parts[parts_n++], path);
        kn_free(path);
    }
    if (d)
        closedir(d);
    qsort(parts, parts_n, sizeof *parts, by_name); /* queries follow from the order */
    printf("%zu parts, indexed in %.1f s\n", parts_n, report.seconds);
}

int main(int argc, char **argv)
{
    char db[] = "/tmp/ken-parts-XXXXXX", command[64], *dir = NULL;
    if (argc < 3 || !mkdtemp(db) || kn_path_absolute(&dir, argv[2])) {
        fputs("usage: parts MODEL DIR [QUERIES [ROLL]]\n", stderr);
        return 2;
    }
    index_parts(db, argv[1], dir);
    for (int any = 0; any < 2; any++)
        measure(argc > 3 ? strtoul(argv[3], NULL, 10) : 10, argc > 4 ? strtod(argv[4], NULL) : 15, any);
    for (size_t i = 0; i < parts_n; i++) {
        kn_free(parts[i].name);
        kn_shape_release(&parts[i].shape);
    }
    ken_close(k);
    kn_free(dir);
    snprintf(command, sizeof command, "rm -r %s", db);
    return system(command) ? 2 : 0;
}
