/*
 * wordpiece.c - BERT's tokenizer as Chinese-CLIP uses it (OFA-Sys/Chinese-CLIP, cn_clip/clip/bert_tokenizer.py):
 * clean, spaces around Chinese characters, lower case, accents off, split at punctuation, then the
 * longest piece of the vocabulary, again and again.
 */
#include "text/vocab.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { MAX_CHARS = 200, MAX_PIECE = 65535 };

/* ---- words ---- */

static int is_chinese(uint32_t c)
{
    static const uint32_t blocks[][2] = { { 0x4e00, 0x9fff },   { 0x3400, 0x4dbf },   { 0x20000, 0x2a6df },
                                          { 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b820, 0x2ceaf },
                                          { 0xf900, 0xfaff },   { 0x2f800, 0x2fa1f } };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (c >= blocks[i][0] && c <= blocks[i][1])
            return 1;
    return 0;
}

static int is_punctuation(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126) ||
           (kn_class(c) & KN_PUNCTUATION) != 0;
}

static ken_status clean(kn_points *out, const kn_points *in)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < in->len; i++) {
        const uint32_t c = in->at[i];
        const unsigned k = kn_class(c);
        const int space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || k & KN_SEPARATOR;
        if (!c || c == 0xfffd || (!space && k & KN_CONTROL))
            continue;
        const int apart = is_chinese(c);
        if (apart)
            st = kn_points_add(out, ' ');
        if (!st)
            st = kn_points_add(out, space ? ' ' : c);
        if (!st && apart)
            st = kn_points_add(out, ' ');
    }
    return st;
}

/* ---- pieces ---- */

/* The id of bytes, or -1.  A block is untrusted: every place is looked at before it is used. */
static int64_t find(const kn_tokenizer *t, const unsigned char *bytes, size_t n, int more)
{
    const uint32_t mask = t->h->slots - 1;
    uint32_t i = kn_piece_hash(bytes, n, (uint32_t)more) & mask;
    for (uint32_t k = 0; k <= mask; k++, i = (i + 1) & mask) {
        const kn_piece_slot *s = &t->pieces[i];
        if (!s->len)
            return -1;
        if (s->len == n && s->more == more && s->at <= t->h->pool && n <= t->h->pool - s->at &&
            !memcmp(t->pool + s->at, bytes, n))
            return s->id < t->h->vocab ? (int64_t)s->id : -1;
    }
    return -1;
}

/* A word of n characters whose i-th begins at byte start[i]; start[n] is its end.  0: ids is full. */
static int pieces_of(const kn_tokenizer *t, const unsigned char *bytes, const uint16_t *start, size_t n, kn_ids *ids)
{
    uint32_t found[MAX_CHARS];
    size_t count = 0;
    for (size_t from = 0; from < n;) {
        size_t to = n;
        int64_t id = -1;
        while (to > from && (id = find(t, bytes + start[from], (size_t)(start[to] - start[from]), from > 0)) < 0)
            to--;
        if (id < 0)
            return kn_ids_add(ids, t->h->special[2]);
        found[count++] = (uint32_t)id;
        from = to;
    }
    int more = 1;
    for (size_t i = 0; more && i < count; i++)
        more = kn_ids_add(ids, found[i]);
    return more;
}

static int encode_word(const kn_tokenizer *t, const uint32_t *c, size_t n, kn_ids *ids)
{
    unsigned char bytes[4 * MAX_CHARS];
    uint16_t start[MAX_CHARS + 1];
    size_t len = 0;
    if (n > MAX_CHARS)
        return kn_ids_add(ids, t->h->special[2]);
    for (size_t i = 0; i < n; i++) {
        start[i] = (uint16_t)len;
        len += kn_utf8_put(c[i], bytes + len);
    }
    start[n] = (uint16_t)len;
    return pieces_of(t, bytes, start, n, ids);
}

/* One word between spaces: lower case, accents off, and cut at punctuation. */
static ken_status encode_token(const kn_tokenizer *t, const uint32_t *c, size_t n, kn_ids *ids, int *more)
{
    kn_points p = { 0 };
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i++)
        st = kn_points_add(&p, c[i]);
    if (!st)
        st = kn_points_lower(&p);
    if (!st)
        st = kn_points_normalize(&p, KN_NFD);
    size_t len = 0;
    for (size_t i = 0; !st && i < p.len; i++)
        if (!(kn_class(p.at[i]) & KN_MARK))
            p.at[len++] = p.at[i];
    for (size_t i = 0, from; !st && *more && i < len;) {
        from = i++;
        const unsigned k = kn_class(p.at[from]);
        if (k & KN_SPACE) /* decomposing may leave one */
            continue;
        if (!is_punctuation(p.at[from]))
            while (i < len && !is_punctuation(p.at[i]) && !(kn_class(p.at[i]) & KN_SPACE))
                i++;
        *more = encode_word(t, p.at + from, i - from, ids);
    }
    kn_points_release(&p);
    return st;
}

ken_status kn_wordpiece_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids)
{
    kn_points text = { 0 };
    int more = 1;
    ken_status st = clean(&text, p);
    for (size_t i = 0; !st && more && i < text.len;) {
        size_t end = i;
        while (end < text.len && !(kn_class(text.at[end]) & KN_SPACE))
            end++;
        if (end > i)
            st = encode_token(t, text.at + i, end - i, ids, &more);
        i = end + 1;
    }
    kn_points_release(&text);
    return st;
}

/* ---- building ---- */

static void insert(unsigned char *block, uint32_t id, uint32_t at, uint16_t len, uint16_t more)
{
    kn_block_header *h = (void *)block;
    kn_piece_slot *slots = (void *)(block + sizeof *h);
    const unsigned char *pool = (const unsigned char *)(slots + h->slots);
    uint32_t i = kn_piece_hash(pool + at, len, more) & (h->slots - 1);
    while (slots[i].len) {
        if (slots[i].len == len && slots[i].more == more && !memcmp(pool + slots[i].at, pool + at, len)) {
            slots[i].id = id; /* a later line of the same text wins, as in a dictionary */
            return;
        }
        i = (i + 1) & (h->slots - 1);
    }
    slots[i] = (kn_piece_slot){ at, id, len, more };
}

static int note_special(kn_block_header *h, const char *line, size_t n, uint32_t id)
{
    static const char *const names[] = { "[CLS]", "[SEP]", "[UNK]" };
    for (int i = 0; i < 3; i++)
        if (n == 5 && !memcmp(line, names[i], 5)) {
            h->special[i] = id;
            return 1 << i;
        }
    return 0;
}

static ken_status fill(unsigned char *block, const char *text, size_t n)
{
    kn_block_header *h = (void *)block;
    unsigned char *pool = block + sizeof *h + h->slots * sizeof(kn_piece_slot);
    uint32_t id = 0, used = 0;
    int specials = 0;
    for (const char *p = text, *end = text + n; p < end; id++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const size_t line = nl ? (size_t)(nl - p) : (size_t)(end - p);
        size_t len = line;
        while (len && strchr(" \t\r", p[len - 1]))
            len--;
        specials |= note_special(h, p, len, id);
        const int more = len > 2 && p[0] == '#' && p[1] == '#';
        const size_t skip = more ? 2 : 0;
        if (len > MAX_PIECE)
            return kn_fail(KEN_E_FORMAT, "line %u is too long", id + 1);
        if (len) {
            memcpy(pool + used, p + skip, len - skip);
            insert(block, id, used, (uint16_t)(len - skip), (uint16_t)more);
            used += (uint32_t)(len - skip);
        }
        p += line + 1;
    }
    if (specials != 7)
        return kn_fail(KEN_E_FORMAT, "no [CLS], [SEP] or [UNK] in it");
    return KEN_OK;
}

ken_status kn_wordpiece_build(unsigned char **out, size_t *len, const char *text, size_t n)
{
    uint32_t vocab = n && text[n - 1] != '\n', slots = 64;
    for (size_t i = 0; i < n; i++)
        vocab += text[i] == '\n';
    while (slots < vocab * 2)
        slots *= 2;
    if (n > UINT32_MAX / 2)
        return kn_fail(KEN_E_LIMIT, "a vocabulary of %zu bytes", n);
    const size_t pool = (n + 3) / 4 * 4;
    *len = sizeof(kn_block_header) + slots * sizeof(kn_piece_slot) + pool;
    unsigned char *block = kn_zalloc(*len, 1);
    if (!block)
        return KEN_E_NOMEM;
    *(kn_block_header *)(void *)block = (kn_block_header){ .magic = { 'K', 'T', 'O', 'K' }, .version = KN_BLOCK_VERSION,
                                                           .kind = 2, .vocab = vocab, .slots = slots,
                                                           .pool = (uint32_t)pool };
    ken_status st = fill(block, text, n);
    if (st) {
        kn_free(block);
        return kn_fail_in(st, "bert-wordpiece vocabulary");
    }
    *out = block;
    return KEN_OK;
}
