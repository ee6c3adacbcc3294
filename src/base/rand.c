/* rand.c - Philox 4x32-10 and what is drawn from it. */
#include "base/rand.h"

#include <math.h>

static void philox_round(uint32_t c[4], const uint32_t k[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t x1 = c[1], x3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ x1 ^ k[0];
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ x3 ^ k[1];
    c[3] = (uint32_t)p0;
}

void kn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t k[2] = { key[0], key[1] };
    for (int i = 0; i < 4; i++)
        out[i] = counter[i];
    for (int i = 0; i < 10; i++) {
        philox_round(out, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
}

kn_rand kn_rand_at(uint64_t seed, uint64_t stream)
{
    return (kn_rand){ .seed = seed, .stream = stream };
}

uint32_t kn_rand_u32(kn_rand *r)
{
    const uint64_t block = r->index / 4;
    const uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream,
                                  (uint32_t)(r->stream >> 32) };
    const uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) };
    uint32_t out[4];
    kn_philox(out, counter, key);
    return out[r->index++ % 4];
}

uint64_t kn_rand_u64(kn_rand *r)
{
    uint64_t low = kn_rand_u32(r);
    return low | (uint64_t)kn_rand_u32(r) << 32;
}

/* Lemire, "Fast random integer generation in an interval", 2019. */
uint32_t kn_rand_below(kn_rand *r, uint32_t n)
{
    uint64_t m = (uint64_t)kn_rand_u32(r) * n;
    if ((uint32_t)m < n)
        for (uint32_t least = -n % n; (uint32_t)m < least;)
            m = (uint64_t)kn_rand_u32(r) * n;
    return (uint32_t)(m >> 32);
}

float kn_rand_float(kn_rand *r)
{
    return (float)(kn_rand_u32(r) >> 8) * 0x1p-24f;
}

/* Box and Muller; the second of the pair is thrown away, so that every draw
 * moves the counter by the same amount. */
static float normal_of(uint32_t a, uint32_t b)
{
    double u = ((double)a + 1.0) * 0x1p-32, v = (double)b * 0x1p-32;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

float kn_rand_normal(kn_rand *r)
{
    uint32_t a = kn_rand_u32(r), b = kn_rand_u32(r);
    return normal_of(a, b);
}

void kn_rand_fill_normal(float *out, size_t n, uint64_t seed, uint64_t stream, float scale)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    for (size_t i = 0; i < n; i += 2) {
        const uint64_t block = i / 2;
        const uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                      (uint32_t)(stream >> 32) };
        uint32_t x[4];
        kn_philox(x, counter, key);
        out[i] = normal_of(x[0], x[1]) * scale;
        if (i + 1 < n)
            out[i + 1] = normal_of(x[2], x[3]) * scale;
    }
}
