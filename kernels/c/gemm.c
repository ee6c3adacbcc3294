/* gemm.c - matrix product with panels, the definition. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"

static void gemm(const kn_gemm *g)
{
    const kn_type a_type = g->math == KN_MATH_BF16 ? KN_BF16 : KN_F32;
    for (size_t i = 0; i < g->m; i++)
        for (size_t n = 0; n < g->n; n += KN_PANEL) {
            float sum[KN_PANEL] = { 0 };
            for (size_t k = 0; k < g->k; k++)
                panel_multiply(g, n / KN_PANEL, k, load_as(g->a, a_type, i * g->lda + k), sum);
            for (size_t j = 0; j < KN_PANEL && n + j < g->n; j++)
                finish(g, i, n + j, sum[j]);
        }
}

void kn_gemm_c(kn_kernels *k)
{
    k->gemm = gemm;
}
