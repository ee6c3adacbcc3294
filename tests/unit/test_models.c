/* test_models.c - 3-D models in a collection: indexed, found by model and by picture, against a
 * computation by hand; and through renaming, change, loss and another network. */
#include "tests/test.h"

#include "engine/views.h"
#include "tests/fake_encoder.h"

#include <math.h>
#include <unistd.h>

static const char *const stores[] = {
    "file:",
#ifdef KEN_SQLITE
    "sqlite:",
#endif
};
enum { STORES = sizeof stores / sizeof *stores, PARTS = 3 };

static char top[] = "/tmp/ken-models-XXXXXX";
static const char *store = "file:";

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static void setup(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

/* Prisms and pyramids of different proportions, as OBJ: height, taper. */
static void part(const char *path, double height, double taper)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    for (int top_face = 0; top_face < 2; top_face++)
        for (int i = 0; i < 4; i++)
            fprintf(f, "v %g %g %g\n", (i == 1 || i == 2 ? 3 : -3) * (top_face ? taper : 1),
                    (i > 1 ? 1 : -1) * (top_face ? taper : 1.5), top_face * height);
    fputs("f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n", f);
    fclose(f);
}

static void make_parts(void)
{
    part("p/plate.obj", .5, 1);
    part("p/tower.obj", 9, .4);
    part("p/wedge.obj", 4, .9);
}

static ken *open_as(const char *model)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.create = 1;
    o.store = store;
    o.model = model;
    OK(kn_collection_open(&k, "c", &o, &fake_encoder));
    return k;
}

static const ken_model *model_of(ken *k)
{
    const ken_model *m = NULL;
    OK(ken_get_model(k, &m));
    return m;
}

static ken_scan_report scan(ken *k, int reembed)
{
    static const char *const paths[] = { "p" };
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    o.reembed = reembed;
    OK(ken_scan(k, paths, 1, &o, &r));
    OK(ken_check(k, NULL, NULL));
    return r;
}

static uint64_t id_of(ken *k, const char *path)
{
    uint64_t id = 0;
    OK(ken_find(k, path, &id));
    return id;
}

/* The views of a file as the fake sees them, from the parts that ken_scan does not share with us. */
static void views_of(ken *k, const char *path, float *views)
{
    uint8_t pixels[KN_VIEWS * FAKE_BYTES];
    const ken_model *m = NULL;
    ken_mesh *mesh = NULL;
    OK(ken_get_model(k, &m));
    OK(ken_mesh_load(&mesh, path));
    for (uint32_t v = 0; v < KN_VIEWS; v++) {
        ken_image *img = NULL;
        OK(ken_mesh_view(&img, mesh, v, FAKE_SIDE));
        OK(kn_image_fit(img, fake_prep(m), pixels + v * FAKE_BYTES));
        ken_image_free(img);
    }
    OK(fake_pixels(m, pixels, KN_VIEWS, views));
    ken_mesh_free(mesh);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < FAKE_DIM; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static const char *const names[PARTS] = { "p/plate.obj", "p/tower.obj", "p/wedge.obj" };

/* What a search for `queries` vectors should say of each part: the best of its views and their mean. */
static void expect_hits(ken *k, const ken_term *terms, size_t n, const float *queries, size_t queries_n)
{
    ken_hit hits[8];
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    size_t found = 0;
    o.k = 8;
    o.verify = -1; /* by vectors alone */
    OK(ken_search(k, terms, n, &o, hits, &found, NULL));
    for (int p = 0; p < PARTS; p++) {
        float views[KN_VIEWS * FAKE_DIM], mean[FAKE_DIM];
        double best = -2;
        size_t at = 0;
        views_of(k, names[p], views);
        kn_views_mean(views, FAKE_DIM, mean);
        for (size_t q = 0; q < queries_n; q++) {
            best = fmax(best, dot(queries + q * FAKE_DIM, mean));
            for (size_t v = 0; v < KN_VIEWS; v++)
                best = fmax(best, dot(queries + q * FAKE_DIM, views + v * FAKE_DIM));
        }
        while (at < found && hits[at].id != id_of(k, names[p]))
            at++;
        ck_assert_uint_lt(at, found);
        ck_assert_double_eq_tol((double)hits[at].raw, best, 1e-5);
    }
    for (size_t i = 1; i < found; i++) {
        ck_assert(hits[i].raw <= hits[i - 1].raw);
        for (size_t j = 0; j < i; j++)
            ck_assert(hits[i].id != hits[j].id); /* each item once */
    }
}

START_TEST(finds_models)
{
    float queries[KN_VIEWS * FAKE_DIM];
    ken_record *r = NULL;
    ken_stats stats;
    ken_mesh *mesh = NULL;
    ken_image *img = NULL;
    store = stores[_i];
    ken *k = open_as("a");
    make_parts();
    OK(ken_mesh_load(&mesh, "p/tower.obj"));
    OK(ken_mesh_view(&img, mesh, 5, 96));
    OK(ken_image_save(img, "p/view.png", 0));
    const ken_scan_report report = scan(k, 0);
    ck_assert_uint_eq(report.added, 4);
    ck_assert_uint_eq(scan(k, 0).updated, 0);
    OK(ken_get_stats(k, &stats));
    ck_assert_uint_eq(stats.vectors, 3 * (1 + KN_VIEWS) + 1);
    OK(ken_get(k, id_of(k, "p/tower.obj"), &r));
    ck_assert_str_eq(r->kind, "model");
    ken_record_free(r);

    for (int p = 0; p < PARTS; p++) { /* a model by itself */
        ken_mesh *m = NULL;
        OK(ken_mesh_load(&m, names[p]));
        const ken_term term = { .mesh = m, .weight = 2 };
        views_of(k, names[p], queries);
        expect_hits(k, &term, 1, queries, KN_VIEWS);
        ken_mesh_free(m);
    }
    const ken_term by_picture = { .image = img, .weight = 1 };
    OK(fake_images(model_of(k), (const ken_image *const *)&img, 1, queries));
    expect_hits(k, &by_picture, 1, queries, 1);

    /* with words: the views' directions, each with the words added */
    const ken_term both[] = { { .text = "rgb:200,10,10", .weight = .5f }, { .mesh = mesh, .weight = 1 } };
    float words[FAKE_DIM];
    OK(fake_texts(model_of(k), &both[0].text, 1, words));
    views_of(k, "p/tower.obj", queries);
    for (int v = 0; v < KN_VIEWS; v++) {
        for (int i = 0; i < FAKE_DIM; i++)
            queries[v * FAKE_DIM + i] += .5f * words[i];
        kn_kernels_get()->l2_normalize(queries + v * FAKE_DIM, FAKE_DIM);
    }
    expect_hits(k, both, 2, queries, KN_VIEWS);
    const ken_term wrong = { .mesh = mesh, .image = img, .weight = 1 };
    ken_hit hit;
    size_t found;
    ck_assert_int_eq(ken_search(k, &wrong, 1, NULL, &hit, &found, NULL), KEN_E_INVALID);
    ken_image_free(img);
    ken_mesh_free(mesh);
    ken_close(k);
}
END_TEST

static int is_found(ken *k, const char *like, uint64_t id)
{
    ken_hit hits[10];
    size_t found = 0;
    int yes = 0;
    ken_mesh *m = NULL;
    OK(ken_mesh_load(&m, like));
    const ken_term term = { .mesh = m, .weight = 1 };
    OK(ken_search(k, &term, 1, NULL, hits, &found, NULL));
    for (size_t i = 0; i < found; i++)
        yes |= hits[i].id == id;
    ken_mesh_free(m);
    return yes;
}

START_TEST(follows_files)
{
    float queries[KN_VIEWS * FAKE_DIM];
    ken_stats stats;
    store = stores[_i];
    make_parts();
    ken *k = open_as("a");
    scan(k, 0);
    const uint64_t tower = id_of(k, "p/tower.obj");
    ck_assert_int_eq(rename("p/tower.obj", "p/spire.obj"), 0);
    ck_assert_uint_eq(scan(k, 0).moved, 1);
    ck_assert_uint_eq(id_of(k, "p/spire.obj"), tower);
    ck_assert(is_found(k, "p/wedge.obj", tower));
    ck_assert_int_eq(rename("p/spire.obj", "p/tower.obj"), 0);
    scan(k, 0);

    part("p/tower.obj", 2.5, 0.1); /* other triangles: its views are others, the old ones dead */
    ck_assert_uint_eq(scan(k, 0).updated, 1);
    OK(ken_get_stats(k, &stats));
    ck_assert_uint_eq(stats.dead, 1 + KN_VIEWS);
    ken_mesh *m = NULL;
    OK(ken_mesh_load(&m, "p/tower.obj"));
    const ken_term term = { .mesh = m, .weight = 1 };
    views_of(k, "p/tower.obj", queries);
    expect_hits(k, &term, 1, queries, KN_VIEWS);
    ken_close(k);

    k = open_as("b"); /* another network: views are made again */
    scan(k, 1);
    views_of(k, "p/tower.obj", queries);
    expect_hits(k, &term, 1, queries, KN_VIEWS);
    ken_mesh_free(m);

    FILE *f = fopen("p/tower.obj", "wb"); /* broken: hidden, nothing of it is found */
    fputs("v 0 0 0\nf 1 2 3\n", f);
    fclose(f);
    ck_assert_uint_eq(scan(k, 0).failed, 1);
    ck_assert(!is_found(k, "p/wedge.obj", tower));
    ck_assert_int_eq(unlink("p/tower.obj"), 0);
    ck_assert_uint_eq(scan(k, 0).removed, 1);
    ck_assert(!is_found(k, "p/wedge.obj", tower));
    ken_close(k);
}
END_TEST

/* A model may be of an object: its views recognise, and stay when the object is forgotten. */
START_TEST(models_are_objects_too)
{
    store = stores[_i];
    static const char *const paths[] = { "p" };
    ken_scan_options o = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r;
    ken_recognition *who = NULL;
    ken_mesh *mesh = NULL;
    ken_image *img = NULL;
    ck_assert_int_eq(mkdir("p/tower", 0777), 0);
    ck_assert_int_eq(mkdir("p/plate", 0777), 0);
    part("p/tower/a.obj", 9, .4);
    part("p/plate/a.obj", .5, 1);
    o.objects_from_dirs = 1;
    ken *k = open_as("a");
    OK(ken_scan(k, paths, 1, &o, &r));
    OK(ken_mesh_load(&mesh, "p/tower/a.obj"));
    OK(ken_mesh_view(&img, mesh, 9, FAKE_SIDE));
    OK(ken_recognize(k, img, NULL, &who));
    ck_assert_uint_eq(who->n, 2);
    ck_assert_str_eq(who->candidates[0].object, "tower");
    ck_assert_float_gt(who->candidates[0].raw, .98f);
    ken_recognition_free(who);
    OK(ken_object_remove(k, "tower"));
    OK(ken_check(k, NULL, NULL));
    ck_assert(is_found(k, "p/tower/a.obj", id_of(k, "p/tower/a.obj")));
    ken_image_free(img);
    ken_mesh_free(mesh);
    ken_close(k);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, finds_models, 0, STORES);
    tcase_add_loop_test(t, follows_files, 0, STORES);
    tcase_add_loop_test(t, models_are_objects_too, 0, STORES);
}

int main(void)
{
    return kn_test_main("models", fill);
}
