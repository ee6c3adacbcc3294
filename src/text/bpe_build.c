/*
 * bpe_build.c - a block from the list of merges that CLIP's publishers give.
 *
 * OpenAI's file has a title line and 262,144 merges, of which the tokenizer takes the first 48,894;
 * Hugging Face's has just those.  A symbol is written in letters: a byte that prints stands for
 * itself, the others for U+0100 and up in their order, and </w> marks the end of a word.
 */
#include "text/trie.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { MOST_MERGES = 49152 - 256 - 2 };

typedef struct builder {
    kn_trie names;    /* a symbol's letters to its number */
    kn_entry *merges; /* (count) */
    size_t count, cap;
    kn_points line;
} builder;

static ken_status name_bytes(builder *b)
{
    static const uint32_t word_end[] = { '<', '/', 'w', '>' };
    uint32_t extra = 256, node;
    ken_status st = KEN_OK;
    for (unsigned byte = 0; !st && byte < 256; byte++) {
        int prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        uint32_t letter = prints ? byte : extra++;
        st = kn_trie_add(&b->names, 0, &letter, 1, &node);
        if (st)
            break;
        b->names.ids[node] = kn_bpe_symbol(byte);
        st = kn_trie_add(&b->names, node, word_end, 4, &node);
        if (!st)
            b->names.ids[node] = kn_bpe_symbol(byte) + 256;
    }
    return st;
}

/* The symbol written as c (n), and its node; KN_NO_VALUE: there is none. */
static uint32_t symbol(const builder *b, const uint32_t *c, size_t n, uint32_t *node)
{
    *node = kn_trie_walk(&b->names, 0, c, n);
    return *node == KN_NO_VALUE ? KN_NO_VALUE : b->names.ids[*node];
}

/* "left right" in b->line. */
static ken_status add_merge(builder *b)
{
    const uint32_t *c = b->line.at;
    size_t n = b->line.len, space = 0;
    uint32_t node, made;
    while (space < n && c[space] != ' ')
        space++;
    if (!space || space + 1 >= n)
        return kn_fail(KEN_E_FORMAT, "not two symbols with a space between");
    uint32_t right = symbol(b, c + space + 1, n - space - 1, &node);
    uint32_t left = symbol(b, c, space, &node);
    if (left == KN_NO_VALUE || right == KN_NO_VALUE)
        return kn_fail(KEN_E_FORMAT, "a symbol that no line before it makes");
    ken_status st = kn_trie_add(&b->names, node, c + space + 1, n - space - 1, &made);
    if (st)
        return st;
    if (b->names.ids[made] != KN_NO_VALUE)
        return kn_fail(KEN_E_FORMAT, "a symbol that is there already");
    b->names.ids[made] = KN_SYMBOLS + (uint32_t)b->count;
    kn_entry *merges = kn_room(b->merges, b->count, &b->cap, sizeof(*merges));
    if (!merges)
        return KEN_E_NOMEM;
    b->merges = merges;
    merges[b->count] = (kn_entry){ left, right, (uint32_t)b->count };
    b->count++;
    return KEN_OK;
}

/* A title line first, without which the merges' numbers would be off by one. */
static ken_status read_merges(builder *b, const char *text, size_t n)
{
    static const char title[] = "#version";
    const char *p = text, *end = text + n;
    size_t number = 1, bad, len = n ? kn_line(&p, end, 0) : 0;
    if (!memmem(text, len, title, sizeof(title) - 1))
        return kn_fail(KEN_E_FORMAT, "line 1: no \"#version\": not a list of merges");
    while (p < end && b->count < MOST_MERGES) {
        const char *line = p;
        number++;
        len = kn_line(&p, end, 0);
        if (!len && p == end)
            break;
        b->line.len = 0;
        ken_status st = kn_points_decode(&b->line, line, len, &bad);
        if (!st && bad)
            st = kn_fail(KEN_E_FORMAT, "not UTF-8");
        if (!st)
            st = add_merge(b);
        if (st)
            return kn_fail_in(st, "line %zu", number);
    }
    return b->count ? KEN_OK : kn_fail(KEN_E_FORMAT, "no merges");
}

ken_status kn_bpe_build(unsigned char **out, size_t *len, const char *text, size_t n)
{
    builder b = { .count = 0 };
    ken_status st = kn_trie_init(&b.names);
    if (!st)
        st = name_bytes(&b);
    if (!st)
        st = read_merges(&b, text, n);
    if (!st) {
        uint32_t vocab = KN_SYMBOLS + (uint32_t)b.count + 2;
        kn_tokenizer head = { .kind = KN_CLIP_BPE,
                              .vocab = vocab,
                              .start = vocab - 2,
                              .end = vocab - 1,
                              .unknown = vocab - 1 };
        st = kn_block_write(out, len, &head, b.merges, b.count, NULL);
    }
    kn_trie_release(&b.names);
    kn_points_release(&b.line);
    kn_free(b.merges);
    return st ? kn_fail_in(st, "clip-bpe vocabulary") : KEN_OK;
}
