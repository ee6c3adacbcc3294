/* test_objects.c - objects through their life, and recognition against a computation by hand. */
#include "tests/test.h"

#include "base/file.h"
#include "engine/encoder.h"
#include "engine/parts.h"
#include "tests/fake_encoder.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static const char *const stores[] = {
    "file:",
#ifdef KEN_SQLITE
    "sqlite:",
#endif
};
enum { STORES = sizeof stores / sizeof *stores };

static char top[] = "/tmp/ken-objects-XXXXXX";
static const char *store = "file:";

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

static void setup(void)
{
    memcpy(top + sizeof top - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("p", 0777), 0);
    fake_recognition = NULL;
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Coarse blocks of colour: a picture that resizing leaves recognisable. */
static void picture(const char *path, uint64_t seed)
{
    enum { SIDE = 64, BLOCK = 8 };
    static unsigned char bytes[32 + SIDE * SIDE * 3];
    const int n = sprintf((char *)bytes, "P6\n%d %d\n255\n", SIDE, SIDE);
    for (unsigned y = 0; y < SIDE; y++)
        for (unsigned x = 0; x < SIDE; x++)
            for (unsigned c = 0; c < 3; c++) {
                kn_rand r = kn_rand_at(seed, (y / BLOCK * 8 + x / BLOCK) * 3 + c);
                bytes[(unsigned)n + (y * SIDE + x) * 3 + c] = (unsigned char)kn_rand_below(&r, 256);
            }
    write_file(path, bytes, (size_t)n + SIDE * SIDE * 3);
}

static ken *open_it(const char *model)
{
    ken *k = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.store = store;
    o.model = model;
    o.create = 1;
    o.wait = -1;
    OK(kn_collection_open(&k, "c", &o, &fake_encoder));
    return k;
}

static char told[400];

static void note_problem(size_t reference, const char *why, void *cookie)
{
    const size_t n = strlen(told);
    (void)cookie;
    snprintf(told + n, sizeof told - n, "%zu %s\n", reference, why);
}

static void add_n(ken *k, const ken_reference *refs, size_t n, int crops)
{
    ken_object_options o = KEN_OBJECT_OPTIONS_INIT;
    size_t done = 0;
    o.crops = crops;
    o.problem = note_problem;
    *told = 0;
    OK(ken_object_add(k, refs, n, &o, &done));
    ck_assert_uint_eq(done, n);
    OK(ken_check(k, NULL, NULL));
}

static void add(ken *k, const char *path, const char *object)
{
    const ken_reference r = { path, object };
    add_n(k, &r, 1, 0);
    ck_assert_str_eq(told, "");
}

/* "name references vectors; …" */
static int note_object(const ken_object *o, void *cookie)
{
    char *text = cookie;
    sprintf(text + strlen(text), "%s %d %d; ", o->name, (int)o->references, (int)o->vectors);
    return 0;
}

static const char *roll(ken *k)
{
    static char text[1000];
    *text = 0;
    OK(ken_object_each(k, note_object, text));
    return text;
}

static ken_recognition *ask(ken *k, const char *path, uint32_t n)
{
    ken_image *img = NULL;
    ken_recognition *r = NULL;
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    o.k = n;
    OK(ken_image_load(&img, path, NULL));
    OK(ken_recognize(k, img, &o, &r));
    ken_image_free(img);
    return r;
}

START_TEST(a_life)
{
    store = stores[_i];
    for (uint64_t i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "p/%d.ppm", (int)i);
        picture(name, i);
    }
    ken *k = open_it("a");
    ken_object o;
    uint64_t *ids = NULL;
    size_t n = 0;
    ck_assert_int_eq(ken_object_get(k, "bear", &o), KEN_E_NOTFOUND);
    add(k, "p/0.ppm", "bear");
    add(k, "p/1.ppm", "ant");
    const ken_reference two[] = { { "p/2.ppm", "bear" }, { "p/nowhere.ppm", "bear" },
                                  { "p/3.ppm", "cow" },  { "p/3.ppm", "cat" } };
    add_n(k, two, 4, -1);
    ck_assert_str_eq(told, "1 no such file\n");
    ck_assert_str_eq(roll(k), "ant 1 3; bear 2 4; cat 1 1; "); /* the last word on 3.ppm counts */
    OK(ken_object_get(k, "bear", &o));
    ck_assert(o.references == 2 && o.vectors == 4);
    OK(ken_object_items(k, "bear", &ids, &n));
    ck_assert(n == 2 && ids[0] == 1 && ids[1] == 3);
    ken_ids_free(ids);
    ck_assert_int_eq(ken_object_rename(k, "cat", "ant"), KEN_E_EXISTS);
    ck_assert_int_eq(ken_object_rename(k, "dog", "elk"), KEN_E_NOTFOUND);
    OK(ken_object_rename(k, "cat", "dog"));
    add(k, "p/0.ppm", "bear"); /* once more: nothing changes */
    ck_assert_str_eq(roll(k), "ant 1 3; bear 2 4; dog 1 1; ");
    ken_close(k);
    k = open_it(NULL);
    ck_assert_str_eq(roll(k), "ant 1 3; bear 2 4; dog 1 1; ");
    /* Pictures that a scan brought stay when their object goes; references do not. */
    const char *path = "p/4.ppm";
    ken_scan_options so = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r = { 0 };
    OK(ken_scan(k, &path, 1, &so, &r));
    ck_assert_uint_eq(r.added, 1);
    add(k, "p/4.ppm", "ant");
    OK(ken_object_remove(k, "ant"));
    OK(ken_check(k, NULL, NULL));
    ck_assert_int_eq(ken_object_remove(k, "ant"), KEN_E_NOTFOUND);
    ck_assert_str_eq(roll(k), "bear 2 4; dog 1 1; ");
    uint64_t id = 0;
    OK(ken_find(k, "p/4.ppm", &id));
    ck_assert_int_eq(ken_find(k, "p/1.ppm", &id), KEN_E_NOTFOUND);
    ken_close(k);
}
END_TEST

/* Changed pixels, another model: the parts follow. */
START_TEST(parts_follow_their_picture)
{
    store = stores[_i];
    const char *path = "p";
    ken_scan_options so = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report r = { 0 };
    picture("p/0.ppm", 1);
    picture("p/1.ppm", 2);
    ken *k = open_it("a");
    add(k, "p/0.ppm", "bear");
    add(k, "p/1.ppm", "ant");
    picture("p/0.ppm", 9);
    const struct timespec t[2] = { { 5, 1 }, { 5, 1 } };
    ck_assert_int_eq(utimensat(AT_FDCWD, "p/0.ppm", t, 0), 0);
    OK(ken_scan(k, &path, 1, &so, &r));
    ck_assert_uint_eq(r.updated, 1);
    OK(ken_check(k, NULL, NULL));
    ck_assert_str_eq(roll(k), "ant 1 3; bear 1 3; ");
    ken_recognition *a = ask(k, "p/0.ppm", 0);
    ck_assert_str_eq(a->candidates[0].object, "bear");
    ck_assert_float_ge(a->candidates[0].raw, .9999f);
    ken_recognition_free(a);
    ken_close(k);
    k = open_it("wide");
    so.reembed = 1;
    OK(ken_scan(k, &path, 1, &so, &r));
    OK(ken_check(k, NULL, NULL));
    ck_assert_str_eq(roll(k), "ant 1 3; bear 1 3; ");
    a = ask(k, "p/1.ppm", 0);
    ck_assert_str_eq(a->object, "ant");
    ken_recognition_free(a);
    ken_close(k);
}
END_TEST

/* A photograph of the upper part finds its object by a part's vector. */
START_TEST(a_part_is_recognised)
{
    store = stores[_i];
    ken_image *img = NULL, *part = NULL;
    for (uint64_t i = 0; i < 20; i++) {
        char name[16], object[16];
        snprintf(name, sizeof name, "p/%d.ppm", (int)i);
        snprintf(object, sizeof object, "object %d", (int)i);
        picture(name, i);
        ken *k = open_it("a");
        add(k, name, object);
        ken_close(k);
    }
    OK(ken_image_load(&img, "p/7.ppm", NULL));
    OK(kn_image_new(&part, 40, 40));
    for (size_t y = 0; y < 40; y++)
        memcpy(part->pixels + y * part->stride, img->pixels + y * img->stride + 12 * 3, 40 * 3);
    OK(ken_image_save(part, "part.png", 0));
    ken *k = open_it(NULL);
    ken_recognition *r = ask(k, "part.png", 3);
    ck_assert_uint_eq(r->n, 3);
    ck_assert_str_eq(r->candidates[0].object, "object 7");
    ck_assert_str_eq(r->object, "object 7");
    ck_assert_float_ge(r->candidates[0].raw, .999f);
    ck_assert_uint_eq(r->candidates[0].id, 8);
    ck_assert_double_eq(r->confidence, r->candidates[0].confidence);
    ck_assert(r->candidates[0].confidence > r->candidates[1].confidence);
    ken_recognition_free(r);
    ken_close(k);
    ken_image_free(img);
    ken_image_free(part);
}
END_TEST

/* Many references of few objects, and pictures of none: the answer is that of trying all. */
START_TEST(as_by_hand)
{
    enum { N = 300, OBJECTS = 7 };
    store = stores[_i];
    ken_reference refs[N];
    static char names[N][16], objects[OBJECTS][8];
    float best[OBJECTS], vectors[N][FAKE_DIM], q[FAKE_DIM];
    const char *path = "p";
    ken_scan_options so = KEN_SCAN_OPTIONS_INIT;
    ken_scan_report report = { 0 };
    ken *k = open_it("a");
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "p/%03d.ppm", (int)i);
        picture(names[i], i);
    }
    OK(ken_scan(k, &path, 1, &so, &report)); /* all, of which a few get an object */
    for (size_t i = 0; i < N; i += 2) {
        const size_t of = i < 200 ? 0 : 1 + i % (OBJECTS - 1); /* the first has most of them */
        snprintf(objects[of], sizeof objects[of], "o%d", (int)of);
        refs[n++] = (ken_reference){ names[i], objects[of] };
    }
    add_n(k, refs, n, -1);
    picture("q.ppm", 1000);
    ken_image *img = NULL;
    OK(ken_image_load(&img, "q.ppm", NULL));
    const ken_model *m = NULL;
    OK(ken_get_model(k, &m));
    OK(fake_images(m, (const ken_image *const *)&img, 1, q));
    ken_image_free(img);
    for (size_t o = 0; o < OBJECTS; o++)
        best[o] = -2;
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        OK(ken_find(k, refs[i].path, &id));
        OK(ken_vector(k, id, vectors[i]));
        float dot = 0;
        for (size_t d = 0; d < FAKE_DIM; d++)
            dot += q[d] * vectors[i][d];
        const size_t o = (size_t)(refs[i].object[1] - '0');
        best[o] = fmaxf(best[o], dot);
    }
    ken_recognition *r = ask(k, "q.ppm", 0);
    ck_assert_uint_eq(r->n, 4); /* o0, o1, o3, o5 */
    for (size_t i = 0; i < r->n; i++) {
        const size_t o = (size_t)(r->candidates[i].object[1] - '0');
        ck_assert_float_eq_tol(r->candidates[i].raw, best[o], 1e-5f);
        best[o] = -3;
        for (size_t other = 0; other < OBJECTS; other++)
            ck_assert(best[other] <= r->candidates[i].raw + 1e-6f);
    }
    ken_recognition_free(r);
    ken_close(k);
}
END_TEST

START_TEST(nothing_and_wrong_use)
{
    store = stores[_i];
    picture("q.ppm", 1);
    ken *k = open_it("a");
    ken_recognition *r = ask(k, "q.ppm", 0);
    ck_assert(r->n == 0 && r->object == NULL && r->confidence == 0);
    ken_recognition_free(r);
    ken_image *img = NULL;
    OK(ken_image_load(&img, "q.ppm", NULL));
    ken_recognize_options o = KEN_RECOGNIZE_OPTIONS_INIT;
    o.fpir = 1;
    ck_assert_int_eq(ken_recognize(k, img, &o, &r), KEN_E_INVALID);
    add(k, "q.ppm", "it");
    o.fpir = .01;
    ck_assert_int_eq(ken_recognize(k, img, &o, &r), KEN_E_MODEL);
    const ken_reference bad = { "q.ppm", "" };
    ck_assert_int_eq(ken_object_add(k, &bad, 1, NULL, NULL), KEN_E_INVALID);
    ken_image_free(img);
    ken_close(k);
}
END_TEST

/* With its calibration a model knows when it does not know, and more objects ask for more. */
START_TEST(unknown_by_the_number_of_objects)
{
    store = stores[_i];
    fake_recognition = "{\"crops\":0,\"fpir\":0.01,\"weights\":[-5,10,0,0,0],"
                       "\"impostors\":{\"objects\":1,\"power\":1,\"quantiles\":[0,0.1,0.2,0.3,0.4,"
                       "0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9,2,2.1,2.2,2.3,2.4,"
                       "2.5,2.6,2.7,2.8,2.9,3,3.1,3.2],\"tail\":[3,0.05,0,2.5]}}";
    picture("a.ppm", 1);
    picture("b.ppm", 2);
    ken *k = open_it("a");
    add(k, "a.ppm", "a");
    ken_recognition *r = ask(k, "a.ppm", 0); /* evidence 10; P = .05 exp(-7 / 2.5) = .003 */
    ck_assert_str_eq(r->object, "a");
    ken_recognition_free(r);
    for (int i = 0; i < 3; i++) { /* four objects: P = .012 */
        char name[2] = { (char)('b' + i), 0 };
        char path[8] = { (char)('b' + i), '.', 'p', 'p', 'm', 0 };
        picture(path, 10 + (uint64_t)i);
        add(k, path, name);
    }
    ck_assert_str_eq(roll(k), "a 1 1; b 1 1; c 1 1; d 1 1; ");
    r = ask(k, "a.ppm", 0);
    ck_assert_ptr_null(r->object);
    ck_assert_str_eq(r->candidates[0].object, "a");
    ck_assert_double_ge(r->confidence, .99);
    ken_recognition_free(r);
    fake_recognition = "{\"weights\":[1,2]}";
    ken_image *img = NULL;
    OK(ken_image_load(&img, "a.ppm", NULL));
    ck_assert_int_eq(ken_recognize(k, img, NULL, &r), KEN_E_FORMAT);
    ken_image_free(img);
    ken_close(k);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_life, 0, STORES);
    tcase_add_loop_test(tc, parts_follow_their_picture, 0, STORES);
    tcase_add_loop_test(tc, a_part_is_recognised, 0, STORES);
    tcase_add_loop_test(tc, as_by_hand, 0, STORES);
    tcase_add_loop_test(tc, nothing_and_wrong_use, 0, STORES);
    tcase_add_loop_test(tc, unknown_by_the_number_of_objects, 0, STORES);
}

int main(void)
{
    return kn_test_main("objects", fill);
}
