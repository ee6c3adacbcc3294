/*
 * metrics.h - how good answers are, each by its published definition.
 *
 * Rankings are given as relevance: rel[i] is 1 if rank i + 1 is right.  All results are 0..1.
 */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "ken.h"

/* (1/R) sum of P(i) over the ranks i that are right, R of them, over the whole ranking (Manning,
 * Raghavan and Schuetze, "Introduction to Information Retrieval", 8.4).  0 if none is right. */
double kn_average_precision(const unsigned char *rel, size_t n);
/* 1 / the first right rank (Voorhees, TREC-8 question answering track); 0 if none is right. */
double kn_reciprocal_rank(const unsigned char *rel, size_t n);
/* Gain 1, discount log2(rank + 1), over the best that the R right ones allow (Jarvelin and
 * Kekalainen, TOIS 2002). */
double kn_ndcg(const unsigned char *rel, size_t n, size_t k);

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
