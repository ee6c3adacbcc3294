/*
 * fuzz_text.c - any bytes as a text, through both tokenizers with the reduced vocabularies of the golden
 * test.  A shorter context must give the beginning of a longer one's ids, and the normal forms must be
 * utf8proc's.
 */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "text/clean.h"
#include "text/text.h"

#include <stdio.h>

#include <utf8proc.h>

static kn_tokenizer *open_file(const char *kind, const char *path)
{
    static char source[1 << 16];
    unsigned char *block;
    kn_tokenizer *t;
    size_t len;
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "fuzz_text: no %s: run it where the repository is\n", path);
        exit(1);
    }
    size_t n = fread(source, 1, sizeof(source), f);
    fclose(f);
    if (kn_tokenizer_build(&block, &len, kind, source, n) ||
        kn_tokenizer_open(&t, kind, block, len))
        abort();
    return t;
}

static void check_tokens(const kn_tokenizer *t, const char *text)
{
    enum { LONG = 77, SHORT = 9 };
    int32_t ids[LONG], few[SHORT];
    size_t n, k;
    if (kn_tokenize(t, text, LONG, ids, &n) || kn_tokenize(t, text, SHORT, few, &k))
        return;
    if (n < 2 || n > LONG || k != (n < SHORT ? n : SHORT) || few[k - 1] != kn_tokenizer_end(t) ||
        memcmp(ids, few, (k - 1) * sizeof(*ids)))
        abort();
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= kn_tokenizer_vocab(t))
            abort();
}

/* Whether utf8proc may know more of it than our pinned Unicode, or wrongly composes it. */
static int is_comparable(const kn_points *p)
{
    for (size_t i = 0; i < p->len; i++) {
        utf8proc_int32_t c = (utf8proc_int32_t)p->at[i], out[4];
        int unused = 0;
        if (c == 0 || c == 0x11a7)
            return 0;
        if (!(kn_flags(p->at[i]) & KN_NFD) && c >= 0x80 &&
            (utf8proc_get_property(c)->combining_class ||
             utf8proc_decompose_char(c, out, 4, UTF8PROC_DECOMPOSE, &unused) != 1))
            return 0;
    }
    return 1;
}

static void check_form(const char *text, size_t len, kn_form form)
{
    kn_points p = { 0 };
    size_t bad;
    utf8proc_uint8_t *want = NULL;
    utf8proc_option_t options =
        UTF8PROC_STABLE | (form == KN_FORM_C ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (!kn_points_decode(&p, text, len, &bad) && !bad && is_comparable(&p) &&
        !kn_points_normalize(&p, form)) {
        utf8proc_ssize_t n =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &want, options);
        size_t at = 0;
        for (size_t i = 0; n >= 0 && i < p.len; i++) {
            unsigned char out[4];
            size_t k = kn_utf8_put(p.at[i], out);
            if (at + k > (size_t)n || memcmp(want + at, out, k))
                abort();
            at += k;
        }
        if (n >= 0 && at != (size_t)n)
            abort();
    }
    free(want);
    kn_points_release(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static kn_tokenizer *bpe, *pieces;
    if (!bpe) {
        bpe = open_file("clip-bpe", "tests/golden/text/merges.txt");
        pieces = open_file("bert-wordpiece", "tests/golden/text/vocab.txt");
    }
    char *text = malloc(len + 1);
    if (!text || len > 1 << 16) {
        free(text);
        return 0;
    }
    memcpy(text, data, len);
    text[len] = 0;
    len = strlen(text);
    check_tokens(bpe, text);
    check_tokens(pieces, text);
    check_form(text, len, KN_FORM_C);
    check_form(text, len, KN_FORM_D);
    free(text);
    return 0;
}
