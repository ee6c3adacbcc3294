/*
 * block.c - the one table that both tokenizers live on.
 *
 * Open addressing with linear steps, three quarters full at most, filled the Robin Hood way (Celis,
 * 1986): whoever is farther from home keeps the row.  So no key is far from home (16 rows in CLIP's
 * vocabulary), a look-up mostly stays in one cache line, and one for a key that is not there can stop
 * after `reach` rows, or at once where it meets a key nearer to home than it would be itself.
 */
#include "text/block.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

enum { VALUE_MASK = (1 << KN_KEY_BITS) - 1, MAX_VOCAB = 1 << 20 };
static const char magic[8] = { 'k', 'e', 'n', 't', 'o', 'k', 0, KN_BLOCK_VERSION };

static uint64_t get64(const unsigned char *p)
{
    return kn_little32(p) | (uint64_t)kn_little32(p + 4) << 32;
}

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++, v >>= 8)
        p[i] = (unsigned char)v;
}

static void put64(unsigned char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint64_t key_of(uint32_t a, uint32_t b)
{
    return (uint64_t)a << KN_KEY_BITS | b;
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4) */
static uint32_t home(uint64_t key, uint32_t rows)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (rows - 1);
}

/* How far the entry in a row is from home. */
static uint32_t distance(uint64_t entry, uint32_t row, uint32_t rows)
{
    return (row - home(entry >> KN_KEY_BITS, rows)) & (rows - 1);
}

uint32_t kn_block_find(const kn_tokenizer *t, uint32_t a, uint32_t b)
{
    uint64_t key = key_of(a, b);
    uint32_t row = home(key, t->rows);
    for (uint32_t far = 0; far <= t->reach; far++, row = (row + 1) & (t->rows - 1)) {
        uint64_t entry = get64(t->table + (size_t)8 * row);
        if (entry >> KN_KEY_BITS == key) {
            uint32_t value = (uint32_t)entry & VALUE_MASK;
            return value < t->values ? value : KN_NO_VALUE;
        }
        if (entry == UINT64_MAX || distance(entry, row, t->rows) < far)
            break;
    }
    return KN_NO_VALUE;
}

uint32_t kn_block_id(const kn_tokenizer *t, uint32_t node)
{
    uint32_t id = node < t->nodes ? kn_little32(t->ids + (size_t)4 * node) : KN_NO_VALUE;
    return id < t->vocab ? id : KN_NO_VALUE;
}

static ken_status check(const kn_tokenizer *t, size_t len)
{
    if (!t->rows || t->rows > KN_MAX_ROWS || t->rows & (t->rows - 1) || t->reach > KN_MAX_REACH ||
        t->reach >= t->rows)
        return kn_fail(KEN_E_FORMAT, "tokenizer: a table of %u rows, reach %u", t->rows, t->reach);
    if (t->vocab > MAX_VOCAB || t->start >= t->vocab || t->end >= t->vocab ||
        t->unknown >= t->vocab)
        return kn_fail(KEN_E_FORMAT, "tokenizer: special tokens outside the %u of the vocabulary",
                       t->vocab);
    if (t->kind == KN_CLIP_BPE && (t->nodes || t->vocab < KN_SYMBOLS + 2))
        return kn_fail(KEN_E_FORMAT, "tokenizer: no vocabulary for clip-bpe");
    if (t->kind == KN_BERT_WORDPIECE && (t->continued >= t->nodes || t->nodes > VALUE_MASK))
        return kn_fail(KEN_E_FORMAT, "tokenizer: no vocabulary for bert-wordpiece");
    if (len != (uint64_t)KN_BLOCK_HEAD + 8ull * t->rows + 4ull * t->nodes)
        return kn_fail(KEN_E_FORMAT, "tokenizer: %zu bytes do not fit its table", len);
    return KEN_OK;
}

ken_status kn_block_read(kn_tokenizer *t, uint32_t kind, const void *block, size_t len)
{
    const unsigned char *p = block;
    if (len < KN_BLOCK_HEAD || memcmp(p, magic, sizeof(magic) - 1))
        return kn_fail(KEN_E_FORMAT, "tokenizer: not a block of ours");
    if (p[7] != KN_BLOCK_VERSION)
        return kn_fail(KEN_E_VERSION, "tokenizer: version %d, this ken reads %d", p[7],
                       KN_BLOCK_VERSION);
    if (kn_little32(p + 8) != kind || kn_little32(p + 12) != len)
        return kn_fail(KEN_E_FORMAT, "tokenizer: of another kind, or not whole");
    *t = (kn_tokenizer){ .kind = kind,
                         .vocab = kn_little32(p + 16),
                         .rows = kn_little32(p + 20),
                         .reach = kn_little32(p + 24),
                         .nodes = kn_little32(p + 28),
                         .start = kn_little32(p + 32),
                         .end = kn_little32(p + 36),
                         .unknown = kn_little32(p + 40),
                         .continued = kn_little32(p + 44) };
    ken_status st = check(t, len);
    if (st)
        return st;
    t->table = p + KN_BLOCK_HEAD;
    t->ids = t->table + (size_t)8 * t->rows;
    t->values = kind == KN_CLIP_BPE ? t->vocab - KN_SYMBOLS - 2 : t->nodes;
    return KEN_OK;
}

/* ---- making one ---- */

/* The farthest that any entry, this one or one that gave way, has come to lie from home. */
static uint32_t insert(unsigned char *table, uint32_t rows, uint64_t entry)
{
    uint32_t row = home(entry >> KN_KEY_BITS, rows), far = 0, most = 0;
    for (;; row = (row + 1) & (rows - 1), far++) {
        uint64_t there = get64(table + (size_t)8 * row);
        uint32_t its = there == UINT64_MAX ? 0 : distance(there, row, rows);
        if (there != UINT64_MAX && its >= far)
            continue;
        put64(table + (size_t)8 * row, entry);
        most = far > most ? far : most;
        if (there == UINT64_MAX)
            return most;
        entry = there;
        far = its;
    }
}

static void write_head(unsigned char *p, const kn_tokenizer *t, size_t len)
{
    const uint32_t fields[] = { t->kind,  (uint32_t)len, t->vocab, t->rows,    t->reach,
                                t->nodes, t->start,      t->end,   t->unknown, t->continued };
    memset(p, 0, KN_BLOCK_HEAD);
    memcpy(p, magic, sizeof(magic));
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        put32(p + 8 + 4 * i, fields[i]);
}

ken_status kn_block_write(unsigned char **out, size_t *len, const kn_tokenizer *t,
                          const kn_entry *entries, size_t n, const uint32_t *ids)
{
    kn_tokenizer head = *t;
    head.rows = 8;
    while (n > (size_t)head.rows / 4 * 3 && head.rows < KN_MAX_ROWS)
        head.rows *= 2;
    if (n > (size_t)head.rows / 4 * 3 || t->vocab > MAX_VOCAB || t->nodes > VALUE_MASK)
        return kn_fail(KEN_E_LIMIT, "vocabulary of %u tokens is too large", t->vocab);
    size_t bytes = KN_BLOCK_HEAD + (size_t)8 * head.rows + (size_t)4 * t->nodes;
    unsigned char *block = kn_alloc(bytes, 1);
    if (!block)
        return KEN_E_NOMEM;
    memset(block, 0xff, bytes);
    for (size_t i = 0; i < n; i++) {
        uint64_t entry = key_of(entries[i].a, entries[i].b) << KN_KEY_BITS | entries[i].value;
        uint32_t far = insert(block + KN_BLOCK_HEAD, head.rows, entry);
        head.reach = far > head.reach ? far : head.reach;
    }
    for (size_t i = 0; i < t->nodes; i++)
        put32(block + bytes - 4 * (t->nodes - i), ids[i]);
    write_head(block, &head, bytes);
    if (head.reach > KN_MAX_REACH || head.reach >= head.rows) {
        kn_free(block);
        return kn_fail(KEN_E_LIMIT, "vocabulary does not hash: reach %u", head.reach);
    }
    *out = block;
    *len = bytes;
    return KEN_OK;
}
