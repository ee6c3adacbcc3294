/* test_augment.c - the text of augmentations, and what holds for all of them. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "image/augment.h"

#include <string.h>

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())

enum { SIZE = 40 };
#define BYTES (3 * (size_t)SIZE * SIZE)

static ken_image *noise_picture(uint32_t w, uint32_t h, uint64_t seed)
{
    ken_image *img = NULL;
    kn_rand r = kn_rand_at(seed, 0);
    OK(kn_image_new(&img, w, h));
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < 3 * (size_t)w; x++)
            img->pixels[y * img->stride + x] = (uint8_t)kn_rand_below(&r, 256);
    return img;
}

static kn_augment parsed(const char *text)
{
    kn_augment a;
    OK(kn_augment_parse(&a, text));
    return a;
}

static void run(const char *text, const ken_image *img, const ken_image *other, kn_augment_key key,
                uint8_t *out)
{
    const kn_augment a = parsed(text);
    OK(kn_augment_run(&a, img, other, SIZE, key, out));
}

/* ---- text ---- */

static int near(float a, double b)
{
    return (double)a > b - 1e-6 && (double)a < b + 1e-6;
}

START_TEST(text_and_defaults)
{
    const kn_augment a = parsed("crop:.3-1,flip,color:.4/.3/.2@.8,blur:.25/1-3,jpeg:50@.1,rotate");
    ck_assert(near(a.op[KN_AUG_CROP].chance, 1) && near(a.op[KN_AUG_CROP].v[0][0], 0.3));
    ck_assert(near(a.op[KN_AUG_CROP].v[0][1], 1) && near(a.op[KN_AUG_CROP].v[1][0], 0.75));
    ck_assert(near(a.op[KN_AUG_FLIP].chance, 0.5));
    ck_assert(near(a.op[KN_AUG_COLOR].chance, 0.8) && near(a.op[KN_AUG_COLOR].v[1][1], 0.3));
    ck_assert(near(a.op[KN_AUG_COLOR].v[3][1], 0));
    ck_assert(near(a.op[KN_AUG_BLUR].chance, 0.25) && near(a.op[KN_AUG_BLUR].v[0][0], 1));
    ck_assert(near(a.op[KN_AUG_JPEG].v[0][0], 50) && near(a.op[KN_AUG_JPEG].v[0][1], 50));
    ck_assert(near(a.op[KN_AUG_ROTATE].v[0][1], 10));
    ck_assert(a.op[KN_AUG_NOISE].chance == 0);
}
END_TEST

START_TEST(presets)
{
    static const char *const names[] = { "omniglot", "grocery", "toys" };
    for (size_t i = 0; i < 3; i++) {
        const kn_augment a = parsed(names[i]), b = parsed(kn_augment_preset(names[i]));
        ck_assert_mem_eq(&a, &b, sizeof a);
    }
    const kn_augment none = parsed("none"), empty = parsed("");
    for (int i = 0; i < KN_AUG_OPS; i++)
        ck_assert(none.op[i].chance == 0 && empty.op[i].chance == 0);
    ck_assert_ptr_null(kn_augment_preset("crop"));
    /* a later operation takes the place of the preset's */
    const kn_augment more = parsed("grocery,flip:0,gray:.5");
    ck_assert(more.op[KN_AUG_FLIP].chance == 0 && near(more.op[KN_AUG_GRAY].chance, 0.5));
    ck_assert(near(more.op[KN_AUG_COLOR].v[0][1], 0.4));
}
END_TEST

START_TEST(text_refused)
{
    static const char *const wrong[][2] = {
        { "crpo", "there are" },
        { "crop:1-.5", "lower first" },
        { "crop:0-1", "from 0.001" },
        { "flip:2", "chance" },
        { "flip:.5/1", "at most 1" },
        { "rotate:5-10", "not a range" },
        { "rotate:-5", "not a range" },
        { "color:.4/.4/.2/.1/.1", "at most 4" },
        { "color:x", "not a number" },
        { "color:.4x", "not a number" },
        { "color:nan", "not a number" },
        { "color:inf", "not a number" },
        { "color:0x1", "not a number" },
        { "color:", "not a number" },
        { "flip,", "comma" },
        { ",flip", "there are" },
        { "flip@", "not a number" },
        { "flip@2", "chance" },
        { "crop@.5:.3-1", "before @" },
        { "FLIP", "there are" },
        { "jpeg:0-90", "from 1" },
        { "color:.4/.4/.4/.6", "from 0 to 0.5" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kn_augment a = { .op[0].chance = 7 };
        ck_assert_msg(kn_augment_parse(&a, wrong[i][0]) == KEN_E_INVALID, "%s", wrong[i][0]);
        ck_assert_msg(strstr(ken_last_error(), wrong[i][1]) != NULL, "%s: %s", wrong[i][0],
                      ken_last_error());
        ck_assert(near(a.op[0].chance, 7));
    }
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    kn_augment a;
    ck_assert_int_eq(kn_augment_parse(&a, longer), KEN_E_INVALID);
}
END_TEST

/* ---- pictures ---- */

/* Operations of no strength, and of no chance, change nothing. */
START_TEST(identity_at_zero)
{
    static const char *const nothing[] = {
        "",        "flip:0",   "rotate:0",      "affine:0/0/1/0",
        "light:0", "gamma:0",  "color:0/0/0/0", "blur:1/0",
        "noise:0", "cutout:0", "occlude:0",     "crop:1/1",
        "jpeg@0",  "gray:0",   "part:0",        "crop:1-1/1-1,light:0,color:0/0/0/0",
    };
    ken_image *img = noise_picture(SIZE, SIZE, 1);
    uint8_t out[BYTES];
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        memset(out, 0, sizeof out);
        run(nothing[i], img, NULL, (kn_augment_key){ 1, 2, 3 }, out);
        for (size_t y = 0; y < SIZE; y++)
            ck_assert_msg(
                !memcmp(out + y * 3 * SIZE, img->pixels + y * img->stride, 3 * (size_t)SIZE),
                "%s changes row %zu", nothing[i], y);
    }
    ken_image_free(img);
}
END_TEST

static const char *const every[] = {
    "part:1",      "crop:.2-.6", "flip:.5",      "rotate:30",         "affine:20/.1/.7-1.3/15",
    "occlude:1",   "light:.5",   "gamma:.5",     "color:.4/.4/.4/.1", "gray:.5",
    "blur:1/8-16", "noise:.1",   "jpeg:20-40@1", "cutout:1",          "toys",
    "grocery",     "omniglot",
};

START_TEST(drawn_from_the_key_alone)
{
    ken_image *img = noise_picture(70, 50, 2), *other = noise_picture(9, 5, 3);
    uint8_t one[BYTES], two[BYTES];
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        int differ[3] = { 0 };
        for (uint64_t k = 0; k < 12; k++) {
            const kn_augment_key key = { 5, 6, k };
            const kn_augment_key others[3] = { { 4, 6, k }, { 5, 7, k }, { 5, 6, k + 100 } };
            run(every[i], img, other, key, one);
            run(every[i], img, other, key, two);
            ck_assert_msg(!memcmp(one, two, sizeof one), "%s", every[i]);
            for (int j = 0; j < 3; j++) {
                run(every[i], img, other, others[j], two);
                differ[j] += memcmp(one, two, sizeof one) != 0;
            }
        }
        ck_assert_msg(differ[0] && differ[1] && differ[2], "%s is always the same", every[i]);
    }
    ken_image_free(img);
    ken_image_free(other);
}
END_TEST

/* An operation draws the same whatever else is done. */
START_TEST(operations_are_independent)
{
    kn_augment a = parsed("crop:.3-.6"),
               b = parsed("part:0,crop:.3-.6,flip,color,blur,jpeg,cutout");
    for (uint64_t k = 0; k < 50; k++) {
        const kn_augment_key key = { 1, 1, k };
        const kn_box x = kn_augment_box(&a, 300, 200, key), y = kn_augment_box(&b, 300, 200, key);
        ck_assert_mem_eq(&x, &y, sizeof x);
    }
}
END_TEST

START_TEST(boxes_lie_inside)
{
    static const uint32_t sides[][2] = { { 1, 1 }, { 1, 500 },   { 500, 1 },
                                         { 3, 2 }, { 640, 480 }, { 33, 100 } };
    static const char *const texts[] = { "", "part:1", "crop:.08-1", "part:1,crop:.08-1",
                                         "crop:.001/.05-20" };
    for (size_t t = 0; t < 5; t++) {
        const kn_augment a = parsed(texts[t]);
        for (size_t i = 0; i < 6; i++)
            for (uint64_t k = 0; k < 300; k++) {
                const uint32_t w = sides[i][0], h = sides[i][1];
                const kn_box b = kn_augment_box(&a, w, h, (kn_augment_key){ 1, 2, k });
                ck_assert(b.w >= 1 && b.h >= 1 && b.x + b.w <= w && b.y + b.h <= h);
            }
    }
}
END_TEST

/* Chances are kept: of 2,000 samples about the share that is asked for is flipped. */
START_TEST(chances)
{
    ken_image *img = noise_picture(SIZE, SIZE, 4);
    uint8_t plain[BYTES], out[BYTES];
    size_t flipped = 0;
    run("", img, NULL, (kn_augment_key){ 0, 0, 0 }, plain);
    for (uint64_t k = 0; k < 2000; k++) {
        run("flip:.3", img, NULL, (kn_augment_key){ 9, 0, k }, out);
        flipped += memcmp(plain, out, sizeof out) != 0;
    }
    ck_assert_uint_ge(flipped, 600 - 82); /* four deviations */
    ck_assert_uint_le(flipped, 600 + 82);
    ken_image_free(img);
}
END_TEST

START_TEST(any_picture_any_size)
{
    static const uint32_t sides[][2] = { { 1, 1 }, { 2, 300 }, { 300, 2 }, { 64, 64 } };
    for (size_t i = 0; i < 4; i++) {
        ken_image *img = noise_picture(sides[i][0], sides[i][1], i),
                  *other = noise_picture(1, 1, 8);
        for (uint32_t size = 1; size < 70; size += 17)
            for (size_t e = 0; e < sizeof every / sizeof *every; e++) {
                const kn_augment a = parsed(every[e]);
                uint8_t *out = kn_alloc((size_t)size * size, 3);
                OK(kn_augment_run(&a, img, other, size, (kn_augment_key){ i, e, size }, out));
                kn_free(out);
            }
        ken_image_free(img);
        ken_image_free(other);
    }
    ken_image *img = noise_picture(4, 4, 0);
    const kn_augment a = parsed("");
    uint8_t out[3];
    ck_assert_int_eq(kn_augment_run(&a, img, NULL, 0, (kn_augment_key){ 0 }, out), KEN_E_INVALID);
    ken_image_free(img);
}
END_TEST

/* An occluder covers about what is asked for, a cut-out exactly a box of one colour. */
START_TEST(covered_share)
{
    ken_image *img = noise_picture(SIZE, SIZE, 6);
    uint8_t plain[BYTES], out[BYTES];
    double covered = 0;
    run("", img, NULL, (kn_augment_key){ 0, 0, 0 }, plain);
    for (uint64_t k = 0; k < 300; k++) {
        run("occlude:1/.2-.3", img, NULL, (kn_augment_key){ 9, 0, k }, out);
        for (size_t i = 0; i < BYTES; i += 3)
            covered += memcmp(plain + i, out + i, 3) != 0;
    }
    covered /= 300.0 * SIZE * SIZE;
    ck_assert_msg(covered > 0.17 && covered < 0.33, "%g", covered);
    ken_image_free(img);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, text_and_defaults);
    tcase_add_test(tc, presets);
    tcase_add_test(tc, text_refused);
    tcase_add_test(tc, identity_at_zero);
    tcase_add_test(tc, drawn_from_the_key_alone);
    tcase_add_test(tc, operations_are_independent);
    tcase_add_test(tc, boxes_lie_inside);
    tcase_add_test(tc, chances);
    tcase_add_test(tc, any_picture_any_size);
    tcase_add_test(tc, covered_share);
}

int main(void)
{
    return kn_test_main("augment", fill);
}
