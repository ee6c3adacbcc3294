/* fit.h - fitting curves to scores, in double. */
#ifndef ENGINE_FIT_H
#define ENGINE_FIT_H

#include "ken.h"

enum { KN_FIT_MAX = 8 }; /* features */

/*
 * Logistic regression: out[0] + sum out[1 + j] x[i][j] is the log odds of y[i] = 1.  Newton's method
 * (iteratively reweighted least squares; Hastie, Tibshirani and Friedman, "The Elements of
 * Statistical Learning", 4.4.1) on features of zero mean and unit deviation, with `ridge` times half
 * the squared weights added to the mean loss.  A feature that does not vary gets 0.
 *
 * x (n, k) row-major, k <= KN_FIT_MAX; y (n) 0 or 1; w (n) weights or NULL; out (1 + k).
 * KEN_E_INVALID if y is all one class.
 */
KEN_CALL ken_status kn_fit_logistic(double *out, const double *x, const unsigned char *y,
                                    const double *w, size_t n, size_t k, double ridge);

/*
 * The generalised Pareto distribution of excesses x >= 0: P(> x) = (1 + shape x / scale)^(-1/shape).
 * Maximum likelihood along one parameter (Grimshaw, Technometrics 35, 1993), shape kept within
 * -1/2 .. 1/2: outside, the likelihood of so few values means little.  KEN_E_INVALID for fewer than
 * 5 values, or all zero.
 */
KEN_CALL ken_status kn_fit_pareto(double *shape, double *scale, const double *x, size_t n);

#endif
