/*
 * wordpiece_build.c - a block from BERT's vocab.txt: the token of id n is line n, without spaces at its
 * ends.  Where two lines are the same, the later one counts, as in the publisher's dictionary.
 */
#include "text/trie.h"

#include "base/error.h"

#include <string.h>

static void trim(const kn_points *line, const uint32_t **c, size_t *n)
{
    *c = line->at;
    *n = line->len;
    while (*n && kn_flags((*c)[*n - 1]) & KN_SPACE)
        --*n;
    while (*n && kn_flags(**c) & KN_SPACE)
        ++*c, --*n;
}

static ken_status read_tokens(kn_trie *t, kn_points *line, const char *text, size_t n,
                              uint32_t *vocab)
{
    const char *p = text, *end = text + n;
    for (*vocab = 0; p < end; ++*vocab) {
        const char *start = p;
        const uint32_t *c;
        size_t len = kn_line(&p, end, 1), bad;
        uint32_t node = 0;
        line->len = 0;
        ken_status st = kn_points_decode(line, start, len, &bad);
        if (!st && bad)
            st = kn_fail(KEN_E_FORMAT, "not UTF-8");
        trim(line, &c, &len);
        if (!st && len)
            st = kn_trie_add(t, 0, c, len, &node);
        if (st)
            return kn_fail_in(st, "line %u", *vocab + 1);
        if (len)
            t->ids[node] = *vocab;
    }
    return KEN_OK;
}

/* The node of an ASCII string; its id in *id unless that is NULL. */
static ken_status must_have(const kn_trie *t, const char *ascii, uint32_t *node, uint32_t *id)
{
    *node = 0;
    for (const char *s = ascii; *s && *node != KN_NO_VALUE; s++) {
        uint32_t c = (unsigned char)*s;
        *node = kn_trie_walk(t, *node, &c, 1);
    }
    if (id)
        *id = *node == KN_NO_VALUE ? KN_NO_VALUE : t->ids[*node];
    if (*node == KN_NO_VALUE || (id && *id == KN_NO_VALUE))
        return kn_fail(KEN_E_FORMAT, "no %s in it", ascii);
    return KEN_OK;
}

ken_status kn_wordpiece_build(unsigned char **out, size_t *len, const char *text, size_t n)
{
    kn_tokenizer head = { .kind = KN_BERT_WORDPIECE };
    kn_points line = { 0 };
    kn_trie t;
    uint32_t node;
    ken_status st = kn_trie_init(&t);
    if (!st)
        st = read_tokens(&t, &line, text, n, &head.vocab);
    if (!st)
        st = must_have(&t, "[CLS]", &node, &head.start);
    if (!st)
        st = must_have(&t, "[SEP]", &node, &head.end);
    if (!st)
        st = must_have(&t, "[UNK]", &node, &head.unknown);
    if (!st)
        st = must_have(&t, "##", &head.continued, NULL);
    if (!st) {
        head.nodes = (uint32_t)t.nodes;
        st = kn_block_write(out, len, &head, t.edges, t.edge_count, t.ids);
    }
    kn_points_release(&line);
    kn_trie_release(&t);
    return st ? kn_fail_in(st, "bert-wordpiece vocabulary") : KEN_OK;
}
