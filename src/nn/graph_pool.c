/*
 * graph_pool.c - poolings of maps, picture by picture, and option A's shortcut.
 *
 * GeM: Radenovic, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", 2018:
 * (mean max(x, e)^p)^(1/p), its p learned.
 */
#include "nn/graph_state.h"

#include <math.h>
#include <string.h>

static const float GEM_LEAST = 1e-6F;

typedef struct pool_loop {
    kn_graph *g;
    const kn_op *op;
    const kn_value *in, *out;
} pool_loop;

static pool_loop loop_of(kn_graph *g, const kn_op *op)
{
    return (pool_loop){ g, op, kn_val(g, op->in), kn_val(g, op->out) };
}

static void *in_at(const pool_loop *l, void *x, size_t i)
{
    return kn_at(x, l->in->type, i * l->in->per * l->in->c);
}

static void *out_at(const pool_loop *l, void *x, size_t i)
{
    return kn_at(x, l->out->type, i * l->out->per * l->out->c);
}

static void clear(const pool_loop *l, size_t i)
{
    if (!l->op->adds)
        memset(in_at(l, l->in->dx, i), 0, l->in->per * l->in->c * kn_type_bytes(l->in->type));
}

/* One row of n elements as f32, and back. */
static void get_row(const kn_graph *g, kn_type type, const void *x, size_t n, float *out)
{
    if (type == KN_BF16)
        g->crew.k->bf16_to_f32(x, out, n);
    else
        memcpy(out, x, n * sizeof *out);
}

static void put_row(const kn_graph *g, kn_type type, const float *x, size_t n, void *out)
{
    if (type == KN_BF16)
        g->crew.k->f32_to_bf16(x, out, n);
    else
        memcpy(out, x, n * sizeof *x);
}

static void each_picture(kn_graph *g, const kn_op *op, kn_piece_fn fn)
{
    pool_loop l = loop_of(g, op);
    kn_crew_run(&g->crew, g->n, 1, fn, &l);
}

static int new_map(kn_graph *g, int in, const kn_op_class *class, uint32_t side, uint32_t stride,
                   uint32_t pad, uint32_t c)
{
    const kn_value v = *kn_val(g, in);
    const uint32_t h = (v.h + 2 * pad - side) / stride + 1, w = (v.w + 2 * pad - side) / stride + 1;
    const int out = kn_g_value(g, (size_t)h * w, h, w, c, v.type);
    kn_op *op = kn_g_op(g, class, in, out);
    op->side = side;
    op->stride = stride;
    op->pad = pad;
    return out;
}

/* ---- the greatest ---- */

static void max_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->maxpool(in_at(l, l->in->x, i), l->in->type, l->in->h, l->in->w, l->in->c,
                              l->op->side, l->op->stride, l->op->pad, out_at(l, l->out->x, i));
}

static void max_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        clear(l, i);
        l->g->crew.k->maxpool_grad(in_at(l, l->in->x, i), out_at(l, l->out->dx, i), l->in->type, l->in->h,
                                   l->in->w, l->in->c, l->op->side, l->op->stride, l->op->pad,
                                   in_at(l, l->in->dx, i));
    }
}

static void max_forward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, max_piece);
}

static void max_backward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, max_back_piece);
}

static const kn_op_class maxpool = { "maxpool", max_forward, max_backward, NULL };

int kn_g_maxpool(kn_graph *g, int in, uint32_t side, uint32_t stride, uint32_t pad)
{
    return g->st ? 0 : new_map(g, in, &maxpool, side, stride, pad, kn_val(g, in)->c);
}

/* ---- the mean of squares without overlap ---- */

enum { CHANNELS = 256 };

static void avg_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->avgpool(in_at(l, l->in->x, i), l->in->type, l->in->h, l->in->w, l->in->c,
                              l->op->side, out_at(l, l->out->x, i));
}

/* to (n) of the type (+)= from * scale */
static void spread(const pool_loop *l, const void *from, kn_type from_type, void *to, size_t n, float scale)
{
    float x[CHANNELS], y[CHANNELS];
    for (size_t j = 0; j < n; j += CHANNELS) {
        const size_t some = n - j < CHANNELS ? n - j : CHANNELS;
        void *at = kn_at(to, l->in->type, j);
        get_row(l->g, from_type, kn_at_const(from, from_type, j), some, x);
        get_row(l->g, l->in->type, at, some, y);
        for (size_t e = 0; e < some; e++)
            x[e] = y[e] + x[e] * scale;
        put_row(l->g, l->in->type, x, some, at);
    }
}

static void avg_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const uint32_t s = l->op->side, oh = l->out->h, ow = l->out->w;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        clear(l, i);
        for (uint32_t y = 0; y < oh * s; y++)
            for (uint32_t x = 0; x < ow * s; x++) {
                const size_t from = ((size_t)(y / s) * ow + x / s) * l->in->c;
                const size_t to = ((size_t)y * l->in->w + x) * l->in->c;
                spread(l, kn_at_const(out_at(l, l->out->dx, i), l->out->type, from), l->out->type,
                       kn_at(in_at(l, l->in->dx, i), l->in->type, to), l->in->c, 1 / (float)(s * s));
            }
    }
}

static void avg_forward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, avg_piece);
}

static void avg_backward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, avg_back_piece);
}

static const kn_op_class avgpool = { "avgpool", avg_forward, avg_backward, NULL };

int kn_g_avgpool(kn_graph *g, int in, uint32_t side)
{
    return g->st ? 0 : new_map(g, in, &avgpool, side, side, 0, kn_val(g, in)->c);
}

/* ---- the mean of all ---- */

static void mean_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        l->g->crew.k->meanpool(in_at(l, l->in->x, i), l->in->type, l->in->per, l->in->c,
                               out_at(l, l->out->x, i));
}

static void mean_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const size_t per = l->in->per, c = l->in->c;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        clear(l, i);
        for (size_t p = 0; p < per; p++)
            spread(l, out_at(l, l->out->dx, i), KN_F32, kn_at(in_at(l, l->in->dx, i), l->in->type, p * c),
                   c, 1 / (float)per);
    }
}

static void mean_forward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, mean_piece);
}

static void mean_backward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, mean_back_piece);
}

static const kn_op_class meanpool = { "meanpool", mean_forward, mean_backward, NULL };

int kn_g_meanpool(kn_graph *g, int in)
{
    if (g->st)
        return 0;
    const int out = kn_g_value(g, 1, 1, 1, kn_val(g, in)->c, KN_F32);
    kn_g_op(g, &meanpool, in, out);
    return out;
}

/* ---- GeM ----
 * scratch: (batch) of each picture's share of dp */

static float gem_of(const pool_loop *l, size_t i, size_t ch, float p, float *log_mean)
{
    float sum = 0, logs = 0;
    for (size_t j = 0; j < l->in->per; j++) {
        float x;
        get_row(l->g, l->in->type, kn_at_const(in_at(l, l->in->x, i), l->in->type, j * l->in->c + ch), 1,
                &x);
        x = fmaxf(x, GEM_LEAST);
        const float power = powf(x, p);
        sum += power;
        logs += power * logf(x);
    }
    if (log_mean)
        *log_mean = logs / sum;
    return powf(sum / (float)l->in->per, 1 / p);
}

static void gem_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const float p = *kn_w(l->g, l->op->w);
    (void)worker;
    for (size_t i = begin; i < end; i++)
        for (size_t ch = 0; ch < l->in->c; ch++)
            ((float *)l->out->x)[i * l->in->c + ch] = gem_of(l, i, ch, p, NULL);
}

/* df/dx = f^(1-p) x^(p-1) / n above e;  df/dp = f / p (sum x^p ln x / sum x^p - ln f) */
static void gem_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const float p = *kn_w(l->g, l->op->w);
    float *dp = l->g->scratch;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        clear(l, i);
        dp[i] = 0;
        for (size_t ch = 0; ch < l->in->c; ch++) {
            float logs;
            const float f = gem_of(l, i, ch, p, &logs);
            const float df = ((const float *)l->out->dx)[i * l->in->c + ch];
            dp[i] += df * f / p * (logs - logf(f));
            for (size_t j = 0; j < l->in->per; j++) {
                const size_t at = j * l->in->c + ch;
                float x, dx;
                void *to = kn_at(in_at(l, l->in->dx, i), l->in->type, at);
                get_row(l->g, l->in->type, kn_at_const(in_at(l, l->in->x, i), l->in->type, at), 1, &x);
                get_row(l->g, l->in->type, to, 1, &dx);
                if (x > GEM_LEAST)
                    dx += df * powf(f, 1 - p) * powf(x, p - 1) / (float)l->in->per;
                put_row(l->g, l->in->type, &dx, 1, to);
            }
        }
    }
}

static void gem_forward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, gem_piece);
}

static void gem_backward(kn_graph *g, kn_op *op)
{
    const float *each = g->scratch;
    float *dp = kn_dw(g, op->w);
    each_picture(g, op, gem_back_piece);
    for (size_t i = 0; dp && i < g->n; i++)
        *dp += each[i];
}

static size_t gem_scratch(const kn_graph *g, const kn_op *op)
{
    (void)op;
    return g->o.batch * sizeof(float);
}

static const kn_op_class gem = { "gem", gem_forward, gem_backward, gem_scratch };

int kn_g_gem(kn_graph *g, int in, const char *name)
{
    if (g->st)
        return 0;
    const int out = kn_g_value(g, 1, 1, 1, kn_val(g, in)->c, KN_F32);
    const int p = kn_g_param(g, -4, 1, 1, 0, "%s.p", name);
    kn_g_op(g, &gem, in, out)->w = p;
    return out;
}

/* ---- option A: every stride-th pixel, its channels in the middle of more ---- */

static void pad_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const uint32_t s = l->op->stride;
    const size_t c = l->in->c, oc = l->out->c, margin = (oc - c) / 2, each = kn_type_bytes(l->in->type);
    (void)worker;
    for (size_t i = begin; i < end; i++)
        for (size_t o = 0; o < l->out->per; o++) {
            const size_t from = o / l->out->w * s * l->in->w + o % l->out->w * s;
            void *to = kn_at(out_at(l, l->out->x, i), l->out->type, o * oc);
            memset(to, 0, oc * each);
            memcpy(kn_at(to, l->out->type, margin),
                   kn_at_const(in_at(l, l->in->x, i), l->in->type, from * c), c * each);
        }
}

static void pad_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const uint32_t s = l->op->stride;
    const size_t c = l->in->c, oc = l->out->c, margin = (oc - c) / 2;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        clear(l, i);
        for (size_t o = 0; o < l->out->per; o++) {
            const size_t to = o / l->out->w * s * l->in->w + o % l->out->w * s;
            spread(l, kn_at_const(out_at(l, l->out->dx, i), l->out->type, o * oc + margin), l->out->type,
                   kn_at(in_at(l, l->in->dx, i), l->in->type, to * c), c, 1);
        }
    }
}

static void pad_forward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, pad_piece);
}

static void pad_backward(kn_graph *g, kn_op *op)
{
    each_picture(g, op, pad_back_piece);
}

static const kn_op_class pad_class = { "pad", pad_forward, pad_backward, NULL };

int kn_g_pad(kn_graph *g, int in, uint32_t stride, uint32_t c)
{
    return g->st ? 0 : new_map(g, in, &pad_class, 1, stride, 0, c);
}
