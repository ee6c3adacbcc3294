/*
 * graph_state.h - values and operations of a graph; for graph*.c alone.
 */
#ifndef NN_GRAPH_STATE_H
#define NN_GRAPH_STATE_H

#include "nn/graph.h"
#include "nn/load.h"
#include "nn/lut.h"

/* Rows of c elements: pixels of a map, tokens, or one row a sample. */
typedef struct kn_value {
    size_t per;      /* rows of a sample; 0: ragged, one a token */
    uint32_t h, w, c;
    kn_type type;
    void *x, *dx;    /* dx NULL: nobody wants it */
    int slot;        /* memory of dx; values whose lives don't meet share one.  -1: none */
} kn_value;

typedef struct kn_op kn_op;

typedef struct kn_op_class {
    const char *name;
    void (*forward)(kn_graph *g, kn_op *op);
    void (*backward)(kn_graph *g, kn_op *op);
    size_t (*scratch)(const kn_graph *g, const kn_op *op); /* bytes, or NULL */
} kn_op_class;

struct kn_op {
    const kn_op_class *class;
    int in, in2, out;        /* values; in2 -1: none */
    int w, b;                /* parameters; -1: none */
    int stat;                /* running mean; the variance is the next one */
    uint32_t side, stride, pad, heads, groups;
    int tiled;               /* a convolution of graph_wino.c */
    int causal, number;      /* number: of operations that drop, for their random stream */
    kn_act act;
    float eps, rate;
    int wants, wants2;       /* gradients of in and in2 … */
    int adds, adds2;         /* … are added to what others have left there */
    void *packed, *turned;   /* w as panels, for the way forward and back */
    float *saved;            /* what backward needs again */
    size_t saved_len;
};

struct kn_graph {
    kn_net_config config;
    kn_graph_options o;
    kn_crew crew;
    kn_owned owned;
    ken_status st;           /* the first failure of building */
    kn_value *values;
    kn_op *ops;
    kn_param *params;
    size_t values_len, values_cap, ops_len, ops_cap, params_len, params_cap;
    float *w, *dw;
    size_t w_len;
    float *std;              /* (params) deviation of the initial weights; < 0: the constant -std - 1 */
    int input, output;       /* values */
    int drops;               /* operations that drop so far */
    void *scratch, *turned;  /* of one operation at a time */
    size_t scratch_bytes, turned_bytes;
    int dirty;               /* panels are older than the weights */
    /* the step */
    size_t n, rows;          /* samples; tokens of a ragged batch */
    int train;
    uint64_t step;
    float *relevance, *brought; /* with o.relevance, (batch, tokens): the class token's row of R so far;
                                   (batch, heads, tokens): what a layer's heads add */
    const uint8_t *pixels;
    kn_lut lut;
    int32_t *ids;
    size_t *first;           /* (batch + 1) of each text */
};

static inline kn_value *kn_val(kn_graph *g, int i)
{
    return &g->values[i];
}
static inline size_t kn_rows_of(const kn_graph *g, const kn_value *v)
{
    return v->per ? g->n * v->per : g->rows;
}
static inline size_t kn_most_rows(const kn_graph *g, const kn_value *v)
{
    return v->per ? (size_t)g->o.batch * v->per : g->o.tokens;
}
static inline float *kn_w(kn_graph *g, int param)
{
    return param < 0 ? NULL : g->w + g->params[param].at;
}
static inline float *kn_dw(kn_graph *g, int param)
{
    return param < 0 || g->params[param].frozen ? NULL : g->dw + g->params[param].at;
}

/* kn_graph_new with a network of the caller's: builder goes from g->input (text: an embedding) to
 * g->output, f32, a row a sample. */
KEN_CALL ken_status kn_g_make(kn_graph **out, const kn_net_config *c, const kn_graph_options *o,
                              void (*builder)(kn_graph *g));

/* ---- building: each returns the value that it makes; after a failure (g->st) anything ---- */

int kn_g_value(kn_graph *g, size_t per, uint32_t h, uint32_t w, uint32_t c, kn_type type);
/* deviation < 0: the constant -deviation - 1 */
int kn_g_param(kn_graph *g, float deviation, uint32_t rank, uint64_t d0, uint64_t d1,
               const char *fmt, ...) __attribute__((format(printf, 6, 7)));
kn_op *kn_g_op(kn_graph *g, const kn_op_class *class, int in, int out);

int kn_g_conv(kn_graph *g, int in, const char *name, uint32_t cout, uint32_t side, uint32_t stride,
              uint32_t pad, float deviation);
/* batch normalisation, + residual (or -1), activation; NAME.bn.* */
int kn_g_batchnorm(kn_graph *g, int in, const char *name, int residual, int relu);
int kn_g_groupnorm(kn_graph *g, int in, const char *name, uint32_t groups);
int kn_g_maxpool(kn_graph *g, int in, uint32_t side, uint32_t stride, uint32_t pad);
int kn_g_avgpool(kn_graph *g, int in, uint32_t side);
int kn_g_meanpool(kn_graph *g, int in);          /* f32, a row a sample */
int kn_g_gem(kn_graph *g, int in, const char *name);
int kn_g_pad(kn_graph *g, int in, uint32_t stride, uint32_t c); /* option A */
/* rows of any value; residual f32 (or -1) makes the result f32 */
int kn_g_linear(kn_graph *g, int in, const char *name, uint32_t n, int bias, int residual,
                kn_type out_type, float deviation);
int kn_g_layernorm(kn_graph *g, int in, const char *name, float eps, kn_type out_type);
int kn_g_activation(kn_graph *g, int in, kn_act act);
int kn_g_round(kn_graph *g, int in);             /* f32 to the type of matrix inputs */
int kn_g_attention(kn_graph *g, int in, uint32_t heads, int causal);
int kn_g_add(kn_graph *g, int a, int b, int relu);
int kn_g_drop(kn_graph *g, int in, float rate, int whole_sample);
int kn_g_tokens(kn_graph *g, int in);            /* class token and positions: v.cls, v.pos */
int kn_g_embed(kn_graph *g, const kn_text_config *c);
int kn_g_pick(kn_graph *g, int in, int last);    /* the first or last row of each sample, f32 */

/* graph_attention.c: memory of o.relevance, and no weight that wants a gradient. */
void kn_g_watch(kn_graph *g);

/* graph_wino.c: whether a convolution is done in tiles; then op->packed and op->turned hold
 * kn_g_wino_panels() bytes, and its operation has kn_g_wino_scratch() bytes of scratch. */
int kn_g_wino_suits(const kn_op *op, uint32_t cin, uint32_t cout);
size_t kn_g_wino_panels(const kn_graph *g, size_t n, size_t k);
size_t kn_g_wino_scratch(const kn_graph *g, uint32_t cin, uint32_t cout);
void kn_g_wino_forward(kn_graph *g, const kn_op *op);
void kn_g_wino_back(kn_graph *g, const kn_op *op);
void kn_g_wino_wgrad(kn_graph *g, const kn_op *op);

/* The networks of nets.c: from g->input to g->output. */
void kn_g_resnet(kn_graph *g, const kn_resnet_config *c);
void kn_g_vit(kn_graph *g, const kn_vit_config *c);
void kn_g_text(kn_graph *g, const kn_text_config *c);

/* ---- for operations ---- */

/* out (c) += the sums of the columns of x (rows, c), in an order that no thread changes.  Needs
 * kn_g_sums_bytes() of scratch. */
void kn_g_column_sums(kn_graph *g, const void *x, kn_type type, size_t rows, size_t c, float *out);
enum { KN_SUM_ROWS = 512 };
size_t kn_g_sums_bytes(size_t rows, size_t c, size_t each);
/* dw (n, k) += the weights' gradient of c, whose rows' gradient is dy (m, n) of the crew's type */
void kn_g_wgrad(kn_graph *g, kn_conv c, const void *dy, float *dw);
/* dy of v as the crew's type: itself, or rounded into room */
const void *kn_g_rounded_dy(kn_graph *g, const kn_value *v, void *room);

#endif
