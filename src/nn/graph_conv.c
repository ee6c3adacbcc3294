/*
 * graph_conv.c - convolutions and linear layers: three matrix products each.
 *
 *   y  = x W^T             the inference kernels
 *   dx = dy W              stride 1: the same kernels, W turned and its taps mirrored; stride 2: a
 *                          product into columns, whose sums are gathered for each input pixel
 *   dW = dy^T x            kernels' turn and wgrad
 *
 * Most convolutions of 3 x 3 go another way: graph_wino.c.
 */
#include "nn/graph_state.h"

#include "base/parallel.h"

#include <math.h>
#include <string.h>

static const kn_type F32 = KN_F32;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- panels ---- */

typedef struct packing {
    const kn_graph *g;
    const float *w;
    size_t n, k, taps, ld; /* taps 0: as it stands, else turned */
    void *out;
} packing;

static void pack_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const packing *p = cookie;
    const kn_type type = p->g->crew.type;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i * KN_PANEL, n = least(KN_PANEL, p->n - first);
        void *out = (char *)p->out + kn_panel_bytes(first, p->k, type);
        if (p->taps)
            p->g->crew.k->pack_turned(p->w + first, p->ld, n, p->k, p->taps, type, out);
        else
            p->g->crew.k->pack(p->w + first * p->k, n, p->k, type, out);
    }
}

static void pack(kn_graph *g, packing p)
{
    p.g = g;
    kn_crew_run(&g->crew, (p.n + KN_PANEL - 1) / KN_PANEL, 1, pack_piece, &p);
}

static void *room_for(kn_graph *g, size_t bytes)
{
    void *p = g->st ? NULL : kn_own(&g->owned, bytes, 1);
    if (!p && !g->st)
        g->st = KEN_E_NOMEM;
    return p;
}

static void *room_for_panels(kn_graph *g, size_t n, size_t k)
{
    return room_for(g, kn_panel_bytes(n, k, g->crew.type));
}

/* ---- dW ---- */

typedef struct wgrad_loop {
    kn_graph *g;
    kn_wgrad w;
    const void *dy;
} wgrad_loop;

static void turn_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const wgrad_loop *l = cookie;
    const kn_gemm *p = &l->w.c.g;
    (void)worker;
    l->g->crew.k->turn(p->math, l->dy, p->n, p->m, p->n, begin, end, l->g->turned);
}

static void wgrad_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const wgrad_loop *l = cookie;
    (void)worker;
    l->g->crew.k->wgrad(&l->w, begin, end);
}

void kn_g_wgrad(kn_graph *g, kn_conv c, const void *dy, float *dw)
{
    wgrad_loop l = { g, { c, g->turned, dw, 1 }, dy };
    if (!dw)
        return;
    l.w.c.g.math = g->crew.math;
    kn_crew_run(&g->crew, (c.g.m + KN_TURN_ROWS - 1) / KN_TURN_ROWS, 1, turn_piece, &l);
    kn_crew_run(&g->crew, kn_wgrad_pieces(c.g.n, c.g.k), 1, wgrad_piece, &l);
}

static void need_turned(kn_graph *g, size_t rows, size_t n)
{
    const size_t bytes = kn_turned_bytes(rows, n);
    g->turned_bytes = bytes > g->turned_bytes ? bytes : g->turned_bytes;
}

/* ---- convolution ---- */

static uint32_t reach(uint32_t n, const kn_op *op)
{
    return (n + 2 * op->pad - op->side) / op->stride + 1;
}

static int plain(const kn_op *op)
{
    return op->side == 1 && op->stride == 1;
}

static kn_conv geometry(kn_graph *g, const kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    return (kn_conv){ .g = { .math = g->crew.math, .m = kn_rows_of(g, out), .n = out->c,
                             .k = (size_t)op->side * op->side * in->c, .a = in->x, .lda = in->c },
                      .h = in->h, .w = in->w, .cin = in->c, .kh = op->side, .kw = op->side,
                      .stride = op->stride, .pad = op->pad, .dilation = 1, .oh = out->h, .ow = out->w };
}

static void conv_forward(kn_graph *g, kn_op *op)
{
    if (op->tiled) {
        kn_g_wino_forward(g, op);
        return;
    }
    kn_conv c = geometry(g, op);
    const kn_value *out = kn_val(g, op->out);
    const kn_mat m = { .n = c.g.n, .k = c.g.k, .w = op->packed, .type = g->crew.type };
    if (g->dirty)
        pack(g, (packing){ .w = kn_w(g, op->w), .n = c.g.n, .k = c.g.k, .out = op->packed });
    c.g.c = out->x;
    c.g.ldc = out->c;
    c.g.c_type = out->type;
    if (plain(op))
        kn_mat_mul(&g->crew, &m, c.g);
    else
        kn_mat_conv(&g->crew, &m, c);
}

/* dx of a convolution with stride 1 is a convolution of dy. */
static void back_through(kn_graph *g, const kn_op *op, const kn_value *in, const kn_value *out)
{
    const uint32_t pad = op->side - 1 - op->pad;
    const size_t k = (size_t)op->side * op->side * out->c;
    const kn_mat m = { .n = in->c, .k = k, .w = op->turned, .type = g->crew.type };
    const kn_gemm p = { .m = kn_rows_of(g, in), .a = out->dx, .lda = out->c,
                        .residual = op->adds ? in->dx : NULL, .ldr = in->c, .residual_type = in->type,
                        .c = in->dx, .ldc = in->c, .c_type = in->type };
    pack(g, (packing){ .w = kn_w(g, op->w), .n = in->c, .k = k, .ld = in->c,
                       .taps = (size_t)op->side * op->side, .out = op->turned });
    if (plain(op))
        kn_mat_mul(&g->crew, &m, p);
    else
        kn_mat_conv(&g->crew, &m, (kn_conv){ .g = p, .h = out->h, .w = out->w, .cin = out->c,
                                             .kh = op->side, .kw = op->side, .stride = 1, .pad = pad,
                                             .dilation = 1, .oh = in->h, .ow = in->w });
}

/* The columns of one picture, (output pixels, taps, cin): which of them reach input pixel (y, x). */
static size_t reaching(const kn_op *op, const kn_value *in, const kn_value *out, const float *columns,
                       uint32_t y, uint32_t x, const float **rows)
{
    size_t n = 0;
    for (uint32_t ky = 0; ky < op->side; ky++)
        for (uint32_t kx = 0; kx < op->side; kx++) {
            const int64_t oy = (int64_t)y + op->pad - ky, ox = (int64_t)x + op->pad - kx;
            if (oy < 0 || ox < 0 || oy % op->stride || ox % op->stride ||
                oy / op->stride >= out->h || ox / op->stride >= out->w)
                continue;
            const size_t at = (size_t)(oy / op->stride) * out->w + (size_t)(ox / op->stride);
            rows[n++] = columns + ((at * op->side + ky) * op->side + kx) * in->c;
        }
    return n;
}

enum { MAX_SIDE = 32 };

typedef struct columns_loop {
    kn_graph *g;
    const kn_op *op;
    size_t each; /* floats of a worker's columns */
} columns_loop;

static void columns_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const columns_loop *l = cookie;
    kn_graph *g = l->g;
    const kn_op *op = l->op;
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    const size_t n = (size_t)op->side * op->side * in->c;
    float *columns = (float *)g->scratch + worker * l->each;
    const float *rows[MAX_SIDE * MAX_SIDE];
    for (size_t i = begin; i < end; i++) {
        const kn_gemm p = { .math = g->crew.math, .m = out->per, .n = n, .k = out->c,
                            .a = kn_at_const(out->dx, out->type, i * out->per * out->c),
                            .lda = out->c, .w = op->turned, .w_type = g->crew.type, .c = columns,
                            .ldc = n, .c_type = F32 };
        g->crew.k->gemm(&p);
        for (uint32_t y = 0; y < in->h; y++)
            for (uint32_t x = 0; x < in->w; x++) {
                const size_t count = reaching(op, in, out, columns, y, x, rows);
                const size_t at = (i * in->per + (size_t)y * in->w + x) * in->c;
                g->crew.k->sum_rows(rows, count, in->c, in->type, kn_at(in->dx, in->type, at), op->adds);
            }
    }
}

static size_t columns_of(const kn_graph *g, const kn_op *op)
{
    const size_t n = (size_t)op->side * op->side * g->values[op->in].c;
    return (g->values[op->out].per * n + 15) / 16 * 16;
}

static void back_by_columns(kn_graph *g, const kn_op *op, const kn_value *in, const kn_value *out)
{
    const size_t n = (size_t)op->side * op->side * in->c;
    columns_loop l = { g, op, columns_of(g, op) };
    pack(g, (packing){ .w = kn_w(g, op->w), .n = n, .k = out->c, .ld = n, .taps = 1, .out = op->turned });
    kn_crew_run(&g->crew, g->n, 1, columns_piece, &l);
}

static void conv_backward(kn_graph *g, kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    if (op->tiled)
        kn_g_wino_wgrad(g, op);
    else
        kn_g_wgrad(g, geometry(g, op), out->dx, kn_dw(g, op->w));
    if (op->wants && op->tiled)
        kn_g_wino_back(g, op);
    else if (op->wants && op->stride == 1)
        back_through(g, op, in, out);
    else if (op->wants)
        back_by_columns(g, op, in, out);
}

static size_t conv_scratch(const kn_graph *g, const kn_op *op)
{
    if (op->tiled)
        return kn_g_wino_scratch(g, g->values[op->in].c, g->values[op->out].c);
    return op->stride == 1 ? 0 : g->crew.threads * columns_of(g, op) * sizeof(float);
}

static const kn_op_class conv_class = { "conv", conv_forward, conv_backward, conv_scratch };

int kn_g_conv(kn_graph *g, int in, const char *name, uint32_t cout, uint32_t side, uint32_t stride,
              uint32_t pad, float deviation)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const kn_op shape = { .side = side, .stride = stride, .pad = pad };
    const uint32_t h = reach(v.h, &shape), w = reach(v.w, &shape);
    const size_t k = (size_t)side * side * v.c;
    const int out = kn_g_value(g, (size_t)h * w, h, w, cout, g->crew.type);
    const int param = kn_g_param(g, deviation, 2, cout, k, "%s.w", name);
    kn_op *op = kn_g_op(g, &conv_class, in, out);
    op->w = param;
    op->side = side;
    op->stride = stride;
    op->pad = pad;
    op->tiled = kn_g_wino_suits(op, v.c, cout);
    op->packed = op->tiled ? room_for(g, kn_g_wino_panels(g, cout, v.c)) : room_for_panels(g, cout, k);
    if (in != g->input && op->tiled)
        op->turned = room_for(g, kn_g_wino_panels(g, v.c, cout));
    else if (in != g->input)
        op->turned = stride == 1 ? room_for_panels(g, v.c, (size_t)side * side * cout)
                                 : room_for_panels(g, k, cout);
    if (!g->st && !op->tiled)
        need_turned(g, kn_most_rows(g, &g->values[out]), cout);
    return out;
}

/* ---- linear ---- */

const void *kn_g_rounded_dy(kn_graph *g, const kn_value *v, void *room)
{
    if (v->type == g->crew.type)
        return v->dx;
    kn_crew_round(&g->crew, v->dx, kn_rows_of(g, v) * v->c, room);
    return room;
}

static void linear_forward(kn_graph *g, kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    const size_t k = in->c;
    const kn_mat m = { .n = out->c, .k = k, .w = op->packed, .type = g->crew.type, .bias = kn_w(g, op->b) };
    if (g->dirty)
        pack(g, (packing){ .w = kn_w(g, op->w), .n = out->c, .k = k, .out = op->packed });
    kn_mat_mul(&g->crew, &m, (kn_gemm){ .m = kn_rows_of(g, in), .a = in->x, .lda = k,
                                        .residual = op->in2 < 0 ? NULL : kn_val(g, op->in2)->x,
                                        .ldr = out->c, .residual_type = F32, .c = out->x,
                                        .ldc = out->c, .c_type = out->type });
}

static void add_to(float *to, const float *from, size_t n, int add)
{
    if (!add)
        memcpy(to, from, n * sizeof *to);
    for (size_t i = 0; add && i < n; i++)
        to[i] += from[i];
}

static size_t linear_scratch(const kn_graph *g, const kn_op *op)
{
    const kn_value *out = &g->values[op->out];
    const size_t rows = kn_most_rows(g, out);
    return kn_g_sums_bytes(rows, out->c, 2) + rows * out->c * kn_type_bytes(g->crew.type);
}

static void linear_backward(kn_graph *g, kn_op *op)
{
    const kn_value *in = kn_val(g, op->in), *out = kn_val(g, op->out);
    const size_t rows = kn_rows_of(g, out);
    void *room = (char *)g->scratch + kn_g_sums_bytes(kn_most_rows(g, out), out->c, 2);
    const void *dy = kn_g_rounded_dy(g, out, room);
    const kn_conv c = { .g = { .m = rows, .n = out->c, .k = in->c, .a = in->x, .lda = in->c },
                        .h = (uint32_t)rows, .w = 1, .cin = in->c, .kh = 1, .kw = 1, .stride = 1,
                        .dilation = 1, .oh = (uint32_t)rows, .ow = 1 };
    if (kn_dw(g, op->b))
        kn_g_column_sums(g, out->dx, out->type, rows, out->c, kn_dw(g, op->b));
    kn_g_wgrad(g, c, dy, kn_dw(g, op->w));
    if (op->in2 >= 0 && op->wants2)
        add_to(kn_val(g, op->in2)->dx, out->dx, rows * out->c, op->adds2);
    if (!op->wants)
        return;
    const kn_mat m = { .n = in->c, .k = out->c, .w = op->turned, .type = g->crew.type };
    pack(g, (packing){ .w = kn_w(g, op->w), .n = in->c, .k = out->c, .ld = in->c, .taps = 1,
                       .out = op->turned });
    kn_mat_mul(&g->crew, &m, (kn_gemm){ .m = rows, .a = dy, .lda = out->c,
                                        .residual = op->adds ? in->dx : NULL, .ldr = in->c,
                                        .residual_type = in->type, .c = in->dx, .ldc = in->c,
                                        .c_type = in->type });
}

static const kn_op_class linear_class = { "linear", linear_forward, linear_backward, linear_scratch };

int kn_g_linear(kn_graph *g, int in, const char *name, uint32_t n, int bias, int residual,
                kn_type out_type, float deviation)
{
    if (g->st)
        return 0;
    const kn_value v = *kn_val(g, in);
    const int out = kn_g_value(g, v.per, v.h, v.w, n, residual >= 0 ? F32 : out_type);
    const int w = kn_g_param(g, deviation, 2, n, v.c, "%s.w", name);
    const int b = bias ? kn_g_param(g, 0, 1, n, 0, "%s.b", name) : -1;
    kn_op *op = kn_g_op(g, &linear_class, in, out);
    op->in2 = residual;
    op->w = w;
    op->b = b;
    op->packed = room_for_panels(g, n, v.c);
    op->turned = room_for_panels(g, v.c, n);
    if (!g->st)
        need_turned(g, kn_most_rows(g, &g->values[out]), n);
    return out;
}
