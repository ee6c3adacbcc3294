/* test_data.c - sets of pictures for a trainer: what is counted, named, numbered and drawn. */
#include "tests/test.h"
#include "train/data_state.h"
#include "train/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 8 };
static char dir[] = "/tmp/ken-data-XXXXXX";
static char names[6][64];

static void write_ppm(const char *path, int w, int h, int shade)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "P6 %d %d 255\n", w, h);
    for (int i = 0; i < w * h; i++)
        for (int c = 0; c < 3; c++)
            fputc((shade + 7 * i + 50 * c) % 256, f);
    fclose(f);
}

/* a/1 a/2, b/1 (a copy of a/1), c/1, and a broken one. */
static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 5; i++)
        snprintf(names[i], sizeof names[i], "%s/%d.ppm", dir, i);
    write_ppm(names[0], 20, 12, 10);
    write_ppm(names[1], 9, 9, 60);
    write_ppm(names[2], 20, 12, 10);
    write_ppm(names[3], 8, 8, 200);
    FILE *f = fopen(names[4], "wb");
    fputs("P6 9 9 255\nshort", f);
    fclose(f);
}

static void remove_folder(void)
{
    for (int i = 0; i < 5; i++)
        unlink(names[i]);
    rmdir(dir);
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

static const char *const labels[] = { "a", "a", "b", "c", "c" };

static kn_data *open_list(uint32_t turns, uint32_t threads)
{
    const char *paths[5];
    kn_data *d = NULL;
    for (int i = 0; i < 5; i++)
        paths[i] = names[i];
    const ken_data source = { .list = { paths, labels, 5 } };
    const kn_data_options o = { .size = SIDE, .turns = turns, .threads = threads, .seed = 3 };
    ck_assert_int_eq(kn_data_open(&d, &source, 1, &o), KEN_OK);
    return d;
}

START_TEST(a_report_counts)
{
    make_folder();
    kn_data *d = open_list(1, 2);
    const kn_data_report *r = kn_data_about(d);
    ck_assert_uint_eq(r->pictures, 4);
    ck_assert_uint_eq(r->classes, 3);
    ck_assert_uint_eq(r->broken, 1);
    ck_assert_uint_eq(r->copies, 1);
    ck_assert_uint_eq(r->single, 2); /* b and c */
    ck_assert_ptr_nonnull(strstr(r->first_broken, "4.ppm"));
    ck_assert_str_eq(kn_data_class(d, 0), "a");
    ck_assert_str_eq(kn_data_class(d, 2), "c");
    ck_assert_uint_eq(kn_data_labels(d)[2], 1);
    ck_assert_uint_eq(kn_data_photos(d)[2], 0); /* the copy is the same photograph */
    ck_assert_str_eq(kn_data_name(d, 3), names[3]);
    kn_data_close(d);
    remove_folder();
}
END_TEST

/* The turn of a square: rows become columns, four turns are none. */
START_TEST(turns_are_classes_of_their_own)
{
    make_folder();
    kn_data *d = open_list(4, 1);
    uint8_t rgb[4][SIDE * SIDE * 3];
    const uint32_t list[] = { 12, 13, 14, 15 }; /* the 8 x 8 picture: nothing is resized */
    ck_assert_uint_eq(kn_data_len(d), 16);
    ck_assert_uint_eq(kn_data_classes(d), 12);
    ck_assert_int_eq(kn_data_pictures(d, list, 4, NULL, 0, 0, rgb[0]), KEN_OK);
    for (int t = 0; t < 4; t++) {
        ck_assert_uint_eq(kn_data_labels(d)[12 + t], 2 * 4 + (unsigned)t);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int sy = y, sx = x; /* where the pixel was before t turns to the right */
                for (int k = 0; k < t; k++) {
                    const int up = SIDE - 1 - sx;
                    sx = sy;
                    sy = up;
                }
                for (int c = 0; c < 3; c++)
                    ck_assert_uint_eq(rgb[t][(y * SIDE + x) * 3 + c],
                                      (200 + 7 * (sy * SIDE + sx) + 50 * c) % 256);
            }
    }
    kn_data_close(d);
    remove_folder();
}
END_TEST

START_TEST(toys_are_drawn_by_number)
{
    const ken_data source = { .name = "toys:5-8,views=clean:2+full:1" };
    uint8_t one[4 * 32 * 32 * 3], two[sizeof one];
    const uint32_t list[] = { 0, 2, 3, 8 };
    uint64_t id;
    kn_toy_mode mode;
    uint32_t number;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        kn_data *d = NULL;
        const kn_data_options o = { .size = 32, .threads = threads, .seed = 3 };
        ck_assert_int_eq(kn_data_open(&d, &source, 1, &o), KEN_OK);
        ck_assert_uint_eq(kn_data_len(d), 9);
        ck_assert_uint_eq(kn_data_classes(d), 3);
        ck_assert_str_eq(kn_data_class(d, 1), "6");
        ck_assert(kn_data_toy(d, 8, 2, &id, &mode, &number));
        ck_assert_uint_eq(id, 7);
        ck_assert_int_eq(mode, KN_TOY_FULL);
        ck_assert_uint_eq(number, 2 * 3 + 2); /* another photograph in each epoch */
        ck_assert_int_eq(kn_data_pictures(d, list, 4, NULL, 0, 0, threads == 1 ? one : two), KEN_OK);
        kn_data_close(d);
    }
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert_mem_ne(one, one + 32 * 32 * 3, 32 * 32 * 3);
}
END_TEST

START_TEST(ranges_of_toys_are_checked)
{
    static const char *const wrong[] = { "",          "5",        "5-",          "-5",
                                         "5-5",       "8-5",      "1-2,views=",  "1-2,views=clean:0",
                                         "1-2,views=clean:65", "1-2,size=3", "1-2,size=9999", "1-2,color=1",
                                         "1-2x",      "1-2,views=clean:1+", "1-999999999" };
    kn_toy_range r;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(kn_toy_range_parse(&r, wrong[i]), KEN_E_INVALID);
    ck_assert_int_eq(kn_toy_range_parse(&r, "1-3,size=64,views=mixed:9+clean"), KEN_OK);
    ck_assert_uint_eq(r.views, 10);
    ck_assert_uint_eq(r.size, 64);
    ck_assert_int_eq(r.mode[9], KN_TOY_CLEAN);
    ck_assert_int_eq(kn_toy_range_parse(&r, "0-2"), KEN_OK);
    ck_assert_uint_eq(r.views, 10);
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(words_of_labels_and_toys)
{
    make_folder();
    char vocab[64], texts[64];
    int32_t one[KN_WORDS_CONTEXT], two[KN_WORDS_CONTEXT];
    size_t n, m;
    kn_words *w = NULL;
    snprintf(vocab, sizeof vocab, "%s/vocab.txt", dir);
    snprintf(texts, sizeof texts, "%s/texts.csv", dir);
    write_text(vocab, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nred\nbear\n\xe7\x86\x8a\n##s\n");
    write_text(texts, "label,text\nb,red\na,\"red, bear\"\r\na,\xe7\x86\x8a\n");
    kn_data *d = open_list(1, 1);
    ck_assert_msg(!kn_words_open(&w, vocab, texts), "%s", ken_last_error());
    ck_assert_uint_eq(kn_words_vocab(w), 11);
    ck_assert_int_eq(kn_words_of(w, d, 0, 0, one, &n), KEN_OK);
    ck_assert_uint_eq(n, 5); /* [CLS] red , bear [SEP]: the comma is unknown */
    ck_assert_int_eq(one[0], 2);
    ck_assert_int_eq(one[1], 7);
    ck_assert_int_eq(one[3], 8);
    ck_assert_int_eq(one[4], kn_words_end(w));
    ck_assert_int_eq(kn_words_of(w, d, 0, 1, one, &n), KEN_OK);
    ck_assert_int_eq(one[1], 9);
    ck_assert_int_eq(kn_words_of(w, d, 3, 0, two, &m), KEN_OK); /* c has no text: its name, unknown here */
    ck_assert_uint_eq(m, 3);
    ck_assert_int_eq(two[1], 1);
    kn_words_close(w);
    write_text(texts, "a,b\nbroken\n");
    ck_assert_int_eq(kn_words_open(&w, vocab, texts), KEN_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "line 2"));
    ck_assert_int_eq(kn_words_open(&w, texts, NULL), KEN_E_FORMAT);
    kn_data_close(d);
    unlink(vocab);
    unlink(texts);
    remove_folder();
}
END_TEST

START_TEST(sets_that_cannot_be)
{
    const kn_data_options o = { .size = SIDE, .threads = 1 };
    const char *const path = "/nowhere.ppm", *const label = "a";
    const ken_data missing = { .name = "/nowhere.zip" }, broken = { .list = { &path, &label, 1 } };
    kn_data *d = NULL;
    ck_assert_int_eq(kn_data_open(&d, &missing, 1, &o), KEN_E_NOTFOUND);
    ck_assert_int_eq(kn_data_open(&d, &broken, 1, &o), KEN_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(ken_last_error(), "/nowhere.ppm"));
    ck_assert_ptr_null(d);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, a_report_counts);
    tcase_add_test(t, turns_are_classes_of_their_own);
    tcase_add_test(t, toys_are_drawn_by_number);
    tcase_add_test(t, ranges_of_toys_are_checked);
    tcase_add_test(t, words_of_labels_and_toys);
    tcase_add_test(t, sets_that_cannot_be);
}

int main(void)
{
    return kn_test_main("data", fill);
}
