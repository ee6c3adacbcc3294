/*
 * expand.h - a query, and what is added to it so that it finds more of what was meant.
 *
 *   prompts   a text in other frames ("a photo of …", as CLIP was trained on whole sentences), in its
 *             own language: the vector is the mean (A. Radford et al., "Learning Transferable Visual Models
 *             From Natural Language Supervision", 3.1.4)
 *   aqe       the first hits, each with its cosine to the power of three: alpha query expansion
 *             (F. Radenovic, G. Tolias, O. Chum, "Fine-tuning CNN Image Retrieval with No Human
 *             Annotation", 3.2)
 */
#ifndef ENGINE_EXPAND_H
#define ENGINE_EXPAND_H

#include "engine/collection.h"
#include "index/topk.h"

typedef enum kn_expansion { KN_EXPAND_NONE, KN_EXPAND_PROMPTS, KN_EXPAND_AQE } kn_expansion;

/* NULL is KN_EXPAND_NONE; KEN_E_INVALID names those there are. */
KEN_CALL ken_status kn_expansion_named(kn_expansion *out, const char *name);

/* Whether a character of U+3000 … U+9FFF is in the UTF-8 text. */
int kn_is_chinese(const char *text);

/* n texts to unit vectors (n, dim), with prompts if o says so. */
KEN_CALL ken_status kn_expand_texts(ken *k, const ken_model *m, const ken_search_options *o,
                                    const char *const *texts, size_t n, float *vectors);
/* How many hits kn_expand_by_hits takes at most, and the score that each must have: of validation toys with
 * one picture each, lesser ones cost more right answers than they brought (ken-small of November 2026). */
enum { KN_AQE_HITS = 3 };
#define KN_AQE_SURE .9f
/* Add the first n hits to the unit vector query (dim), and bring it back to length 1. */
KEN_CALL ken_status kn_expand_by_hits(ken *k, size_t dim, const ken_search_options *o, const kn_near *hits,
                                      size_t n, float *query);

#endif
