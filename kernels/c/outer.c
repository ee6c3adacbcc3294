/* outer.c - the gradient of weights, the definition.  The turned rows are the rows as they come. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"
#include "kernels/window.h"

static kn_type type_of(kn_math math)
{
    return math == KN_MATH_BF16 ? KN_BF16 : KN_F32;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void turn(kn_math math, const void *dy, size_t ldy, size_t m, size_t n, size_t c0, size_t c1,
                 void *turned)
{
    const size_t size = math == KN_MATH_BF16 ? 2 : sizeof(float);
    const size_t end = least(c1 * KN_TURN_ROWS, m);
    for (size_t i = c0 * KN_TURN_ROWS; i < end; i++)
        memcpy((char *)turned + i * n * size, (const char *)dy + i * ldy * size, n * size);
}

static void wgrad_piece(const kn_wgrad *w, size_t piece)
{
    const kn_gemm *g = &w->c.g;
    const kn_type type = type_of(g->math);
    const size_t blocks = (g->k + KN_WGRAD_COLUMNS - 1) / KN_WGRAD_COLUMNS;
    const size_t n0 = piece / blocks * KN_WGRAD_ROWS, n1 = least(n0 + KN_WGRAD_ROWS, g->n);
    const size_t k0 = piece % blocks * KN_WGRAD_COLUMNS, count = least(KN_WGRAD_COLUMNS, g->k - k0);
    float room[KN_WGRAD_COLUMNS];
    for (size_t n = n0; n < n1; n++) {
        kn_window at = kn_window_at(&w->c, 0);
        float sum[KN_WGRAD_COLUMNS] = { 0 }, *out = w->dw + n * g->k + k0;
        for (size_t m = 0; m < g->m; m++, kn_window_next(&w->c, &at)) {
            const void *row = kn_window_row(&w->c, &at, k0, count, room);
            const float dy = load_as(w->turned, type, m * g->n + n);
            for (size_t k = 0; k < count; k++)
                sum[k] += dy * load_as(row, type, k);
        }
        for (size_t k = 0; k < count; k++)
            out[k] = w->add ? out[k] + sum[k] : sum[k];
    }
}

static void wgrad(const kn_wgrad *w, size_t p0, size_t p1)
{
    for (size_t p = p0; p < p1; p++)
        wgrad_piece(w, p);
}

void kn_outer_c(kn_kernels *k)
{
    k->turn = turn;
    k->wgrad = wgrad;
}
