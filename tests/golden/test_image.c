/* test_image.c - pixels against Pillow's and torchvision's, file by file and size by size (make_image.py). */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/inflate.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

#define DIR "tests/golden/image/"

/* The computed source pictures, as in make_image.py. */
static ken_image *picture(uint32_t w, uint32_t h)
{
    ken_image *img;
    ck_assert_int_eq(kn_image_new(&img, w, h), KEN_OK);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            uint8_t *p = img->pixels + y * img->stride + 3 * (size_t)x;
            p[0] = (uint8_t)(7 * x + 3 * y + x * y / 11);
            p[1] = (uint8_t)(x * x + 5 * y);
            p[2] = (uint8_t)(x * y + 13 * (x / 9) * (y / 7));
        }
    return img;
}

static uint32_t crc_of(const ken_image *img)
{
    ck_assert_uint_eq(img->stride, 3 * (size_t)img->width);
    return kn_crc32(img->pixels, img->stride * img->height);
}

/* The next line that is no remark; 0 at the end. */
static int next(FILE *f, char *line, int size)
{
    while (fgets(line, size, f))
        if (line[0] != '#')
            return 1;
    return 0;
}

static FILE *table(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, DIR "%s", name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    return f;
}

START_TEST(resizes_as_pillow)
{
    char line[256], filter[16];
    unsigned w, h, a, b, crc, n = 0;
    FILE *f = table("resize.txt");
    for (; next(f, line, sizeof line); n++) {
        ck_assert_int_eq(sscanf(line, "%u %u %u %u %15s %x", &w, &h, &a, &b, filter, &crc), 6);
        ken_image *img = picture(w, h), *out;
        ck_assert_int_eq(ken_image_resize(&out, img, a, b, filter), KEN_OK);
        ck_assert_msg(crc_of(out) == crc, "%s", line);
        ken_image_free(img);
        ken_image_free(out);
    }
    ck_assert_uint_ge(n, 250);
    fclose(f);
}
END_TEST

static void read_prep(kn_prep *p, const char *how, const char *filter)
{
    p->fit = !strcmp(how, "short") ? KN_FIT_SHORT : KN_FIT_SQUASH;
    ck_assert_int_eq(kn_filter_named(&p->filter, filter), KEN_OK);
}

START_TEST(fits_as_torchvision)
{
    char line[256], filter[16], how[16];
    unsigned w, h, crc, hf, n = 0;
    FILE *f = table("fit.txt");
    for (; next(f, line, sizeof line); n++) {
        kn_prep p = { 0 };
        ck_assert_int_eq(sscanf(line, "%u %u %15s %u %u %u %u %15s %u %x", &w, &h, how, &p.resize[0], &p.resize[1],
                                &p.crop[0], &p.crop[1], filter, &hf, &crc), 10);
        read_prep(&p, how, filter);
        ken_image *img = picture(w, h);
        const size_t bytes = 3 * (size_t)p.crop[0] * p.crop[1];
        uint8_t *out = kn_alloc(bytes, 1);
        ck_assert_int_eq(kn_image_fit(img, &p, out), KEN_OK);
        ck_assert_msg(kn_crc32(out, bytes) == crc, "%s", line);
        kn_free(out);
        ken_image_free(img);
    }
    ck_assert_uint_ge(n, 100);
    fclose(f);
}
END_TEST

START_TEST(normalises_as_torchvision)
{
    static const struct {
        const char *name;
        kn_prep p;
    } cases[] = {
        { "clip", { KN_FIT_SHORT, { 224, 224 }, { 224, 224 }, KN_BICUBIC, 0, { 0 },
                    { 0.48145466f, 0.4578275f, 0.40821073f }, { 0.26862954f, 0.26130258f, 0.27577711f } } },
        { "resnet", { KN_FIT_SHORT, { 256, 256 }, { 224, 224 }, KN_BILINEAR, 0, { 0 },
                      { .485f, .456f, .406f }, { .229f, .224f, .225f } } },
        { "cifar", { KN_FIT_SQUASH, { 32, 32 }, { 32, 32 }, KN_BILINEAR, 0, { 0 },
                     { .485f, .456f, .406f }, { .229f, .224f, .225f } } },
    };
    char line[1024], name[16];
    unsigned w, h;
    int at, used;
    FILE *f = table("tensor.txt");
    while (next(f, line, sizeof line)) {
        ck_assert_int_eq(sscanf(line, "%u %u %15s%n", &w, &h, name, &at), 3);
        size_t c = 0;
        while (strcmp(cases[c].name, name))
            c++;
        const kn_prep *p = &cases[c].p;
        const size_t plane = (size_t)p->crop[0] * p->crop[1];
        float lut[3][256], value;
        uint8_t *out = kn_alloc(3 * plane, 1);
        ken_image *img = picture(w, h);
        kn_prep_table(p, lut);
        ck_assert_int_eq(kn_image_fit(img, p, out), KEN_OK);
        for (size_t i = 0; sscanf(line + at, "%f%n", &value, &used) == 1; i += 3 * plane / 20, at += used) {
            const float got = lut[i / plane][out[3 * (i % plane) + i / plane]];
            ck_assert_msg(fabsf(got - value) <= 1e-6f, "%s at %zu: %.9g, not %.9g", name, i, (double)got, (double)value);
        }
        kn_free(out);
        ken_image_free(img);
    }
    fclose(f);
}
END_TEST

static int decode_crc(uint32_t *crc, const char *path, int no_orient)
{
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    ken_image *img;
    opts.no_orient = (uint8_t)no_orient;
    ken_status st = ken_image_load(&img, path, &opts);
    if (st)
        return st;
    *crc = crc_of(img);
    ken_image_free(img);
    return 0;
}

/* What this build decodes otherwise than Pillow, by a decision that the README names. */
static int left_out(const char *name)
{
#ifndef KEN_JPEG
    if (strstr(name, ".jpg"))
        return 1;
#endif
#ifndef KEN_WEBP
    if (strstr(name, ".webp"))
        return 1;
#endif
    (void)name;
    return 0;
}

START_TEST(decodes_as_pillow)
{
    char line[256], name[64], path[256];
    unsigned w, h, stored, upright;
    uint32_t crc;
    FILE *f = table("decode.txt");
    while (next(f, line, sizeof line)) {
        ck_assert_int_eq(sscanf(line, "%63s %u %u %x %x", name, &w, &h, &stored, &upright), 5);
        snprintf(path, sizeof path, DIR "%s", name);
        if (left_out(name))
            continue;
        ck_assert_msg(decode_crc(&crc, path, 1) == 0, "%s: %s", name, ken_last_error());
        ck_assert_msg(crc == stored, "%s as stored", name);
        ck_assert_msg(decode_crc(&crc, path, 0) == 0, "%s: %s", name, ken_last_error());
        ck_assert_msg(crc == upright, "%s upright", name);
    }
    fclose(f);
}
END_TEST

/* Lossy, and of a library that is there or not: near the ramps that make_image.py drew. */
START_TEST(decodes_heif_and_avif)
{
    static const char *const files[] = { "ramp.heic", "ramp.avif" };
    for (int i = 0; i < 2; i++) {
        char path[256];
        ken_image *img;
        snprintf(path, sizeof path, DIR "%s", files[i]);
        const ken_status st = ken_image_load(&img, path, NULL);
        if (st == KEN_E_UNSUPPORTED) {
            printf("skipped decodes_heif_and_avif, %s: %s\n", files[i], ken_last_error());
            continue;
        }
        ck_assert_msg(!st, "%s", ken_last_error());
        ck_assert(img->width == 64 && img->height == 48);
        for (int y = 0; y < 48; y++)
            for (int x = 0; x < 64; x++) {
                const uint8_t *p = ken_image_row(img, (uint32_t)y) + 3 * x;
                ck_assert_msg(abs(p[0] - 4 * x) <= 12 && abs(p[1] - 5 * y) <= 12 &&
                                  abs(p[2] - 2 * (x + y)) <= 12,
                              "%s at %d, %d: %d %d %d", files[i], x, y, p[0], p[1], p[2]);
            }
        ken_image_free(img);
    }
}
END_TEST

START_TEST(tells_the_size_without_decoding)
{
    char line[256], name[64], path[256];
    unsigned w, h, stored, upright;
    FILE *f = table("decode.txt");
    while (next(f, line, sizeof line)) {
        ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
        unsigned char *bytes;
        size_t len;
        uint32_t gw, gh;
        ck_assert_int_eq(sscanf(line, "%63s %u %u %x %x", name, &w, &h, &stored, &upright), 5);
        snprintf(path, sizeof path, DIR "%s", name);
        if (left_out(name))
            continue;
        opts.no_orient = 1;
        ck_assert_int_eq(kn_read_file(&bytes, &len, path, 1 << 20), KEN_OK);
        ck_assert_msg(kn_image_size(&gw, &gh, bytes, len, &opts) == KEN_OK, "%s: %s", name, ken_last_error());
        ck_assert_msg(gw == w && gh == h, "%s: %u x %u", name, gw, gh);
        kn_free(bytes);
    }
    fclose(f);
}
END_TEST

START_TEST(a_cut_or_capped_picture_is_refused)
{
    char line[256], name[64], path[256];
    FILE *f = table("decode.txt");
    while (next(f, line, sizeof line)) {
        ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
        unsigned char *bytes;
        size_t len;
        ken_image *img;
        sscanf(line, "%63s", name);
        snprintf(path, sizeof path, DIR "%s", name);
        if (left_out(name) || strstr(name, ".pbm") || !strcmp(name, "wide.ppm")) /* small enough for the cap */
            continue;
        ck_assert_int_eq(kn_read_file(&bytes, &len, path, 1 << 20), KEN_OK);
        opts.max_pixels = 100;
        ck_assert_msg(ken_image_decode(&img, bytes, len, &opts) == KEN_E_LIMIT, "%s: %s", name, ken_last_error());
        ken_status st = ken_image_decode(&img, bytes, len * 2 / 3, NULL);
        ck_assert_msg(st == KEN_E_FORMAT, "%s cut: %s", name, ken_last_error());
        kn_free(bytes);
    }
    fclose(f);
}
END_TEST

START_TEST(pngsuite_as_pillow)
{
    const char *data = kn_test_data("pngsuite_as_pillow");
    char line[256], name[128], want[16], path[512];
    uint32_t crc, expected;
    if (!data)
        return;
    FILE *f = table("pngsuite.txt");
    while (next(f, line, sizeof line)) {
        ck_assert_int_eq(sscanf(line, "%127s %15s", name, want), 2);
        snprintf(path, sizeof path, "%s/pngsuite/%s", data, name);
        const int st = decode_crc(&crc, path, 0);
        if (!strcmp(want, "refused")) {
            ck_assert_msg(st == KEN_E_FORMAT, "%s is broken", name);
            continue;
        }
        ck_assert_msg(!st, "%s: %s", name, ken_last_error());
        sscanf(want, "%x", &expected);
        ck_assert_msg(crc == expected, "%s", name);
    }
    fclose(f);
}
END_TEST

START_TEST(exif_orientations_as_pillow)
{
    const char *data = kn_test_data("exif_orientations_as_pillow");
    char line[256], name[128], path[512];
    uint32_t crc, expected;
    if (!data || left_out("x.jpg"))
        return;
    FILE *f = table("exif.txt");
    while (next(f, line, sizeof line)) {
        ck_assert_int_eq(sscanf(line, "%127s %x", name, &expected), 2);
        snprintf(path, sizeof path, "%s/exif/%s", data, name);
        ck_assert_int_eq(decode_crc(&crc, path, 0), 0);
        ck_assert_msg(crc == expected, "%s", name);
    }
    fclose(f);
}
END_TEST

START_TEST(streams_parts_as_torchvision)
{
    char line[256], name[64], filter[16], how[16], path[256];
    unsigned crc, hf, n = 0;
    FILE *f = table("jpegfit.txt");
    for (; next(f, line, sizeof line) && !left_out("x.jpg"); n++) {
        kn_prep p = { 0 };
        unsigned char *bytes;
        size_t len;
        uint32_t w, h;
        ck_assert_int_eq(sscanf(line, "%63s %15s %u %u %u %u %15s %u %x", name, how, &p.resize[0], &p.resize[1],
                                &p.crop[0], &p.crop[1], filter, &hf, &crc), 9);
        read_prep(&p, how, filter);
        snprintf(path, sizeof path, DIR "%s", name);
        ck_assert_int_eq(kn_read_file(&bytes, &len, path, 1 << 20), KEN_OK);
        const size_t size = 3 * (size_t)p.crop[0] * p.crop[1];
        uint8_t *out = kn_alloc(size, 1);
        ck_assert_int_eq(kn_image_decode_fit(bytes, len, NULL, &p, out, &w, &h), KEN_OK);
        ck_assert_msg(kn_crc32(out, size) == crc, "%s", line);
        ck_assert_int_eq(w, name[5] < '5' ? 700 : 520);
        kn_free(out);
        kn_free(bytes);
    }
    fclose(f);
}
END_TEST

/* Straight from the file equals decoding, then fitting. */
START_TEST(streaming_changes_nothing)
{
    static const char *const files[] = { "base420.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg", "orient6.jpg", "rgb.png" };
    static const kn_prep preps[] = { { KN_FIT_SHORT, { 20, 20 }, { 20, 20 }, KN_BICUBIC, 0, { 0 }, { 0 }, { 0 } },
                                     { KN_FIT_SQUASH, { 30, 90 }, { 24, 70 }, KN_LANCZOS, 0, { 0 }, { 0 }, { 0 } },
                                     { KN_FIT_SHORT, { 47, 47 }, { 60, 60 }, KN_BILINEAR, 0, { 0 }, { 0 }, { 0 } } };
    for (size_t i = 0; i < sizeof files / sizeof *files * 3; i++) {
        const kn_prep *p = &preps[i % 3];
        const size_t n = 3 * (size_t)p->crop[0] * p->crop[1];
        uint8_t a[10800], b[10800];
        unsigned char *bytes;
        size_t len;
        uint32_t w, h;
        ken_image *img;
        char path[256];
        snprintf(path, sizeof path, DIR "%s", files[i / 3]);
        ck_assert_int_eq(kn_read_file(&bytes, &len, path, 1 << 20), KEN_OK);
        ck_assert_int_eq(kn_image_decode_fit(bytes, len, NULL, p, a, &w, &h), KEN_OK);
        ck_assert_int_eq(ken_image_decode(&img, bytes, len, NULL), KEN_OK);
        ck_assert_int_eq(kn_image_fit(img, p, b), KEN_OK);
        ck_assert_uint_eq(w, img->width);
        ck_assert_uint_eq(h, img->height);
        ck_assert_msg(!memcmp(a, b, n), "%s", files[i / 3]);
        ken_image_free(img);
        kn_free(bytes);
    }
}
END_TEST

/* Every allocation failed in turn: an error, no crash, nothing lost (the leak checker looks). */
START_TEST(survives_without_memory)
{
    static const char *const files[] = { "base420.jpg", "cmyk.jpg", "rgba.png", "palette.png", "a.gif", "rgb.bmp",
                                         "plain.pgm", "rle.tga", "lossy.webp", "orient6.png", "grey16.png" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        ken_image *img = NULL;
        snprintf(path, sizeof path, DIR "%s", files[i]);
        if (left_out(files[i]))
            continue;
        for (long n = 0;; n++) {
            kn_alloc_fail_after(n);
            ken_status st = ken_image_load(&img, path, NULL);
            kn_alloc_fail_after(-1);
            if (!st)
                break;
            ck_assert_int_lt(n, 200);
        }
        ken_image_free(img);
    }
}
END_TEST

START_TEST(what_we_write_we_read)
{
    ken_image *img = picture(40, 30), *back;
    unsigned char *bytes;
    size_t len;
    ck_assert_int_eq(kn_image_encode(&bytes, &len, img, 0), KEN_OK);
    ck_assert_str_eq(kn_image_kind(bytes, len), "png");
    ck_assert_int_eq(ken_image_decode(&back, bytes, len, NULL), KEN_OK);
    ck_assert_uint_eq(crc_of(back), crc_of(img));
    kn_free(bytes);
    ken_image_free(back);
    ck_assert_int_eq(kn_image_encode(&bytes, &len, img, 90), KEN_OK);
    ck_assert_str_eq(kn_image_kind(bytes, len), "jpeg");
    ck_assert_int_eq(ken_image_decode(&back, bytes, len, NULL), KEN_OK);
    kn_free(bytes);
    ken_image_free(back);
    ken_image_free(img);
}
END_TEST

START_TEST(colours)
{
    uint8_t c[3];
    ck_assert_int_eq(kn_color_parse(c, "#ff8001"), KEN_OK);
    ck_assert(c[0] == 255 && c[1] == 128 && c[2] == 1);
    ck_assert_int_eq(kn_color_parse(c, "#f80"), KEN_OK);
    ck_assert(c[0] == 255 && c[1] == 136 && c[2] == 0);
    ck_assert_int_eq(kn_color_parse(c, "RebeccaPurple"), KEN_OK);
    ck_assert(c[0] == 0x66 && c[1] == 0x33 && c[2] == 0x99);
    ck_assert_int_eq(kn_color_parse(c, "#12"), KEN_E_INVALID);
    ck_assert_int_eq(kn_color_parse(c, "#12345x"), KEN_E_INVALID);
    ck_assert_int_eq(kn_color_parse(c, "nocolour"), KEN_E_INVALID);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, resizes_as_pillow);
    tcase_add_test(tc, fits_as_torchvision);
    tcase_add_test(tc, normalises_as_torchvision);
    tcase_add_test(tc, decodes_as_pillow);
    tcase_add_test(tc, decodes_heif_and_avif);
    tcase_add_test(tc, tells_the_size_without_decoding);
    tcase_add_test(tc, a_cut_or_capped_picture_is_refused);
    tcase_add_test(tc, pngsuite_as_pillow);
    tcase_add_test(tc, exif_orientations_as_pillow);
    tcase_add_test(tc, streams_parts_as_torchvision);
    tcase_add_test(tc, streaming_changes_nothing);
    tcase_add_test(tc, survives_without_memory);
    tcase_add_test(tc, what_we_write_we_read);
    tcase_add_test(tc, colours);
}

int main(void)
{
    return kn_test_main("image", fill);
}
