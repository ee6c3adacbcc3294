/* test_verify.c - 3-D models found by their outlines, where the network's vectors say next to nothing. */
#include "tests/test.h"

#include "base/file.h"
#include "engine/encoder.h"
#include "mesh/shape.h"
#include "tests/fake_encoder.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

enum { PARTS = 8, SIDE = 128, POSES = 2 };
static char top[] = "/tmp/ken-verify-XXXXXX";

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

/* Two boxes each: from, to. */
static const double boxes[PARTS][2][6] = {
    { { 0, 0, 0, 6, 2, 1 }, { 0, 0, 1, 1, 2, 5 } },   { { 0, 0, 0, 6, 2, 1 }, { 2.5, 0, 1, 3.5, 2, 5 } },
    { { 0, 0, 0, 9, 1, 1 }, { 0, 0, 1, 1, 1, 2 } },   { { 0, 0, 0, 4, 4, .5 }, { 1, 1, .5, 3, 3, 4 } },
    { { 0, 0, 0, 2, 2, 7 }, { 2, 0, 3, 4, 2, 4 } },   { { 0, 0, 0, 5, 5, .5 }, { 0, 0, .5, 5, .5, 5 } },
    { { 0, 0, 0, 3, 3, 3 }, { 3, 1, 1, 8, 2, 2 } },   { { 0, 0, 0, 3, 3, 3 }, { 0, 0, 3, 1, 1, 8 } },
};

static void write_box(FILE *f, const double *b)
{
    static const int faces[6][4] = { { 0, 4, 6, 2 }, { 1, 3, 7, 5 }, { 0, 1, 5, 4 },
                                     { 2, 6, 7, 3 }, { 0, 2, 3, 1 }, { 4, 5, 7, 6 } };
    for (int t = 0; t < 12; t++) {
        fputs("facet normal 0 0 0\nouter loop\n", f);
        for (int c = 0; c < 3; c++) {
            const int corner = faces[t / 2][c ? c + t % 2 : 0];
            fprintf(f, "vertex %g %g %g\n", b[3 * (corner & 1)], b[1 + 3 * (corner >> 1 & 1)],
                    b[2 + 3 * (corner >> 2)]);
        }
        fputs("endloop\nendfacet\n", f);
    }
}

static const char *name_of(int part)
{
    static char path[32];
    snprintf(path, sizeof path, "p/part%d.stl", part);
    return path;
}

static void setup(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
    for (int p = 0; p < PARTS; p++) {
        FILE *f = fopen(name_of(p), "w");
        ck_assert_ptr_nonnull(f);
        fputs("solid part\n", f);
        for (int b = 0; b < 2; b++)
            write_box(f, boxes[p][b]);
        fputs("endsolid\n", f);
        fclose(f);
    }
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static ken *open_it(int create)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.store = create ? "file:" : NULL;
    o.model = create ? "a" : NULL;
    o.create = create;
    OK(kn_collection_open(&k, "c", &o, &fake_encoder));
    return k;
}

static void scan(ken *k)
{
    const char *path = "p";
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r = { 0 };
    OK(ken_scan(k, &path, 1, &o, &r));
    ck_assert_uint_eq(r.failed, 0);
}

/* A part from somewhere, in some light, with noise, off the middle. */
static ken_image *photograph(int part, int pose)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    kn_rand r = kn_rand_at((uint64_t)(part * POSES + pose), 5);
    kn_mesh m = { 0 };
    kn_shape s = { 0 };
    kn_shot shot;
    ken_image *img = NULL;
    kn_shot_init(&shot);
    for (int i = 0; i < 3; i++) {
        shot.eye[i] = kn_rand_normal(&r);
        shot.up[i] = kn_rand_normal(&r);
        shot.key[i] = fabsf(kn_rand_normal(&r));
    }
    shot.perspective = .1f + .3f * kn_rand_float(&r);
    shot.fill = .6f + .3f * kn_rand_float(&r);
    shot.size = SIDE;
    OK(kn_mesh_load(&m, name_of(part)));
    OK(kn_shape_new(&s, &m));
    OK(kn_shape_render(&s, &shot, rgb, NULL));
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)fminf(fmaxf((float)rgb[i] + 5 * kn_rand_normal(&r), 0), 255);
    OK(ken_image_from_rgb(&img, rgb, SIDE, SIDE, SIDE * 3));
    kn_shape_release(&s);
    kn_mesh_release(&m);
    return img;
}

static int rank_of(ken *k, int part, const ken_hit *hits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ken_record *r = NULL;
        OK(ken_get(k, hits[i].id, &r));
        const int same = !strcmp(kn_path_name(r->path), kn_path_name(name_of(part)));
        ken_record_free(r);
        if (same)
            return (int)i + 1;
    }
    return PARTS + 1;
}

/* SHORT: every third part is photographed. */
static int step(void)
{
    return (int)kn_test_size(1, 1, 3);
}

static int asked(void)
{
    return (PARTS + step() - 1) / step() * POSES;
}

/* How many of all photographs find their part first; a digest of all answers. */
static int count_first(ken *k, int verify, uint64_t *digest)
{
    int first = 0;
    *digest = 0;
    for (int p = 0; p < PARTS; p += step())
        for (int i = 0; i < POSES; i++) {
            ken_hit hits[PARTS];
            size_t n = 0;
            ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
            ken_image *img = photograph(p, i);
            const ken_term t = { .image = img, .weight = 1 };
            o.k = PARTS;
            o.verify = verify;
            OK(ken_search(k, &t, 1, &o, hits, &n, NULL));
            ck_assert_uint_eq(n, PARTS);
            for (size_t h = 1; h < n; h++)
                ck_assert_float_le(hits[h].score, hits[h - 1].score);
            for (size_t h = 0; h < n; h++)
                *digest = *digest * 31 + hits[h].id;
            first += rank_of(k, p, hits, n) == 1;
            ken_image_free(img);
        }
    return first;
}

static int outlines(void)
{
    int n = 0;
    DIR *d = opendir("c/outlines");
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

START_TEST(outlines_find_what_the_network_does_not)
{
    ken *k = open_it(1);
    uint64_t by_network, digest, again;
    scan(k);
    ck_assert_int_eq(outlines(), PARTS);
    const int without = count_first(k, -1, &by_network), with = count_first(k, 0, &digest);
    ck_assert_int_lt(without, asked() / 2);
    ck_assert_int_ge(with, asked() * 9 / 10);
    /* with one brought closer, most are right by the kept outlines alone */
    ck_assert_int_ge(count_first(k, 1, &again), asked() / 2);
    /* nothing kept, or something damaged: drawn again, the same answers */
    ck_assert_int_eq(system("for f in c/outlines/*; do printf x | dd of=$f bs=1 seek=900 conv=notrunc "
                            "status=none; done"), 0);
    count_first(k, 0, &again);
    ck_assert_uint_eq(again, digest);
    ck_assert_int_eq(system("rm -r c/outlines"), 0);
    count_first(k, 0, &again);
    ck_assert_uint_eq(again, digest);
    ken_close(k);
}
END_TEST

START_TEST(nothing_stands_out)
{
    static uint8_t grey[SIDE * SIDE * 3];
    ken *k = open_it(1);
    ken_hit plain[PARTS], verified[PARTS];
    size_t n, m;
    ken_image *img = NULL;
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    scan(k);
    memset(grey, 128, sizeof grey);
    OK(ken_image_from_rgb(&img, grey, SIDE, SIDE, SIDE * 3));
    const ken_term t = { .image = img, .weight = 1 };
    OK(ken_search(k, &t, 1, &o, verified, &n, NULL));
    o.verify = -1;
    OK(ken_search(k, &t, 1, &o, plain, &m, NULL));
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(plain, verified, n * sizeof *plain);
    ken_image_free(img);
    ken_close(k);
}
END_TEST

/* Answers that are fused stay in the order of their cosines, which the fusion is of. */
START_TEST(fused_answers_are_not_held_against_outlines)
{
    ken *k = open_it(1);
    scan(k);
    for (int i = 0; i < POSES; i++) {
        ken_hit hits[PARTS];
        size_t n = 0;
        ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
        ken_image *img = photograph(i, i);
        const ken_term t = { .image = img, .weight = 1 };
        o.k = PARTS;
        o.spaces = "own";
        OK(ken_search(k, &t, 1, &o, hits, &n, NULL));
        ck_assert_uint_eq(n, PARTS);
        for (size_t h = 1; h < n; h++)
            ck_assert_float_le(hits[h].raw, hits[h - 1].raw);
        ken_image_free(img);
    }
    ken_close(k);
}
END_TEST

/* A file that has gone or changed since keeps the likeness of its kept outlines; the next scan forgets. */
START_TEST(files_change)
{
    ken *k = open_it(1);
    uint64_t before, after;
    scan(k);
    const int first = count_first(k, 0, &before);
    ck_assert_int_eq(rename(name_of(0), "part0.away"), 0);
    ken_image *img = photograph(1, 0);
    const ken_term t = { .image = img, .weight = 1 };
    ken_hit hits[PARTS];
    size_t n = 0;
    OK(ken_search(k, &t, 1, NULL, hits, &n, NULL));
    ck_assert_uint_eq(n, PARTS);
    ck_assert_int_eq(rank_of(k, 1, hits, n), 1);
    ken_image_free(img);
    scan(k); /* its folder can be read: it is gone */
    ck_assert_int_eq(outlines(), PARTS - 1);
    ck_assert_int_eq(rename("part0.away", name_of(0)), 0);
    scan(k);
    ck_assert_int_eq(outlines(), PARTS);
    ck_assert_int_eq(count_first(k, 0, &after), first);
    ken_close(k);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, outlines_find_what_the_network_does_not);
    tcase_add_test(t, nothing_stands_out);
    tcase_add_test(t, fused_answers_are_not_held_against_outlines);
    tcase_add_test(t, files_change);
}

int main(void)
{
    return kn_test_main("verify", fill);
}
