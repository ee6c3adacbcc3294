/*
 * graph_token.c - what transformers need beside products and norms.
 */
#include "nn/graph_state.h"

#include "base/rand.h"

#include <math.h>
#include <string.h>

enum { SOME = 1024 }; /* elements through f32 at a time */

typedef struct token_loop {
    kn_graph *g;
    const kn_op *op;
    const kn_value *in, *out;
    size_t n;            /* elements, rows or samples */
    float *scratch;
    size_t each;         /* floats of scratch for a worker */
} token_loop;

static token_loop loop_of(kn_graph *g, const kn_op *op)
{
    return (token_loop){ .g = g, .op = op, .in = op->in < 0 ? NULL : kn_val(g, op->in),
                         .out = kn_val(g, op->out), .scratch = g->scratch };
}

static void get(const kn_graph *g, kn_type type, const void *x, size_t at, size_t n, float *out)
{
    if (type == KN_BF16)
        g->crew.k->bf16_to_f32((const uint16_t *)x + at, out, n);
    else
        memcpy(out, (const float *)x + at, n * sizeof *out);
}

static void put(const kn_graph *g, kn_type type, const float *x, size_t n, void *out, size_t at)
{
    if (type == KN_BF16)
        g->crew.k->f32_to_bf16(x, (uint16_t *)out + at, n);
    else
        memcpy((float *)out + at, x, n * sizeof *x);
}

/* to (n) = x, or what it holds + x */
static void give(const kn_graph *g, kn_type type, float *x, size_t n, void *to, size_t at, int add)
{
    float old[SOME];
    if (add) {
        get(g, type, to, at, n, old);
        for (size_t i = 0; i < n; i++)
            x[i] += old[i];
    }
    put(g, type, x, n, to, at);
}

static size_t elements(const kn_graph *g, const kn_value *v)
{
    return kn_rows_of(g, v) * v->c;
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

/* fn over pieces of the output's elements */
static void each_element(kn_graph *g, const kn_op *op, kn_piece_fn fn)
{
    token_loop l = loop_of(g, op);
    kn_crew_run(&g->crew, elements(g, l.out), SOME, fn, &l);
}

static int like(kn_graph *g, int in, kn_type type, const kn_op_class *class, kn_op **made)
{
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, v.c, type);
    kn_op *op = kn_g_op(g, class, in, out);
    if (made)
        *made = op;
    return out;
}

/* ---- activation ---- */

static void act_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    float x[SOME];
    (void)worker;
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, l->in->type, l->in->x, i, n, x);
        l->g->crew.k->activate(x, n, l->op->act);
        put(l->g, l->out->type, x, n, l->out->x, i);
    }
}

static void act_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    float x[SOME], d[SOME];
    (void)worker;
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, l->in->type, l->in->x, i, n, x);
        get(l->g, l->out->type, l->out->dx, i, n, d);
        l->g->crew.k->activate_grad(x, d, n, l->op->act);
        give(l->g, l->in->type, d, n, l->in->dx, i, l->op->adds);
    }
}

static void act_forward(kn_graph *g, kn_op *op)
{
    each_element(g, op, act_piece);
}

static void act_backward(kn_graph *g, kn_op *op)
{
    each_element(g, op, act_back_piece);
}

static const kn_op_class activation = { "activation", act_forward, act_backward, NULL };

int kn_g_activation(kn_graph *g, int in, kn_act act)
{
    kn_op *op = NULL;
    if (g->st)
        return 0;
    const int out = like(g, in, kn_val(g, in)->type, &activation, &op);
    op->act = act;
    return out;
}

/* ---- rounding ---- */

static void round_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    (void)worker;
    put(l->g, l->out->type, (const float *)l->in->x + begin, end - begin, l->out->x, begin);
}

static void round_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    float d[SOME];
    (void)worker;
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, l->out->type, l->out->dx, i, n, d);
        give(l->g, KN_F32, d, n, l->in->dx, i, l->op->adds);
    }
}

static void round_forward(kn_graph *g, kn_op *op)
{
    each_element(g, op, round_piece);
}

static void round_backward(kn_graph *g, kn_op *op)
{
    each_element(g, op, round_back_piece);
}

static const kn_op_class rounding = { "round", round_forward, round_backward, NULL };

int kn_g_round(kn_graph *g, int in)
{
    return g->st ? 0 : like(g, in, g->crew.type, &rounding, NULL);
}

/* ---- sums ---- */

static void add_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    const kn_value *other = kn_val(l->g, l->op->in2);
    float x[SOME], y[SOME];
    (void)worker;
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, l->in->type, l->in->x, i, n, x);
        get(l->g, other->type, other->x, i, n, y);
        for (size_t j = 0; j < n; j++)
            x[j] += y[j];
        l->g->crew.k->activate(x, n, l->op->act);
        put(l->g, l->out->type, x, n, l->out->x, i);
    }
}

static void add_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    const kn_value *other = kn_val(l->g, l->op->in2);
    float d[SOME], y[SOME];
    (void)worker;
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, l->out->type, l->out->dx, i, n, d);
        get(l->g, l->out->type, l->out->x, i, n, y);
        for (size_t j = 0; l->op->act == KN_ACT_RELU && j < n; j++)
            d[j] = y[j] > 0 ? d[j] : 0;
        memcpy(y, d, n * sizeof *d);
        if (l->op->wants)
            give(l->g, l->in->type, d, n, l->in->dx, i, l->op->adds);
        if (l->op->wants2)
            give(l->g, other->type, y, n, other->dx, i, l->op->adds2);
    }
}

static void add_forward(kn_graph *g, kn_op *op)
{
    each_element(g, op, add_piece);
}

static void add_backward(kn_graph *g, kn_op *op)
{
    each_element(g, op, add_back_piece);
}

static const kn_op_class add_class = { "add", add_forward, add_backward, NULL };

int kn_g_add(kn_graph *g, int a, int b, int relu)
{
    kn_op *op = NULL;
    if (g->st)
        return 0;
    const int out = like(g, a, kn_val(g, a)->type, &add_class, &op);
    op->in2 = b;
    op->act = relu ? KN_ACT_RELU : KN_ACT_NONE;
    return out;
}

/* ---- dropping: Srivastava et al. 2014; of whole samples, Huang et al. 2016 ---- */

/* What the piece's unit (element or sample) is multiplied with: a function of seed, step, operation
 * and unit alone. */
static float keep(const token_loop *l, size_t unit)
{
    const kn_op *op = l->op;
    if (!l->g->train || op->rate <= 0)
        return 1;
    const uint32_t counter[4] = { (uint32_t)(unit / 4), (uint32_t)((uint64_t)unit >> 34),
                                  (uint32_t)l->g->step, (uint32_t)op->number };
    const uint32_t key[2] = { (uint32_t)l->g->o.seed, (uint32_t)(l->g->o.seed >> 32) ^ 0x64726f70 };
    uint32_t r[4];
    kn_philox(r, counter, key);
    return (float)(r[unit % 4] >> 8) < op->rate * 16777216.0F ? 0 : 1 / (1 - op->rate);
}

static size_t unit_at(const token_loop *l, size_t i)
{
    return l->op->side ? i / (l->out->per * l->out->c) : i; /* side 1: whole samples */
}

static void drop_elements(const token_loop *l, kn_type type, const void *from, void *to, size_t begin,
                          size_t end, int add)
{
    float x[SOME];
    for (size_t i = begin; i < end; i += SOME) {
        const size_t n = at_most(end - i, SOME);
        get(l->g, type, from, i, n, x);
        for (size_t j = 0; j < n; j++)
            x[j] *= keep(l, unit_at(l, i + j));
        give(l->g, type, x, n, to, i, add);
    }
}

static void drop_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    (void)worker;
    drop_elements(l, l->in->type, l->in->x, l->out->x, begin, end, 0);
}

static void drop_back_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    (void)worker;
    drop_elements(l, l->in->type, l->out->dx, l->in->dx, begin, end, l->op->adds);
}

static void drop_forward(kn_graph *g, kn_op *op)
{
    each_element(g, op, drop_piece);
}

static void drop_backward(kn_graph *g, kn_op *op)
{
    each_element(g, op, drop_back_piece);
}

static const kn_op_class drop_class = { "drop", drop_forward, drop_backward, NULL };

int kn_g_drop(kn_graph *g, int in, float rate, int whole_sample)
{
    kn_op *op = NULL;
    if (g->st || rate <= 0)
        return in;
    const int out = like(g, in, kn_val(g, in)->type, &drop_class, &op);
    op->rate = rate;
    op->side = whole_sample && kn_val(g, in)->per; /* ragged samples are dropped by elements */
    op->number = g->drops++;
    return out;
}

/* ---- class token and positions ---- */

static void tokens_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const token_loop *l = cookie;
    const size_t t = l->out->per, c = l->out->c;
    const float *cls = kn_w(l->g, l->op->w), *pos = kn_w(l->g, l->op->b);
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        float *row = (float *)l->out->x + i * c;
        const size_t at = i % t;
        if (at)
            get(l->g, l->in->type, l->in->x, (i / t * (t - 1) + at - 1) * c, c, row);
        else
            memcpy(row, cls, c * sizeof *row);
        for (size_t j = 0; j < c; j++)
            row[j] += pos[at * c + j];
    }
}

static void tokens_forward(kn_graph *g, kn_op *op)
{
    token_loop l = loop_of(g, op);
    kn_crew_run(&g->crew, g->n * l.out->per, 1, tokens_piece, &l);
}

static void tokens_backward(kn_graph *g, kn_op *op)
{
    const token_loop l = loop_of(g, op);
    const size_t t = l.out->per, c = l.out->c;
    const float *dy = l.out->dx;
    float *dcls = kn_dw(g, op->w), *dpos = kn_dw(g, op->b);
    for (size_t i = 0; i < g->n * t; i++, dy += c) {
        const size_t at = i % t;
        for (size_t j = 0; j < c; j++) {
            if (dpos)
                dpos[at * c + j] += dy[j];
            if (!at && dcls)
                dcls[j] += dy[j];
        }
        if (at && op->wants)
            put(g, l.in->type, dy, c, l.in->dx, (i / t * (t - 1) + at - 1) * c);
    }
}

static const kn_op_class tokens_class = { "tokens", tokens_forward, tokens_backward, NULL };

int kn_g_tokens(kn_graph *g, int in)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per + 1, 0, 0, v.c, KN_F32);
    const int cls = kn_g_param(g, 0.02F, 1, v.c, 0, "v.cls");
    const int pos = kn_g_param(g, 0.02F, 2, v.per + 1, v.c, "v.pos");
    kn_op *op = kn_g_op(g, &tokens_class, in, out);
    op->w = cls;
    op->b = pos;
    return out;
}

/* ---- embeddings ---- */

static size_t text_of(const kn_graph *g, size_t row)
{
    size_t lo = 0, hi = g->n;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (g->first[mid] <= row)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void embed_forward(kn_graph *g, kn_op *op)
{
    const kn_value *out = kn_val(g, op->out);
    const size_t c = out->c;
    const float *tok = kn_w(g, op->w), *pos = kn_w(g, op->b), *type = kn_w(g, op->stat);
    for (size_t i = 0; i < g->rows; i++) {
        const float *t = tok + (size_t)g->ids[i] * c, *p = pos + (i - g->first[text_of(g, i)]) * c;
        for (size_t j = 0; j < c; j++)
            ((float *)out->x)[i * c + j] = t[j] + p[j] + (type ? type[j] : 0);
    }
}

static void embed_backward(kn_graph *g, kn_op *op)
{
    const kn_value *out = kn_val(g, op->out);
    const size_t c = out->c;
    float *tok = kn_dw(g, op->w), *pos = kn_dw(g, op->b), *type = kn_dw(g, op->stat);
    for (size_t i = 0; i < g->rows; i++) {
        const float *dy = (const float *)out->dx + i * c;
        const size_t t = (size_t)g->ids[i] * c, p = (i - g->first[text_of(g, i)]) * c;
        for (size_t j = 0; j < c; j++) {
            if (tok)
                tok[t + j] += dy[j];
            if (pos)
                pos[p + j] += dy[j];
            if (type)
                type[j] += dy[j];
        }
    }
}

static const kn_op_class embed = { "embed", embed_forward, embed_backward, NULL };

int kn_g_embed(kn_graph *g, const kn_text_config *c)
{
    if (g->st)
        return 0;
    const uint32_t w = c->trunk.width;
    const int out = kn_g_value(g, 0, 0, 0, w, KN_F32);
    const int tok = kn_g_param(g, 0.02F, 2, c->vocab, w, "t.tok");
    const int pos = kn_g_param(g, 0.01F, 2, c->positions, w, "t.pos");
    const int type = c->bert ? kn_g_param(g, 0.02F, 2, 1, w, "t.type") : -1;
    kn_op *op = kn_g_op(g, &embed, -1, out);
    op->w = tok;
    op->b = pos;
    op->stat = type;
    return out;
}

/* ---- one row of each sample ---- */

static size_t picked(const kn_graph *g, const kn_op *op, size_t i)
{
    const kn_value *in = &g->values[op->in];
    const size_t first = in->per ? i * in->per : g->first[i];
    const size_t end = in->per ? first + in->per : g->first[i + 1];
    return op->side ? end - 1 : first;
}

static void pick_forward(kn_graph *g, kn_op *op)
{
    const token_loop l = loop_of(g, op);
    const size_t c = l.in->c;
    for (size_t i = 0; i < g->n; i++)
        memcpy((float *)l.out->x + i * c, (const float *)l.in->x + picked(g, op, i) * c,
               c * sizeof(float));
}

static void pick_backward(kn_graph *g, kn_op *op)
{
    const token_loop l = loop_of(g, op);
    const size_t c = l.in->c;
    if (!op->adds)
        memset(l.in->dx, 0, elements(g, l.in) * sizeof(float));
    for (size_t i = 0; i < g->n; i++)
        for (size_t j = 0; j < c; j++)
            ((float *)l.in->dx)[picked(g, op, i) * c + j] += ((const float *)l.out->dx)[i * c + j];
}

static const kn_op_class pick_class = { "pick", pick_forward, pick_backward, NULL };

int kn_g_pick(kn_graph *g, int in, int last)
{
    if (g->st)
        return 0;
    const int out = kn_g_value(g, 1, 1, 1, kn_val(g, in)->c, KN_F32);
    kn_g_op(g, &pick_class, in, out)->side = (uint32_t)last;
    return out;
}
