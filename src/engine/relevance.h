/*
 * relevance.h - whether a hit has anything to do with what was asked.
 *
 * A cosine alone does not tell: of many pictures one is always near to a caption.  Of words a hit must
 * reach a floor, and no text that says one thing otherwise (contrast.h) may suit it better by more than a
 * margin; both rise with the number of pictures, among which ever more suit by chance.  Words that the model
 * does not know find nothing.  Of pictures there is a floor alone.  All is the model's, fitted by
 * ken_fit_relevance and kept in its metadata as
 *
 *     "relevance": {"words": [[pictures, floor, margin], …], "strange": share, "pictures": floor}
 */
#ifndef ENGINE_RELEVANCE_H
#define ENGINE_RELEVANCE_H

#include "engine/collection.h"
#include "index/topk.h"

enum { KN_RELEVANCE_POINTS = 16 };

typedef struct kn_relevance_point {
    double items, floor, margin;
} kn_relevance_point;

typedef struct kn_relevance {
    kn_relevance_point words[KN_RELEVANCE_POINTS]; /* (n) by rising items; between them along ln items */
    size_t n; /* 0: not fitted */
    double strange;  /* share of a text's tokens (ken_model_strange); more finds nothing */
    double pictures; /* 2: not fitted */
} kn_relevance;

/* From the model's metadata; KEN_E_MODEL where there is none, KEN_E_FORMAT. */
KEN_CALL ken_status kn_relevance_read(kn_relevance *out, const kn_encoder *e, const ken_model *m);
char *kn_relevance_print(const kn_relevance *r); /* kn_free it; NULL: out of memory */
/* Put a point in its place, or in that of one for nearly as many items. */
void kn_relevance_put(kn_relevance *r, kn_relevance_point p);
kn_relevance_point kn_relevance_at(const kn_relevance *r, double items); /* n > 0 */
/* The largest share of strange tokens of the terms that are texts. */
KEN_CALL ken_status kn_relevance_strange(const kn_encoder *e, const ken_model *m, const ken_term *terms,
                                         size_t n, double *share);

/* A query's text and those that say one word otherwise, encoded once for all that is asked about its hits:
 * all zero at first, kn_rivals_release() at the end. */
typedef struct kn_rivals {
    int known;
    size_t n, dim;
    float *vectors; /* (1 + n, dim), the text's own first; NULL: there are none */
} kn_rivals;
void kn_rivals_release(kn_rivals *r);

/* How much better the query suits each of n hits than the best of the texts that say one word otherwise:
 * margins (n), all 2 unless the one term is a text with such words.  r: of these terms, made at first. */
KEN_CALL ken_status kn_relevance_margins(ken *k, const ken_model *m, const ken_term *terms, size_t n_terms,
                                         kn_rivals *r, const kn_near *hits, size_t n, float *margins);

/* Keep those of *n hits, the best of `items`, that have to do with the query, at most `most`. */
KEN_CALL ken_status kn_relevance_cut(ken *k, const ken_model *m, const ken_term *terms, size_t n_terms,
                                     size_t items, kn_rivals *r, kn_near *hits, size_t *n, size_t most);
/* How far to look for `most` that do. */
size_t kn_relevance_depth(size_t most);

#endif
