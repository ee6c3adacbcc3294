/* explain.c - do explanations point at what they are about?
 *
 *   explain MODEL [val|test [N [pictures|words [METHOD [OUT]]]]]
 *
 * Pictures of two toys side by side, each covering at most 15 % of it, cut out of photographs in the same
 * light and put before a room; beside a clean picture of one of them, or its caption.  Of the first N toys
 * (100) of the split, ids and references as weights/toys-test.md has them.
 *
 * Pointing game (Zhang et al. 2016): the map's maximum lies in the right toy's box, or on its mask.  Beside it
 * how often the picture's middle does, and how often the maximum lies in the other one's box.
 * Deletion (Petsiuk et al. 2018): the cells of the picture are greyed, an eighth of them at a time, the most
 * relevant first; how often the mean score on the way is lower than with a random order (the mean of four).
 * Prints shares as JSON.  OUT-0.png … show some pictures with their maps. */
#include "base/alloc.h"
#include "base/rand.h"
#include "image/image.h"
#include "ken.h"
#include "toys/toys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 256, CUT = 128, REFERENCE = 128, CELLS = 8, STEPS = 8, SHOWN = 6 };
enum { GALLERY_SEED = 1, QUERY_SEED = 2, SCENE_SEED = 3 };

typedef struct scene {
    uint8_t rgb[SIDE * SIDE * 3], who[SIDE * SIDE]; /* who: 1 the right toy, 2 the other one */
    double covers[3];
    uint32_t box[3][4]; /* x0, y0, x1, y1 */
} scene;

typedef struct tally {
    int n, large, box, mask, other, centre_box, centre_mask, dropped;
    double covers;
} tally;

static kn_toy_camera *camera;
static ken_model *model;

static void must(ken_status st)
{
    if (!st)
        return;
    fprintf(stderr, "%s\n", ken_last_error());
    exit(2);
}

static ken_image *image_of(const uint8_t *rgb, uint32_t side)
{
    ken_image *img = NULL;
    must(ken_image_from_rgb(&img, rgb, side, side, (size_t)side * 3));
    return img;
}

/* ---- scenes ---- */

/* One toy's pixels into the scene, its box's middle at (x, y) of it. */
static void paste(scene *s, int who, const uint8_t *rgb, const uint8_t *mask, const kn_toy_truth *t, double x,
                  double y)
{
    const int dx = (int)(x * SIDE - (double)t->box[0] - (double)t->box[2] / 2);
    const int dy = (int)(y * SIDE - (double)t->box[1] - (double)t->box[3] / 2);
    for (int i = 0; i < CUT * CUT; i++) {
        const int px = i % CUT + dx, py = i / CUT + dy;
        if (!mask[i] || px < 0 || py < 0 || px >= SIDE || py >= SIDE)
            continue;
        memcpy(s->rgb + 3 * (py * SIDE + px), rgb + 3 * i, 3);
        s->who[py * SIDE + px] = (uint8_t)who;
    }
}

static void measure(scene *s)
{
    for (int w = 1; w <= 2; w++) {
        s->covers[w] = 0;
        s->box[w][0] = s->box[w][1] = SIDE;
        s->box[w][2] = s->box[w][3] = 0;
    }
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        const int w = s->who[i];
        const uint32_t x = i % SIDE, y = i / SIDE;
        if (!w)
            continue;
        uint32_t *b = s->box[w];
        s->covers[w] += 1.0 / (SIDE * SIDE);
        b[0] = x < b[0] ? x : b[0];
        b[1] = y < b[1] ? y : b[1];
        b[2] = x + 1 > b[2] ? x + 1 : b[2];
        b[3] = y + 1 > b[3] ? y + 1 : b[3];
    }
}

static void make_scene(scene *s, uint64_t id, uint64_t other)
{
    static uint8_t rgb[SIDE * SIDE * 3], mask[SIDE * SIDE];
    const uint64_t ids[2] = { id, other };
    kn_rand r = kn_rand_at(id, SCENE_SEED);
    kn_toy t;
    kn_toy_view v;
    kn_toy_truth truth;
    kn_toy_make(&t, id);
    kn_toy_view_make(&v, &t, KN_TOY_FULL, SCENE_SEED, 0);
    v.occluders = v.neighbours = 0;
    kn_toy_view room = v;
    room.target[0] += 50; /* so far away that no toy is seen */
    must(kn_toy_shoot(camera, &t, &room, SIDE, s->rgb, NULL, NULL));
    memset(s->who, 0, sizeof s->who);
    const int left = (int)kn_rand_below(&r, 2);
    for (int i = 0; i < 2; i++) {
        kn_toy_view mine;
        kn_toy_make(&t, ids[i]);
        kn_toy_view_make(&mine, &t, KN_TOY_FULL, SCENE_SEED, 0);
        memcpy(v.target, mine.target, sizeof v.target);
        memcpy(v.pose, mine.pose, sizeof v.pose);
        v.azimuth = mine.azimuth;
        must(kn_toy_shoot(camera, &t, &v, CUT, rgb, mask, &truth));
        paste(s, i + 1, rgb, mask, &truth, (i == left ? 0.28 : 0.72) + 0.08 * ((double)kn_rand_float(&r) - 0.5),
              0.3 + 0.4 * (double)kn_rand_float(&r));
    }
    measure(s);
}

/* ---- pointing ---- */

static int in_box(const uint32_t b[4], uint32_t x, uint32_t y)
{
    return x >= b[0] && x < b[2] && y >= b[1] && y < b[3];
}

static void point(const scene *s, const ken_explanation *e, tally *t)
{
    size_t best = 0;
    for (size_t i = 0; i < (size_t)e->grid[0] * e->grid[1]; i++)
        if (e->b[i] > e->b[best])
            best = i;
    const uint32_t x = (uint32_t)((best % e->grid[1] + 0.5) * SIDE / e->grid[1]);
    const uint32_t y = (uint32_t)((best / e->grid[1] + 0.5) * SIDE / e->grid[0]);
    t->box += in_box(s->box[1], x, y);
    t->other += in_box(s->box[2], x, y) && !in_box(s->box[1], x, y);
    t->mask += s->who[y * SIDE + x] == 1;
    t->centre_box += in_box(s->box[1], SIDE / 2, SIDE / 2);
    t->centre_mask += s->who[SIDE / 2 * SIDE + SIDE / 2] == 1;
}

/* ---- deletion ---- */

static double score(const float *want, const uint8_t *rgb)
{
    float got[2048];
    double sum = 0;
    ken_image *img = image_of(rgb, SIDE);
    must(ken_model_embed(model, (const ken_image *const *)&img, 1, got));
    ken_image_free(img);
    for (uint32_t j = 0; j < ken_model_get_info(model)->dim; j++)
        sum += (double)got[j] * (double)want[j];
    return sum;
}

static void grey(uint8_t *rgb, int cell, const uint8_t color[3])
{
    const int side = SIDE / CELLS, x0 = cell % CELLS * side, y0 = cell / CELLS * side;
    for (int y = y0; y < y0 + side; y++)
        for (int x = x0; x < x0 + side; x++)
            memcpy(rgb + 3 * (y * SIDE + x), color, 3);
}

/* The mean score while cells go in that order. */
static double delete(const scene *s, const float *want, const int *order, const uint8_t color[3])
{
    static uint8_t rgb[SIDE * SIDE * 3];
    double sum = 0;
    memcpy(rgb, s->rgb, sizeof rgb);
    for (int k = 0; k + 1 < STEPS; k++) {
        for (int i = 0; i < CELLS * CELLS / STEPS; i++)
            grey(rgb, order[k * CELLS * CELLS / STEPS + i], color);
        sum += score(want, rgb);
    }
    return sum / (STEPS - 1);
}

static void shuffle(kn_rand *r, int *order)
{
    for (int i = CELLS * CELLS; i-- > 1;) {
        const int j = (int)kn_rand_below(r, (uint32_t)i + 1), x = order[i];
        order[i] = order[j];
        order[j] = x;
    }
}

static void delete_both(const scene *s, const ken_explanation *e, const ken_term *reference, uint64_t id,
                        tally *t)
{
    float want[2048];
    double mass[CELLS * CELLS] = { 0 }, mean[3] = { 0 }, random = 0;
    int order[CELLS * CELLS];
    uint8_t color[3];
    kn_rand r = kn_rand_at(id, 77);
    must(reference->text ? ken_model_embed_texts(model, &reference->text, 1, want)
                         : ken_model_embed(model, &reference->image, 1, want));
    for (uint32_t i = 0; i < SIDE * SIDE * 3; i++)
        mean[i % 3] += s->rgb[i] / (double)(SIDE * SIDE);
    for (int k = 0; k < 3; k++)
        color[k] = (uint8_t)lrint(mean[k]);
    for (uint32_t i = 0; i < e->grid[0] * e->grid[1]; i++) {
        const uint32_t x = i % e->grid[1] * CELLS / e->grid[1], y = i / e->grid[1] * CELLS / e->grid[0];
        mass[y * CELLS + x] += (double)e->b[i];
    }
    for (int i = 0; i < CELLS * CELLS; i++)
        order[i] = i;
    for (int i = 1; i < CELLS * CELLS; i++)
        for (int j = i; j > 0 && mass[order[j]] > mass[order[j - 1]]; j--) {
            const int x = order[j];
            order[j] = order[j - 1];
            order[j - 1] = x;
        }
    const double ours = delete(s, want, order, color);
    for (int k = 0; k < 4; k++) {
        shuffle(&r, order);
        random += delete(s, want, order, color) / 4;
    }
    t->dropped += ours < random;
}

/* ---- all ---- */

static void show(const ken_explanation *e, const ken_term *a, const ken_term *b, uint64_t i, const char *path)
{
    char name[512];
    ken_image *img = NULL;
    if (!path || i >= SHOWN)
        return;
    snprintf(name, sizeof name, "%s-%d.png", path, (int)i);
    must(ken_explanation_draw(&img, e, a, b, 256));
    must(ken_image_save(img, name, 0));
    ken_image_free(img);
}

static void judge(uint64_t id, uint64_t other, int words, const ken_explain_options *o, uint64_t number,
                  const char *out, tally *t)
{
    static scene s;
    static uint8_t rgb[REFERENCE * REFERENCE * 3];
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    kn_toy toy;
    ken_explanation *e = NULL;
    kn_toy_make(&toy, id);
    kn_toy_caption(&toy, NULL, 1, 0, en, zh, says);
    must(kn_toy_picture(camera, id, KN_TOY_CLEAN, GALLERY_SEED, 0, REFERENCE, rgb, NULL, NULL));
    make_scene(&s, id, other);
    if (s.covers[1] > 0.15 || s.covers[2] > 0.15) {
        t->large++;
        return;
    }
    ken_image *reference = image_of(rgb, REFERENCE), *img = image_of(s.rgb, SIDE);
    const ken_term a = { .image = words ? NULL : reference, .text = words ? en : NULL }, b = { .image = img };
    must(ken_explain(model, &a, &b, o, &e));
    t->n++;
    t->covers += s.covers[1];
    point(&s, e, t);
    delete_both(&s, e, &a, id, t);
    show(e, &a, &b, number, out);
    ken_explanation_free(e);
    ken_image_free(reference);
    ken_image_free(img);
}

int main(int argc, char **argv)
{
    ken_explain_options o = KEN_EXPLAIN_OPTIONS_INIT;
    tally t = { 0 };
    if (argc < 2) {
        fprintf(stderr, "usage: explain MODEL [val|test [N [pictures|words [METHOD [OUT]]]]]\n");
        return 2;
    }
    const uint64_t first = argc > 2 && !strcmp(argv[2], "test") ? 1100000 : 1000000;
    const uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 100;
    const int words = argc > 4 && !strcmp(argv[4], "words");
    o.method = argc > 5 ? argv[5] : NULL;
    must(ken_model_open(&model, argv[1], NULL));
    must(kn_toy_camera_new(&camera, SIDE));
    for (uint64_t i = 0; i < n; i++)
        judge(first + i, first + (i + n / 2 + 1) % n, words, &o, i, argc > 6 ? argv[6] : NULL, &t);
    const double all = t.n ? t.n : 1;
    printf("{\"pictures\":%d,\"too_large\":%d,\"covers\":%.4f,\"box\":%.4f,\"mask\":%.4f,\"other\":%.4f,"
           "\"centre_box\":%.4f,\"centre_mask\":%.4f,\"deletion\":%.4f}\n",
           t.n, t.large, t.covers / all, t.box / all, t.mask / all, t.other / all, t.centre_box / all,
           t.centre_mask / all, t.dropped / all);
    kn_toy_camera_free(camera);
    ken_model_close(model);
    return 0;
}
