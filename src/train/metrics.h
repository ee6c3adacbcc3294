/*
 * metrics.h - how good answers are, each by its published definition.
 *
 * A ranking is given by the ranks, from 1 and ascending, of the R items that are right, so that of
 * millions that were ranked only those need be kept.  All results are 0..1, and 0 where R is.
 */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "ken.h"

/* (1/R) sum of P(i) over the ranks i that are right, over the whole ranking (Manning, Raghavan and
 * Schuetze, "Introduction to Information Retrieval", 8.4). */
double kn_average_precision(const uint64_t *ranks, size_t relevant);
/* The same sum over the first R ranks alone (Musgrave, Belongie and Lim, "A Metric Learning Reality
 * Check", ECCV 2020). */
double kn_map_at_r(const uint64_t *ranks, size_t relevant);
/* 1 / the first right rank (Voorhees, TREC-8 question answering track). */
double kn_reciprocal_rank(const uint64_t *ranks, size_t relevant);
/* Gain 1, discount log2(rank + 1), over the best that R right ones allow (Jarvelin and Kekalainen,
 * TOIS 2002). */
double kn_ndcg(const uint64_t *ranks, size_t relevant, size_t k);
/* The share of the first k ranks that is right, and of all that is right among the first k (Manning
 * et al., 8.3 and 8.4); k > 0, places behind the end of a short ranking are wrong. */
double kn_precision_at(const uint64_t *ranks, size_t relevant, size_t k);
double kn_recall_at(const uint64_t *ranks, size_t relevant, size_t k);

/* What is taken for what: `count` queries of `truth` were answered with `answer`. */
typedef struct kn_confusion {
    uint32_t truth, answer;
    uint64_t count;
} kn_confusion;
/* The off-diagonal cells of the confusion matrix (Stehman, Remote Sensing of Environment 62, 1997),
 * the fullest first, then by truth and answer.  `list` (n), its pairs set and its counts 1, is sorted
 * and merged in place; pairs of one truth and the same answer are left out.  Returns how many are
 * left. */
size_t kn_confusions(kn_confusion *list, size_t n);

/* The chance that a positive scores higher than a negative, ties counting half: the area under
 * the ROC curve (Hanley and McNeil, Radiology 1982).  Sorts neither; KEN_E_NOMEM. */
KEN_CALL ken_status kn_auroc(double *out, const float *positive, size_t n, const float *negative,
                             size_t m);

/* Detection and identification rate (ISO/IEC 19795-1; Phillips, Grother and Micheals, "Evaluation
 * methods in face recognition"): the share of the n known queries whose first answer is correct and
 * scores at or above the threshold that at most `fpir` of the m unknown ones reach. */
KEN_CALL ken_status kn_dir_at_fpir(double *out, const float *scores, const unsigned char *correct,
                                   size_t n, const float *unknown, size_t m, double fpir);

/* Expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015) in bins of equal mass:
 * sorted by confidence, bin b has the places n*b/bins … n*(b+1)/bins - 1. */
KEN_CALL ken_status kn_ece(double *out, const float *confidence, const unsigned char *correct,
                           size_t n, size_t bins);

#endif
