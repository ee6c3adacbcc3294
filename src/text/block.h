/*
 * block.h - a tokenizer's data as bytes that are used where they lie.
 *
 * All numbers are little-endian; the block may lie at any address.
 *
 *   0   8 bytes   "kentok\0" and the version, 2
 *   8   u32       kind: 1 clip-bpe, 2 bert-wordpiece
 *   12  u32       bytes of the block
 *   16  u32       vocabulary: ids are below it
 *   20  u32       rows of the table, a power of two
 *   24  u32       reach: a key lies at its own row or one of the `reach` behind it (cyclic)
 *   28  u32       nodes of the trie; 0 for clip-bpe
 *   32  u32 x 3   ids of start, end and unknown (clip-bpe: of the end, too)
 *   44  u32       node of "##"; 0 for clip-bpe
 *   48  16 bytes  0
 *   64  u64 x rows   table: key << 21 | value, all ones where empty
 *       u32 x nodes  ids of the trie's nodes, all ones where a node ends no token
 *
 * A key is a << 21 | b.  clip-bpe: the symbols a and b merge, as merge number `value`.
 * bert-wordpiece: from node a (0 is the root) character b leads to node `value`.
 *
 * Nothing in a block is believed: a look-up inspects at most MAX_REACH + 1 rows that lie inside it,
 * and a value beyond the vocabulary or the nodes counts as no value.
 */
#ifndef TEXT_BLOCK_H
#define TEXT_BLOCK_H

#include "text/text.h"
#include "text/unicode.h"

enum {
    KN_BLOCK_HEAD = 64,
    KN_BLOCK_VERSION = 2,
    KN_KEY_BITS = 21,
    KN_MAX_ROWS = 1 << 23,
    KN_MAX_REACH = 255,
    KN_CLIP_BPE = 1,
    KN_BERT_WORDPIECE = 2,
    KN_SYMBOLS = 512 /* clip-bpe: ids of single bytes, first inside a word, then at its end */
};
#define KN_NO_VALUE UINT32_MAX

struct kn_tokenizer {
    const unsigned char *table, *ids;
    uint32_t kind, vocab, rows, reach, nodes;
    uint32_t values; /* those of the table are below it: merges, or nodes */
    uint32_t start, end, unknown, continued;
};

/* What the pair (a, b) has in the table, below t->values; or KN_NO_VALUE. */
uint32_t kn_block_find(const kn_tokenizer *t, uint32_t a, uint32_t b);
/* The id that a node of the trie stands for, or KN_NO_VALUE. */
uint32_t kn_block_id(const kn_tokenizer *t, uint32_t node);

/* Fill t from a block.  KEN_E_FORMAT, KEN_E_VERSION. */
KEN_CALL ken_status kn_block_read(kn_tokenizer *t, uint32_t kind, const void *block, size_t len);

/* ---- making one ---- */

/* Entries not yet in a table. */
typedef struct kn_entry {
    uint32_t a, b, value;
} kn_entry;

/* From t's kind, vocab, nodes and special ids; ids (t->nodes).  The keys must differ.
 * *out is yours (kn_free). */
KEN_CALL ken_status kn_block_write(unsigned char **out, size_t *len, const kn_tokenizer *t,
                                   const kn_entry *entries, size_t n, const uint32_t *ids);

/* ---- the two kinds ---- */

/* Ids that stop at a maximum. */
typedef struct kn_ids {
    int32_t *at; /* (max) */
    size_t len, max;
} kn_ids;
static inline void kn_ids_add(kn_ids *i, uint32_t id)
{
    if (i->len < i->max)
        i->at[i->len++] = (int32_t)id;
}

/* Tokens of p, which they change, without start and end; they stop when ids is full. */
KEN_CALL ken_status kn_bpe_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids);
KEN_CALL ken_status kn_wordpiece_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids);

/* Blocks from the text of a vocabulary file. */
KEN_CALL ken_status kn_bpe_build(unsigned char **out, size_t *len, const char *text, size_t n);
KEN_CALL ken_status kn_wordpiece_build(unsigned char **out, size_t *len, const char *text,
                                       size_t n);

/* The symbol of a byte inside a word; at its end, 256 more. */
uint32_t kn_bpe_symbol(unsigned byte);

/* The line at *p, which moves behind it: its length without line end.  Lines end with \n, \r\n, or,
 * where lone is set, \r.  Not to be called at the end. */
size_t kn_line(const char **p, const char *end, int lone);

#endif
