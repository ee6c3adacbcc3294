/* vocab.h - the two kinds of tokenizer behind text.h. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include "text/text.h"
#include "text/unicode.h"

enum { KN_BLOCK_VERSION = 1 };

/* First in every block; what follows is the kind's own. */
typedef struct kn_block_header {
    char magic[4];     /* "KTOK" */
    uint32_t version;
    uint32_t kind;     /* 1 bpe, 2 wordpiece */
    uint32_t vocab;    /* ids are 0 .. vocab - 1 */
    uint32_t slots;    /* of the hash table, a power of two */
    uint32_t pool;     /* bytes of text behind the table */
    uint32_t special[4]; /* bpe: start, end; wordpiece: [CLS], [SEP], [UNK] */
    uint32_t reserved[6];
} kn_block_header;

/* Pair of symbols -> the symbol they merge to; id - 512 is the merge's rank.  Empty: id 0. */
typedef struct kn_bpe_slot {
    uint32_t left, right, id;
} kn_bpe_slot;

/* Piece -> id, its bytes at pool[at .. at+len).  Empty: len 0.  more: it is of the "##" kind. */
typedef struct kn_piece_slot {
    uint32_t at, id;
    uint16_t len, more;
} kn_piece_slot;

struct kn_tokenizer {
    const kn_block_header *h;
    const kn_bpe_slot *pairs;
    const kn_piece_slot *pieces;
    const unsigned char *pool;
};

/* Ids that grow up to a limit; KN_FULL in `full` once more would come. */
typedef struct kn_ids {
    int32_t *at;
    size_t len, max;
} kn_ids;
static inline int kn_ids_add(kn_ids *i, uint32_t id)
{
    if (i->len == i->max)
        return 0;
    i->at[i->len++] = (int32_t)id;
    return 1;
}

/* Tokens of p (changed by it) into ids, without start and end; stops when ids is full. */
KEN_CALL ken_status kn_bpe_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids);
KEN_CALL ken_status kn_wordpiece_encode(const kn_tokenizer *t, kn_points *p, kn_ids *ids);

/* Blocks from a vocabulary's text. */
KEN_CALL ken_status kn_bpe_build(unsigned char **out, size_t *len, const char *text, size_t n);
KEN_CALL ken_status kn_wordpiece_build(unsigned char **out, size_t *len, const char *text, size_t n);

/* A hash for both: FNV-1a (Fowler, Noll, Vo), finished by a multiplication. */
uint32_t kn_piece_hash(const void *bytes, size_t n, uint32_t seed);

#endif
