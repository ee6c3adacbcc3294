/* test_image.c - pictures in memory: kinds, limits, orientations, windows, colours over a background. */
#include "base/alloc.h"
#include "base/file.h"
#include "image/decode.h"
#include "image/image.h"
#include "tests/test.h"

#include <string.h>

/* Pixel (x, y) says where it is. */
static ken_image *numbered(uint32_t w, uint32_t h)
{
    ken_image *img;
    ck_assert_int_eq(kn_image_new(&img, w, h), KEN_OK);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            uint8_t *p = img->pixels + y * img->stride + 3 * x;
            p[0] = (uint8_t)x;
            p[1] = (uint8_t)y;
            p[2] = (uint8_t)(x * y);
        }
    return img;
}

START_TEST(kinds_by_content)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *kind;
    } cases[] = {
        { "\xff\xd8\xff\xe0", 4, "jpeg" },
        { "\x89PNG\r\n\x1a\n", 8, "png" },
        { "GIF89a", 6, "gif" },
        { "BM", 2, "bmp" },
        { "RIFF\0\0\0\0WEBP", 12, "webp" },
        { "P6\n", 3, "pnm" },
        { "P7\n", 3, NULL },
        { "Phoney", 6, NULL },
        { "\0\0\0\x18"
          "ftypheic",
          12, "heif" },
        { "\0\0\0\x18"
          "ftypavif",
          12, "avif" },
        { "\0\0\0\x18"
          "ftypmp42",
          12, NULL },
        { "II*\0", 4, "tiff" },
        { "\0\0\0\x0cjP  \r\n\x87\n", 12, "jp2" },
        { "\0\0\2\0\0\0\0\0\0\0\0\0\4\0\4\0\x18\0", 18, "tga" },
        { "\0\0\2\0\0\0\0\0\0\0\0\0\0\0\4\0\x18\0", 18, NULL }, /* no width */
        { "plain text, nothing else", 24, NULL },
        { "", 0, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *kind = kn_image_kind(cases[i].bytes, cases[i].len);
        ck_assert_msg(!kind == !cases[i].kind && (!kind || !strcmp(kind, cases[i].kind)),
                      "case %zu: %s", i, kind ? kind : "none");
        for (size_t n = 0; n < cases[i].len; n++) /* no byte behind the end is read */
            (void)kn_image_kind(cases[i].bytes, n);
    }
    ck_assert(kn_image_can("png") && !kn_image_can("tiff") && !kn_image_can("jp2"));
}
END_TEST

START_TEST(names_worth_opening)
{
    ck_assert(kn_image_name("a/b.JPG") && kn_image_name("x.webp") && kn_image_name(".jpeg.png"));
    ck_assert(!kn_image_name("a.jpg/b") && !kn_image_name("jpg") && !kn_image_name("a.txt"));
    ck_assert(!kn_image_name("a.jpg~"));
}
END_TEST

static void refused(const void *bytes, size_t len, ken_status want, const char *word)
{
    ken_image *img = NULL;
    const ken_status st = ken_image_decode(&img, bytes, len, NULL);
    ck_assert_msg(st == want, "%s: %d %s", word, st, ken_last_error());
    ck_assert_msg(strstr(ken_last_error(), word) != NULL, "'%s' in: %s", word, ken_last_error());
    ck_assert_ptr_null(img);
}

START_TEST(faults_are_named)
{
    refused("", 0, KEN_E_FORMAT, "empty");
    refused("hello", 5, KEN_E_FORMAT, "known kind");
    refused("II*\0....", 8, KEN_E_UNSUPPORTED, "tiff");
    refused("P6 2 2 255\n12345", 16, KEN_E_FORMAT, "truncated");
    refused("P6 2 x 255\n", 11, KEN_E_FORMAT, "not a number");
    refused("P6 2 2 70000\n", 13, KEN_E_FORMAT, "maximum");
    refused("P5 0 2 255\n", 11, KEN_E_FORMAT, "0 x 2");
    refused("P5 2000000 2 255\n", 17, KEN_E_LIMIT, "limit");
    refused("P5 99999 99999 255\n", 19, KEN_E_LIMIT, "limit");
    refused("GIF89a\4\0\4\0\0\0\0;", 14, KEN_E_FORMAT, "no picture");
    refused("GIF89a\4\0\4\0\0\0\0,\0\0\0\0\4\0\4\0\0\x0c\1\0\0", 26, KEN_E_FORMAT, "codes of 12");
    refused("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16, KEN_E_FORMAT, "png");
    refused("BM..............................................", 40, KEN_E_UNSUPPORTED, "header of");
}
END_TEST

/* A picture whose header promises more than memory holds must be refused by the header alone. */
START_TEST(a_bomb_is_not_unpacked)
{
    static const char gif[] = "GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\1\0\0;";
    static const char tga[] = "\0\0\2\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x18\0";
    static const char bmp[64] = "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"
                                "\xff\xff\x0f\0\xff\xff\x0f\0\1\0\x18";
    kn_alloc_fail_after(0);
    refused(gif, sizeof gif - 1, KEN_E_LIMIT, "65535 x 65535");
    refused(tga, sizeof tga - 1, KEN_E_LIMIT, "65535 x 65535");
    refused(bmp, sizeof bmp, KEN_E_LIMIT, "1048575 x 1048575");
    kn_alloc_fail_after(-1);
}
END_TEST

START_TEST(newer_options_are_refused)
{
    struct {
        ken_decode_options known;
        int more;
    } opts = { KEN_DECODE_OPTIONS_INIT, 1 };
    ken_image *img;
    opts.known.size = sizeof opts;
    ck_assert_int_eq(ken_image_decode(&img, "P5 1 1 255\n0", 12, &opts.known), KEN_E_VERSION);
    opts.known.size = 8; /* an older caller knows two fields */
    opts.known.max_pixels = 0;
    ck_assert_int_eq(ken_image_decode(&img, "P5 1 1 255\n0", 12, &opts.known), KEN_OK);
    ken_image_free(img);
}
END_TEST

START_TEST(copies_rows_with_gaps)
{
    const uint8_t rows[] = { 1, 2, 3, 4, 5, 6, 99, 7, 8, 9, 10, 11, 12 };
    ken_image *img;
    ck_assert_int_eq(ken_image_from_rgb(&img, rows, 2, 2, 7), KEN_OK);
    ck_assert(ken_image_width(img) == 2 && ken_image_height(img) == 2);
    ck_assert_int_eq(memcmp(ken_image_row(img, 1), rows + 7, 6), 0);
    ken_image_free(img);
    ck_assert_int_eq(ken_image_from_rgb(&img, rows, 2, 2, 5), KEN_E_INVALID);
    ck_assert_int_eq(ken_image_from_rgb(&img, rows, 0, 2, 7), KEN_E_LIMIT);
}
END_TEST

/* Where the definition of each orientation puts the stored first row and column:
 * (CIPA DC-008) 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, … 8 left bottom. */
START_TEST(each_orientation)
{
    enum { W = 70, H = 45 };
    for (int o = 1; o <= 8; o++) {
        ken_image *img = numbered(W, H);
        ck_assert_int_eq(kn_image_orient(&img, o), KEN_OK);
        const uint32_t w = o < 5 ? W : H, h = o < 5 ? H : W;
        ck_assert(img->width == w && img->height == h);
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++) {
                const uint32_t mx = w - 1 - x, my = h - 1 - y;
                const uint32_t sx[9] = { 0, x, mx, mx, x, y, y, my, my };
                const uint32_t sy[9] = { 0, y, y, my, my, x, mx, mx, x };
                const uint8_t *p = ken_image_row(img, y) + 3 * x;
                ck_assert_msg(p[0] == sx[o] && p[1] == sy[o], "orientation %d at %u, %u", o, x, y);
            }
        ken_image_free(img);
    }
}
END_TEST

static void set16(unsigned char *p, unsigned v, int big)
{
    p[big ? 1 : 0] = (unsigned char)v;
    p[big ? 0 : 1] = (unsigned char)(v >> 8);
}

START_TEST(orientation_of_a_tiff_block)
{
    for (int big = 0; big < 2; big++) {
        unsigned char t[26] = "II*\0\x08\0\0\0\1\0";
        if (big)
            memcpy(t, "MM\0*\0\0\0\x08\0\1", 10);
        set16(t + 10, 0x0112, big);
        set16(t + 12, 3, big);
        set16(t + (big ? 16 : 14), 1, big);
        for (unsigned v = 0; v < 12; v++) {
            set16(t + 18, v, big);
            ck_assert_int_eq(kn_exif_orientation(t, sizeof t), v >= 1 && v <= 8 ? (int)v : 1);
        }
        set16(t + 18, 6, big);
        for (size_t n = 0; n < 22; n++)
            ck_assert_int_eq(kn_exif_orientation(t, n), 1);
        set16(t + (big ? 6 : 4), 0xfffe, big); /* a directory far outside */
        ck_assert_int_eq(kn_exif_orientation(t, sizeof t), 1);
    }
}
END_TEST

START_TEST(windows_of_preprocessing)
{
    static const struct {
        kn_prep p;
        uint32_t w, h;
        kn_window want;
    } cases[] = {
        /* int(224 * 640 / 427) = 335, truncated; round(55.5) = 56, the even one */
        { { .fit = KN_FIT_SHORT, .resize = { 224, 224 }, .crop = { 224, 224 } },
          640,
          427,
          { .to_w = 335, .to_h = 224, .left = 56, .top = 0 } },
        /* Hugging Face cuts the half off */
        { { .fit = KN_FIT_SHORT, .resize = { 224, 224 }, .crop = { 224, 224 }, .hf_crop = 1 },
          640,
          427,
          { .to_w = 335, .to_h = 224, .left = 55, .top = 0 } },
        { { .fit = KN_FIT_SQUASH, .resize = { 30, 40 }, .crop = { 30, 40 } },
          640,
          427,
          { .to_w = 40, .to_h = 30, .left = 0, .top = 0 } },
        { { .fit = KN_FIT_LONGEST, .resize = { 100, 100 }, .crop = { 100, 100 } },
          400,
          100,
          { .to_w = 100, .to_h = 25, .left = 0, .top = -37 } },
        { { .fit = KN_FIT_SHORT, .resize = { 1, 1 }, .crop = { 1, 1 } },
          1000,
          3,
          { .to_w = 333, .to_h = 1, .left = 166, .top = 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const kn_window *want = &cases[i].want;
        kn_window w;
        kn_window_of(&w, &cases[i].p, cases[i].w, cases[i].h);
        ck_assert_msg(w.to_w == want->to_w && w.to_h == want->to_h && w.left == want->left &&
                          w.top == want->top,
                      "case %zu: %u x %u at %d, %d", i, w.to_w, w.to_h, w.left, w.top);
    }
}
END_TEST

START_TEST(a_margin_is_filled)
{
    const kn_prep p = { .fit = KN_FIT_LONGEST,
                        .resize = { 8, 8 },
                        .crop = { 8, 8 },
                        .filter = KN_BICUBIC,
                        .fill = { 9, 8, 7 } };
    uint8_t out[3 * 64];
    ken_image *img = numbered(8, 4);
    ck_assert_int_eq(kn_image_fit(img, &p, out), KEN_OK);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) {
            const uint8_t *q = out + 3 * (8 * y + x);
            const int inside = y >= 2 && y < 6;
            ck_assert_msg(inside ? q[0] == x && q[1] == y - 2 : q[0] == 9 && q[1] == 8 && q[2] == 7,
                          "%d, %d", x, y);
        }
    ken_image_free(img);
}
END_TEST

START_TEST(transparency)
{
    const uint8_t rgba[] = { 200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 128 };
    ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
    uint8_t rgb[9];
    kn_flatten(rgb, rgba, 3, &opts);
    for (int i = 0; i < 3; i++)
        ck_assert(rgb[3 * i] == 200 && rgb[3 * i + 1] == 100 && rgb[3 * i + 2] == 0);
    opts.has_background = 1;
    opts.background[2] = 255;
    kn_flatten(rgb, rgba, 3, &opts);
    const uint8_t want[] = { 200, 100, 0, 0, 0, 255, 100, 50, 127 };
    ck_assert_int_eq(memcmp(rgb, want, 9), 0);
}
END_TEST

/* A reduced decode keeps its promise: the short side is no shorter than asked for. */
START_TEST(reduced_decoding)
{
    ken_image *img = numbered(250, 170), *small;
    unsigned char *bytes;
    size_t len;
    ck_assert_int_eq(kn_image_encode(&bytes, &len, img, 90), KEN_OK);
    for (uint32_t fit = 1; fit < 200; fit += 9) {
        ken_decode_options opts = KEN_DECODE_OPTIONS_INIT;
        opts.fit = fit;
        ck_assert_int_eq(ken_image_decode(&small, bytes, len, &opts), KEN_OK);
        ck_assert_uint_ge(small->height, fit < 170 ? fit : 170);
        ken_image_free(small);
    }
    kn_free(bytes);
    ken_image_free(img);
}
END_TEST

START_TEST(saves_by_ending)
{
    char dir[] = "/tmp/ken-image-XXXXXX", path[64];
    ken_image *img = numbered(20, 10), *back;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.PNG", dir);
    ck_assert_int_eq(ken_image_save(img, path, 0), KEN_OK);
    ck_assert_int_eq(ken_image_load(&back, path, NULL), KEN_OK);
    for (uint32_t y = 0; y < 10; y++)
        ck_assert_int_eq(memcmp(ken_image_row(img, y), ken_image_row(back, y), 60), 0);
    ken_image_free(back);
    ck_assert_int_eq(kn_unlink(path), KEN_OK);
    snprintf(path, sizeof path, "%s/a.gif", dir);
    ck_assert_int_eq(ken_image_save(img, path, 0), KEN_E_INVALID);
    snprintf(path, sizeof path, "%s/a.jpg", dir);
    ck_assert_int_eq(ken_image_save(img, path, 101), KEN_E_INVALID);
    ck_assert_int_eq(ken_image_load(&back, path, NULL), KEN_E_NOTFOUND);
    ken_image_free(img);
    remove(dir);
}
END_TEST

START_TEST(filters_by_name)
{
    kn_filter f;
    for (int i = 0; i <= KN_NEAREST; i++) {
        ck_assert_int_eq(kn_filter_named(&f, kn_filter_name((kn_filter)i)), KEN_OK);
        ck_assert_int_eq(f, i);
    }
    ck_assert_int_eq(kn_filter_named(&f, "cubic"), KEN_E_INVALID);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, kinds_by_content);
    tcase_add_test(tc, names_worth_opening);
    tcase_add_test(tc, faults_are_named);
    tcase_add_test(tc, a_bomb_is_not_unpacked);
    tcase_add_test(tc, newer_options_are_refused);
    tcase_add_test(tc, copies_rows_with_gaps);
    tcase_add_test(tc, each_orientation);
    tcase_add_test(tc, orientation_of_a_tiff_block);
    tcase_add_test(tc, windows_of_preprocessing);
    tcase_add_test(tc, a_margin_is_filled);
    tcase_add_test(tc, transparency);
    tcase_add_test(tc, reduced_decoding);
    tcase_add_test(tc, saves_by_ending);
    tcase_add_test(tc, filters_by_name);
}

int main(void)
{
    return kn_test_main("image-unit", fill);
}
