/* attention.c - softmax(q k^T) v, the definition. */
#include "kernels/c/math.h"
#include "kernels/c/panel.h"
#include "kernels/levels.h"

/* Scores of query row i of head h, softmax over the first n keys, into p. */
static void weights(const kn_attention *a, uint32_t i, uint32_t h, size_t n, float *p)
{
    float most = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        float s = 0;
        for (uint32_t d = h * a->dim; d < (h + 1) * a->dim; d++)
            s += load_as(a->q, a->type, i * a->ldq + d) * load_as(a->k, a->type, j * a->ldkv + d);
        p[j] = a->bias ? s + a->bias[j] : s;
        most = p[j] > most ? p[j] : most;
    }
    for (size_t j = 0; j < n; j++) {
        p[j] = expf(p[j] - most);
        sum += p[j];
    }
    for (size_t j = 0; j < n; j++)
        p[j] /= sum;
}

static void attention(const kn_attention *a)
{
    float *p = a->scratch;
    for (uint32_t h = 0; h < a->heads; h++)
        for (uint32_t i = 0; i < a->q_rows; i++) {
            const size_t n = a->causal ? (size_t)i + 1 + a->kv_rows - a->q_rows : a->kv_rows;
            weights(a, i, h, n, p);
            for (uint32_t d = h * a->dim; d < (h + 1) * a->dim; d++) {
                float o = 0;
                for (size_t j = 0; j < n; j++)
                    o += p[j] * load_as(a->v, a->type, j * a->ldkv + d);
                if (a->type == KN_BF16)
                    ((uint16_t *)a->out)[i * a->ldo + d] = to_bf16(o);
                else
                    ((float *)a->out)[i * a->ldo + d] = o;
            }
        }
}

void kn_attention_c(kn_kernels *k)
{
    k->attention = attention;
}
