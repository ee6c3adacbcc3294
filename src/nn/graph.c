/*
 * graph.c - building a graph, planning its memory, and walking it forward and back.
 *
 * A value's gradient lives from its last consumer to its producer, on the way back.  Slots are
 * handed out along that way, so that a network needs a few of them instead of one a value; the
 * gradient of what a normalisation reads lies in the slot of what it made, in place.
 */
#include "nn/graph_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/rand.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- building ---- */

/* Room for one more element of a growing list. */
static int grow(kn_graph *g, void **list, size_t len, size_t *cap, size_t size)
{
    if (g->st)
        return 0;
    if (len < *cap)
        return 1;
    const size_t more = *cap ? 2 * *cap : 64;
    void *p = kn_realloc(*list, more * size);
    if (!p) {
        g->st = KEN_E_NOMEM;
        return 0;
    }
    *list = p;
    *cap = more;
    return 1;
}

int kn_g_value(kn_graph *g, size_t per, uint32_t h, uint32_t w, uint32_t c, kn_type type)
{
    if (!grow(g, (void **)&g->values, g->values_len, &g->values_cap, sizeof *g->values))
        return 0;
    g->values[g->values_len] = (kn_value){ .per = per, .h = h, .w = w, .c = c, .type = type, .slot = -1 };
    return (int)g->values_len++;
}

int kn_g_param(kn_graph *g, float deviation, uint32_t rank, uint64_t d0, uint64_t d1,
               const char *fmt, ...)
{
    va_list ap;
    if (!grow(g, (void **)&g->params, g->params_len, &g->params_cap, sizeof *g->params))
        return 0;
    float *std = kn_realloc(g->std, g->params_cap * sizeof *g->std);
    if (!std) {
        g->st = KEN_E_NOMEM;
        return 0;
    }
    g->std = std;
    g->std[g->params_len] = deviation;
    kn_param *p = &g->params[g->params_len];
    *p = (kn_param){ .rank = rank, .shape = { d0, d1 }, .at = g->w_len,
                     .len = (size_t)d0 * (rank > 1 ? (size_t)d1 : 1) };
    va_start(ap, fmt);
    vsnprintf(p->name, sizeof p->name, fmt, ap);
    va_end(ap);
    const size_t len = strlen(p->name);
    p->decay = rank > 1 && len > 2 && !strcmp(p->name + len - 2, ".w");
    g->w_len += (p->len + 15) / 16 * 16;
    return (int)g->params_len++;
}

kn_op *kn_g_op(kn_graph *g, const kn_op_class *class, int in, int out)
{
    static kn_op nowhere;
    if (!grow(g, (void **)&g->ops, g->ops_len, &g->ops_cap, sizeof *g->ops))
        return &nowhere;
    kn_op *op = &g->ops[g->ops_len++];
    *op = (kn_op){ .class = class, .in = in, .in2 = -1, .out = out, .w = -1, .b = -1, .stat = -1 };
    return op;
}

/* ---- memory ---- */

typedef struct slots {
    size_t bytes[64];
    int taken[64];
    int len;
} slots;

static size_t value_bytes(const kn_graph *g, const kn_value *v)
{
    return kn_most_rows(g, v) * v->c * kn_type_bytes(v->type);
}

/* The free slot whose size is nearest. */
static int take_slot(kn_graph *g, slots *s, size_t bytes)
{
    int best = -1;
    for (int i = 0; i < s->len; i++) {
        const size_t off = s->bytes[i] > bytes ? s->bytes[i] - bytes : bytes - s->bytes[i];
        const size_t least = best < 0 ? SIZE_MAX
                             : s->bytes[best] > bytes ? s->bytes[best] - bytes
                                                      : bytes - s->bytes[best];
        if (!s->taken[i] && off < least)
            best = i;
    }
    if (best < 0 && s->len == sizeof s->taken / sizeof *s->taken) {
        g->st = kn_fail(KEN_E_LIMIT, "a network with too many values alive at a time");
        return 0;
    }
    if (best < 0)
        best = s->len++;
    s->taken[best] = 1;
    if (s->bytes[best] < bytes)
        s->bytes[best] = bytes;
    return best;
}

/* The gradient of v is about to be written or added to: 1 if it holds something already. */
static int meet(kn_graph *g, slots *s, kn_value *v, int in_place_of)
{
    if (v->slot >= 0)
        return 1;
    v->slot = in_place_of >= 0 ? in_place_of : take_slot(g, s, value_bytes(g, v));
    return 0;
}

extern const kn_op_class kn_op_batchnorm;

static void plan_gradients(kn_graph *g, slots *s)
{
    g->values[g->output].slot = take_slot(g, s, value_bytes(g, &g->values[g->output]));
    for (size_t i = g->ops_len; i-- > 0 && !g->st;) {
        kn_op *op = &g->ops[i];
        const int slot = g->values[op->out].slot;
        const int in_place = op->class == &kn_op_batchnorm ? slot : -1;
        op->wants = op->in >= 0 && op->in != g->input;
        op->wants2 = op->in2 >= 0 && op->in2 != g->input;
        if (op->wants2)
            op->adds2 = meet(g, s, &g->values[op->in2], -1);
        if (op->wants)
            op->adds = meet(g, s, &g->values[op->in], in_place);
        if (!op->wants || in_place < 0 || g->values[op->in].slot != slot)
            s->taken[slot] = 0;
    }
}

static void *own(kn_graph *g, size_t bytes)
{
    void *p = g->st ? NULL : kn_own(&g->owned, bytes ? bytes : 1, 1);
    if (!p && !g->st)
        g->st = KEN_E_NOMEM;
    return p;
}

static void give_memory(kn_graph *g)
{
    slots s = { 0 };
    void *slot[64];
    plan_gradients(g, &s);
    for (int i = 0; i < s.len; i++)
        slot[i] = own(g, s.bytes[i]);
    for (size_t i = 0; i < g->values_len && !g->st; i++) {
        kn_value *v = &g->values[i];
        v->x = own(g, value_bytes(g, v));
        v->dx = v->slot < 0 ? NULL : slot[v->slot];
    }
    for (size_t i = 0; i < g->ops_len && !g->st; i++) {
        kn_op *op = &g->ops[i];
        const size_t need = op->class->scratch ? op->class->scratch(g, op) : 0;
        g->scratch_bytes = need > g->scratch_bytes ? need : g->scratch_bytes;
        if (op->saved_len)
            op->saved = own(g, op->saved_len * sizeof *op->saved);
    }
    g->scratch = own(g, g->scratch_bytes);
    g->turned = own(g, g->turned_bytes);
    g->w = own(g, g->w_len * sizeof *g->w);
    g->dw = own(g, g->o.relevance ? 0 : g->w_len * sizeof *g->dw);
    if (g->o.relevance)
        kn_g_watch(g);
    g->ids = own(g, (size_t)g->o.tokens * sizeof *g->ids);
    g->first = own(g, ((size_t)g->o.batch + 1) * sizeof *g->first);
}

static void start_weights(kn_graph *g)
{
    memset(g->w, 0, g->w_len * sizeof *g->w);
    g->dirty = 1;
    if (g->o.relevance)
        return;
    memset(g->dw, 0, g->w_len * sizeof *g->dw);
    for (size_t i = 0; i < g->params_len; i++) {
        const kn_param *p = &g->params[i];
        float *w = g->w + p->at;
        if (g->std[i] >= 0)
            kn_rand_fill_normal(w, p->len, g->o.seed, kn_hash64(p->name, strlen(p->name)), g->std[i]);
        for (size_t j = 0; g->std[i] < 0 && j < p->len; j++)
            w[j] = -g->std[i] - 1;
    }
}

static void build(kn_graph *g)
{
    const kn_net_config *c = &g->config;
    if (g->o.text)
        kn_g_text(g, &c->text);
    else if (c->image == KN_NET_VIT)
        kn_g_vit(g, &c->vit);
    else
        kn_g_resnet(g, &c->resnet);
}

ken_status kn_graph_new(kn_graph **out, const kn_net_config *c, const kn_graph_options *o)
{
    return kn_g_make(out, c, o, build);
}

ken_status kn_g_make(kn_graph **out, const kn_net_config *c, const kn_graph_options *o,
                     void (*builder)(kn_graph *g))
{
    if (o->text ? !c->has_text : c->image == KN_NET_NONE)
        return kn_fail(KEN_E_UNSUPPORTED, "the model has no %s network", o->text ? "text" : "image");
    if (!o->batch || (o->text && !o->tokens) || (o->math != KN_MATH_F32 && o->math != KN_MATH_BF16))
        return kn_fail(KEN_E_INVALID, "a graph needs a batch, and f32 or bf16");
    kn_graph *g = kn_zalloc(1, sizeof *g);
    if (!g)
        return KEN_E_NOMEM;
    g->config = *c;
    g->o = *o;
    g->input = -1;
    g->crew = (kn_crew){ .k = kn_kernels_get(), .math = o->math,
                         .type = o->math == KN_MATH_BF16 ? KN_BF16 : KN_F32,
                         .threads = o->threads ? o->threads : kn_processors() };
    if (!o->text) {
        const uint32_t h = c->prep.crop[0], w = c->prep.crop[1];
        g->input = kn_g_value(g, (size_t)h * w, h, w, 3, g->crew.type);
    }
    builder(g);
    if (!g->st)
        give_memory(g);
    if (g->st) {
        const ken_status st = g->st;
        kn_graph_free(g);
        return st;
    }
    if (!o->text)
        kn_lut_make(&g->lut, g->crew.k, &c->prep);
    start_weights(g);
    *out = g;
    return KEN_OK;
}

void kn_graph_free(kn_graph *g)
{
    if (!g)
        return;
    kn_owned_release(&g->owned);
    kn_free(g->values);
    kn_free(g->ops);
    kn_free(g->params);
    kn_free(g->std);
    kn_free(g);
}

/* ---- what it holds ---- */

float *kn_graph_weights(kn_graph *g, size_t *n)
{
    if (n)
        *n = g->w_len;
    return g->w;
}

float *kn_graph_gradients(kn_graph *g)
{
    return g->dw;
}

const kn_param *kn_graph_params(const kn_graph *g, size_t *n)
{
    *n = g->params_len;
    return g->params;
}

void kn_graph_changed(kn_graph *g)
{
    g->dirty = 1;
}

void kn_graph_zero_gradients(kn_graph *g)
{
    memset(g->dw, 0, g->w_len * sizeof *g->dw);
}

size_t kn_graph_freeze(kn_graph *g, const char *prefixes)
{
    size_t found = 0;
    for (const char *p = prefixes; *p; p += p[0] == ',') {
        const size_t len = strcspn(p, ",");
        for (size_t i = 0; len && i < g->params_len; i++)
            if (!strncmp(g->params[i].name, p, len)) {
                g->params[i].frozen = 1;
                found++;
            }
        p += len;
    }
    return found;
}

uint32_t kn_graph_dim(const kn_graph *g)
{
    return g->values[g->output].c;
}

/* ---- a step ---- */

static void forward(kn_graph *g, size_t n, int train, uint64_t step, const float **out)
{
    g->n = n;
    g->train = train;
    g->step = step;
    for (size_t i = 0; i < g->ops_len; i++)
        g->ops[i].class->forward(g, &g->ops[i]);
    g->dirty = 0;
    *out = g->values[g->output].x;
}

typedef struct input_loop {
    kn_graph *g;
    size_t pixels; /* of a picture */
} input_loop;

static void input_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const input_loop *l = cookie;
    (void)worker;
    kn_lut_apply(&l->g->lut, l->g->crew.type, l->g->pixels + begin * l->pixels * 3,
                 (end - begin) * l->pixels,
                 kn_at(l->g->values[l->g->input].x, l->g->crew.type, begin * l->pixels * 3));
}

ken_status kn_graph_images(kn_graph *g, const uint8_t *pixels, size_t n, int train, uint64_t step,
                           const float **out)
{
    if (g->o.text || !n || n > g->o.batch)
        return kn_fail(KEN_E_LIMIT, "%zu pictures for a graph of %u", n, g->o.text ? 0 : g->o.batch);
    input_loop l = { g, g->values[g->input].per };
    g->pixels = pixels;
    kn_crew_run(&g->crew, n, 1, input_piece, &l);
    forward(g, n, train, step, out);
    return KEN_OK;
}

ken_status kn_graph_texts(kn_graph *g, const int32_t *ids, const size_t *lens, size_t n, int train,
                          uint64_t step, const float **out)
{
    const kn_text_config *c = &g->config.text;
    if (!g->o.text || !n || n > g->o.batch)
        return kn_fail(KEN_E_LIMIT, "%zu texts for a graph of %u", n, g->o.text ? g->o.batch : 0);
    g->first[0] = 0;
    for (size_t i = 0; i < n; i++) {
        g->first[i + 1] = g->first[i] + lens[i];
        if (!lens[i] || lens[i] > c->context)
            return kn_fail(KEN_E_INVALID, "%zu tokens where 1 to %u are wanted", lens[i], c->context);
    }
    g->rows = g->first[n];
    if (g->rows > g->o.tokens)
        return kn_fail(KEN_E_LIMIT, "%zu tokens for a graph of %u", g->rows, g->o.tokens);
    for (size_t i = 0; i < g->rows; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= c->vocab)
            return kn_fail(KEN_E_INVALID, "token %d outside the vocabulary of %u", ids[i], c->vocab);
        g->ids[i] = ids[i];
    }
    forward(g, n, train, step, out);
    return KEN_OK;
}

/* The first operation that learns: whatever comes before it is frozen and wants no gradient. */
static size_t first_to_learn(kn_graph *g)
{
    size_t i = 0;
    while (i < g->ops_len && !kn_dw(g, g->ops[i].w) && !kn_dw(g, g->ops[i].b) && !kn_dw(g, g->ops[i].stat))
        i++;
    return i;
}

void kn_graph_backward(kn_graph *g, const float *dout)
{
    const kn_value *v = &g->values[g->output];
    const size_t first = first_to_learn(g);
    memcpy(v->dx, dout, g->n * v->c * sizeof *dout);
    for (size_t i = g->ops_len; i-- > first;)
        g->ops[i].class->backward(g, &g->ops[i]);
}

double kn_graph_macs(const kn_graph *g)
{
    double macs = 0;
    for (size_t i = 0; i < g->ops_len; i++) {
        const kn_op *op = &g->ops[i];
        const kn_value *out = &g->values[op->out];
        if (op->packed || (op->w >= 0 && g->params[op->w].rank == 2 && op->side))
            macs += (double)out->per * (double)g->params[op->w].len;
        if (op->heads)
            macs += 2.0 * (double)out->per * (double)out->per * out->c;
    }
    return macs;
}

/* ---- sums that threads can't change ---- */

size_t kn_g_sums_bytes(size_t rows, size_t c, size_t each)
{
    return ((rows + KN_SUM_ROWS - 1) / KN_SUM_ROWS * each + 1) * c * sizeof(float);
}

typedef struct sums_loop {
    const kn_graph *g;
    const void *x;
    kn_type type;
    size_t rows, c;
    float *zero, *part; /* (c), (chunks, 2, c) */
} sums_loop;

static void sums_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const sums_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i * KN_SUM_ROWS, left = l->rows - first;
        float *sum = l->part + i * 2 * l->c;
        l->g->crew.k->moments(kn_at_const(l->x, l->type, first * l->c), l->type,
                              left < KN_SUM_ROWS ? left : KN_SUM_ROWS, l->c, l->zero, sum, sum + l->c);
    }
}

void kn_g_column_sums(kn_graph *g, const void *x, kn_type type, size_t rows, size_t c, float *out)
{
    const size_t chunks = (rows + KN_SUM_ROWS - 1) / KN_SUM_ROWS;
    float *zero = g->scratch;
    sums_loop l = { g, x, type, rows, c, zero, zero + c };
    memset(zero, 0, c * sizeof *zero);
    kn_crew_run(&g->crew, chunks, 1, sums_piece, &l);
    for (size_t i = 0; i < chunks; i++)
        for (size_t j = 0; j < c; j++)
            out[j] += l.part[i * 2 * c + j];
}

/* ---- files ---- */

ken_status kn_graph_declare(const kn_graph *g, kn_writer *w)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < g->params_len; i++)
        st = kn_writer_declare(w, g->params[i].name, KN_DT_F32, g->params[i].rank, g->params[i].shape);
    return st;
}

ken_status kn_graph_write(const kn_graph *g, kn_writer *w, const float *weights)
{
    for (size_t i = 0; i < g->params_len; i++) {
        const kn_param *p = &g->params[i];
        size_t bytes;
        void *to = kn_writer_data(w, p->name, &bytes);
        if (!to || bytes != p->len * 4)
            return kn_fail(KEN_E_INVALID, "tensor %s was not declared", p->name);
        memcpy(to, (weights ? weights : g->w) + p->at, bytes);
    }
    return KEN_OK;
}
