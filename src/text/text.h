/*
 * text.h - words to token ids, as the publishers' own tokenizers give them.
 *
 * A tokenizer's data is one block of bytes inside the model file, used in place: opening one costs
 * microseconds.  The block is untrusted: every look-up is bounded by its length.
 */
#ifndef TEXT_TEXT_H
#define TEXT_TEXT_H

#include "ken.h"

typedef struct kn_tokenizer kn_tokenizer; /* immutable once open */

/* From a publisher's vocabulary file to a block; kinds:
 *   "clip-bpe"       OpenAI's bpe_simple_vocab_16e6.txt, or Hugging Face's merges.txt
 *   "bert-wordpiece" vocab.txt, one token a line
 * The file may be packed by gzip.  *out is yours (kn_free).  KEN_E_FORMAT names the line. */
KEN_CALL ken_status kn_tokenizer_build(unsigned char **out, size_t *len, const char *kind,
                                       const void *source, size_t source_len);

/* block stays the caller's and must outlive the tokenizer; it may lie at any address.
 * KEN_E_UNSUPPORTED for another kind, KEN_E_VERSION, KEN_E_FORMAT. */
KEN_CALL ken_status kn_tokenizer_open(kn_tokenizer **out, const char *kind, const void *block,
                                      size_t len);
void kn_tokenizer_close(kn_tokenizer *t);

/* Start, tokens, end; at most `context` of them, cut as the publisher does (the last one kept is
 * the end).  ids holds context, which is 2 or more.  Text that is not UTF-8 is read with U+FFFD for
 * each bad byte.  KEN_E_LIMIT for text beyond a million bytes, or made to take for ever. */
KEN_CALL ken_status kn_tokenize(const kn_tokenizer *t, const char *text, size_t context,
                                int32_t *ids, size_t *n);
int32_t kn_tokenizer_end(const kn_tokenizer *t); /* id of end-of-text or [SEP] */
uint32_t kn_tokenizer_vocab(const kn_tokenizer *t);
/* How many of the ids, start and end among them, are unknown or spell a word by single letters or
 * digits, since the vocabulary lacks it.  0 for clip-bpe, which spells nearly everything in pieces. */
size_t kn_tokenizer_spelled(const kn_tokenizer *t, const int32_t *ids, size_t n);

#endif
