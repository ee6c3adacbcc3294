/*
 * rand.h - random numbers by counter: the same (seed, stream, index) gives the
 * same number on every machine, in any order, from any thread.
 *
 * Philox 4x32, 10 rounds (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011).
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Four 32-bit numbers for one counter. */
void kn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* A sequence: number `index` of stream `stream` under `seed`. */
typedef struct kn_rand {
    uint64_t seed, stream, index;
} kn_rand;
kn_rand kn_rand_at(uint64_t seed, uint64_t stream);
uint32_t kn_rand_u32(kn_rand *r);
uint64_t kn_rand_u64(kn_rand *r);
uint32_t kn_rand_below(kn_rand *r, uint32_t n); /* [0, n), unbiased; n > 0 */
float kn_rand_float(kn_rand *r);                /* [0, 1), 24 bits */
float kn_rand_normal(kn_rand *r);               /* mean 0, deviation 1 */

/* n normal floats times `scale`: element i depends on (seed, stream, i) alone. */
void kn_rand_fill_normal(float *out, size_t n, uint64_t seed, uint64_t stream, float scale);

#endif
