/*
 * graph_nets.c - the networks that can be trained, in the names of format.h.
 *
 * Initial weights: convolutions He et al. 2015, normal, by the outputs (as torchvision's ResNets);
 * transformers normal with deviation 0.02, the branches' last product smaller by sqrt(2 layers)
 * (Radford et al. 2019); projections 1 / sqrt(inputs).
 */
#include "nn/graph_state.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>

static const kn_type F32 = KN_F32;

/* ---- residual networks ---- */

/* Convolution, batch normalisation, + residual, ReLU. */
static int conv(kn_graph *g, int in, const char *name, uint32_t cout, uint32_t side, uint32_t stride,
                int residual, int relu)
{
    const float deviation = sqrtf(2 / (float)(side * side * cout));
    const int x = kn_g_conv(g, in, name, cout, side, stride, side / 2, deviation);
    return kn_g_batchnorm(g, x, name, residual, relu);
}

static int stem(kn_graph *g, int x, const kn_resnet_config *c)
{
    if (c->stem == KN_STEM_CIFAR)
        return conv(g, x, "v.stem.0", c->width, 3, 1, -1, 1);
    if (c->stem == KN_STEM_CLIP) {
        x = conv(g, x, "v.stem.0", c->width / 2, 3, 2, -1, 1);
        x = conv(g, x, "v.stem.1", c->width / 2, 3, 1, -1, 1);
        x = conv(g, x, "v.stem.2", c->width, 3, 1, -1, 1);
        return kn_g_avgpool(g, x, 2);
    }
    x = conv(g, x, "v.stem.0", c->width, 7, 2, -1, 1);
    return c->stem == KN_STEM_IMAGENET ? kn_g_maxpool(g, x, 3, 2, 1) : x;
}

static int shortcut(kn_graph *g, int x, const kn_resnet_config *c, const char *base, uint32_t cout,
                    uint32_t stride)
{
    char name[40];
    if (g->st || (stride == 1 && kn_val(g, x)->c == cout))
        return x;
    if (c->shortcut_pad)
        return kn_g_pad(g, x, stride, cout);
    snprintf(name, sizeof name, "%s.down", base);
    if (c->stem == KN_STEM_CLIP && stride > 1)
        return conv(g, kn_g_avgpool(g, x, stride), name, cout, 1, 1, -1, 0);
    return conv(g, x, name, cout, 1, stride, -1, 0);
}

/* The last convolution and the sum; with a chance to drop the branch. */
static int join(kn_graph *g, int x, int from, const kn_resnet_config *c, const char *base, int which,
                uint32_t cout, uint32_t side, uint32_t stride, float drop)
{
    char name[40];
    const int over = shortcut(g, from, c, base, cout, stride);
    snprintf(name, sizeof name, "%s.conv%d", base, which);
    if (drop <= 0)
        return conv(g, x, name, cout, side, 1, over, 1);
    return kn_g_add(g, kn_g_drop(g, conv(g, x, name, cout, side, 1, -1, 0), drop, 1), over, 1);
}

static int block(kn_graph *g, int in, const kn_resnet_config *c, uint32_t stage, uint32_t i, float drop)
{
    const uint32_t planes = c->width << stage, cout = kn_resnet_channels(c, stage);
    const uint32_t stride = stage && !i ? 2 : 1;
    const int clip = c->stem == KN_STEM_CLIP;
    char base[24], name[40];
    snprintf(base, sizeof base, "v.%u.%u", stage + 1, i);
    if (c->plain)
        return kn_g_maxpool(g, conv(g, in, base, c->width, 3, 1, -1, 1), 2, 2, 0);
    snprintf(name, sizeof name, "%s.conv1", base);
    if (!c->bottleneck)
        return join(g, conv(g, in, name, planes, 3, stride, -1, 1), in, c, base, 2, cout, 3, stride, drop);
    int x = conv(g, in, name, planes, 1, 1, -1, 1);
    snprintf(name, sizeof name, "%s.conv2", base);
    x = conv(g, x, name, planes, 3, clip ? 1 : stride, -1, 1);
    if (clip && stride > 1)
        x = kn_g_avgpool(g, x, stride);
    return join(g, x, in, c, base, 3, cout, 1, stride, drop);
}

void kn_g_resnet(kn_graph *g, const kn_resnet_config *c)
{
    uint32_t blocks = 0, at = 0;
    if (c->pool_attention) {
        g->st = kn_fail(KEN_E_UNSUPPORTED, "attention pooling cannot be trained");
        return;
    }
    for (uint32_t s = 0; s < c->stages; s++)
        blocks += c->layers[s];
    int x = c->plain ? g->input : stem(g, g->input, c);
    for (uint32_t s = 0; s < c->stages; s++)
        for (uint32_t i = 0; i < c->layers[s]; i++)
            x = block(g, x, c, s, i, g->o.drop_path * (float)++at / (float)blocks);
    x = kn_g_meanpool(g, x);
    if (!g->st && c->dim != kn_val(g, x)->c)
        x = kn_g_linear(g, kn_g_round(g, x), "v.proj", c->dim, 0, -1, F32,
                        1 / sqrtf((float)kn_val(g, x)->c));
    g->output = x;
}

/* ---- transformers ---- */

/* x + drop(branch) */
static int onto(kn_graph *g, int h, int x, const char *name, uint32_t width, float deviation, float rate)
{
    if (rate <= 0 && g->o.drop <= 0)
        return kn_g_linear(g, h, name, width, 1, x, F32, deviation);
    h = kn_g_linear(g, h, name, width, 1, -1, F32, deviation);
    h = kn_g_drop(g, kn_g_drop(g, h, g->o.drop, 0), rate, 1);
    return kn_g_add(g, h, x, 0);
}

static int layer(kn_graph *g, int x, const kn_trunk_config *c, const char *prefix, uint32_t i, int post,
                 int causal)
{
    const float deviation = 0.02F, last = deviation / sqrtf(2 * (float)c->layers);
    const float rate = g->o.drop_path * (float)(i + 1) / (float)c->layers;
    const kn_type type = g->crew.type;
    char name[40];
#define NAMED(what) (snprintf(name, sizeof name, "%s.%u." what, prefix, i), name)
    int h = post ? kn_g_round(g, x) : kn_g_layernorm(g, x, NAMED("ln1"), c->eps, type);
    h = kn_g_linear(g, h, NAMED("qkv"), 3 * c->width, 1, -1, type, deviation);
    h = kn_g_attention(g, h, c->heads, causal);
    x = onto(g, h, x, NAMED("o"), c->width, last, rate);
    if (post)
        x = kn_g_layernorm(g, x, NAMED("ln1"), c->eps, F32);
    h = post ? kn_g_round(g, x) : kn_g_layernorm(g, x, NAMED("ln2"), c->eps, type);
    h = kn_g_linear(g, h, NAMED("fc1"), c->mlp, 1, -1, type, deviation);
    h = kn_g_activation(g, h, c->act);
    x = onto(g, h, x, NAMED("fc2"), c->width, last, rate);
    return post ? kn_g_layernorm(g, x, NAMED("ln2"), c->eps, F32) : x;
#undef NAMED
}

void kn_g_vit(kn_graph *g, const kn_vit_config *c)
{
    const uint32_t width = c->trunk.width;
    const float fan = 1 / sqrtf((float)(c->patch * c->patch * 3));
    int x = kn_g_tokens(g, kn_g_conv(g, g->input, "v.patch", width, c->patch, c->patch, 0, fan));
    if (c->ln_pre)
        x = kn_g_layernorm(g, x, "v.ln_pre", c->trunk.eps, F32);
    for (uint32_t i = 0; i < c->trunk.layers; i++)
        x = layer(g, x, &c->trunk, "v", i, 0, 0);
    x = kn_g_pick(g, x, 0);
    if (c->dim == width) {
        g->output = kn_g_layernorm(g, x, "v.ln_post", c->trunk.eps, F32);
        return;
    }
    x = kn_g_layernorm(g, x, "v.ln_post", c->trunk.eps, g->crew.type);
    g->output = kn_g_linear(g, x, "v.proj", c->dim, 0, -1, F32, 1 / sqrtf((float)width));
}

void kn_g_text(kn_graph *g, const kn_text_config *c)
{
    int x = kn_g_embed(g, c);
    if (c->bert)
        x = kn_g_layernorm(g, x, "t.ln_emb", c->trunk.eps, F32);
    for (uint32_t i = 0; i < c->trunk.layers; i++)
        x = layer(g, x, &c->trunk, "t", i, c->bert, !c->bert);
    x = kn_g_pick(g, x, !c->bert);
    x = c->bert ? kn_g_round(g, x) : kn_g_layernorm(g, x, "t.ln_final", c->trunk.eps, g->crew.type);
    g->output = kn_g_linear(g, x, "t.proj", c->dim, 0, -1, F32, 1 / sqrtf((float)c->trunk.width));
}
