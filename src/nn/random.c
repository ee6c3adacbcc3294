/*
 * random.c - fast enough for a billion weights.
 *
 * An element is the sum of the four 16-bit parts of SplitMix64 (Steele, Lea, Flood, "Fast
 * splittable pseudorandom number generators", OOPSLA 2014) at its index: near enough to a normal
 * number for weights, without a logarithm.
 */
#include "nn/random.h"

#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static void fill(float *out, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value;
}

void kn_random_weights(const char *name, uint64_t seed, uint64_t first, size_t n, float scale,
                       float *out)
{
    const uint64_t stream = mix(seed ^ kn_hash64(name, strlen(name)));
    /* Each part has the variance 2^32 / 12, and the sum the mean 2 (2^16 - 1). */
    const float unit = scale * 2.6429e-05F; /* sqrt(3) / 2^16 */
    if (ends_with(name, ".b")) {
        fill(out, n, 0);
        return;
    }
    if (strstr(name, ".ln") && ends_with(name, ".w")) {
        fill(out, n, 1);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = mix(stream + (first + i) * 0x2545f4914f6cdd1d);
        const uint64_t sum = (r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48);
        out[i] = (float)((int64_t)sum - 2 * 0xffff) * unit;
    }
}
