/*
 * test_text.c - the ids that OpenAI's and Chinese-CLIP's own code give.
 *
 * make_text.py says where the values come from.  With the reduced vocabularies beside it every run
 * compares 10,000 strings; with the publishers' own, from the outside test data, again and the table.
 */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/inflate.h"
#include "text/clean.h"
#include "text/text.h"

#include <string.h>

#define HERE "tests/golden/text/"
enum { STRINGS = 10000, CLIP = 77, BERT = 52, SUMS = 4 };

static unsigned char *read_file(const char *dir, const char *name, size_t *len)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    *len = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*len + 1);
    ck_assert_uint_eq(fread(bytes, 1, *len, f), *len);
    fclose(f);
    return bytes;
}

typedef struct opened {
    kn_tokenizer *t;
    unsigned char *block;
} opened;

static opened open_vocab(const char *kind, const char *dir, const char *name)
{
    opened o;
    size_t len, block_len;
    unsigned char *source = read_file(dir, name, &len);
    ken_status st = kn_tokenizer_build(&o.block, &block_len, kind, source, len);
    ck_assert_msg(!st, "%s: %s", name, ken_last_error());
    ck_assert_int_eq(kn_tokenizer_open(&o.t, kind, o.block, block_len), KEN_OK);
    free(source);
    return o;
}

static void close_vocab(opened *o)
{
    kn_tokenizer_close(o->t);
    kn_free(o->block);
}

static uint32_t checksum(const int32_t *ids, size_t n)
{
    unsigned char bytes[4 * CLIP];
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++)
            bytes[4 * i + (size_t)k] = (unsigned char)((uint32_t)ids[i] >> 8 * k);
    return kn_crc32(bytes, 4 * n) & 0xffffff;
}

/* The strings and their checksums; free() the result. */
static unsigned char *golden(const char **strings, const unsigned char **sums)
{
    size_t n, len;
    unsigned char *packed = read_file(HERE, "text.gz", &n), *data;
    ck_assert_int_eq(kn_gunzip(&data, &len, packed, n, 1 << 24), KEN_OK);
    free(packed);
    size_t table = (size_t)STRINGS * SUMS * 3;
    ck_assert_uint_gt(len, table);
    *strings = (const char *)data;
    *sums = data + len - table;
    return data;
}

/* All strings through one tokenizer, against column `column` of the checksums. */
static void compare(const char *kind, const char *dir, const char *name, size_t context, int column)
{
    const char *s;
    const unsigned char *sums;
    unsigned char *data = golden(&s, &sums);
    opened o = open_vocab(kind, dir, name);
    int differ = 0;
    for (size_t i = 0; i < STRINGS; i++, s += strlen(s) + 1) {
        const unsigned char *p = sums + (i * SUMS + (size_t)column) * 3;
        int32_t ids[CLIP];
        size_t n;
        ck_assert_int_eq(kn_tokenize(o.t, s, context, ids, &n), KEN_OK);
        if (checksum(ids, n) == (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16))
            continue;
        if (differ++ < 5) {
            printf("string %zu differs (%s):", i, kind);
            for (const char *c = s; *c; c++)
                printf(*c > 32 && *c < 127 ? "%c" : "\\x%02x", *c & 255);
            printf("\n   ");
            for (size_t k = 0; k < n; k++)
                printf(" %d", ids[k]);
            printf("\n");
            fflush(stdout); /* Check's child ends without */
        }
    }
    ck_assert_int_eq(differ, 0);
    close_vocab(&o);
    kn_free(data);
}

START_TEST(reduced_clip)
{
    compare("clip-bpe", HERE, "merges.txt", CLIP, 0);
}
END_TEST

START_TEST(reduced_wordpiece)
{
    compare("bert-wordpiece", HERE, "vocab.txt", BERT, 2);
}
END_TEST

static const char *outside(char *path, size_t size, const char *test)
{
    const char *dir = kn_test_data(test);
    if (!dir)
        return NULL;
    snprintf(path, size, "%s/tokenizer", dir);
    return path;
}

START_TEST(full_clip)
{
    char dir[4096];
    if (outside(dir, sizeof(dir), "full_clip"))
        compare("clip-bpe", dir, "bpe_simple_vocab_16e6.txt.gz", CLIP, 1);
}
END_TEST

START_TEST(full_wordpiece)
{
    char dir[4096];
    if (outside(dir, sizeof(dir), "full_wordpiece"))
        compare("bert-wordpiece", dir, "chinese_clip_vocab.txt", BERT, 3);
}
END_TEST

static const struct row {
    const char *text;
    size_t clip_len;
    int32_t clip[CLIP];
    size_t bert_len;
    int32_t bert[BERT];
} rows[] = {
#include "tests/golden/text/table.inc"
};

static void check_row(const kn_tokenizer *t, const char *text, size_t context, const int32_t *want,
                      size_t len)
{
    int32_t ids[CLIP];
    size_t n;
    ck_assert_int_eq(kn_tokenize(t, text, context, ids, &n), KEN_OK);
    ck_assert_msg(n == len, "'%s': %zu ids, not %zu", text, n, len);
    for (size_t k = 0; k < n; k++)
        ck_assert_msg(ids[k] == want[k], "'%s': id %zu is %d, not %d", text, k, ids[k], want[k]);
}

START_TEST(table)
{
    char dir[4096];
    if (!outside(dir, sizeof(dir), "table"))
        return;
    opened clip = open_vocab("clip-bpe", dir, "bpe_simple_vocab_16e6.txt.gz");
    opened bert = open_vocab("bert-wordpiece", dir, "chinese_clip_vocab.txt");
    ck_assert_uint_eq(kn_tokenizer_vocab(clip.t), 49408);
    ck_assert_uint_eq(kn_tokenizer_vocab(bert.t), 21128);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        check_row(clip.t, rows[i].text, CLIP, rows[i].clip, rows[i].clip_len);
        check_row(bert.t, rows[i].text, BERT, rows[i].bert, rows[i].bert_len);
    }
    close_vocab(&clip);
    close_vocab(&bert);
}
END_TEST

static void add_utf8(kn_buf *b, const kn_points *p)
{
    for (size_t i = 0; i < p->len; i++) {
        unsigned char bytes[4];
        ck_assert_int_eq(kn_buf_add(b, bytes, kn_utf8_put(p->at[i], bytes)), KEN_OK);
    }
}

/* c by itself as step number `step` leaves it. */
static void add_step(kn_buf *b, uint32_t c, int step)
{
    kn_points p = { 0 };
    ck_assert_int_eq(kn_points_add(&p, c), KEN_OK);
    ken_status st = step == 0   ? KEN_OK
                    : step == 1 ? kn_points_normalize(&p, KN_FORM_C)
                    : step == 2 ? kn_points_normalize(&p, KN_FORM_D)
                    : step == 3 ? kn_points_lower(&p)
                                : kn_fix_text(&p);
    ck_assert_int_eq(st, KEN_OK);
    add_utf8(b, &p);
    kn_points_release(&p);
}

/* Every letter, number, mark and space of Unicode 14: that these are they, and both normal forms, lower
 * case and ftfy of each. */
START_TEST(characters)
{
    static const uint32_t want =
#include "tests/golden/text/characters.inc"
        ;
    kn_buf b;
    kn_buf_init(&b, 1 << 23);
    for (uint32_t c = 1; c < 0x110000; c++) {
        if (!(kn_flags(c) & (KN_LETTER | KN_NUMBER | KN_MARK | KN_SPACE)))
            continue;
        for (int step = 0; step < 5; step++)
            add_step(&b, c, step);
        ck_assert_int_eq(kn_buf_add(&b, "", 1), KEN_OK);
    }
    ck_assert_uint_eq(kn_crc32(b.data, b.len), want);
    kn_buf_release(&b);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, characters);
    tcase_add_test(tc, reduced_clip);
    tcase_add_test(tc, reduced_wordpiece);
    tcase_add_test(tc, full_clip);
    tcase_add_test(tc, full_wordpiece);
    tcase_add_test(tc, table);
}

int main(void)
{
    return kn_test_main("text", fill);
}
