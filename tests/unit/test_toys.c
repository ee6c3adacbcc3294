/* test_toys.c - an id is the same toy for ever, and its photograph the same at every level. */
#include "tests/test.h"

#include "kernels/kernels.h"
#include "toys/toys.h"

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
    ck_assert_int_eq(kn_toy_shoot(camera, &(kn_toy){ 0 }, &(kn_toy_view){ 0 }, SIDE + 1, rgb, NULL, NULL), KEN_E_LIMIT);
    kn_toy_camera_free(camera);
}
END_TEST

START_TEST(both_languages_tell_the_same)
{
    char en[400], zh[400], says[400];
    for (uint32_t i = 0; i < 300; i++) {
        kn_toy t;
        kn_toy_make(&t, i);
        kn_toy_caption(&t, NULL, i % 4, 0, en, zh, says, sizeof en);
        ck_assert_ptr_nonnull(strstr(en, kn_toy_color_name(t.name[0], 0)));
        ck_assert_ptr_nonnull(strstr(zh, kn_toy_color_name(t.name[0], 1)));
        ck_assert_ptr_nonnull(strstr(en, kn_toy_species_name(t.species, 0)));
        ck_assert_ptr_nonnull(strstr(zh, kn_toy_species_name(t.species, 1)));
        ck_assert_ptr_nonnull(strstr(says, "species"));
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, identities_never_change);
    tcase_add_test(tc, a_twin_differs_in_one_attribute);
    tcase_add_test(tc, levels_agree_to_the_bit);
    tcase_add_test(tc, the_truth_fits_the_picture);
    tcase_add_test(tc, both_languages_tell_the_same);
}

int main(void)
{
    return kn_test_main("toys", fill);
}
