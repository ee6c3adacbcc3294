/*
 * graph_norm.c - batch, layer and group normalisation.
 *
 * Batch normalisation: Ioffe and Szegedy, 2015; the statistics of a batch are taken as distances
 * from its first row, added up in fixed chunks, and joined in double precision.  The running ones
 * follow with momentum 0.1 and the unbiased variance, as PyTorch's do.
 */
#include "nn/graph_state.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static const float MOMENTUM = 0.1F;

/* ---- batch normalisation ----
 * saved: (8, c) mean, 1 / deviation, scale, shift, and the three factors of the way back, spare */

enum { MEAN, RSTD, SCALE, SHIFT, A, B, D, SAVED };

typedef struct bn_loop {
    kn_graph *g;
    const kn_op *op;
    const kn_value *in, *out;
    const void *residual;
    void *dres;
    int adds;
    size_t rows;
    const float *shift;
    float *part; /* (chunks, 2, c) */
} bn_loop;

static float *saved(const kn_op *op, size_t c, int what)
{
    return op->saved + (size_t)what * c;
}

static size_t chunk_rows(const bn_loop *l, size_t i)
{
    const size_t left = l->rows - i * KN_SUM_ROWS;
    return left < KN_SUM_ROWS ? left : KN_SUM_ROWS;
}

static const void *chunk(const bn_loop *l, const void *x, size_t i)
{
    return x ? kn_at_const(x, l->in->type, i * KN_SUM_ROWS * l->in->c) : NULL;
}

static void *chunk_out(const bn_loop *l, void *x, size_t i)
{
    return x ? kn_at(x, l->in->type, i * KN_SUM_ROWS * l->in->c) : NULL;
}

static void moments_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const bn_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        float *sum = l->part + i * 2 * l->in->c;
        l->g->crew.k->moments(chunk(l, l->in->x, i), l->in->type, chunk_rows(l, i), l->in->c, l->shift,
                              sum, sum + l->in->c);
    }
}

static void affine_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const bn_loop *l = cookie;
    const size_t c = l->in->c;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->affine(chunk(l, l->in->x, i), l->in->type, chunk_rows(l, i), c,
                             saved(l->op, c, SCALE), saved(l->op, c, SHIFT), chunk(l, l->residual, i),
                             l->op->act == KN_ACT_RELU, chunk_out(l, l->out->x, i));
}

static void sums_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const bn_loop *l = cookie;
    const size_t c = l->in->c;
    const void *y = l->op->act == KN_ACT_RELU ? l->out->x : NULL;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        float *sum = l->part + i * 2 * c;
        l->g->crew.k->affine_sums(chunk(l, l->out->dx, i), chunk(l, y, i), chunk(l, l->in->x, i),
                                  l->in->type, chunk_rows(l, i), c, saved(l->op, c, MEAN), sum, sum + c);
    }
}

static void grad_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const bn_loop *l = cookie;
    const size_t c = l->in->c;
    const void *y = l->op->act == KN_ACT_RELU ? l->out->x : NULL;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->affine_grad(chunk(l, l->out->dx, i), chunk(l, y, i), chunk(l, l->in->x, i),
                                  l->in->type, chunk_rows(l, i), c, saved(l->op, c, A),
                                  saved(l->op, c, B), saved(l->op, c, D), chunk_out(l, l->in->dx, i),
                                  chunk_out(l, l->dres, i), l->adds);
}

static bn_loop loop_of(kn_graph *g, const kn_op *op)
{
    bn_loop l = { .g = g, .op = op, .in = kn_val(g, op->in), .out = kn_val(g, op->out),
                  .part = g->scratch };
    l.rows = kn_rows_of(g, l.in);
    return l;
}

static size_t chunks_of(const bn_loop *l)
{
    return (l->rows + KN_SUM_ROWS - 1) / KN_SUM_ROWS;
}

/* The sum of column j of both halves over all chunks, in their order. */
static void join(const bn_loop *l, size_t j, double sums[2])
{
    const size_t c = l->in->c, chunks = chunks_of(l);
    sums[0] = sums[1] = 0;
    for (size_t i = 0; i < chunks; i++) {
        sums[0] += (double)l->part[i * 2 * c + j];
        sums[1] += (double)l->part[(i * 2 + 1) * c + j];
    }
}

static int uses_running(const kn_graph *g, const kn_op *op)
{
    return !g->train || g->params[op->w].frozen;
}

static void take_statistics(bn_loop *l)
{
    kn_graph *g = l->g;
    const kn_op *op = l->op;
    const size_t c = l->in->c;
    const double n = (double)l->rows;
    float *mean = saved(op, c, MEAN), *rstd = saved(op, c, RSTD), *shift = saved(op, c, SHIFT);
    float *run_mean = kn_w(g, op->stat), *run_var = kn_w(g, op->stat + 1);
    if (l->in->type == KN_BF16)
        g->crew.k->bf16_to_f32(l->in->x, shift, c);
    else
        memcpy(shift, l->in->x, c * sizeof *shift);
    l->shift = shift;
    kn_crew_run(&g->crew, chunks_of(l), 1, moments_piece, l);
    for (size_t j = 0; j < c; j++) {
        double sums[2];
        join(l, j, sums);
        const double off = sums[0] / n, var = fmax(sums[1] / n - off * off, 0);
        mean[j] = (float)((double)shift[j] + off);
        rstd[j] = (float)(1 / sqrt(var + (double)KN_BN_EPS));
        run_mean[j] += MOMENTUM * (mean[j] - run_mean[j]);
        run_var[j] += MOMENTUM * ((float)(var * n / (n > 1 ? n - 1 : 1)) - run_var[j]);
    }
}

static void use_running(const bn_loop *l)
{
    const kn_op *op = l->op;
    const size_t c = l->in->c;
    const float *var = kn_w(l->g, op->stat + 1);
    memcpy(saved(op, c, MEAN), kn_w(l->g, op->stat), c * sizeof(float));
    for (size_t j = 0; j < c; j++)
        saved(op, c, RSTD)[j] = 1 / sqrtf(var[j] + KN_BN_EPS);
}

/* The identity that graph_load.c leaves for a norm that was folded away; no other has these
 * statistics. */
static int was_folded(kn_graph *g, const kn_op *op)
{
    const size_t c = kn_val(g, op->in)->c;
    const float *mean = kn_w(g, op->stat), *var = kn_w(g, op->stat + 1);
    for (size_t j = 0; j < c; j++)
        if (mean[j] != 0 || var[j] != 1 - KN_BN_EPS)
            return 0;
    return 1;
}

/* beta, the bias: statistics of this batch, and what undoes them. */
static void unfold(kn_graph *g, const kn_op *op)
{
    const size_t c = kn_val(g, op->in)->c;
    const float *mean = saved(op, c, MEAN), *rstd = saved(op, c, RSTD);
    float *gamma = kn_w(g, op->w), *beta = kn_w(g, op->b);
    float *run_mean = kn_w(g, op->stat), *run_var = kn_w(g, op->stat + 1);
    for (size_t j = 0; j < c; j++) {
        gamma[j] = 1 / rstd[j];
        beta[j] += mean[j];
        run_mean[j] = mean[j];
        run_var[j] = gamma[j] * gamma[j] - KN_BN_EPS;
    }
}

static void bn_forward(kn_graph *g, kn_op *op)
{
    bn_loop l = loop_of(g, op);
    const size_t c = l.in->c;
    const float *gamma = kn_w(g, op->w), *beta = kn_w(g, op->b);
    const int folded = was_folded(g, op);
    if (uses_running(g, op))
        use_running(&l);
    else
        take_statistics(&l);
    if (folded && !uses_running(g, op))
        unfold(g, op);
    for (size_t j = 0; j < c; j++) {
        saved(op, c, SCALE)[j] = gamma[j] * saved(op, c, RSTD)[j];
        saved(op, c, SHIFT)[j] = beta[j] - saved(op, c, MEAN)[j] * saved(op, c, SCALE)[j];
    }
    l.residual = op->in2 < 0 ? NULL : kn_val(g, op->in2)->x;
    kn_crew_run(&g->crew, chunks_of(&l), 1, affine_piece, &l);
}

/* dx = (gamma r / n) (n g - sum g - x^ sum(g x^)) as a g + b x + d; with running statistics, which
 * don't depend on x, dx = gamma r g. */
static void bn_backward(kn_graph *g, kn_op *op)
{
    bn_loop l = loop_of(g, op);
    const size_t c = l.in->c;
    const double n = (double)l.rows;
    const int fixed = uses_running(g, op);
    float *dgamma = kn_dw(g, op->w), *dbeta = kn_dw(g, op->b);
    if (op->in2 >= 0 && op->wants2) {
        l.dres = kn_val(g, op->in2)->dx;
        l.adds = op->adds2;
    }
    kn_crew_run(&g->crew, chunks_of(&l), 1, sums_piece, &l);
    for (size_t j = 0; j < c; j++) {
        const double r = (double)saved(op, c, RSTD)[j], a = (double)kn_w(g, op->w)[j] * r;
        double sums[2];
        join(&l, j, sums);
        const double b = fixed ? 0 : -a * r * r * sums[1] / n;
        saved(op, c, A)[j] = (float)a;
        saved(op, c, B)[j] = (float)b;
        saved(op, c, D)[j] = fixed ? 0 : (float)(-a * sums[0] / n - b * (double)saved(op, c, MEAN)[j]);
        if (dgamma)
            dgamma[j] += (float)(sums[1] * r);
        if (dbeta)
            dbeta[j] += (float)sums[0];
    }
    kn_crew_run(&g->crew, chunks_of(&l), 1, grad_piece, &l);
}

static size_t bn_scratch(const kn_graph *g, const kn_op *op)
{
    const kn_value *v = &g->values[op->in];
    return kn_g_sums_bytes(kn_most_rows(g, v), v->c, 2);
}

const kn_op_class kn_op_batchnorm = { "batchnorm", bn_forward, bn_backward, bn_scratch };

int kn_g_batchnorm(kn_graph *g, int in, const char *name, int residual, int relu)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, v.c, v.type);
    const int w = kn_g_param(g, -2, 1, v.c, 0, "%s.bn.w", name);
    const int b = kn_g_param(g, 0, 1, v.c, 0, "%s.bn.b", name);
    const int mean = kn_g_param(g, 0, 1, v.c, 0, "%s.bn.mean", name);
    const int var = kn_g_param(g, -2, 1, v.c, 0, "%s.bn.var", name);
    kn_op *op = kn_g_op(g, &kn_op_batchnorm, in, out);
    if (g->st)
        return 0;
    g->params[mean].frozen = g->params[var].frozen = 1;
    g->params[mean].statistic = g->params[var].statistic = 1;
    op->in2 = residual;
    op->act = relu ? KN_ACT_RELU : KN_ACT_NONE;
    op->w = w;
    op->b = b;
    op->stat = mean;
    op->saved_len = (size_t)SAVED * v.c;
    return out;
}

/* ---- layer normalisation: of a row ---- */

typedef struct rows_loop {
    kn_graph *g;
    const kn_op *op;
    const kn_value *in, *out;
    size_t rows, chunk;
    float *part; /* (chunks, 2, c) */
} rows_loop;

static void ln_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const rows_loop *l = cookie;
    const size_t c = l->in->c;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->layernorm((const float *)l->in->x + i * c, c, kn_w(l->g, l->op->w),
                                kn_w(l->g, l->op->b), l->op->eps,
                                kn_at(l->out->x, l->out->type, i * c), l->out->type);
}

static void ln_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const rows_loop *l = cookie;
    const size_t c = l->in->c;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        float *dgamma = l->part + i * 2 * c;
        const size_t first = i * KN_SUM_ROWS, left = l->rows - first;
        memset(dgamma, 0, 2 * c * sizeof *dgamma);
        for (size_t r = first; r < first + (left < KN_SUM_ROWS ? left : KN_SUM_ROWS); r++)
            l->g->crew.k->layernorm_grad(kn_at_const(l->out->dx, l->out->type, r * c), l->out->type,
                                         (const float *)l->in->x + r * c, c, kn_w(l->g, l->op->w),
                                         l->op->eps, (float *)l->in->dx + r * c, dgamma, dgamma + c);
    }
}

static rows_loop rows_of(kn_graph *g, const kn_op *op)
{
    rows_loop l = { .g = g, .op = op, .in = kn_val(g, op->in), .out = kn_val(g, op->out),
                    .part = g->scratch };
    l.rows = kn_rows_of(g, l.in);
    return l;
}

static void ln_forward(kn_graph *g, kn_op *op)
{
    rows_loop l = rows_of(g, op);
    kn_crew_run(&g->crew, l.rows, 1, ln_piece, &l);
}

static void ln_backward(kn_graph *g, kn_op *op)
{
    rows_loop l = rows_of(g, op);
    const size_t c = l.in->c, chunks = (l.rows + KN_SUM_ROWS - 1) / KN_SUM_ROWS;
    float *dgamma = kn_dw(g, op->w), *dbeta = kn_dw(g, op->b);
    if (!op->adds)
        memset(l.in->dx, 0, l.rows * c * sizeof(float));
    kn_crew_run(&g->crew, chunks, 1, ln_back_piece, &l);
    for (size_t i = 0; i < chunks; i++)
        for (size_t j = 0; j < c; j++) {
            if (dgamma)
                dgamma[j] += l.part[i * 2 * c + j];
            if (dbeta)
                dbeta[j] += l.part[(i * 2 + 1) * c + j];
        }
}

static const kn_op_class layernorm = { "layernorm", ln_forward, ln_backward, bn_scratch };

int kn_g_layernorm(kn_graph *g, int in, const char *name, float eps, kn_type out_type)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, v.c, out_type);
    const int w = kn_g_param(g, -2, 1, v.c, 0, "%s.w", name);
    const int b = kn_g_param(g, 0, 1, v.c, 0, "%s.b", name);
    kn_op *op = kn_g_op(g, &layernorm, in, out);
    op->w = w;
    op->b = b;
    op->eps = eps;
    return out;
}

/* ---- group normalisation: of a group of channels over a picture (Wu and He, 2018) ----
 * saved: (batch, groups, 2) mean and 1 / deviation.  One picture's work is one piece. */

static float element(const kn_value *v, const void *x, size_t i)
{
    if (v->type == KN_F32)
        return ((const float *)x)[i];
    float out;
    kn_kernels_get()->bf16_to_f32((const uint16_t *)x + i, &out, 1);
    return out;
}

static void put(const kn_value *v, void *x, size_t i, float value, int add)
{
    if (add)
        value += element(v, x, i);
    if (v->type == KN_F32)
        ((float *)x)[i] = value;
    else
        kn_kernels_get()->f32_to_bf16(&value, (uint16_t *)x + i, 1);
}

static void gn_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const rows_loop *l = cookie;
    const size_t c = l->in->c, groups = l->op->groups, wide = c / groups, per = l->in->per;
    const float *gamma = kn_w(l->g, l->op->w), *beta = kn_w(l->g, l->op->b);
    const double n = (double)(per * wide);
    (void)worker;
    for (size_t u = begin; u < end; u++) {
        const size_t first = u / groups * per * c + u % groups * wide;
        double mean = 0, var = 0;
        for (size_t i = 0; i < per * wide; i++)
            mean += (double)element(l->in, l->in->x, first + i / wide * c + i % wide);
        mean /= n;
        for (size_t i = 0; i < per * wide; i++) {
            const double d = (double)element(l->in, l->in->x, first + i / wide * c + i % wide) - mean;
            var += d * d;
        }
        const float m = (float)mean, r = (float)(1 / sqrt(var / n + (double)KN_BN_EPS));
        l->op->saved[2 * u] = m;
        l->op->saved[2 * u + 1] = r;
        for (size_t i = 0; i < per * wide; i++) {
            const size_t at = first + i / wide * c + i % wide, j = u % groups * wide + i % wide;
            put(l->out, l->out->x, at, (element(l->in, l->in->x, at) - m) * r * gamma[j] + beta[j], 0);
        }
    }
}

static void gn_forward(kn_graph *g, kn_op *op)
{
    rows_loop l = rows_of(g, op);
    kn_crew_run(&g->crew, g->n * op->groups, 1, gn_piece, &l);
}

/* part: (batch, 2, c) of dgamma and dbeta */
static void gn_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const rows_loop *l = cookie;
    const size_t c = l->in->c, groups = l->op->groups, wide = c / groups, per = l->in->per;
    const float *gamma = kn_w(l->g, l->op->w);
    (void)worker;
    for (size_t u = begin; u < end; u++) {
        const size_t first = u / groups * per * c + u % groups * wide, j0 = u % groups * wide;
        const float m = l->op->saved[2 * u], r = l->op->saved[2 * u + 1];
        float *dgamma = l->part + u / groups * 2 * c + j0, *dbeta = dgamma + c;
        double sum = 0, product = 0;
        memset(dgamma, 0, wide * sizeof *dgamma);
        memset(dbeta, 0, wide * sizeof *dbeta);
        for (size_t i = 0; i < per * wide; i++) {
            const size_t at = first + i / wide * c + i % wide, j = i % wide;
            const float dy = element(l->out, l->out->dx, at);
            const float hat = (element(l->in, l->in->x, at) - m) * r;
            dgamma[j] += dy * hat;
            dbeta[j] += dy;
            sum += (double)(dy * gamma[j0 + j]);
            product += (double)(dy * gamma[j0 + j] * hat);
        }
        sum /= (double)(per * wide);
        product /= (double)(per * wide);
        for (size_t i = 0; l->op->wants && i < per * wide; i++) {
            const size_t at = first + i / wide * c + i % wide;
            const float hat = (element(l->in, l->in->x, at) - m) * r;
            const float d = element(l->out, l->out->dx, at) * gamma[j0 + i % wide];
            put(l->in, l->in->dx, at, r * (d - (float)sum - hat * (float)product), l->op->adds);
        }
    }
}

static void gn_backward(kn_graph *g, kn_op *op)
{
    rows_loop l = rows_of(g, op);
    const size_t c = l.in->c;
    float *dgamma = kn_dw(g, op->w), *dbeta = kn_dw(g, op->b);
    kn_crew_run(&g->crew, g->n * op->groups, 1, gn_back_piece, &l);
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; j < c; j++) {
            if (dgamma)
                dgamma[j] += l.part[i * 2 * c + j];
            if (dbeta)
                dbeta[j] += l.part[(i * 2 + 1) * c + j];
        }
}

static size_t gn_scratch(const kn_graph *g, const kn_op *op)
{
    return (size_t)g->o.batch * 2 * g->values[op->in].c * sizeof(float);
}

static const kn_op_class groupnorm = { "groupnorm", gn_forward, gn_backward, gn_scratch };

int kn_g_groupnorm(kn_graph *g, int in, const char *name, uint32_t groups)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, v.c, v.type);
    const int w = kn_g_param(g, -2, 1, v.c, 0, "%s.gn.w", name);
    const int b = kn_g_param(g, 0, 1, v.c, 0, "%s.gn.b", name);
    kn_op *op = kn_g_op(g, &groupnorm, in, out);
    op->groups = groups;
    op->w = w;
    op->b = b;
    op->saved_len = (size_t)g->o.batch * groups * 2;
    return out;
}
