/* test_toys.c - an id is the same toy for ever, and its photograph the same at every level. */
#include "tests/test.h"

#include "kernels/kernels.h"
#include "toys/tell.h"

#include <string.h>

/* Parameters of the first thousand ids, frozen on 2026-11-24: a change here is another world of toys. */
START_TEST(identities_never_change)
{
    ck_assert(kn_toy_identity_hash(0, 1000) == 0x9a46aa8d8975a628u);
}
END_TEST

START_TEST(a_twin_differs_in_one_attribute)
{
    for (uint64_t id = 0; id < 200; id++) {
        kn_toy a, b;
        const char *attribute;
        kn_toy_make(&a, id);
        kn_toy_twin(&b, id, &attribute);
        ck_assert_int_gt((int)strlen(attribute), 2);
        ck_assert_int_ne(memcmp(&a, &b, sizeof a), 0);
        ck_assert_int_eq(a.species, b.species);
    }
}
END_TEST

/* Integers or not, the kernel's operations are the same at every level. */
START_TEST(levels_agree_to_the_bit)
{
    enum { SIDE = 40 };
    static kn_toy_scene s;
    static float want[3 * SIDE * SIDE], got[3 * SIDE * SIDE];
    static uint8_t object[SIDE * SIDE];
    const kn_kernels c = kn_kernels_for(0), best = kn_kernels_for(kn_cpu_detect());
    const kn_kernels avx2 = kn_kernels_for(kn_cpu_detect() & KN_CPU_AVX2);
    for (uint32_t i = 0; i < 7; i++) {
        kn_toy t;
        kn_toy_view v;
        kn_toy_make(&t, i);
        kn_toy_view_make(&v, &t, (kn_toy_mode)i, 5, i);
        kn_toy_scene_make(&s, &t, &v, SIDE, SIDE);
        c.toy_rows(&s, 0, SIDE, want, object);
        avx2.toy_rows(&s, 0, SIDE, got, NULL);
        ck_assert_mem_eq(want, got, sizeof want);
        best.toy_rows(&s, 0, SIDE, got, NULL);
        ck_assert_mem_eq(want, got, sizeof want);
        best.toy_rows(&s, 13, 29, got, NULL); /* a strip of its own */
        ck_assert_mem_eq(want + 3 * SIDE * 13, got, 3 * sizeof *got * SIDE * 16);
    }
}
END_TEST

/* Means of 4 x 4 tiles of one picture a mode, size 64, of the day that the pictures were frozen: models
 * are trained on them.  Within 2, because sines and powers differ in their last bit between libraries. */
static const uint8_t frozen[KN_TOY_MODES * 48] = {
#include "tests/unit/toys_frozen.inc"
};

static void tile_means(const uint8_t *rgb, uint8_t out[48])
{
    for (int tile = 0; tile < 16; tile++)
        for (int k = 0; k < 3; k++) {
            unsigned sum = 0;
            for (int i = 0; i < 256; i++)
                sum += rgb[3 * ((tile / 4 * 16 + i / 16) * 64 + tile % 4 * 16 + i % 16) + k];
            out[3 * tile + k] = (uint8_t)((sum + 128) / 256);
        }
}

START_TEST(pictures_never_change)
{
    static uint8_t rgb[3 * 64 * 64], again[3 * 64 * 64];
    kn_toy_camera *camera;
    ck_assert_int_eq(kn_toy_camera_new(&camera, 100), KEN_OK);
    for (uint32_t m = 0; m < KN_TOY_MODES; m++) {
        uint8_t means[48];
        ck_assert_int_eq(kn_toy_picture(camera, 40 + m, (kn_toy_mode)m, 7, m, 64, rgb, NULL, NULL),
                         KEN_OK);
        tile_means(rgb, means);
        for (int i = 0; i < 48 && getenv("KEN_TOYS_FREEZE"); i++)
            printf("%u,%c", means[i], i % 16 < 15 ? ' ' : '\n');
        for (int i = 0; i < 48 && !getenv("KEN_TOYS_FREEZE"); i++)
            ck_assert_msg(abs(means[i] - frozen[48 * m + i]) <= 2, "mode %u, value %d: %u, was %u",
                          m, i, means[i], frozen[48 * m + i]);
        ck_assert_int_eq(
            kn_toy_picture(camera, 40 + m, (kn_toy_mode)m, 7, m, 64, again, NULL, NULL), KEN_OK);
        ck_assert_mem_eq(rgb, again, sizeof rgb);
    }
    kn_toy_camera_free(camera);
}
END_TEST

START_TEST(a_twin_differs_where_it_does)
{
    kn_toy_camera *camera;
    unsigned shown = 0;
    ck_assert_int_eq(kn_toy_camera_new(&camera, 48), KEN_OK);
    for (uint64_t id = 0; id < 60; id++) {
        kn_toy a, b;
        kn_toy_view v;
        const char *attribute;
        float same[2], share[2];
        kn_toy_make(&a, id);
        kn_toy_twin(&b, id, &attribute);
        kn_toy_view_make(&v, &a, KN_TOY_CLEAN, 1, 0);
        ck_assert_int_eq(kn_toy_differs(camera, &a, &a, &v, 48, same), KEN_OK);
        ck_assert(same[0] == 0 && same[1] == 0);
        ck_assert_int_eq(kn_toy_differs(camera, &a, &b, &v, 48, share), KEN_OK);
        ck_assert(share[0] >= 0 && share[0] <= 1 && share[1] >= 0 && share[1] <= 1);
        if (!strcmp(attribute, "coat colour") && a.pattern == KN_TOY_PLAIN && a.plan != KN_TOY_BIRD)
            ck_assert_msg(share[0] > .15f, "toy %llu: %g", (unsigned long long)id,
                          (double)share[0]);
        shown += share[0] >= .01f;
    }
    ck_assert_uint_gt(shown, 35);
    kn_toy_camera_free(camera);
}
END_TEST

START_TEST(the_truth_fits_the_picture)
{
    enum { SIDE = 64 };
    kn_toy_camera *camera;
    static uint8_t rgb[3 * SIDE * SIDE], mask[SIDE * SIDE];
    ck_assert_int_eq(kn_toy_camera_new(&camera, SIDE), KEN_OK);
    for (uint32_t i = 0; i < 20; i++) {
        kn_toy t;
        kn_toy_view v;
        kn_toy_truth truth;
        unsigned seen = 0;
        kn_toy_make(&t, 100 + i);
        kn_toy_view_make(&v, &t, KN_TOY_CLEAN, 1, i);
        ck_assert_int_eq(kn_toy_shoot(camera, &t, &v, SIDE, rgb, mask, &truth), KEN_OK);
        for (int k = 0; k < SIDE * SIDE; k++)
            seen += mask[k] != 0;
        ck_assert_uint_gt(seen, SIDE * SIDE / 20); /* a catalogue picture shows its toy */
        ck_assert_float_eq_tol(truth.visible, (float)seen / (SIDE * SIDE), 1e-6f);
        ck_assert_float_eq_tol(truth.hidden, 0, 1e-6f);
    }
    ck_assert_int_eq(
        kn_toy_shoot(camera, &(kn_toy){ 0 }, &(kn_toy_view){ 0 }, SIDE + 1, rgb, NULL, NULL),
        KEN_E_LIMIT);
    kn_toy_camera_free(camera);
}
END_TEST

/* Either of its words is in the text. */
static int has(const char *text, const char *const words[2])
{
    return strstr(text, words[0]) || strstr(text, words[1]);
}

START_TEST(both_languages_tell_the_same)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    unsigned told[KN_TELLS] = { 0 }, shown_early = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        kn_toy t;
        kn_toy_view v;
        kn_toy_make(&t, i / 4);
        kn_toy_view_make(&v, &t, KN_TOY_MIXED, 3, i);
        kn_toy_caption(&t, &v, i % 4, 0, en, zh, says);
        ck_assert_uint_lt(strlen(en), KN_TOY_CAPTION - 40);
        ck_assert_uint_lt(strlen(zh), KN_TOY_CAPTION - 40);
        char list[KN_TOY_CAPTION + 2];
        snprintf(list, sizeof list, ",%s,", says);
        for (int k = 0; k < KN_TELL_VIEW; k++) {
            char name[32];
            snprintf(name, sizeof name, ",%s,", kn_tell_name((kn_tell)k));
            if (!strstr(list, name))
                continue;
            told[k]++;
            const kn_word *w = kn_tell_word(&t, (kn_tell)k);
            const int slot = kn_tell_color(&t, (kn_tell)k);
            if (w && k != KN_TELL_PATTERN) { /* patterns have nouns besides */
                ck_assert_msg(has(en, w->en), "%s: %s", w->en[0], en);
                ck_assert_msg(has(zh, w->zh), "%s: %s", w->zh[0], zh);
            }
            if (slot >= 0) {
                ck_assert(has(en, kn_word_color(t.name[slot])->en));
                ck_assert(has(zh, kn_word_color(t.name[slot])->zh));
            }
            if (k < KN_TELL_EARS || k == KN_TELL_FABRIC)
                continue;
            const char *light = strstr(en, " light");
            shown_early += light && light[6];
        }
    }
    for (int k = 0; k < KN_TELL_VIEW; k++)
        ck_assert_msg(told[k] > 100, "%s is told %u times", kn_tell_name((kn_tell)k), told[k]);
    ck_assert_uint_gt(shown_early, 5); /* not always last */
}
END_TEST

/* The words of a that are not b's: between what both begin and end with, whole words (spaces in
 * English, characters in Chinese). */
static void difference(char *out, const char *a, const char *b, int words)
{
    size_t n = strlen(a), m = strlen(b), head = 0, tail = 0;
    while (head < n && head < m && a[head] == b[head])
        head++;
    while (head && (words ? a[head - 1] != ' ' : ((unsigned char)a[head] & 0xc0) == 0x80))
        head--;
    while (tail < n - head && tail < m - head && a[n - 1 - tail] == b[m - 1 - tail])
        tail++;
    while (tail && (words ? a[n - tail] != ' ' && a[n - tail] != ','
                          : ((unsigned char)a[n - tail] & 0xc0) == 0x80))
        tail--;
    memcpy(out, a + head, n - head - tail);
    out[n - head - tail] = 0;
}

START_TEST(one_thing_is_wrong_and_it_is_false)
{
    static char text[2][3][KN_TOY_CAPTION], span[KN_TOY_CAPTION];
    unsigned wrong[KN_TELLS] = { 0 };
    for (uint32_t i = 0; i < 6000; i++) {
        kn_toy t;
        kn_toy_make(&t, 500 + i / 3);
        for (int w = 0; w < 2; w++)
            kn_toy_caption(&t, NULL, i % 3 + 1, w, text[w][0], text[w][1], text[w][2]);
        const char *mark = strchr(text[1][2], '!');
        ck_assert_ptr_nonnull(mark);
        ck_assert_ptr_null(strchr(mark + 1, '!'));
        const size_t before = (size_t)(mark - text[1][2]);
        ck_assert(!strncmp(text[0][2], text[1][2], before) &&
                  !strcmp(text[0][2] + before, mark + 1));
        int what = 0;
        while (strncmp(mark + 1, kn_tell_name((kn_tell)what), strlen(kn_tell_name((kn_tell)what))))
            what++;
        wrong[what]++;
        const kn_word *kind = kn_tell_word(&t, (kn_tell)what);
        const int slot = kn_tell_color(&t, (kn_tell)what);
        for (int zh = 0; zh < 2; zh++) {
            difference(span, text[1][zh], text[0][zh], !zh);
            ck_assert_msg(*span || strlen(text[1][zh]) < strlen(text[0][zh]), "%s", text[1][zh]);
            for (int k = 0; k < 2; k++) { /* neither what it is nor the same by another word */
                const char *is = !kind ? "" : zh ? kind->zh[k] : kind->en[k];
                ck_assert_msg(!*is || strcmp(span, is) != 0, "%s: %s", span, text[0][zh]);
                if (slot >= 0 && !zh)
                    ck_assert_msg(strcmp(span, kn_word_color(t.name[slot])->en[k]) != 0, "%s",
                                  span);
            }
        }
    }
    for (int k = 0; k < KN_TELL_VIEW; k++)
        ck_assert_msg(wrong[k] > 20, "%s is wrong %u times", kn_tell_name((kn_tell)k), wrong[k]);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, identities_never_change);
    tcase_add_test(tc, a_twin_differs_in_one_attribute);
    tcase_add_test(tc, levels_agree_to_the_bit);
    tcase_add_test(tc, pictures_never_change);
    tcase_add_test(tc, a_twin_differs_where_it_does);
    tcase_add_test(tc, the_truth_fits_the_picture);
    tcase_add_test(tc, both_languages_tell_the_same);
    tcase_add_test(tc, one_thing_is_wrong_and_it_is_false);
}

int main(void)
{
    return kn_test_main("toys", fill);
}
