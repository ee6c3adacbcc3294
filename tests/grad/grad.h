/*
 * grad.h - gradients against differences, in the build where float is double (double.h).
 *
 * A case is a scalar function of some numbers in place, and what the code under test says its
 * gradient is.  Each number x is moved by h = 1e-7 both ways.  The error of an entry is
 * |a - n| / max(|a|, |n|, 1e-3 max|g|), with a the code's gradient, n the difference and max|g| over
 * all parts; it must not exceed 1e-5.  An entry is left out only where the differences at h and h/2
 * disagree by more than that themselves (a kink lies between), and of those at most 2 %.
 */
#ifndef GRAD_H
#define GRAD_H

#include <stddef.h>

typedef struct kn_grad_part {
    float *x;       /* (n) numbers that are moved and put back */
    const float *g; /* (n) their gradient; copied before the first call of the function */
    size_t n;
    size_t most;    /* entries looked at, spread evenly; 0: 400 */
} kn_grad_part;

/* The function at the present numbers.  It may overwrite the gradients that the parts point to. */
typedef double kn_grad_fn(void *cookie);

/* Every entry of every part, of large parts some, spread evenly.  Prints "name error" (with "FAILED"
 * behind it and the worst entry, if so); returns 0 or 1. */
int kn_grad_check(const char *name, kn_grad_fn *fn, void *cookie, const kn_grad_part *parts,
                  size_t n_parts);

/* Numbers from a normal distribution: the same for the same seed. */
void kn_grad_fill(float *x, size_t n, unsigned seed, double scale);

/* The groups of cases; each returns how many failed. */
int kn_grad_losses(void); /* check_loss.c */
int kn_grad_graphs(void); /* check_graph.c */

#endif
