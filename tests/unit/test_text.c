/* test_text.c - src/text: files that lie, texts that are made to hurt, and no memory. */
#include "tests/test.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "text/block.h"
#include "text/clean.h"

#include <string.h>
#include <time.h>

static const char merges[] = "#version: 0.2\na b\nab c</w>\ne r</w>\nt h\nth e</w>\na a\naa aa\n";
static const char pieces[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nab\n##c\n##cd\n##e\n北\n京\n,\n##京\n";
enum { START = KN_SYMBOLS + 7, END };

typedef struct opened {
    kn_tokenizer *t;
    unsigned char *block;
    size_t len;
} opened;

static opened open_text(const char *kind, const char *source, size_t n)
{
    opened o;
    ken_status st = kn_tokenizer_build(&o.block, &o.len, kind, source, n);
    ck_assert_msg(!st, "%s", ken_last_error());
    ck_assert_int_eq(kn_tokenizer_open(&o.t, kind, o.block, o.len), KEN_OK);
    return o;
}

static opened open_bpe(void)
{
    return open_text("clip-bpe", merges, sizeof(merges) - 1);
}

static opened open_pieces(void)
{
    return open_text("bert-wordpiece", pieces, sizeof(pieces) - 1);
}

static void close_text(opened *o)
{
    kn_tokenizer_close(o->t);
    kn_free(o->block);
}

/* ids: what is wanted, ended by -1 */
static void check(const opened *o, const char *text, size_t context, const int32_t *want)
{
    int32_t ids[128];
    size_t n, len = 0;
    while (want[len] >= 0)
        len++;
    ck_assert_int_eq(kn_tokenize(o->t, text, context, ids, &n), KEN_OK);
    ck_assert_msg(n == len, "'%s': %zu ids, not %zu", text, n, len);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(ids[i] == want[i], "'%s': id %zu is %d, not %d", text, i, ids[i], want[i]);
}
#define CHECK(o, text, context, ...) check(o, text, context, (const int32_t[]){ __VA_ARGS__, -1 })

enum { A = 64, B = 65, C = 66, W = 256 }; /* the letters' symbols, and what a word's end adds */

START_TEST(merges_by_rank)
{
    opened o = open_bpe();
    ck_assert_uint_eq(kn_tokenizer_vocab(o.t), KN_SYMBOLS + 7 + 2);
    ck_assert_int_eq(kn_tokenizer_end(o.t), END);
    CHECK(&o, "", 77, START, END);
    CHECK(&o, "abc", 77, START, 513, END);
    CHECK(&o, "THE the", 77, START, 516, 516, END);
    CHECK(&o, "aaaaab", 77, START, 518, A, B + W, END);
    CHECK(&o, "aaaaaaab abab", 77, START, 518, 517, A, B + W, 512, A, B + W, END);
    close_text(&o);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    opened bpe = open_bpe(), bert = open_pieces();
    int32_t id;
    size_t n;
    CHECK(&bpe, "abc abc abc", 5, START, 513, 513, 513, END);
    CHECK(&bpe, "abc abc abc", 4, START, 513, 513, END);
    CHECK(&bpe, "abc abc abc", 2, START, END);
    CHECK(&bert, "a a a", 4, 2, 4, 4, 3);
    CHECK(&bert, "ab abcdq", 5, 2, 5, 1, 3); /* the unknown word's first pieces fill the context */
    CHECK(&bert, "ab abcdq", 4, 2, 5, 1, 3);
    ck_assert_int_eq(kn_tokenize(bpe.t, "a", 1, &id, &n), KEN_E_INVALID);
    close_text(&bpe);
    close_text(&bert);
}
END_TEST

START_TEST(longest_piece_first)
{
    opened o = open_pieces();
    ck_assert_uint_eq(kn_tokenizer_vocab(o.t), 13);
    CHECK(&o, "ABCDE abc", 52, 2, 5, 7, 8, 5, 6, 3);
    CHECK(&o, "ABD", 52, 2, 1, 3);
    CHECK(&o, "北京,a北", 52, 2, 9, 10, 11, 4, 9, 3);
    CHECK(&o, "[CLS] ##c", 52, 2, 1, 1, 1, 1, 1, 1, 3); /* punctuation splits what looks special */
    close_text(&o);
}
END_TEST

/* A letter alone is a word; letters behind each other are one that the vocabulary lacks. */
START_TEST(words_that_are_only_spelled)
{
    static const char source[] =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\nz\n##z\n##s\nbear\nebra\n##ebra\n";
    static const struct {
        const char *text;
        size_t spelled;
    } cases[] = { { "a bear", 0 },   { "bears", 0 }, { "bearsa", 0 }, { "zz", 2 },     { "a zas bear z", 3 },
                  { "zebra a", 0 },  { "", 0 },      { "cat", 1 },    { "zz cat aza", 6 } };
    opened o = open_text("bert-wordpiece", source, sizeof source - 1), clip = open_bpe();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[64];
        size_t n;
        ck_assert_int_eq(kn_tokenize(o.t, cases[i].text, 52, ids, &n), KEN_OK);
        ck_assert_msg(kn_tokenizer_spelled(o.t, ids, n) == cases[i].spelled, "'%s': %zu", cases[i].text,
                      kn_tokenizer_spelled(o.t, ids, n));
        ck_assert_int_eq(kn_tokenize(clip.t, cases[i].text, 52, ids, &n), KEN_OK);
        ck_assert_uint_eq(kn_tokenizer_spelled(clip.t, ids, n), 0);
    }
    close_text(&o);
    close_text(&clip);
}
END_TEST

/* Each byte that belongs to no character is U+FFFD of its own. */
START_TEST(bytes_that_are_not_utf8)
{
    static const char *const bad[] = { "\x80",         "\xc0\xaf",     "\xe0\x80\xaf",
                                       "\xed\xa0\x80", "\xf0\x80\x80", "\xf4\x90\x80",
                                       "\xff\xfe",     "\xe4\xb8" };
    opened o = open_bpe();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int32_t ids[77], want[77];
        char plain[64] = "";
        size_t n, want_n;
        for (size_t k = 0; k < strlen(bad[i]); k++)
            strcat(plain, "\xef\xbf\xbd");
        ck_assert_int_eq(kn_tokenize(o.t, bad[i], 77, ids, &n), KEN_OK);
        ck_assert_int_eq(kn_tokenize(o.t, plain, 77, want, &want_n), KEN_OK);
        ck_assert_msg(n == want_n && !memcmp(ids, want, n * sizeof(*ids)), "text %zu", i);
    }
    close_text(&o);
}
END_TEST

static void check_refused(const char *kind, const char *source, size_t n, ken_status want,
                          const char *why)
{
    unsigned char *block;
    size_t len;
    ken_status st = kn_tokenizer_build(&block, &len, kind, source, n);
    ck_assert_msg(st == want, "'%s': status %d", source, st);
    ck_assert_msg(strstr(ken_last_error(), why), "'%s': %s", source, ken_last_error());
    ck_assert_ptr_null(block);
}

START_TEST(vocabularies_that_are_none)
{
    static const struct {
        const char *kind, *source, *why;
    } bad[] = {
        { "clip-bpe", "", "line 1" },
        { "clip-bpe", "a b\nab c\n", "line 1" },
        { "clip-bpe", "#version: 0.2\n", "no merges" },
        { "clip-bpe", "#version: 0.2\na b\nabc\n", "line 3" },
        { "clip-bpe", "#version: 0.2\na b\n\nb c\n", "line 3" },
        { "clip-bpe", "#version: 0.2\na b\nabc d\n", "line 3" },
        { "clip-bpe", "#version: 0.2\na b\na b\n", "line 3" },
        { "clip-bpe", "#version: 0.2\na b\nb c\nab c\na bc\n", "line 5" },
        { "clip-bpe", "#version: 0.2\na \xff\n", "UTF-8" },
        { "clip-bpe", "\x1f\x8b\x08 not gzip at all", "gzip" },
        { "bert-wordpiece", "[CLS]\n[SEP]\n##a\n", "[UNK]" },
        { "bert-wordpiece", "[UNK]\n[SEP]\n##a\n", "[CLS]" },
        { "bert-wordpiece", "[UNK]\n[CLS]\n[SE\n##a\n", "[SEP]" },
        { "bert-wordpiece", "[UNK]\n[CLS]\n[SEP]\na\n", "##" },
        { "bert-wordpiece", "[UNK]\n[CLS]\n[SEP]\n##a\n\xc3\n", "line 5" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        check_refused(bad[i].kind, bad[i].source, strlen(bad[i].source), KEN_E_FORMAT, bad[i].why);
    check_refused("sentencepiece", "x", 1, KEN_E_UNSUPPORTED, "sentencepiece");
}
END_TEST

START_TEST(line_ends)
{
    static const char crlf[] = "#version: 0.2\r\na b\r\nab c</w>\r\n";
    static const char bare[] = "[UNK]\r\n[CLS]\r[SEP]\n \xe3\x80\x80##a \na";
    opened o = open_text("clip-bpe", crlf, sizeof(crlf) - 1);
    CHECK(&o, "abc", 77, 514, 513, 515);
    close_text(&o);
    o = open_text("bert-wordpiece", bare, sizeof(bare) - 1);
    CHECK(&o, "aa", 77, 1, 4, 3, 2);
    close_text(&o);
}
END_TEST

/* The same at every address, since a block lies where the model file puts it. */
START_TEST(blocks_lie_anywhere)
{
    opened o = open_bpe();
    for (size_t shift = 0; shift < 8; shift++) {
        unsigned char *moved = malloc(o.len + shift);
        opened m = { .block = NULL };
        memcpy(moved + shift, o.block, o.len);
        ck_assert_int_eq(kn_tokenizer_open(&m.t, "clip-bpe", moved + shift, o.len), KEN_OK);
        CHECK(&m, "abc the", 77, START, 513, 516, END);
        kn_tokenizer_close(m.t);
        free(moved);
    }
    close_text(&o);
}
END_TEST

/* One field of the head changed: refused. */
START_TEST(heads_that_lie)
{
    static const struct {
        size_t at;
        uint32_t value;
        ken_status want;
    } bad[] = {
        { 0, 0, KEN_E_FORMAT },         { 4, 0x01006b6f, KEN_E_VERSION },
        { 8, 1, KEN_E_FORMAT },         { 12, 64, KEN_E_FORMAT },
        { 16, 0, KEN_E_FORMAT },        { 16, 1u << 31, KEN_E_FORMAT },
        { 20, 0, KEN_E_FORMAT },        { 20, 12, KEN_E_FORMAT },
        { 20, 1u << 31, KEN_E_FORMAT }, { 24, 256, KEN_E_FORMAT },
        { 24, 64, KEN_E_FORMAT },       { 28, 0, KEN_E_FORMAT },
        { 28, 1u << 30, KEN_E_FORMAT }, { 32, 13, KEN_E_FORMAT },
        { 36, 13, KEN_E_FORMAT },       { 40, 13, KEN_E_FORMAT },
        { 44, 1u << 20, KEN_E_FORMAT },
    };
    opened o = open_pieces();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        unsigned char old[4];
        kn_tokenizer *t;
        memcpy(old, o.block + bad[i].at, 4);
        for (int k = 0; k < 4; k++)
            o.block[bad[i].at + (size_t)k] = (unsigned char)(bad[i].value >> 8 * k);
        ken_status st = kn_tokenizer_open(&t, "bert-wordpiece", o.block, o.len);
        ck_assert_msg(st == bad[i].want, "field at %zu, row %zu: %d", bad[i].at, i, st);
        memcpy(o.block + bad[i].at, old, 4);
    }
    close_text(&o);
}
END_TEST

static void check_hostile(const char *kind, const unsigned char *block, size_t len)
{
    kn_tokenizer *t;
    unsigned char *exact = malloc(len ? len : 1);
    memcpy(exact, block, len);
    ken_status st = kn_tokenizer_open(&t, kind, exact, len);
    if (!st) {
        int32_t ids[16];
        size_t n;
        ck_assert_int_eq(kn_tokenize(t, "abc the abcde 北京 aaaaaaaa", 16, ids, &n), KEN_OK);
        for (size_t i = 0; i < n; i++)
            ck_assert(ids[i] >= 0 && (uint32_t)ids[i] < kn_tokenizer_vocab(t));
        kn_tokenizer_close(t);
    } else {
        ck_assert(st == KEN_E_FORMAT || st == KEN_E_VERSION);
        ck_assert_ptr_null(t);
    }
    free(exact);
}

START_TEST(blocks_that_lie)
{
    for (int k = 0; k < 2; k++) {
        const char *kind = k ? "bert-wordpiece" : "clip-bpe";
        opened o = k ? open_pieces() : open_bpe();
        kn_rand r = kn_rand_at(1, (uint64_t)k);
        for (size_t n = 0; n < o.len; n++)
            check_hostile(kind, o.block, n);
        for (int i = 0; i < 20000; i++) {
            size_t at = kn_rand_below(&r, i % 2 ? KN_BLOCK_HEAD : (uint32_t)o.len);
            unsigned char old = o.block[at];
            o.block[at] = (unsigned char)kn_rand_u32(&r);
            check_hostile(kind, o.block, o.len);
            o.block[at] = old;
        }
        memset(o.block + KN_BLOCK_HEAD, 0, o.len - KN_BLOCK_HEAD); /* no row is empty */
        check_hostile(kind, o.block, o.len);
        close_text(&o);
    }
}
END_TEST

/* Of the processor: others may be using it too. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A million bytes that repeat: whatever they are, the time is that of reading them. */
START_TEST(texts_that_are_made_to_hurt)
{
    static const char *const units[] = {
        "a",
        "ab",
        "aab",
        "!",
        "&amp;",
        "&",
        "amp;",
        "&#",
        "\xcc\x81",
        "\xcc\xa3\xcc\x81",
        "\xce\xa3\xcc\x81",
        "\xce\xa3'",
        "\n",
        " ",
        "\x1b[1",
        "\xc4\xb0",
        "\xef\xac\x83",
        "<|",
        "'s",
        "\xe5\x8c\x97",
        "\xff",
        "\xe1\x84\x88\xe1\x85\xa9\xe1\x86\xa7",
    };
    enum { BYTES = 999999 };
    opened o[2] = { open_bpe(), open_pieces() };
    char *text = malloc(BYTES + 3);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        int32_t ids[77];
        size_t n, unit = strlen(units[i]), nested = i == 6, len = BYTES / unit * unit;
        text[0] = '&'; /* behind which each "amp;" is one more round */
        for (size_t k = 0; k < len; k++)
            text[nested + k] = units[i][k % unit];
        text[nested + len] = 0;
        for (int k = 0; k < 2; k++) {
            double start = seconds();
            ken_status st = kn_tokenize(o[k].t, text, 77, ids, &n);
            ck_assert_msg(st == KEN_OK || (nested && !k && st == KEN_E_LIMIT), "'%s'", units[i]);
            ck_assert_msg(seconds() - start < 20, "'%s': %.1f s", units[i], seconds() - start);
        }
    }
    memset(text, 'a', BYTES + 2);
    text[BYTES + 2] = 0;
    int32_t ids[77];
    size_t n;
    ck_assert_int_eq(kn_tokenize(o[0].t, text, 77, ids, &n), KEN_E_LIMIT);
    free(text);
    close_text(&o[0]);
    close_text(&o[1]);
}
END_TEST

static void check_fixed(const char *text, const char *want)
{
    kn_points p = { 0 };
    char out[256];
    size_t n = 0, bad;
    ck_assert_int_eq(kn_points_decode(&p, text, strlen(text), &bad), KEN_OK);
    ck_assert_int_eq(kn_fix_text(&p), KEN_OK);
    for (size_t i = 0; i < p.len; i++)
        n += kn_utf8_put(p.at[i], (unsigned char *)out + n);
    out[n] = 0;
    ck_assert_str_eq(out, want);
    kn_points_release(&p);
}

/* The examples in ftfy's own documentation that do not need fix_encoding. */
START_TEST(examples_of_ftfy)
{
    check_fixed("Broken text&hellip; it&#x2019;s \xef\xac\x82"
                "ubberi\xef\xac\x81"
                "c!",
                "Broken text\xe2\x80\xa6 it's flubberific!");
    check_fixed("ＬＯＵＤ　ＮＯＩＳＥＳ", "LOUD NOISES");
    check_fixed("Ｕﾀｰﾝ", "Uターン");
    check_fixed("P&EACUTE;REZ", "PÉREZ");
    check_fixed("BUNDESSTRA&SZLIG;E", "BUNDESSTRASSE");
    check_fixed("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;");
    check_fixed("\x1b[36;44mI'm blue, da ba dee da ba doo...\x1b[0m",
                "I'm blue, da ba dee da ba doo...");
    check_fixed("This is how Microsoft \r trolls Mac users",
                "This is how Microsoft \n trolls Mac users");
    check_fixed("<p> &lt;", "<p> &lt;");
    /* U+11A7 is no final consonant, though the range of those would begin there */
    check_fixed("\xe1\x84\x88\xe1\x85\xa9\xe1\x86\xa7\xe1\x84\x88\xe1\x85\xa9\xe1\x86\xa8",
                "\xeb\xbd\x80\xe1\x86\xa7\xeb\xbd\x81");
}
END_TEST

static ken_status build_and_use(const char *kind, const char *source, const char *text)
{
    unsigned char *block;
    kn_tokenizer *t = NULL;
    int32_t ids[77];
    size_t len, n;
    ken_status st = kn_tokenizer_build(&block, &len, kind, source, strlen(source));
    if (!st)
        st = kn_tokenizer_open(&t, kind, block, len);
    if (!st)
        st = kn_tokenize(t, text, 77, ids, &n);
    kn_tokenizer_close(t);
    kn_free(block);
    return st;
}

START_TEST(no_memory)
{
    char text[400];
    snprintf(text, sizeof(text),
             "&eacute;\xef\xac\x83 \x1b[1m \xc4\xb0 e\xcc\x81\r\n&amp;lt;\n%0200d", 7);
    for (int k = 0; k < 2; k++) {
        ken_status st = KEN_E_NOMEM;
        for (long i = 0; st; i++) {
            kn_alloc_fail_after(i);
            st = build_and_use(k ? "bert-wordpiece" : "clip-bpe", k ? pieces : merges, text);
            ck_assert_int_eq(st, kn_alloc_denied() ? KEN_E_NOMEM : KEN_OK);
            kn_alloc_fail_after(-1);
            ck_assert_int_lt(i, 10000);
        }
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, merges_by_rank);
    tcase_add_test(tc, long_texts_are_cut);
    tcase_add_test(tc, longest_piece_first);
    tcase_add_test(tc, words_that_are_only_spelled);
    tcase_add_test(tc, bytes_that_are_not_utf8);
    tcase_add_test(tc, vocabularies_that_are_none);
    tcase_add_test(tc, line_ends);
    tcase_add_test(tc, blocks_lie_anywhere);
    tcase_add_test(tc, heads_that_lie);
    tcase_add_test(tc, blocks_that_lie);
    tcase_add_test(tc, texts_that_are_made_to_hurt);
    tcase_add_test(tc, examples_of_ftfy);
    tcase_add_test(tc, no_memory);
}

int main(void)
{
    return kn_test_main("text", fill);
}
