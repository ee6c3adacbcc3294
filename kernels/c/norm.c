/* norm.c - normalisations of one row. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"

/* Sums of halves: the error grows with the logarithm of n. */
static float sum_pairwise(const float *x, size_t n, float minus, int squared)
{
    if (n > 32)
        return sum_pairwise(x, n / 2, minus, squared) +
               sum_pairwise(x + n / 2, n - n / 2, minus, squared);
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += squared ? (x[i] - minus) * (x[i] - minus) : x[i];
    return sum;
}

static void layernorm(const float *x, size_t n, const float *gamma, const float *beta, float eps,
                      void *out, kn_type out_type)
{
    const float mean = sum_pairwise(x, n, 0, 0) / (float)n;
    const float scale = 1 / sqrtf(sum_pairwise(x, n, mean, 1) / (float)n + eps);
    for (size_t i = 0; i < n; i++) {
        const float y = (x[i] - mean) * scale * (gamma ? gamma[i] : 1) + (beta ? beta[i] : 0);
        if (out_type == KN_BF16)
            ((uint16_t *)out)[i] = to_bf16(y);
        else
            ((float *)out)[i] = y;
    }
}

/* dx = r (g - mean(g) - x^ mean(g x^)) with g = gamma dy and x^ = (x - mean) r, Ba, Kiros, Hinton,
 * "Layer normalization", differentiated. */
static void layernorm_grad(const void *dy, kn_type dy_type, const float *x, size_t n,
                           const float *gamma, float eps, float *dx, float *dgamma, float *dbeta)
{
    const float mean = sum_pairwise(x, n, 0, 0) / (float)n;
    const float r = 1 / sqrtf(sum_pairwise(x, n, mean, 1) / (float)n + eps);
    float sum = 0, product = 0;
    for (size_t i = 0; i < n; i++) {
        const float d = load_as(dy, dy_type, i), hat = (x[i] - mean) * r;
        const float g = gamma ? gamma[i] * d : d;
        sum += g;
        product += g * hat;
        dgamma[i] += d * hat;
        dbeta[i] += d;
    }
    sum /= (float)n;
    product /= (float)n;
    for (size_t i = 0; i < n; i++) {
        const float d = load_as(dy, dy_type, i), g = gamma ? gamma[i] * d : d;
        dx[i] += r * (g - sum - (x[i] - mean) * r * product);
    }
}

static void softmax_grad(const float *p, float *dp, size_t n)
{
    float dot = 0;
    for (size_t i = 0; i < n; i++)
        dot += p[i] * dp[i];
    for (size_t i = 0; i < n; i++)
        dp[i] = p[i] * (dp[i] - dot);
}

static void softmax(float *x, size_t n)
{
    float most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - most);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static float l2_normalize(float *x, size_t n)
{
    const float norm = sqrtf(sum_pairwise(x, n, 0, 1));
    for (size_t i = 0; i < n && norm > 0; i++)
        x[i] /= norm;
    return norm;
}

void kn_norm_c(kn_kernels *k)
{
    k->layernorm = layernorm;
    k->softmax = softmax;
    k->layernorm_grad = layernorm_grad;
    k->softmax_grad = softmax_grad;
    k->l2_normalize = l2_normalize;
}
