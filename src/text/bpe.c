/*
 * bpe.c - CLIP's byte pair encoding (openai/CLIP, clip/simple_tokenizer.py).
 *
 * A text is cleaned and cut into pieces as the publisher's pattern does.  A piece starts as its
 * bytes, the last one marked as the end of a word; then, again and again, the pair of neighbours
 * with the lowest number merges, wherever it stands, from left to right.
 *
 * A short piece, and nearly all are, is searched for the lowest pair in each round.  A long one keeps
 * its pairs in a heap ordered by (number, place), so that its time is n log n; all pairs of one number
 * are taken out together, which makes it the same order of merges for any vocabulary.
 */
#include "text/block.h"
#include "text/clean.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { WORD_END = 256, SHORT = 64 };
enum { LONG_S = 0x17f, YPOGEGRAMMENI = 0x345 };
#define NOTHING UINT32_MAX

/* Printing bytes come first, then the others (bytes_to_unicode). */
uint32_t kn_bpe_symbol(unsigned byte)
{
    if (byte >= 33 && byte <= 126)
        return byte - 33;
    if (byte >= 161 && byte <= 172)
        return byte - 161 + 94;
    if (byte >= 174)
        return byte - 174 + 106;
    return 188 + (byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67);
}

/* ---- short pieces ---- */

/* Merge every pair of number `merge` in s (*n), whose pairs' numbers are in r (*n - 1). */
static void merge_round(const kn_tokenizer *t, uint32_t *s, uint32_t *r, size_t *n, uint32_t merge)
{
    size_t to = 0;
    for (size_t i = 0; i < *n; to++) {
        int merges = i + 1 < *n && r[i] == merge;
        s[to] = merges ? KN_SYMBOLS + merge : s[i];
        r[to] = merges || i + 1 == *n ? NOTHING : r[i];
        if (merges && to)
            r[to - 1] = NOTHING;
        i += merges ? 2 : 1;
    }
    *n = to;
    for (size_t i = 0; i + 1 < to; i++)
        if (r[i] == NOTHING && (s[i] == KN_SYMBOLS + merge || s[i + 1] == KN_SYMBOLS + merge))
            r[i] = kn_block_find(t, s[i], s[i + 1]);
}

static void merge_short(const kn_tokenizer *t, uint32_t *s, size_t *n)
{
    uint32_t r[SHORT];
    for (size_t i = 0; i + 1 < *n; i++)
        r[i] = kn_block_find(t, s[i], s[i + 1]);
    for (;;) {
        uint32_t least = NOTHING;
        for (size_t i = 0; i + 1 < *n; i++)
            least = r[i] < least ? r[i] : least;
        if (least == NOTHING)
            return;
        merge_round(t, s, r, n, least);
    }
}

/* ---- long pieces ---- */

/* A row of symbols that shrinks.  Places keep their number; next and last lead to the neighbours that
 * are left, NOTHING at the ends. */
typedef struct chain {
    uint32_t *symbol, *next, *last; /* (n) */
    uint32_t *merge;                /* (n) number of the pair that begins here */
    uint32_t *changed;              /* (n) places merged in this round */
    uint64_t *heap;                 /* (3 n) number << 32 | place; stale ones stay */
    size_t heap_len;
} chain;

static void heap_push(chain *w, uint64_t key)
{
    size_t i = w->heap_len++;
    for (; i && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static void heap_pop(chain *w)
{
    uint64_t last = w->heap[--w->heap_len];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w->heap_len; i = k) {
        k += k + 1 < w->heap_len && w->heap[k + 1] < w->heap[k];
        if (w->heap[k] >= last)
            break;
        w->heap[i] = w->heap[k];
    }
    w->heap[i] = last;
}

/* Look up the pair that begins at a place, unless that is known. */
static void offer(const kn_tokenizer *t, chain *w, uint32_t at)
{
    if (at == NOTHING || w->next[at] == NOTHING || w->merge[at] != NOTHING)
        return;
    w->merge[at] = kn_block_find(t, w->symbol[at], w->symbol[w->next[at]]);
    if (w->merge[at] != NOTHING)
        heap_push(w, (uint64_t)w->merge[at] << 32 | at);
}

/* The pair at a place becomes one symbol; the pairs that it and its neighbours were part of are gone. */
static void merge_at(chain *w, uint32_t at)
{
    uint32_t gone = w->next[at], before = w->last[at], after = w->next[gone];
    w->symbol[at] = KN_SYMBOLS + w->merge[at];
    w->merge[at] = w->merge[gone] = NOTHING;
    if (before != NOTHING)
        w->merge[before] = NOTHING;
    w->next[at] = after;
    if (after != NOTHING)
        w->last[after] = at;
}

static void merge_chain(const kn_tokenizer *t, chain *w)
{
    while (w->heap_len) {
        uint32_t merge = (uint32_t)(w->heap[0] >> 32);
        size_t changed = 0;
        for (; w->heap_len && w->heap[0] >> 32 == merge; heap_pop(w)) {
            uint32_t at = (uint32_t)w->heap[0];
            if (w->merge[at] == merge) {
                merge_at(w, at);
                w->changed[changed++] = at;
            }
        }
        for (size_t i = 0; i < changed; i++) {
            offer(t, w, w->last[w->changed[i]]);
            offer(t, w, w->changed[i]);
        }
    }
}

static ken_status merge_long(const kn_tokenizer *t, uint32_t *s, size_t *n)
{
    uint32_t *space = kn_alloc(*n, 4 * sizeof(*space));
    uint64_t *heap =
        kn_alloc(*n, 3 * sizeof(*heap)); /* a merge makes two pairs, and n - 1 there were */
    ken_status st = space && heap ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        chain w = { s, space, space + *n, space + 2 * *n, space + 3 * *n, heap, 0 };
        for (uint32_t i = 0; i < *n; i++) {
            w.next[i] = i + 1 < *n ? i + 1 : NOTHING;
            w.last[i] = i - 1; /* NOTHING for the first */
            w.merge[i] = NOTHING;
        }
        for (uint32_t i = 0; i < *n; i++)
            offer(t, &w, i);
        merge_chain(t, &w);
        size_t to = 0;
        for (uint32_t i = 0; i != NOTHING; i = w.next[i])
            s[to++] = s[i];
        *n = to;
    }
    kn_free(space);
    kn_free(heap);
    return st;
}

/* ---- pieces ---- */

/* Points (n) as one piece; room (4 n) for symbols. */
static ken_status encode_piece(const kn_tokenizer *t, const uint32_t *c, size_t n,
                               uint32_t *symbols, kn_ids *ids)
{
    ken_status st = KEN_OK;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char bytes[4];
        size_t k = kn_utf8_put(c[i], bytes);
        for (size_t b = 0; b < k; b++)
            symbols[len++] = kn_bpe_symbol(bytes[b]);
    }
    symbols[len - 1] += WORD_END;
    if (len <= SHORT)
        merge_short(t, symbols, &len);
    else
        st = merge_long(t, symbols, &len);
    for (size_t i = 0; i < len; i++)
        kn_ids_add(ids, symbols[i]);
    return st;
}

/* Length of a word that the text begins with, or 0.  The pattern ignores case: in lower case, only
 * the long s has another form. */
static size_t begins_with(const uint32_t *c, size_t n, const char *word)
{
    size_t i = 0;
    for (; word[i]; i++)
        if (i == n || (c[i] != (unsigned char)word[i] && !(word[i] == 's' && c[i] == LONG_S)))
            return 0;
    return i;
}

/* [^\s\p{L}\p{N}].  Since case is ignored, U+0345 isn't among these: its capital is a letter.  Nor is
 * it \p{L}, so that the pattern passes over it. */
static int is_other(uint32_t c)
{
    return !(kn_flags(c) & (KN_LETTER | KN_NUMBER | KN_SPACE)) && c != YPOGEGRAMMENI;
}

/* Length of the piece that the text begins with, 0: it begins with none. */
static size_t piece_length(const uint32_t *c, size_t n)
{
    static const char *const words[] = {
        "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"
    };
    size_t len = 0;
    if (*c == '<' || *c == '\'')
        for (size_t i = 0; !len && i < sizeof(words) / sizeof(*words); i++)
            len = begins_with(c, n, words[i]);
    if (len)
        return len;
    if (kn_flags(*c) & KN_LETTER)
        while (len < n && kn_flags(c[len]) & KN_LETTER)
            len++;
    else if (kn_flags(*c) & KN_NUMBER)
        len = 1;
    else
        while (len < n && is_other(c[len]))
            len++;
    return len;
}

/* The id of a piece that is written as a special token, exactly; or NOTHING. */
static uint32_t special(const kn_tokenizer *t, const uint32_t *c, size_t n)
{
    if (*c != '<' || n < 13)
        return NOTHING;
    for (size_t i = 0; i < n; i++)
        if (c[i] == LONG_S)
            return NOTHING;
    return n == begins_with(c, n, "<|startoftext|>") ? t->start
           : n == begins_with(c, n, "<|endoftext|>") ? t->end
                                                     : NOTHING;
}

ken_status kn_bpe_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids)
{
    ken_status st = kn_clean_clip(p);
    if (st || !p->len)
        return st;
    uint32_t *symbols = kn_alloc(p->len, 4 * sizeof(*symbols));
    if (!symbols)
        return KEN_E_NOMEM;
    for (size_t i = 0, n; !st && i < p->len && ids->len < ids->max; i += n ? n : 1) {
        const uint32_t *c = p->at + i;
        n = piece_length(c, p->len - i);
        uint32_t id = n ? special(t, c, n) : NOTHING;
        if (id != NOTHING)
            kn_ids_add(ids, id);
        else if (n)
            st = encode_piece(t, c, n, symbols, ids);
    }
    kn_free(symbols);
    return st;
}
