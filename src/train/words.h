/*
 * words.h - what can be said of a sample, as token ids: toys' captions, and lines of a file.
 *
 * The file is a CSV of label,text: any number of texts for a label, in any language.  Toys are told
 * in English and Chinese in turn.  A label without a text is called by its name.
 */
#ifndef TRAIN_WORDS_H
#define TRAIN_WORDS_H

#include "text/text.h"
#include "train/data.h"

enum { KN_WORDS_CONTEXT = 64 };

typedef struct kn_words kn_words;

/* vocab: a WordPiece vocabulary, one token a line.  texts: the CSV, or NULL.  KEN_E_NOTFOUND, KEN_E_FORMAT
 * naming file and line. */
KEN_CALL ken_status kn_words_open(kn_words **out, const char *vocab, const char *texts);
void kn_words_close(kn_words *w); /* NULL is fine */

/* The tokenizer's block, for model files. */
const void *kn_words_block(const kn_words *w, size_t *bytes);
uint32_t kn_words_vocab(const kn_words *w);
int32_t kn_words_end(const kn_words *w);

/* Ids of one text about sample i to ids (KN_WORDS_CONTEXT), *n of them; `variant` chooses which, by the
 * language (its lowest bit), the words and how much is told. */
KEN_CALL ken_status kn_words_of(const kn_words *w, const kn_data *d, size_t i, uint32_t variant,
                                int32_t *ids, size_t *n);

#endif
