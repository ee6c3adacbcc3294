/* parts.c - are models found by pictures of them?
 *
 *   parts MODEL DIR [QUERIES [ROLL]]      DIR holds .stl, .obj, .ply; QUERIES a part, 10; ROLL degrees, 15
 *
 * Each part is indexed by its standard views.  Queries are drawn from directions at least 8 degrees from
 * each of those, rolled up to ROLL to either side, lit from elsewhere, nearer and further away, with
 * noise; `plain`: of the indexed colours; `any`: of any colour on any background.  Prints the share of
 * queries that find their part first, and among the first three, by the mean of a part's vectors and by
 * the best of them. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rand.h"
#include "engine/model.h"
#include "kernels/kernels.h"
#include "mesh/shape.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, SIDE = 224 };

typedef struct part {
    char *name;
    kn_shape shape;
    float *views; /* (KN_VIEWS, dim) */
    float *mean;  /* (dim) unit */
} part;

static ken_model *model;
static size_t dim;
static part parts[MOST];
static size_t parts_n;

static void must(ken_status st)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", ken_last_error());
    exit(2);
}

static void embed(const uint8_t *rgb, float *out)
{
    ken_image *img = NULL;
    must(ken_image_from_rgb(&img, rgb, SIDE, SIDE, SIDE * 3));
    must(ken_model_embed(model, (const ken_image *const *)&img, 1, out));
    ken_image_free(img);
}

static void index_part(part *p, const char *path)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_mesh m;
    kn_shot shot;
    kn_shot_init(&shot);
    must(kn_mesh_load(&m, path));
    must(kn_shape_new(&p->shape, &m));
    kn_mesh_release(&m);
    p->views = kn_alloc(KN_VIEWS * dim, sizeof(float));
    p->mean = kn_zalloc(dim, sizeof(float));
    p->name = kn_strdup(kn_path_name(path));
    for (uint32_t v = 0; v < KN_VIEWS; v++) {
        kn_shot_view(&shot, v);
        must(kn_shape_render(&p->shape, &shot, rgb, NULL));
        embed(rgb, p->views + v * dim);
        for (size_t d = 0; d < dim; d++)
            p->mean[d] += p->views[v * dim + d];
    }
    kn_kernels_get()->l2_normalize(p->mean, dim);
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

static void take_query(const part *p, kn_rand *r, double roll, int any, float *out)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_shot shot;
    choose_shot(&shot, r, roll, any);
    must(kn_shape_render(&p->shape, &shot, rgb, NULL));
    const float sigma = between(r, 4, 16);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)fminf(fmaxf((float)rgb[i] + sigma * kn_rand_normal(r) + .5f, 0), 255);
    embed(rgb, out);
}

static float dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static float best_view(const part *p, const float *q)
{
    float best = -2;
    for (size_t v = 0; v < KN_VIEWS; v++)
        best = fmaxf(best, dot(q, p->views + v * dim, dim));
    return best;
}

static size_t rank_of(size_t right, const float *scores)
{
    size_t rank = 1;
    for (size_t i = 0; i < parts_n; i++)
        rank += i != right && scores[i] >= scores[right];
    return rank;
}

static void measure(size_t queries, double roll, int any)
{
    size_t found[2][2] = { { 0 } };
    float scores[2][MOST];
    float *q = kn_alloc(dim, sizeof *q);
    for (size_t p = 0; p < parts_n; p++)
        for (size_t i = 0; i < queries; i++) {
            kn_rand r = kn_rand_at(p * queries + i, 11);
            take_query(&parts[p], &r, roll, any, q);
            for (size_t k = 0; k < parts_n; k++) {
                scores[0][k] = dot(q, parts[k].mean, dim);
                scores[1][k] = best_view(&parts[k], q);
            }
            for (int how = 0; how < 2; how++) {
                const size_t rank = rank_of(p, scores[how]);
                found[how][0] += rank == 1;
                found[how][1] += rank <= 3;
            }
        }
    const double n = (double)(parts_n * queries) / 100;
    printf("%s: %zu queries: by the mean %.1f %% first, %.1f %% in three; by the best view %.1f %%, %.1f %%\n",
           any ? "any" : "plain", parts_n * queries, (double)found[0][0] / n, (double)found[0][1] / n,
           (double)found[1][0] / n, (double)found[1][1] / n);
    kn_free(q);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const part *)a)->name, ((const part *)b)->name);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: parts MODEL DIR [QUERIES [ROLL]]\n", stderr);
        return 2;
    }
    must(ken_model_open(&model, argv[1], NULL));
    dim = ken_model_get_info(model)->dim;
    DIR *d = opendir(argv[2]);
    for (struct dirent *e; d && parts_n < MOST && (e = readdir(d));) {
        char *path = kn_path_join(argv[2], e->d_name);
        if (path && kn_mesh_kind(path))
            index_part(&parts[parts_n++], path);
        kn_free(path);
    }
    if (d)
        closedir(d);
    qsort(parts, parts_n, sizeof *parts, by_name); /* queries follow from the order */
    printf("%zu parts\n", parts_n);
    for (int any = 0; any < 2; any++)
        measure(argc > 3 ? strtoul(argv[3], NULL, 10) : 10, argc > 4 ? strtod(argv[4], NULL) : 15, any);
    for (size_t i = 0; i < parts_n; i++) {
        kn_free(parts[i].name);
        kn_free(parts[i].views);
        kn_free(parts[i].mean);
        kn_shape_release(&parts[i].shape);
    }
    ken_model_close(model);
    return 0;
}
