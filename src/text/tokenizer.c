/* tokenizer.c - opening a block, and what both kinds share. */
#include "text/vocab.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/inflate.h"

#include <string.h>

enum { BPE = 1, WORDPIECE = 2, MAX_VOCAB = 1 << 22, MAX_SOURCE = 1 << 28 };

uint32_t kn_piece_hash(const void *bytes, size_t n, uint32_t seed)
{
    const unsigned char *p = bytes;
    uint32_t h = 2166136261u ^ seed;
    while (n--)
        h = (h ^ *p++) * 16777619u;
    return (h ^ h >> 15) * 0x9e3779b1u;
}

ken_status kn_tokenizer_build(unsigned char **out, size_t *len, const char *kind, const void *source, size_t source_len)
{
    const unsigned char *bytes = source;
    unsigned char *text = NULL;
    size_t n = source_len;
    ken_status st = KEN_OK;
    if (n > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        st = kn_gunzip(&text, &n, source, source_len, MAX_SOURCE);
        if (st)
            return st;
        bytes = text;
    }
    if (!strcmp(kind, "clip-bpe"))
        st = kn_bpe_build(out, len, (const char *)bytes, n);
    else if (!strcmp(kind, "bert-wordpiece"))
        st = kn_wordpiece_build(out, len, (const char *)bytes, n);
    else
        st = kn_fail(KEN_E_UNSUPPORTED, "no tokenizer '%s': clip-bpe, bert-wordpiece", kind);
    kn_free(text);
    return st;
}

static ken_status check_header(const kn_block_header *h, size_t len, uint32_t kind)
{
    const size_t slot = kind == BPE ? sizeof(kn_bpe_slot) : sizeof(kn_piece_slot);
    if (len < sizeof *h || memcmp(h->magic, "KTOK", 4))
        return kn_fail(KEN_E_FORMAT, "tokenizer: not a block of ours");
    if (h->version != KN_BLOCK_VERSION)
        return kn_fail(KEN_E_VERSION, "tokenizer: version %u, this ken reads %d", h->version, KN_BLOCK_VERSION);
    if (h->kind != kind)
        return kn_fail(KEN_E_FORMAT, "tokenizer: of another kind");
    if (!h->slots || h->slots & (h->slots - 1) || h->slots > MAX_VOCAB * 4u || h->vocab > MAX_VOCAB)
        return kn_fail(KEN_E_FORMAT, "tokenizer: %u slots, %u tokens", h->slots, h->vocab);
    if ((uint64_t)sizeof *h + (uint64_t)h->slots * slot + h->pool != len)
        return kn_fail(KEN_E_FORMAT, "tokenizer: %zu bytes do not fit its table", len);
    for (int i = 0; i < 4; i++)
        if (h->special[i] >= h->vocab)
            return kn_fail(KEN_E_FORMAT, "tokenizer: special token %d is outside the vocabulary", i);
    return KEN_OK;
}

ken_status kn_tokenizer_open(kn_tokenizer **out, const char *kind, const void *block, size_t len)
{
    const uint32_t k = !strcmp(kind, "clip-bpe") ? BPE : !strcmp(kind, "bert-wordpiece") ? WORDPIECE : 0;
    if (!k)
        return kn_fail(KEN_E_UNSUPPORTED, "no tokenizer '%s'", kind);
    if ((uintptr_t)block % 4)
        return kn_fail(KEN_E_FORMAT, "tokenizer: the block is not aligned");
    ken_status st = check_header(block, len, k);
    if (st)
        return st;
    kn_tokenizer *t = kn_zalloc(1, sizeof *t);
    if (!t)
        return KEN_E_NOMEM;
    t->h = block;
    const unsigned char *table = (const unsigned char *)block + sizeof *t->h;
    t->pairs = k == BPE ? (const void *)table : NULL;
    t->pieces = k == WORDPIECE ? (const void *)table : NULL;
    t->pool = table + t->h->slots * (k == BPE ? sizeof *t->pairs : sizeof *t->pieces);
    *out = t;
    return KEN_OK;
}

void kn_tokenizer_close(kn_tokenizer *t)
{
    kn_free(t);
}

ken_status kn_tokenize(const kn_tokenizer *t, const char *text, size_t context, int32_t *ids, size_t *n)
{
    kn_points p = { 0 };
    if (context < 2)
        return kn_fail(KEN_E_INVALID, "a context of %zu tokens", context);
    ids[0] = (int32_t)t->h->special[0];
    kn_ids out = { ids, 1, context - 1 }; /* the last place is the end's */
    ken_status st = kn_points_decode(&p, text);
    if (!st)
        st = t->h->kind == BPE ? kn_bpe_encode(t, &p, &out) : kn_wordpiece_encode(t, &p, &out);
    kn_points_release(&p);
    if (st)
        return st;
    ids[out.len] = (int32_t)t->h->special[1];
    *n = out.len + 1;
    return KEN_OK;
}

int32_t kn_tokenizer_end(const kn_tokenizer *t)
{
    return (int32_t)t->h->special[1];
}

uint32_t kn_tokenizer_vocab(const kn_tokenizer *t)
{
    return t->h->vocab;
}
