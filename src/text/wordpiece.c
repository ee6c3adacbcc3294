/*
 * wordpiece.c - BERT's tokenizer as Chinese-CLIP uses it (OFA-Sys/Chinese-CLIP,
 * cn_clip/clip/bert_tokenizer.py): control characters go, spaces come around Chinese characters; lower
 * case, accents off; cut at spaces and around punctuation; then each word is taken apart from the left,
 * the longest piece of the vocabulary each time.  A word that does not come out even, or has more than
 * 200 characters, is the unknown token.
 *
 * The vocabulary is a trie, in which pieces inside a word begin at the node of "##": one walk from where
 * a piece begins meets the longest one.
 */
#include "text/block.h"

#include "base/error.h"

enum { MOST_CHARACTERS = 200 };

static int is_chinese(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } blocks[] = { { 0x4e00, 0x9fff },   { 0x3400, 0x4dbf },   { 0x20000, 0x2a6df },
                   { 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b820, 0x2ceaf },
                   { 0xf900, 0xfaff },   { 0x2f800, 0x2fa1f } };
    for (size_t i = 0; c >= 0x3400 && i < sizeof(blocks) / sizeof(*blocks); i++)
        if (c >= blocks[i].first && c <= blocks[i].last)
            return 1;
    return 0;
}

/* _clean_text and _tokenize_chinese_chars.  Spaces stay what they are: words are cut at any. */
static ken_status clean(kn_points *to, const kn_points *from)
{
    ken_status st = kn_points_reserve(to, from->len);
    for (size_t i = 0; !st && i < from->len; i++) {
        uint32_t c = from->at[i];
        if (kn_flags(c) & KN_FORMAT)
            continue;
        uint32_t out[3] = { ' ', c, ' ' };
        if (is_chinese(c))
            st = kn_points_append(to, out, 3);
        else
            st = kn_points_add(to, c);
    }
    return st;
}

/* _run_strip_accents, of all words at once: a space is neither decomposed nor reordered. */
static ken_status strip_accents(kn_points *p)
{
    size_t to = 0;
    ken_status st = kn_points_normalize(p, KN_FORM_D);
    if (st)
        return st;
    for (size_t i = 0; i < p->len; i++)
        if (!(kn_flags(p->at[i]) & KN_MARK))
            p->at[to++] = p->at[i];
    p->len = to;
    return KEN_OK;
}

/* Id of the longest piece that c (n) begins with; *len its length, 0: there is none. */
static uint32_t longest(const kn_tokenizer *t, uint32_t node, const uint32_t *c, size_t n,
                        size_t *len)
{
    uint32_t best = KN_NO_VALUE;
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        node = kn_block_find(t, node, c[i]);
        if (node == KN_NO_VALUE)
            break;
        uint32_t id = kn_block_id(t, node);
        if (id != KN_NO_VALUE) {
            best = id;
            *len = i + 1;
        }
    }
    return best;
}

static void encode_word(const kn_tokenizer *t, const uint32_t *c, size_t n, kn_ids *ids)
{
    size_t before = ids->len, len = 1;
    if (n > MOST_CHARACTERS)
        n = 0;
    for (size_t i = 0; i < n && len; i += len) {
        uint32_t id = longest(t, i ? t->continued : 0, c + i, n - i, &len);
        if (len)
            kn_ids_add(ids, id);
    }
    if (!n || !len) {
        ids->len = before;
        kn_ids_add(ids, t->unknown);
    }
}

ken_status kn_wordpiece_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids)
{
    kn_points text = { 0 };
    ken_status st = clean(&text, p);
    if (!st)
        st = kn_points_lower(&text);
    if (!st)
        st = strip_accents(&text);
    for (size_t i = 0, n; !st && i < text.len && ids->len < ids->max; i += n) {
        const uint32_t *c = text.at + i;
        n = 1;
        if (kn_flags(*c) & KN_SPACE)
            continue;
        if (!(kn_flags(*c) & KN_PUNCT))
            while (i + n < text.len && !(kn_flags(c[n]) & (KN_SPACE | KN_PUNCT)))
                n++;
        encode_word(t, c, n, ids);
    }
    kn_points_release(&text);
    return st;
}
