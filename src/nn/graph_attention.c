/*
 * graph_attention.c - softmax(q k^T / sqrt(d)) v of each head, and its way back.
 *
 * Backward computes the weights P again instead of keeping them (rows x rows of each head):
 *   dV = P^T dO    dP = dO V^T    dS = P (dP - rowsum(P dP))    dQ = dS K / sqrt d    dK = dS^T Q / sqrt d
 * with q as the scaled one.  One head of one sequence is one piece of work.
 */
#include "nn/graph_state.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

typedef struct head_loop {
    kn_graph *g;
    const kn_op *op;
    const kn_value *in, *out;
    size_t each; /* floats of scratch for a worker */
} head_loop;

static size_t round16(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t longest(const kn_graph *g, const kn_value *v)
{
    return v->per ? v->per : g->config.text.context;
}

/* Of one head: q k v dO dq dk dv (t, d), P dP and one turned (t, t), panels of one matrix. */
static size_t head_floats(size_t t, size_t d)
{
    const size_t panels = kn_panel_bytes(t > d ? t : d, t > d ? t : d, KN_F32) / sizeof(float);
    return 7 * round16(t * d) + 3 * round16(t * t) + round16(panels);
}

static size_t attention_scratch(const kn_graph *g, const kn_op *op)
{
    const kn_value *out = &g->values[op->out];
    const uint32_t d = out->c / op->heads;
    const size_t t = longest(g, out), back = head_floats(t, d);
    const size_t forth = round16(kn_attention_scratch((uint32_t)t, d)) + round16(t * d);
    return g->crew.threads * (back > forth ? back : forth) * sizeof(float);
}

static head_loop loop_of(kn_graph *g, const kn_op *op)
{
    head_loop l = { .g = g, .op = op, .in = kn_val(g, op->in), .out = kn_val(g, op->out) };
    l.each = attention_scratch(g, op) / sizeof(float) / g->crew.threads;
    return l;
}

static void sequence(const head_loop *l, size_t i, size_t *first, size_t *rows)
{
    const size_t per = l->out->per;
    *first = per ? i * per : l->g->first[i];
    *rows = per ? per : l->g->first[i + 1] - *first;
}

/* Columns of a head to contiguous f32 rows, times scale. */
static void gather(const head_loop *l, const void *x, kn_type type, size_t ld, size_t column,
                   size_t first, size_t rows, size_t d, float scale, float *out)
{
    for (size_t r = 0; r < rows; r++, out += d) {
        const void *row = kn_at_const(x, type, (first + r) * ld + column);
        if (type == KN_BF16)
            l->g->crew.k->bf16_to_f32(row, out, d);
        else
            memcpy(out, row, d * sizeof *out);
        for (size_t j = 0; scale != 1 && j < d; j++)
            out[j] *= scale;
    }
}

static void scatter(const head_loop *l, const float *in, size_t column, size_t first, size_t rows,
                    size_t d, float scale)
{
    float row[128];
    for (size_t r = 0; r < rows; r++, in += d) {
        void *to = kn_at(l->in->dx, l->in->type, (first + r) * l->in->c + column);
        for (size_t j = 0; j < d; j++)
            row[j] = in[j] * scale;
        if (l->in->type == KN_BF16)
            l->g->crew.k->f32_to_bf16(row, to, d);
        else
            memcpy(to, row, d * sizeof *row);
    }
}

static void head_forward(const head_loop *l, size_t i, uint32_t head, float *scratch)
{
    const uint32_t w = l->out->c, d = w / l->op->heads;
    size_t first, rows;
    sequence(l, i, &first, &rows);
    const kn_type type = l->in->type;
    const size_t ld = l->in->c;
    float *wide = scratch;
    void *q = scratch; /* scaled, of the type; built in place row by row */
    for (size_t r = 0; r < rows; r++) {
        float row[128];
        gather(l, l->in->x, type, ld, head * d, first + r, 1, d, 1 / sqrtf((float)d), row);
        if (type == KN_BF16)
            l->g->crew.k->f32_to_bf16(row, (uint16_t *)q + r * d, d);
        else
            memcpy(wide + r * d, row, d * sizeof *row);
    }
    const kn_attention a = {
        .type = type,
        .q = q,
        .k = kn_at_const(l->in->x, type, first * ld + w + head * d),
        .v = kn_at_const(l->in->x, type, first * ld + 2 * w + head * d),
        .ldq = d,
        .ldkv = ld,
        .out = kn_at(l->out->x, type, first * w + head * d),
        .ldo = w,
        .heads = 1,
        .dim = d,
        .q_rows = (uint32_t)rows,
        .kv_rows = (uint32_t)rows,
        .causal = l->op->causal,
        .scratch = scratch + round16(rows * d),
    };
    l->g->crew.k->attention(&a);
}

/* c (m, n) = a (m, k) times panels of (n, k) */
static void multiply(const head_loop *l, const float *a, size_t m, size_t k, const float *panels, size_t n,
                     float *c)
{
    l->g->crew.k->gemm(&(kn_gemm){ .math = KN_MATH_F32, .m = m, .n = n, .k = k, .a = a, .lda = k,
                                   .w = panels, .w_type = KN_F32, .c = c, .ldc = n, .c_type = KN_F32 });
}

static void turn(const float *in, size_t t, float *out)
{
    for (size_t i = 0; i < t; i++)
        for (size_t j = 0; j < t; j++)
            out[j * t + i] = in[i * t + j];
}

/* P from q and k */
static void weigh(const head_loop *l, const float *q, const float *k, size_t t, size_t d, float *p,
                  float *panels)
{
    l->g->crew.k->pack(k, t, d, KN_F32, panels);
    multiply(l, q, t, d, panels, t, p);
    for (size_t r = 0; r < t; r++) {
        const size_t seen = l->op->causal ? r + 1 : t;
        l->g->crew.k->softmax(p + r * t, seen);
        memset(p + r * t + seen, 0, (t - seen) * sizeof *p);
    }
}

/* brought (t) = the class token's row times max(0, P dP) */
static void bring(const head_loop *l, size_t i, uint32_t head, const float *p, const float *dp, size_t t)
{
    const float *row = l->g->relevance + i * t;
    float *brought = l->g->brought + (i * l->op->heads + head) * t;
    memset(brought, 0, t * sizeof *brought);
    for (size_t r = 0; r < t; r++)
        for (size_t j = 0; j < t; j++)
            brought[j] += row[r] * fmaxf(p[r * t + j] * dp[r * t + j], 0);
}

static void head_backward(const head_loop *l, size_t i, uint32_t head, float *scratch)
{
    const kn_kernels *k = l->g->crew.k;
    const size_t w = l->out->c, d = w / l->op->heads, ld = l->in->c;
    const float scale = 1 / sqrtf((float)d);
    size_t first, t;
    sequence(l, i, &first, &t);
    const size_t td = round16(t * d), tt = round16(t * t);
    float *q = scratch, *key = q + td, *v = key + td, *dout = v + td, *dq = dout + td, *dk = dq + td,
          *dv = dk + td, *p = dv + td, *dp = p + tt, *turned = dp + tt, *panels = turned + tt;
    gather(l, l->in->x, l->in->type, ld, head * d, first, t, d, scale, q);
    gather(l, l->in->x, l->in->type, ld, w + head * d, first, t, d, 1, key);
    gather(l, l->in->x, l->in->type, ld, 2 * w + head * d, first, t, d, 1, v);
    gather(l, l->out->dx, l->out->type, w, head * d, first, t, d, 1, dout);
    weigh(l, q, key, t, d, p, panels);
    turn(p, t, turned);
    k->pack_turned(dout, d, d, t, 1, KN_F32, panels);
    multiply(l, turned, t, t, panels, d, dv);
    k->pack(v, t, d, KN_F32, panels);
    multiply(l, dout, t, d, panels, t, dp);
    if (l->g->relevance)
        bring(l, i, head, p, dp, t);
    for (size_t r = 0; r < t; r++)
        k->softmax_grad(p + r * t, dp + r * t, t);
    k->pack_turned(key, d, d, t, 1, KN_F32, panels);
    multiply(l, dp, t, t, panels, d, dq);
    turn(dp, t, turned);
    k->pack_turned(q, d, d, t, 1, KN_F32, panels);
    multiply(l, turned, t, t, panels, d, dk);
    scatter(l, dq, head * d, first, t, d, scale);
    scatter(l, dk, w + head * d, first, t, d, 1);
    scatter(l, dv, 2 * w + head * d, first, t, d, 1);
}

static void forward_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const head_loop *l = cookie;
    for (size_t u = begin; u < end; u++)
        head_forward(l, u / l->op->heads, (uint32_t)(u % l->op->heads),
                     (float *)l->g->scratch + worker * l->each);
}

static void backward_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const head_loop *l = cookie;
    for (size_t u = begin; u < end; u++)
        head_backward(l, u / l->op->heads, (uint32_t)(u % l->op->heads),
                      (float *)l->g->scratch + worker * l->each);
}

static void attention_forward(kn_graph *g, kn_op *op)
{
    head_loop l = loop_of(g, op);
    kn_crew_run(&g->crew, g->n * op->heads, 1, forward_piece, &l);
}

/* The class token's row of R, one layer further down. */
static void add_brought(kn_graph *g, const kn_op *op)
{
    const size_t t = g->values[op->out].per;
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; j < t; j++) {
            double sum = 0;
            for (size_t h = 0; h < op->heads; h++)
                sum += (double)g->brought[(i * op->heads + h) * t + j];
            g->relevance[i * t + j] += (float)(sum / op->heads);
        }
}

/* The products that read q, k and v are the only consumers: nothing is there to be added to. */
static void attention_backward(kn_graph *g, kn_op *op)
{
    head_loop l = loop_of(g, op);
    kn_crew_run(&g->crew, g->n * op->heads, 1, backward_piece, &l);
    if (g->relevance)
        add_brought(g, op);
}

static const kn_op_class attention = { "attention", attention_forward, attention_backward,
                                       attention_scratch };

int kn_g_attention(kn_graph *g, int in, uint32_t heads, int causal)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, v.c / 3, v.type);
    kn_op *op = kn_g_op(g, &attention, in, out);
    op->heads = heads;
    op->causal = causal;
    return out;
}

/* ---- relevance ---- */

void kn_g_watch(kn_graph *g)
{
    size_t rows = 0, heads = 0;
    for (size_t i = 0; i < g->ops_len; i++)
        if (g->ops[i].class == &attention) {
            rows = g->values[g->ops[i].out].per;
            heads = g->ops[i].heads;
        }
    if (!rows) {
        g->st = kn_fail(KEN_E_UNSUPPORTED, "relevance is of vision transformers");
        return;
    }
    g->relevance = kn_own(&g->owned, g->o.batch * rows, sizeof *g->relevance);
    g->brought = kn_own(&g->owned, g->o.batch * heads * rows, sizeof *g->brought);
    if (!g->relevance || !g->brought)
        g->st = KEN_E_NOMEM;
    for (size_t i = 0; i < g->params_len; i++)
        g->params[i].frozen = 1;
}

void kn_graph_relevance(kn_graph *g, const float *dout, uint32_t layers, float *heat)
{
    const kn_value *v = &g->values[g->output];
    const size_t t = 1 + (size_t)g->config.vit.grid[0] * g->config.vit.grid[1];
    uint32_t left = layers ? layers : g->config.vit.trunk.layers;
    memcpy(v->dx, dout, g->n * v->c * sizeof *dout);
    memset(g->relevance, 0, g->n * t * sizeof *g->relevance);
    for (size_t i = 0; i < g->n; i++)
        g->relevance[i * t] = 1;
    for (size_t i = g->ops_len; i-- > 0 && left;) {
        g->ops[i].class->backward(g, &g->ops[i]);
        left -= g->ops[i].class == &attention;
    }
    for (size_t i = 0; i < g->n; i++)
        memcpy(heat + i * (t - 1), g->relevance + i * t + 1, (t - 1) * sizeof *heat);
}
