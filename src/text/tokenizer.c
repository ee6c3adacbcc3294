/* tokenizer.c - opening a block, and what both kinds share. */
#include "text/block.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/inflate.h"

#include <string.h>

enum { MAX_SOURCE = 1 << 26, MAX_TEXT = 1000000 };

static ken_status kind_of(uint32_t *out, const char *kind)
{
    *out = !strcmp(kind, "clip-bpe")         ? KN_CLIP_BPE
           : !strcmp(kind, "bert-wordpiece") ? KN_BERT_WORDPIECE
                                             : 0;
    return *out ? KEN_OK
                : kn_fail(KEN_E_UNSUPPORTED, "no tokenizer '%s': clip-bpe, bert-wordpiece", kind);
}

size_t kn_line(const char **p, const char *end, int lone)
{
    const char *s = *p, *e = s;
    while (e < end && *e != '\n' && !(*e == '\r' && (lone || e + 1 == end || e[1] == '\n')))
        e++;
    *p = e + (e < end);
    if (e + 1 < end && e[0] == '\r' && e[1] == '\n')
        *p = e + 2;
    return (size_t)(e - s);
}

ken_status kn_tokenizer_build(unsigned char **out, size_t *len, const char *kind,
                              const void *source, size_t source_len)
{
    unsigned char *unpacked = NULL;
    const char *text = source;
    uint32_t k;
    *out = NULL;
    *len = 0;
    ken_status st = kind_of(&k, kind);
    if (!st && source_len > 2 && !memcmp(source, "\x1f\x8b", 2)) {
        st = kn_gunzip(&unpacked, &source_len, source, source_len, MAX_SOURCE);
        text = (const char *)unpacked;
    }
    if (!st && source_len > MAX_SOURCE)
        st = kn_fail(KEN_E_LIMIT, "vocabulary of %zu bytes", source_len);
    if (!st)
        st = k == KN_CLIP_BPE ? kn_bpe_build(out, len, text, source_len)
                              : kn_wordpiece_build(out, len, text, source_len);
    kn_free(unpacked);
    return st;
}

ken_status kn_tokenizer_open(kn_tokenizer **out, const char *kind, const void *block, size_t len)
{
    kn_tokenizer t;
    uint32_t k;
    *out = NULL;
    ken_status st = kind_of(&k, kind);
    if (!st)
        st = kn_block_read(&t, k, block, len);
    if (st)
        return st;
    *out = kn_alloc(1, sizeof(t));
    if (!*out)
        return KEN_E_NOMEM;
    **out = t;
    return KEN_OK;
}

void kn_tokenizer_close(kn_tokenizer *t)
{
    kn_free(t);
}

ken_status kn_tokenize(const kn_tokenizer *t, const char *text, size_t context, int32_t *ids,
                       size_t *n)
{
    kn_points p = { 0 };
    size_t len = strlen(text), bad;
    *n = 0;
    if (context < 2)
        return kn_fail(KEN_E_INVALID, "a context of %zu tokens", context);
    if (len > MAX_TEXT)
        return kn_fail(KEN_E_LIMIT, "text of %zu bytes: at most %d", len, MAX_TEXT);
    kn_ids out = { ids, 0, context - 1 }; /* the last place is the end's */
    kn_ids_add(&out, t->start);
    ken_status st = kn_points_decode(&p, text, len, &bad);
    if (!st)
        st = t->kind == KN_CLIP_BPE ? kn_bpe_encode(t, &p, &out) : kn_wordpiece_encode(t, &p, &out);
    kn_points_release(&p);
    if (st)
        return st;
    ids[out.len] = (int32_t)t->end;
    *n = out.len + 1;
    return KEN_OK;
}

/* Whether an id is the piece of one letter or digit behind `node`. */
static int is_letter(const kn_tokenizer *t, uint32_t node, int32_t id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (const char *c = letters; *c; c++) {
        const uint32_t at = kn_block_find(t, node, (uint32_t)*c);
        if (at != KN_NO_VALUE && kn_block_id(t, at) == (uint32_t)id)
            return 1;
    }
    return 0;
}

size_t kn_tokenizer_spelled(const kn_tokenizer *t, const int32_t *ids, size_t n)
{
    size_t strange = 0;
    int before = 0; /* letters of a word so far, as long as it is nothing else */
    for (size_t i = 1; t->kind == KN_BERT_WORDPIECE && i + 1 < n; i++) {
        if (is_letter(t, t->continued, ids[i]) && before) {
            strange += before == 1 ? 2 : 1; /* a word of one letter is a word; this one is longer */
            before = 2;
            continue;
        }
        strange += (uint32_t)ids[i] == t->unknown;
        before = is_letter(t, 0, ids[i]);
    }
    return strange;
}

int32_t kn_tokenizer_end(const kn_tokenizer *t)
{
    return (int32_t)t->end;
}

uint32_t kn_tokenizer_vocab(const kn_tokenizer *t)
{
    return t->vocab;
}
