/* test_augment.c - colours, warps, blur and crop boxes against torchvision and numpy (augment.py). */
#include "tests/test.h"

#include "image/augment.h"
#include "image/augment_ops.h"

#include <math.h>
#include <string.h>

#include "augment_cases.h"

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())
#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { SIDE = 64, SMALL = 20, PIXELS = SMALL * SMALL };

static void picture(uint8_t *rgb, size_t side)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < side * side; i++) {
        for (size_t c = 0; c < 3; c++) {
            x = (x * 1103515245u + 12345u) & 0x7fffffff;
            rgb[3 * i + c] = (uint8_t)(x >> 16);
        }
        if (i % 7 == 0)
            rgb[3 * i + 1] = rgb[3 * i + 2] = rgb[3 * i];
    }
}

static void smooth(uint8_t *rgb)
{
    for (unsigned y = 0; y < SMALL; y++)
        for (unsigned x = 0; x < SMALL; x++, rgb += 3) {
            rgb[0] = (uint8_t)(x * 255 / (SMALL - 1));
            rgb[1] = (uint8_t)(y * 255 / (SMALL - 1));
            rgb[2] = (uint8_t)((x + y) * 255 / (2 * SMALL - 2));
        }
}

static uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

START_TEST(colors_as_torchvision)
{
    static uint8_t rgb[3 * SIDE * SIDE];
    for (size_t i = 0; i < COUNT(color_cases); i++) {
        const size_t side = color_cases[i].side;
        picture(rgb, side);
        color_cases[i].fn(rgb, side * side, color_cases[i].factor);
        ck_assert_msg(fnv(rgb, 3 * side * side) == color_cases[i].hash, "case %zu, factor %g", i,
                      (double)color_cases[i].factor);
    }
    picture(rgb, SIDE);
    kn_adjust_gray(rgb, (size_t)SIDE * SIDE);
    ck_assert(fnv(rgb, sizeof rgb) == gray_hash);
}
END_TEST

START_TEST(warps_as_torchvision)
{
    uint8_t in[3 * PIXELS], out[3 * PIXELS];
    smooth(in);
    for (size_t i = 0; i < COUNT(warp_cases); i++) {
        double m[6];
        kn_affine_matrix(m, warp_cases[i].angle, warp_cases[i].dx, warp_cases[i].dy,
                         warp_cases[i].scale, warp_cases[i].shear);
        kn_warp(in, SMALL, m, out);
        for (size_t j = 0; j < 3 * (size_t)PIXELS; j++)
            if (warp_cases[i].inside[j / 3])
                ck_assert_msg(abs(out[j] - warp_cases[i].rgb[j]) <= 1,
                              "case %zu, byte %zu: %d, not %d", i, j, out[j], warp_cases[i].rgb[j]);
    }
}
END_TEST

START_TEST(blur_is_gaussian)
{
    uint8_t rgb[3 * PIXELS], scratch[3 * (PIXELS + SMALL + 2 * KN_BLUR_RADIUS)];
    for (size_t i = 0; i < COUNT(blur_cases); i++) {
        picture(rgb, SMALL);
        kn_blur(rgb, SMALL, blur_cases[i].sigma, scratch);
        for (size_t j = 0; j < sizeof rgb; j++)
            ck_assert_int_le(abs(rgb[j] - blur_cases[i].rgb[j]), 1);
    }
}
END_TEST

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where torchvision's quantiles lie in our draws, within 4.5 standard errors of both samples. */
static void same_distribution(const char *what, double *draws, size_t n, const double quantile[19])
{
    qsort(draws, n, sizeof *draws, ascending);
    for (int q = 0; q < 19; q++) {
        const double share = 0.05 * (q + 1);
        const double reach = 4.5 * sqrt(share * (1 - share) * 2 / (double)n) + 1e-9;
        const double at = quantile[q], near = 1e-5 * (1 + fabs(at));
        size_t below = 0, up_to = 0;
        while (below < n && draws[below] < at - near)
            below++;
        while (up_to < n && draws[up_to] <= at + near)
            up_to++;
        ck_assert_msg((double)below / (double)n <= share + reach &&
                          (double)up_to / (double)n >= share - reach,
                      "%s: quantile %g, %g … %g", what, share, (double)below / (double)n,
                      (double)up_to / (double)n);
    }
}

START_TEST(crops_as_torchvision)
{
    enum { DRAWS = 40000 };
    static double v[4][DRAWS];
    static const char *const names[] = { "area", "shape", "x", "y" };
    for (size_t i = 0; i < COUNT(crop_cases); i++) {
        const double w = crop_cases[i].w, h = crop_cases[i].h;
        kn_augment a;
        OK(kn_augment_parse(&a, crop_cases[i].text));
        for (uint64_t k = 0; k < DRAWS; k++) {
            const kn_augment_key key = { 3, k % 7, k };
            const kn_box b = kn_augment_box(&a, crop_cases[i].w, crop_cases[i].h, key);
            v[0][k] = (double)b.w * b.h / (w * h);
            v[1][k] = log((double)b.w / b.h);
            v[2][k] = b.x / w;
            v[3][k] = b.y / h;
        }
        for (int j = 0; j < 4; j++)
            same_distribution(names[j], v[j], DRAWS, crop_cases[i].quantile[j]);
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, colors_as_torchvision);
    tcase_add_test(tc, warps_as_torchvision);
    tcase_add_test(tc, blur_is_gaussian);
    tcase_add_test(tc, crops_as_torchvision);
}

int main(void)
{
    return kn_test_main("augment", fill);
}
