/*
 * recognition.h - from cosines to the chance of being right, and to "unknown".
 *
 * What a query says for an object is its evidence: a sum of the cosine of the object's best vector
 * and its lead over the next object's.  The chance that the best object is the right one is a
 * logistic function of the evidence, the number of objects and the number of references.
 *
 * Whether a query is of no object at all is decided on the evidence alone: what queries of unknown
 * objects reach against N0 objects is kept as quantiles and as a generalised Pareto tail (Pickands,
 * Annals of Statistics 3, 1975), and against N objects as
 *
 *     P(evidence >= t | N) = 1 - (1 - P(evidence >= t | N0)) ^ ((N / N0) ^ power)
 *
 * where power is 1 if scores of different objects are independent, and smaller as measured.
 *
 * A model file keeps all this as JSON in its metadata "recognition" (nn/format.h).
 */
#ifndef ENGINE_RECOGNITION_H
#define ENGINE_RECOGNITION_H

#include "ken.h"

enum { KN_QUANTILES = 33 };

typedef struct kn_impostors {
    double objects; /* N0; 0: nothing is known */
    double power;
    double quantile[KN_QUANTILES];   /* of the evidence, at equal steps of probability from 0 to 1 */
    double from, rate, shape, scale; /* the tail: P(>= from) = rate, then GPD(shape, scale) */
} kn_impostors;

typedef struct kn_recognition {
    uint32_t crops, looks; /* parts of a reference; further looks at a query */
    double part; /* 0 < part <= 1: a reference's part counts so much less than the whole of one */
    double bias, raw, lead, objects, references; /* weights; those of counts are of the logarithms */
    double fpir; /* where the caller names none; 0: an object is known from confidence 1/2 on */
    kn_impostors impostors;
} kn_recognition;

/* What holds for a model that says nothing. */
void kn_recognition_default(kn_recognition *r);
/* From the metadata; NULL is the default.  KEN_E_FORMAT. */
KEN_CALL ken_status kn_recognition_parse(kn_recognition *r, const char *json);
/* The metadata; kn_free it.  NULL: out of memory. */
char *kn_recognition_print(const kn_recognition *r);

double kn_recognition_evidence(const kn_recognition *r, double raw, double lead);
double kn_recognition_confidence(const kn_recognition *r, double evidence, double objects,
                                 double references);
/* The least evidence of a known object, so that `fpir` of the queries of unknown ones reach it among
 * that many objects.  Needs r->impostors.objects > 0; 0 < fpir < 1, objects >= 1. */
double kn_recognition_threshold(const kn_recognition *r, double fpir, double objects);
/* P(evidence >= t) of a query of an unknown object, among that many objects. */
double kn_recognition_fpir(const kn_recognition *r, double t, double objects);

#endif
