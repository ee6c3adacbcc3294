/*
 * tower.h - the text networks, CLIP's and BERT: token ids to features.
 */
#ifndef NN_TOWER_H
#define NN_TOWER_H

#include "nn/trunk.h"

typedef struct kn_tower {
    kn_text_config c;
    kn_trunk trunk;
    kn_rows tok;        /* (vocab, width) */
    const float *table; /* (context, width): positions, and BERT's first token type */
    kn_norm ln;         /* CLIP: of the pooled row; BERT: of the embeddings */
    kn_mat proj;        /* (dim, width) */
} kn_tower;

KEN_CALL ken_status kn_tower_load(const kn_source *s, const kn_text_config *c, kn_tower *out);

/* How many of len ids the network must see: up to the pooled one if it looks only back, else all.
 * KEN_E_INVALID for an id outside the vocabulary, no ids or more than the context. */
KEN_CALL ken_status kn_tower_need(const kn_tower *t, const int32_t *ids, size_t len, size_t *need);

/* Texts of one run: text i has need[i] ids at ids + at[i]. */
typedef struct kn_texts {
    const int32_t *ids;
    const size_t *at, *need; /* (n) */
    size_t n;
} kn_texts;
size_t kn_tower_bytes(const kn_crew *crew, const kn_tower *t, const kn_texts *x);
/* To features (n, dim). */
void kn_tower_run(const kn_crew *crew, const kn_tower *t, const kn_texts *x, float *out, kn_arena a);

double kn_tower_macs(const kn_text_config *c, size_t tokens);

#endif
