/* check_graph.c - every layer and every network against differences.
 *
 * The function is the sum of the features times fixed numbers; the parameters of what lies before a
 * layer check the gradient that it hands back. */
#include "grad.h"
#include "nn/graph_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3, SIDE_MAX = 33, TEXTS = 3, TOKENS = 14, ENTRIES = 16 };

typedef struct run {
    kn_graph *g;
    uint8_t pixels[N * SIDE_MAX * SIDE_MAX * 3];
    float *dout;
    int text;
} run;

static const size_t lens[TEXTS] = { 5, 2, 7 };

static double value(void *cookie)
{
    run *r = cookie;
    const float *out = NULL;
    int32_t ids[TOKENS];
    double sum = 0;
    kn_graph_changed(r->g);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 5 + 1) % 11;
    const ken_status st = r->text ? kn_graph_texts(r->g, ids, lens, TEXTS, 1, 3, &out)
                                  : kn_graph_images(r->g, r->pixels, N, 1, 3, &out);
    if (st)
        abort();
    for (size_t i = 0; i < (size_t)N * kn_graph_dim(r->g); i++)
        sum += (double)(out[i] * r->dout[i]);
    return sum;
}

static int check(const char *name, const kn_net_config *c, const kn_graph_options *o,
                 void (*builder)(kn_graph *g), const char *freeze)
{
    const int transformer = !builder && (o->text || c->image == KN_NET_VIT);
    run r = { .text = o->text };
    kn_grad_part parts[256];
    size_t n, len = 0;
    const ken_status st =
        builder ? kn_g_make(&r.g, c, o, builder) : kn_graph_new(&r.g, c, o);
    if (st) {
        printf("%s FAILED: cannot be built\n", name);
        return 1;
    }
    if (freeze)
        kn_graph_freeze(r.g, freeze);
    for (size_t i = 0; i < sizeof r.pixels; i++)
        r.pixels[i] = (uint8_t)(i * i * 31 / 7 + i * 13);
    r.dout = malloc((size_t)N * kn_graph_dim(r.g) * sizeof *r.dout);
    kn_grad_fill(r.dout, (size_t)N * kn_graph_dim(r.g), 5, 1);
    const kn_param *p = kn_graph_params(r.g, &n);
    float *w = kn_graph_weights(r.g, NULL), *dw = kn_graph_gradients(r.g);
    for (size_t i = 0; i < n && len < 256; i++) {
        float *x = w + p[i].at;
        if (!p[i].statistic) /* away from where everything is 0 or 1 */
            for (size_t j = 0; j < p[i].len && !p[i].decay; j++)
                x[j] += (float)0.1 * (float)((j * 7 + i) % 5) - (float)0.2;
        for (size_t j = 0; transformer && p[i].rank == 2 && j < p[i].len; j++)
            x[j] *= 8; /* the initial ones are so small that differences drown in rounding */
        if (!p[i].frozen)
            parts[len++] = (kn_grad_part){ x, dw + p[i].at, p[i].len, ENTRIES };
    }
    value(&r);
    kn_graph_zero_gradients(r.g);
    kn_graph_backward(r.g, r.dout);
    const int failed = kn_grad_check(name, value, &r, parts, len);
    free(r.dout);
    kn_graph_free(r.g);
    return failed;
}

/* ---- layers, between convolutions and a mean ---- */

static void begin_end(kn_graph *g, int (*layer)(kn_graph *g, int in))
{
    int x = kn_g_conv(g, g->input, "first", 8, 3, 1, 1, 0.3F);
    x = layer(g, x);
    if (kn_val(g, x)->per != 1 || kn_val(g, x)->type != KN_F32 || kn_val(g, x)->h > 1)
        x = kn_g_meanpool(g, x);
    g->output = kn_g_linear(g, kn_g_round(g, x), "last", 5, 1, -1, KN_F32, 0.3F);
}

#define LAYER(name, expression)                                                                    \
    static int make_##name(kn_graph *g, int x)                                                     \
    {                                                                                              \
        return expression;                                                                         \
    }                                                                                              \
    static void build_##name(kn_graph *g)                                                          \
    {                                                                                              \
        begin_end(g, make_##name);                                                                 \
    }
LAYER(conv3, kn_g_conv(g, x, "x", 6, 3, 1, 1, 0.3F))
LAYER(conv3_nopad, kn_g_conv(g, x, "x", 6, 3, 1, 0, 0.3F))
LAYER(conv3_stride2, kn_g_conv(g, x, "x", 6, 3, 2, 1, 0.3F))
LAYER(conv5_stride3, kn_g_conv(g, x, "x", 6, 5, 3, 2, 0.3F))
LAYER(conv1, kn_g_conv(g, x, "x", 6, 1, 1, 0, 0.3F))
LAYER(conv1_stride2, kn_g_conv(g, x, "x", 6, 1, 2, 0, 0.3F))
LAYER(conv_wide, kn_g_conv(g, x, "x", 40, 3, 1, 1, 0.3F))
LAYER(conv_tiled, kn_g_conv(g, kn_g_conv(g, x, "wide", 17, 1, 1, 0, 0.3F), "x", 18, 3, 1, 1, 0.3F))
LAYER(conv_tiled_added, kn_g_add(g, kn_g_conv(g, kn_g_pad(g, x, 1, 16), "x", 16, 3, 1, 1, 0.3F),
                                 kn_g_pad(g, x, 1, 16), 1))
LAYER(batchnorm, kn_g_activation(g, kn_g_batchnorm(g, x, "x", -1, 0), KN_ACT_GELU))
LAYER(batchnorm_relu, kn_g_batchnorm(g, x, "x", -1, 1))
LAYER(batchnorm_residual, kn_g_batchnorm(g, kn_g_conv(g, x, "x", 8, 3, 1, 1, 0.3F), "x", x, 1))
LAYER(groupnorm, kn_g_groupnorm(g, x, "x", 2))
LAYER(maxpool2, kn_g_maxpool(g, x, 2, 2, 0))
LAYER(maxpool3, kn_g_maxpool(g, x, 3, 2, 1))
LAYER(avgpool, kn_g_avgpool(g, x, 2))
LAYER(gem, kn_g_gem(g, kn_g_batchnorm(g, x, "x", -1, 1), "x"))
LAYER(option_a, kn_g_add(g, kn_g_pad(g, x, 2, 16), kn_g_conv(g, x, "x", 16, 3, 2, 1, 0.3F), 1))
LAYER(relu, kn_g_activation(g, x, KN_ACT_RELU))
LAYER(gelu, kn_g_activation(g, x, KN_ACT_GELU))
LAYER(quickgelu, kn_g_activation(g, x, KN_ACT_QUICKGELU))
LAYER(add_twice, kn_g_add(g, kn_g_add(g, x, x, 0), x, 1))
LAYER(dropout, kn_g_drop(g, x, 0.4F, 0))
LAYER(drop_path, kn_g_add(g, kn_g_drop(g, kn_g_conv(g, x, "x", 8, 1, 1, 0, 0.3F), 0.5F, 1), x, 0))
LAYER(linear, kn_g_linear(g, x, "x", 7, 1, -1, g->crew.type, 0.3F))
LAYER(layernorm, kn_g_layernorm(g, x, "x", 1e-5F, g->crew.type))
LAYER(attention, kn_g_attention(g, kn_g_linear(g, x, "x", 24, 1, -1, g->crew.type, 0.5F), 2, 0))
LAYER(attention_causal, kn_g_attention(g, kn_g_linear(g, x, "x", 24, 1, -1, g->crew.type, 0.5F), 4, 1))
LAYER(tokens, kn_g_pick(g, kn_g_layernorm(g, kn_g_tokens(g, x), "x", 1e-5F, KN_F32), 0))

typedef struct layer_case {
    const char *name;
    void (*build)(kn_graph *g);
} layer_case;

#define CASE(name) { "layer " #name, build_##name }
static const layer_case layers[] = {
    CASE(conv3), CASE(conv3_nopad), CASE(conv3_stride2), CASE(conv5_stride3), CASE(conv1),
    CASE(conv1_stride2), CASE(conv_wide), CASE(conv_tiled),
    CASE(conv_tiled_added), CASE(batchnorm), CASE(batchnorm_relu),
    CASE(batchnorm_residual), CASE(groupnorm), CASE(maxpool2), CASE(maxpool3), CASE(avgpool),
    CASE(gem), CASE(option_a), CASE(relu), CASE(gelu), CASE(quickgelu), CASE(add_twice),
    CASE(dropout), CASE(drop_path), CASE(linear), CASE(layernorm), CASE(attention),
    CASE(attention_causal), CASE(tokens),
};

/* ---- networks ---- */

static kn_net_config pictures(uint32_t side)
{
    kn_net_config c = { .prep = { .crop = { side, side }, .mean = { 0.5F, 0.5F, 0.5F },
                                  .std = { 0.3F, 0.3F, 0.3F } } };
    return c;
}

static kn_net_config residual(kn_stem stem, int bottleneck, int pad, uint32_t dim, uint32_t side)
{
    kn_net_config c = pictures(side);
    c.image = KN_NET_RESNET;
    c.resnet = (kn_resnet_config){ .stem = stem, .bottleneck = bottleneck, .shortcut_pad = pad,
                                   .stages = 2, .layers = { 1, 2 }, .width = 8,
                                   .input = { side, side } };
    c.resnet.dim = dim ? dim : kn_resnet_channels(&c.resnet, 1);
    return c;
}

static int check_residual(void)
{
    const kn_graph_options o = { .batch = N, .threads = 1, .seed = 1 };
    const kn_graph_options dropping = { .batch = N, .threads = 1, .seed = 1, .drop_path = 0.5F };
    const kn_net_config basic = residual(KN_STEM_IMAGENET, 0, 0, 0, 19);
    const kn_net_config bottleneck = residual(KN_STEM_IMAGENET, 1, 0, 0, 16);
    const kn_net_config strided = residual(KN_STEM_STRIDED, 0, 0, 10, 16);
    const kn_net_config cifar = residual(KN_STEM_CIFAR, 0, 1, 0, 8);
    const kn_net_config clip = residual(KN_STEM_CLIP, 1, 0, 0, 16);
    int failed = check("network resnet", &basic, &o, NULL, NULL);
    failed += check("network resnet, bottlenecks", &bottleneck, &o, NULL, NULL);
    failed += check("network resnet, strided stem, projection", &strided, &o, NULL, NULL);
    failed += check("network resnet, stem and statistics frozen", &strided, &o, NULL, "v.stem,v.1");
    failed += check("network resnet, stochastic depth", &strided, &dropping, NULL, NULL);
    failed += check("network cifar-resnet", &cifar, &o, NULL, NULL);
    failed += check("network resnet, clip's stem", &clip, &o, NULL, NULL);
    return failed;
}

static int check_plain(void)
{
    const kn_graph_options o = { .batch = N, .threads = 1, .seed = 1 };
    kn_net_config c = pictures(19);
    c.image = KN_NET_RESNET;
    c.resnet = (kn_resnet_config){ .plain = 1, .stages = 3, .layers = { 1, 1, 1 }, .width = 6, .dim = 6,
                                   .input = { 19, 19 } };
    return check("network conv4", &c, &o, NULL, NULL);
}

static int check_transformers(void)
{
    const kn_graph_options o = { .batch = N, .threads = 1, .seed = 1 };
    const kn_graph_options dropping = { .batch = N, .threads = 1, .seed = 1, .drop = 0.2F, .drop_path = 0.3F };
    const kn_graph_options text = { .batch = N, .tokens = TOKENS, .threads = 1, .seed = 1, .text = 1 };
    kn_net_config c = pictures(12);
    c.image = KN_NET_VIT;
    c.vit = (kn_vit_config){ .trunk = { 12, 2, 3, 16, KN_ACT_GELU, 1e-6F }, .patch = 4, .grid = { 3, 3 },
                             .dim = 12 };
    int failed = check("network vit", &c, &o, NULL, NULL);
    c.vit.ln_pre = 1;
    c.vit.dim = 7;
    c.vit.trunk.act = KN_ACT_QUICKGELU;
    failed += check("network vit, ln_pre, projection", &c, &o, NULL, NULL);
    failed += check("network vit, dropping", &c, &dropping, NULL, NULL);
    c.has_text = 1;
    c.text = (kn_text_config){ .trunk = { 12, 2, 2, 16, KN_ACT_QUICKGELU, 1e-5F }, .context = 9,
                               .positions = 9, .vocab = 11, .dim = 5 };
    failed += check("network text, clip", &c, &text, NULL, NULL);
    c.text.bert = 1;
    c.text.positions = 12;
    failed += check("network text, bert", &c, &text, NULL, NULL);
    return failed;
}

int kn_grad_graphs(void)
{
    const kn_graph_options o = { .batch = N, .threads = 1, .seed = 1 };
    const kn_net_config c = { .image = KN_NET_RESNET,
                              .prep = { .crop = { 9, 9 }, .mean = { 0.5F, 0.5F, 0.5F },
                                        .std = { 0.3F, 0.3F, 0.3F } } };
    int failed = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        failed += check(layers[i].name, &c, &o, layers[i].build, NULL);
    return failed + check_plain() + check_residual() + check_transformers();
}
