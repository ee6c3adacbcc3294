/*
 * random.h - weights for networks that nobody has trained.
 */
#ifndef NN_RANDOM_H
#define NN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Elements first .. first+n-1 of the tensor of that name: normal, of deviation `scale`.  Each
 * depends on (seed, name, its index) alone.  Norms' gains are 1 and biases 0. */
void kn_random_weights(const char *name, uint64_t seed, uint64_t first, size_t n, float scale,
                       float *out);

#endif
