/*
 * fuzz_tokenizer.c - any bytes as a tokenizer's block, or as the vocabulary file one is made from.
 *
 * Byte 0: bit 0 the kind, bit 1 a vocabulary file; byte 1: length of the text that follows; the rest is
 * the block or file.  Every id must be in the vocabulary, and what is built must open.
 */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "text/text.h"

static void use(const kn_tokenizer *t, const char *text)
{
    enum { CONTEXT = 77 };
    int32_t ids[CONTEXT];
    size_t n;
    if (kn_tokenize(t, text, CONTEXT, ids, &n))
        return;
    if (n < 2 || n > CONTEXT || ids[n - 1] != kn_tokenizer_end(t))
        abort();
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= kn_tokenizer_vocab(t))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2 || len - 2 < data[1])
        return 0;
    const char *kind = data[0] & 1 ? "bert-wordpiece" : "clip-bpe";
    size_t text_len = data[1], n = len - 2 - text_len;
    char *text =
        malloc(text_len + 1); /* these two of exactly their size: reading past them shows */
    unsigned char *block = malloc(n ? n : 1), *built = NULL;
    kn_tokenizer *t = NULL;
    if (text && block) {
        memcpy(text, data + 2, text_len);
        text[text_len] = 0;
        memcpy(block, data + 2 + text_len, n);
        ken_status st = KEN_OK;
        if (data[0] & 2) {
            size_t built_len;
            st = kn_tokenizer_build(&built, &built_len, kind, block, n);
            if (!st && kn_tokenizer_open(&t, kind, built, built_len))
                abort();
        } else {
            st = kn_tokenizer_open(&t, kind, block, n);
        }
        if (!st)
            use(t, text);
    }
    kn_tokenizer_close(t);
    kn_free(built);
    free(block);
    free(text);
    return 0;
}
