/*
 * bpe.c - CLIP's byte-pair encoding (openai/CLIP, clip/simple_tokenizer.py).
 *
 * Symbols 0..255 are the bytes in the order of the published alphabet, 256..511 the same at the end of
 * a word, and 512 + r what merge r makes: so a symbol's number tells its rank, and a table of pairs
 * is all that a block holds.  The published algorithm merges the lowest-ranked pair wherever it
 * stands, left to right, again and again; as a merge's parts are older than itself, taking pairs
 * from a heap ordered by (rank, place) does the same in n log n.
 */
#include "text/clean.h"
#include "text/vocab.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { SYMBOLS = 512, WORD_END = 256, NONE = -1 };

/* The number of a byte: 33..126, 161..172, 174..255 first, then the rest. */
static uint32_t byte_symbol(unsigned b)
{
    if (b >= 33 && b <= 126)
        return b - 33;
    if (b >= 161 && b <= 172)
        return b - 161 + 94;
    if (b >= 174)
        return b - 174 + 106;
    return 188 + (b <= 32 ? b : b <= 160 ? b - 127 + 33 : 67);
}

static uint32_t pair_hash(uint32_t left, uint32_t right)
{
    uint64_t k = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(k >> 32) ^ (uint32_t)k;
}

/* What left and right merge to, or 0. */
static uint32_t merged(const kn_tokenizer *t, uint32_t left, uint32_t right)
{
    const uint32_t mask = t->h->slots - 1;
    uint32_t i = pair_hash(left, right) & mask;
    for (uint32_t n = 0; n <= mask; n++, i = (i + 1) & mask) {
        const kn_bpe_slot *s = &t->pairs[i];
        if (!s->id)
            return 0;
        if (s->left == left && s->right == right)
            return s->id < t->h->vocab ? s->id : 0;
    }
    return 0;
}

/* ---- one word ---- */

typedef struct word {
    size_t n;          /* symbols at the start */
    uint32_t *symbol;  /* (n) */
    int32_t *next, *previous; /* (n) neighbours still there, NONE at the ends; next of a merged one is itself */
    uint64_t *heap;    /* (2 n) rank << 32 | place */
    size_t heap_len;
    size_t cap;
} word;

static void word_release(word *w)
{
    kn_free(w->symbol);
    kn_free(w->next);
    kn_free(w->previous);
    kn_free(w->heap);
}

static ken_status word_reserve(word *w, size_t n)
{
    if (n <= w->cap)
        return KEN_OK;
    if (n > INT32_MAX / 4)
        return kn_fail(KEN_E_LIMIT, "a word of %zu bytes", n);
    word_release(w);
    *w = (word){ .cap = n };
    w->symbol = kn_alloc(n, sizeof *w->symbol);
    w->next = kn_alloc(n, sizeof *w->next);
    w->previous = kn_alloc(n, sizeof *w->previous);
    w->heap = kn_alloc(3 * n, sizeof *w->heap);
    if (w->symbol && w->next && w->previous && w->heap)
        return KEN_OK;
    word_release(w);
    *w = (word){ 0 };
    return KEN_E_NOMEM;
}

static void heap_push(word *w, uint64_t key)
{
    size_t i = w->heap_len++;
    for (; i && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static uint64_t heap_pop(word *w)
{
    const uint64_t top = w->heap[0], last = w->heap[--w->heap_len];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w->heap_len; i = k) {
        if (k + 1 < w->heap_len && w->heap[k + 1] < w->heap[k])
            k++;
        if (w->heap[k] >= last)
            break;
        w->heap[i] = w->heap[k];
    }
    w->heap[i] = last;
    return top;
}

/* The pair that begins at place i joins the queue if it merges. */
static void offer(const kn_tokenizer *t, word *w, int32_t i)
{
    if (i == NONE || w->next[i] == NONE)
        return;
    const uint32_t id = merged(t, w->symbol[i], w->symbol[w->next[i]]);
    if (id >= SYMBOLS)
        heap_push(w, (uint64_t)id << 32 | (uint32_t)i);
}

static void merge_all(const kn_tokenizer *t, word *w)
{
    for (size_t i = 0; i + 1 < w->n; i++)
        offer(t, w, (int32_t)i);
    /* each merge offers two pairs at most: 3 n places hold all there ever are */
    while (w->heap_len) {
        const uint64_t key = heap_pop(w);
        const int32_t i = (int32_t)(uint32_t)key, j = w->next[i];
        const uint32_t id = (uint32_t)(key >> 32);
        if (j == NONE || j == i || merged(t, w->symbol[i], w->symbol[j]) != id)
            continue; /* one of them has merged since */
        w->symbol[i] = id;
        w->next[i] = w->next[j];
        if (w->next[j] != NONE)
            w->previous[w->next[j]] = i;
        w->next[j] = j;
        offer(t, w, w->previous[i]);
        offer(t, w, i);
    }
}

/* Code points from .. to-1 as one word.  0 in *more: ids is full. */
static ken_status encode_word(const kn_tokenizer *t, word *w, const kn_points *p, size_t from, size_t to, kn_ids *ids, int *more)
{
    ken_status st = word_reserve(w, 4 * (to - from));
    if (st)
        return st;
    w->n = w->heap_len = 0;
    for (size_t i = from; i < to; i++) {
        unsigned char bytes[4];
        const size_t n = kn_utf8_put(p->at[i], bytes);
        for (size_t k = 0; k < n; k++)
            w->symbol[w->n++] = byte_symbol(bytes[k]);
    }
    w->symbol[w->n - 1] += WORD_END;
    for (size_t i = 0; i < w->n; i++) {
        w->previous[i] = (int32_t)i - 1;
        w->next[i] = i + 1 < w->n ? (int32_t)i + 1 : NONE;
    }
    merge_all(t, w);
    for (int32_t i = 0; *more && i != NONE; i = w->next[i])
        *more = kn_ids_add(ids, w->symbol[i]);
    return KEN_OK;
}

/* ---- splitting ---- */

static size_t starts_with(const kn_points *p, size_t at, const char *ascii)
{
    const size_t n = strlen(ascii);
    for (size_t i = 0; i < n; i++)
        if (at + i >= p->len || p->at[at + i] != (unsigned char)ascii[i])
            return 0;
    return n;
}

/* 's 't 're 've 'm 'll 'd; the pattern ignores case, by which U+017F is an s. */
static size_t contraction(const kn_points *p, size_t at)
{
    static const char *const endings[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };
    if (p->at[at] != '\'')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = starts_with(p, at, endings[i]);
        if (n)
            return n;
    }
    return at + 1 < p->len && p->at[at + 1] == 0x17f ? 2 : 0;
}

/* U+0345 alone is neither: it is a mark whose case variants are letters, and the pattern, which
 * ignores case, matches it nowhere. */
enum { YPOGEGRAMMENI = 0x345 };

static int is_other(uint32_t c)
{
    return !(kn_class(c) & (KN_LETTER | KN_NUMBER | KN_SPACE)) && c != YPOGEGRAMMENI;
}

/* End of the piece that begins at `at`, which is no space. */
static size_t piece_end(const kn_points *p, size_t at)
{
    const size_t short_form = contraction(p, at);
    const unsigned k = kn_class(p->at[at]);
    size_t end = at + 1;
    if (short_form)
        return at + short_form;
    if (k & KN_LETTER)
        while (end < p->len && kn_class(p->at[end]) & KN_LETTER)
            end++;
    else if (!(k & KN_NUMBER))
        while (end < p->len && is_other(p->at[end]))
            end++;
    return end;
}

static size_t special(const kn_tokenizer *t, const kn_points *p, size_t at, uint32_t *id)
{
    size_t n = starts_with(p, at, "<|startoftext|>");
    *id = t->h->special[0];
    if (!n) {
        n = starts_with(p, at, "<|endoftext|>");
        *id = t->h->special[1];
    }
    return n;
}

ken_status kn_bpe_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids)
{
    word w = { 0 };
    int more = 1;
    ken_status st = kn_clean_clip(p);
    for (size_t i = 0; !st && more && i < p->len;) {
        uint32_t id;
        size_t n = p->at[i] == '<' ? special(t, p, i, &id) : 0;
        if (kn_class(p->at[i]) & KN_SPACE || p->at[i] == YPOGEGRAMMENI) {
            i++;
        } else if (n) {
            more = kn_ids_add(ids, id);
            i += n;
        } else {
            const size_t end = piece_end(p, i);
            st = encode_word(t, &w, p, i, end, ids, &more);
            i = end;
        }
    }
    word_release(&w);
    return st;
}

/* ---- building ---- */

typedef struct builder {
    kn_block_header *h;
    kn_bpe_slot *pairs;
    /* symbol -> its place in names, by an open table of the same size */
    uint32_t *by_name;    /* (slots) symbol + 1, 0 empty */
    uint32_t *at, *len;   /* (vocab) where each symbol's text lies in names */
    unsigned char *names;
    size_t used, room;
} builder;

static ken_status name_symbol(builder *b, uint32_t id, const void *a, size_t na, const void *c, size_t nc)
{
    if (b->used + na + nc > b->room)
        return kn_fail(KEN_E_FORMAT, "tokens are too long");
    unsigned char *to = b->names + b->used;
    memcpy(to, a, na);
    memcpy(to + na, c, nc);
    b->at[id] = (uint32_t)b->used;
    b->len[id] = (uint32_t)(na + nc);
    b->used += na + nc;
    const uint32_t mask = b->h->slots - 1;
    uint32_t i = kn_piece_hash(to, na + nc, 0) & mask;
    while (b->by_name[i])
        i = (i + 1) & mask;
    b->by_name[i] = id + 1;
    return KEN_OK;
}

static int find_symbol(const builder *b, const char *text, size_t n, uint32_t *id)
{
    const uint32_t mask = b->h->slots - 1;
    for (uint32_t i = kn_piece_hash(text, n, 0) & mask; b->by_name[i]; i = (i + 1) & mask) {
        *id = b->by_name[i] - 1;
        if (b->len[*id] == n && !memcmp(b->names + b->at[*id], text, n))
            return 1;
    }
    return 0;
}

/* The alphabet's letters: a byte that prints stands for itself, the others for U+0100 and up. */
static ken_status name_alphabet(builder *b)
{
    ken_status st = KEN_OK;
    uint32_t extra = 256;
    for (unsigned c = 0; !st && c < 256; c++) {
        unsigned char text[4];
        const int itself = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
        const size_t n = kn_utf8_put(itself ? c : extra++, text);
        st = name_symbol(b, byte_symbol(c), text, n, "", 0);
        if (!st)
            st = name_symbol(b, byte_symbol(c) + WORD_END, text, n, "</w>", 4);
    }
    return st;
}

static ken_status add_merge(builder *b, uint32_t rank, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    uint32_t left, right;
    if (!space)
        return kn_fail(KEN_E_FORMAT, "merge %u: no space between its parts", rank);
    const size_t na = (size_t)(space - line), nc = n - na - 1;
    if (!find_symbol(b, line, na, &left) || !find_symbol(b, space + 1, nc, &right))
        return kn_fail(KEN_E_FORMAT, "merge %u (%.*s): a part that no merge before makes", rank, (int)n, line);
    const uint32_t mask = b->h->slots - 1;
    uint32_t i = pair_hash(left, right) & mask;
    while (b->pairs[i].id) {
        if (b->pairs[i].left == left && b->pairs[i].right == right)
            return kn_fail(KEN_E_FORMAT, "merge %u appears twice", rank);
        i = (i + 1) & mask;
    }
    b->pairs[i] = (kn_bpe_slot){ left, right, SYMBOLS + rank };
    return name_symbol(b, SYMBOLS + rank, line, na, space + 1, nc);
}

static size_t line_length(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    return nl ? (size_t)(nl - p) : (size_t)(end - p);
}

/* OpenAI's file has more lines than it uses: the first is a title, and 48,894 merges follow. */
static uint32_t count_merges(const char *text, size_t n)
{
    enum { OPENAI = 49152 - 256 - 2 };
    const char *end = text + n;
    uint32_t lines = 0;
    for (const char *p = text; p < end; p += line_length(p, end) + 1)
        lines += line_length(p, end) > 0;
    lines -= lines > 0; /* the title */
    return lines < OPENAI ? lines : OPENAI;
}

static ken_status read_merges(builder *b, const char *text, size_t n, uint32_t count)
{
    const char *end = text + n, *p = text + line_length(text, end) + 1;
    ken_status st = name_alphabet(b);
    for (uint32_t r = 0; !st && r < count && p < end;) {
        size_t len = line_length(p, end);
        const size_t step = len + 1;
        len -= len && p[len - 1] == '\r';
        if (len)
            st = add_merge(b, r++, p, len);
        p += step;
    }
    return st;
}

ken_status kn_bpe_build(unsigned char **out, size_t *len, const char *text, size_t n)
{
    const uint32_t merges = count_merges(text, n), vocab = SYMBOLS + merges + 2;
    uint32_t slots = 1024;
    while (slots < vocab + vocab / 3)
        slots *= 2;
    *len = sizeof(kn_block_header) + slots * sizeof(kn_bpe_slot);
    unsigned char *block = kn_zalloc(*len, 1);
    builder b = { .h = (void *)block, .pairs = (void *)(block ? block + sizeof(kn_block_header) : NULL) };
    b.room = 4096 + 40 * (size_t)vocab + 2 * n;
    b.by_name = kn_zalloc(slots, sizeof *b.by_name);
    b.at = kn_zalloc(vocab, sizeof *b.at);
    b.len = kn_zalloc(vocab, sizeof *b.len);
    b.names = kn_alloc(b.room, 1);
    ken_status st = block && b.by_name && b.at && b.len && b.names ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        *b.h = (kn_block_header){ .magic = { 'K', 'T', 'O', 'K' }, .version = KN_BLOCK_VERSION, .kind = 1, .vocab = vocab,
                                  .slots = slots, .special = { vocab - 2, vocab - 1 } };
        st = merges ? read_merges(&b, text, n, merges) : kn_fail(KEN_E_FORMAT, "no merges");
    }
    kn_free(b.by_name);
    kn_free(b.at);
    kn_free(b.len);
    kn_free(b.names);
    if (st)
        kn_free(block);
    else
        *out = block;
    return st ? kn_fail_in(st, "clip-bpe vocabulary") : KEN_OK;
}
