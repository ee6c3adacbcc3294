/*
 * test_vocab.c - weights/vocab.txt, the vocabulary of the small text tower: whatever the captions say is in it, and what is
 * not shows.
 */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "text/text.h"
#include "toys/toys.h"

#include <string.h>

enum { CONTEXT = 256, UNKNOWN = 1, FIRST_LETTER = 5, LAST_LETTER = 76, MOST = 4000 };

static unsigned char *block;
static kn_tokenizer *open_vocab(void)
{
    unsigned char *bytes;
    size_t len, block_len;
    kn_tokenizer *t = NULL;
    ck_assert_int_eq(kn_read_file(&bytes, &len, "weights/vocab.txt", 1 << 20), KEN_OK);
    ck_assert_int_eq(kn_tokenizer_build(&block, &block_len, "bert-wordpiece", bytes, len), KEN_OK);
    ck_assert_int_eq(kn_tokenizer_open(&t, "bert-wordpiece", block, block_len), KEN_OK);
    kn_free(bytes);
    return t;
}

static void close_vocab(kn_tokenizer *t)
{
    kn_tokenizer_close(t);
    kn_free(block);
}

/* The share of a text's pieces that are [UNK] or single letters; *n counts all pieces. */
static double strange(const kn_tokenizer *t, const char *text, size_t *n)
{
    int32_t ids[CONTEXT];
    size_t odd = 0;
    ck_assert_int_eq(kn_tokenize(t, text, CONTEXT, ids, n), KEN_OK);
    *n -= 2; /* start and end */
    for (size_t i = 1; i <= *n; i++)
        odd += ids[i] == UNKNOWN || (ids[i] >= FIRST_LETTER && ids[i] <= LAST_LETTER);
    return *n ? (double)odd / (double)*n : 0;
}

START_TEST(captions_are_within)
{
    char en[KN_TOY_CAPTION], zh[KN_TOY_CAPTION], says[KN_TOY_CAPTION];
    kn_tokenizer *vocab = open_vocab();
    size_t longest[2] = { 0 }, n;
    ck_assert_uint_le(kn_tokenizer_vocab(vocab), MOST);
    for (uint32_t i = 0; i < 10000; i++) {
        kn_toy t;
        kn_toy_view v;
        kn_toy_make(&t, 1000000 + i); /* others than those that it was made of */
        kn_toy_view_make(&v, &t, KN_TOY_MIXED, 1, i);
        kn_toy_caption(&t, &v, i % 8, 0, en, zh, says);
        for (char *p = en; (p = strstr(p, "a ")) != NULL; p++) /* the one word of one letter */
            if (p == en || p[-1] == ' ')
                *p = ' ';
        ck_assert_msg(strange(vocab, en, &n) == 0, "%s", en);
        longest[0] = n > longest[0] ? n : longest[0];
        ck_assert_msg(strange(vocab, zh, &n) == 0, "%s", zh);
        longest[1] = n > longest[1] ? n : longest[1];
    }
    printf("longest caption: %zu pieces in English without articles, %zu in Chinese\n", longest[0],
           longest[1]);
    close_vocab(vocab);
}
END_TEST

START_TEST(groceries_are_within)
{
    static const char *const known[] = {
        "Golden Delicious apple",   "a bottle of Tropicana apple juice",
        "Alpro blueberry soyghurt", "苹果",
        "阿拉有机中脂牛奶",         "带藤番茄",
        "A Brown-Cap Mushroom!",    "Café Röd Apple",
    };
    kn_tokenizer *vocab = open_vocab();
    size_t n;
    for (size_t i = 0; i + 1 < sizeof known / sizeof *known; i++)
        ck_assert_msg(strange(vocab, known[i], &n) < .3, "%s", known[i]);
    close_vocab(vocab);
}
END_TEST

/* Words from outside do not vanish: they fall into letters, or become [UNK]. */
START_TEST(strangers_show)
{
    static const char *const foreign[] = {
        "xylophone quartet", "quantum chromodynamics", "skyscraper", "量子物理学",
        "摩天大楼",          "der Zwerg schläft",      "слон",
    };
    kn_tokenizer *vocab = open_vocab();
    size_t n;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const double s = strange(vocab, foreign[i], &n);
        printf("%s: %.0f %% of %zu pieces\n", foreign[i], 100 * s, n);
        ck_assert_msg(s >= .5, "%s: %.2f", foreign[i], s);
    }
    close_vocab(vocab);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, captions_are_within);
    tcase_add_test(tc, groceries_are_within);
    tcase_add_test(tc, strangers_show);
}

int main(void)
{
    return kn_test_main("vocab", fill);
}
