/*
 * arch.c - the published architectures, by name.
 *
 * Sizes: openai/CLIP model.py, mlfoundations/open_clip model_configs, OFA-Sys/Chinese-CLIP
 * model_configs, pytorch/vision resnet.py; the CIFAR networks: He et al., "Deep residual learning
 * for image recognition", section 4.2; the plain ViTs: Touvron et al., DeiT, table 1.
 */
#include "nn/config.h"

#include <string.h>

/* Means and deviations of the channels, and how pictures are brought to size. */
static const kn_prep clip_prep = {
    .fit = KN_FIT_SHORT,
    .filter = KN_BICUBIC,
    .mean = { 0.48145466F, 0.4578275F, 0.40821073F },
    .std = { 0.26862954F, 0.26130258F, 0.27577711F },
};
static const kn_prep imagenet_prep = {
    .fit = KN_FIT_SHORT,
    .filter = KN_BILINEAR,
    .mean = { 0.485F, 0.456F, 0.406F },
    .std = { 0.229F, 0.224F, 0.225F },
};

typedef enum text_kind {
    NO_TEXT,
    CLIP_TEXT,
    BERT_TEXT
} text_kind;

typedef struct text_size {
    text_kind kind;
    uint32_t width, layers;
} text_size;

typedef struct vit_arch {
    const char *name;
    uint32_t width, layers, heads, patch, grid;
    kn_act act;
    uint32_t dim; /* 0: no projection */
    text_size text;
} vit_arch;

static const vit_arch vits[] = {
    { "clip-vit-b32", 768, 12, 12, 32, 7, KN_ACT_QUICKGELU, 512, { CLIP_TEXT, 512, 12 } },
    { "clip-vit-b16", 768, 12, 12, 16, 14, KN_ACT_QUICKGELU, 512, { CLIP_TEXT, 512, 12 } },
    { "clip-vit-l14", 1024, 24, 16, 14, 16, KN_ACT_QUICKGELU, 768, { CLIP_TEXT, 768, 12 } },
    { "clip-vit-l14-336", 1024, 24, 16, 14, 24, KN_ACT_QUICKGELU, 768, { CLIP_TEXT, 768, 12 } },
    { "clip-vit-h14", 1280, 32, 16, 14, 16, KN_ACT_GELU, 1024, { CLIP_TEXT, 1024, 24 } },
    { "chinese-clip-vit-b16", 768, 12, 12, 16, 14, KN_ACT_QUICKGELU, 512, { BERT_TEXT, 768, 12 } },
    { "chinese-clip-vit-l14", 1024, 24, 16, 14, 16, KN_ACT_QUICKGELU, 768, { BERT_TEXT, 768, 12 } },
    { "vit-ti16", 192, 12, 3, 16, 14, KN_ACT_GELU, 0, { NO_TEXT, 0, 0 } },
    { "vit-s16", 384, 12, 6, 16, 14, KN_ACT_GELU, 0, { NO_TEXT, 0, 0 } },
    { "vit-b16", 768, 12, 12, 16, 14, KN_ACT_GELU, 0, { NO_TEXT, 0, 0 } },
};

typedef struct resnet_arch {
    const char *name;
    kn_stem stem;
    int bottleneck;
    uint32_t layers[KN_MAX_STAGES];
    uint32_t width, input, dim; /* dim 0: the last stage's channels */
    text_size text;
} resnet_arch;

static const resnet_arch resnets[] = {
    { "resnet18", KN_STEM_IMAGENET, 0, { 2, 2, 2, 2 }, 64, 224, 0, { NO_TEXT, 0, 0 } },
    { "resnet34", KN_STEM_IMAGENET, 0, { 3, 4, 6, 3 }, 64, 224, 0, { NO_TEXT, 0, 0 } },
    { "resnet50", KN_STEM_IMAGENET, 1, { 3, 4, 6, 3 }, 64, 224, 0, { NO_TEXT, 0, 0 } },
    { "resnet101", KN_STEM_IMAGENET, 1, { 3, 4, 23, 3 }, 64, 224, 0, { NO_TEXT, 0, 0 } },
    { "resnet152", KN_STEM_IMAGENET, 1, { 3, 8, 36, 3 }, 64, 224, 0, { NO_TEXT, 0, 0 } },
    { "cifar-resnet20", KN_STEM_CIFAR, 0, { 3, 3, 3 }, 16, 32, 0, { NO_TEXT, 0, 0 } },
    { "cifar-resnet32", KN_STEM_CIFAR, 0, { 5, 5, 5 }, 16, 32, 0, { NO_TEXT, 0, 0 } },
    { "cifar-resnet44", KN_STEM_CIFAR, 0, { 7, 7, 7 }, 16, 32, 0, { NO_TEXT, 0, 0 } },
    { "cifar-resnet56", KN_STEM_CIFAR, 0, { 9, 9, 9 }, 16, 32, 0, { NO_TEXT, 0, 0 } },
    { "cifar-resnet110", KN_STEM_CIFAR, 0, { 18, 18, 18 }, 16, 32, 0, { NO_TEXT, 0, 0 } },
    { "clip-rn50", KN_STEM_CLIP, 1, { 3, 4, 6, 3 }, 64, 224, 1024, { CLIP_TEXT, 512, 12 } },
    { "clip-rn101", KN_STEM_CLIP, 1, { 3, 4, 23, 3 }, 64, 224, 512, { CLIP_TEXT, 512, 12 } },
    { "clip-rn50x4", KN_STEM_CLIP, 1, { 4, 6, 10, 6 }, 80, 288, 640, { CLIP_TEXT, 640, 12 } },
    { "clip-rn50x16", KN_STEM_CLIP, 1, { 6, 8, 18, 8 }, 96, 384, 768, { CLIP_TEXT, 768, 12 } },
    { "clip-rn50x64", KN_STEM_CLIP, 1, { 3, 15, 36, 10 }, 128, 448, 1024, { CLIP_TEXT, 1024, 12 } },
    { "chinese-clip-rn50", KN_STEM_CLIP, 1, { 3, 4, 6, 3 }, 64, 224, 1024, { BERT_TEXT, 768, 3 } },
};

enum { VITS = sizeof vits / sizeof *vits, RESNETS = sizeof resnets / sizeof *resnets };

static void set_text(kn_net_config *c, text_size t, uint32_t dim, kn_act act)
{
    if (t.kind == NO_TEXT)
        return;
    const int bert = t.kind == BERT_TEXT;
    c->has_text = 1;
    c->text = (kn_text_config){
        .trunk = { t.width, t.layers, t.width / 64, 4 * t.width, bert ? KN_ACT_GELU : act,
                   bert ? 1e-12F : 1e-5F },
        .bert = bert,
        .context = bert ? 52 : 77,
        .positions = bert ? 512 : 77,
        .vocab = bert ? 21128 : 49408,
        .dim = dim,
        .eot = bert ? 0 : 49407,
    };
}

static void set_vit(kn_net_config *c, const vit_arch *a)
{
    const int plain = !a->dim;
    const uint32_t side = a->grid * a->patch;
    c->image = KN_NET_VIT;
    c->vit = (kn_vit_config){
        .trunk = { a->width, a->layers, a->heads, 4 * a->width, a->act, plain ? 1e-6F : 1e-5F },
        .patch = a->patch,
        .grid = { a->grid, a->grid },
        .ln_pre = !plain,
        .dim = plain ? a->width : a->dim,
    };
    c->prep = plain ? imagenet_prep : clip_prep;
    c->prep.filter = KN_BICUBIC;
    c->prep.resize[0] = c->prep.resize[1] = plain ? side / 7 * 8 : side;
    c->prep.crop[0] = c->prep.crop[1] = side;
    set_text(c, a->text, a->dim, a->act);
}

static void set_resnet(kn_net_config *c, const resnet_arch *a)
{
    kn_resnet_config *r = &c->resnet;
    c->image = KN_NET_RESNET;
    *r = (kn_resnet_config){
        .stem = a->stem,
        .bottleneck = a->bottleneck,
        .pool_attention = a->stem == KN_STEM_CLIP,
        .shortcut_pad = a->stem == KN_STEM_CIFAR,
        .stages = a->layers[3] ? 4 : 3,
        .width = a->width,
        .heads = a->stem == KN_STEM_CLIP ? a->width / 2 : 0, /* 32 width channels, 64 a head */
        .input = { a->input, a->input },
    };
    memcpy(r->layers, a->layers, sizeof r->layers);
    r->dim = a->dim ? a->dim : kn_resnet_channels(r, r->stages - 1);
    c->prep = a->stem == KN_STEM_CLIP ? clip_prep : imagenet_prep;
    c->prep.resize[0] = c->prep.resize[1] = a->stem == KN_STEM_IMAGENET ? 256 : a->input;
    c->prep.crop[0] = c->prep.crop[1] = a->input;
    if (a->stem == KN_STEM_CIFAR)
        c->prep.fit = KN_FIT_SQUASH;
    set_text(c, a->text, a->dim, KN_ACT_QUICKGELU);
}

/* Snell, Swersky and Zemel, "Prototypical networks", section 3: four blocks of 64 channels, on
 * Omniglot's 28x28. */
static void set_conv4(kn_net_config *c)
{
    c->image = KN_NET_RESNET;
    c->resnet = (kn_resnet_config){ .plain = 1, .stages = 4, .layers = { 1, 1, 1, 1 }, .width = 64,
                                    .dim = 64, .input = { 28, 28 } };
    c->prep = (kn_prep){ .fit = KN_FIT_SQUASH, .filter = KN_BILINEAR, .resize = { 28, 28 },
                         .crop = { 28, 28 }, .mean = { 0.5F, 0.5F, 0.5F }, .std = { 0.5F, 0.5F, 0.5F } };
}

/* The networks that ship with ken: ResNet-18 for pictures of 64 pixels, its stem without the
 * max-pool, and a projection. */
static void set_own(kn_net_config *c, uint32_t width, uint32_t blocks, uint32_t dim)
{
    c->image = KN_NET_RESNET;
    c->resnet = (kn_resnet_config){ .stem = KN_STEM_STRIDED, .stages = 4,
                                    .layers = { blocks, blocks, blocks, blocks }, .width = width,
                                    .dim = dim, .input = { 64, 64 } };
    c->prep = imagenet_prep;
    c->prep.resize[0] = c->prep.resize[1] = c->prep.crop[0] = c->prep.crop[1] = 64;
}

int kn_arch_find(kn_net_config *out, const char *name)
{
    kn_net_config c = { 0 };
    for (int i = 0; i < VITS; i++)
        if (!strcmp(name, vits[i].name))
            set_vit(&c, &vits[i]);
    for (int i = 0; i < RESNETS; i++)
        if (!strcmp(name, resnets[i].name))
            set_resnet(&c, &resnets[i]);
    if (!strcmp(name, "conv4"))
        set_conv4(&c);
    if (!strcmp(name, "ken-small"))
        set_own(&c, 64, 2, 256);
    if (!strcmp(name, "ken-tiny"))
        set_own(&c, 24, 2, 128);
    if (c.image == KN_NET_NONE)
        return 0;
    if (!strncmp(name, "chinese-clip", 12))
        c.prep.fit = KN_FIT_SQUASH;
    *out = c;
    return 1;
}

const char *const *kn_arch_names(void)
{
    static const char *const names[] = {
        "resnet18",        "resnet34",       "resnet50",       "resnet101",
        "resnet152",       "cifar-resnet20", "cifar-resnet32", "cifar-resnet44",
        "cifar-resnet56",  "cifar-resnet110", "clip-rn50",     "clip-rn101",
        "clip-rn50x4",     "clip-rn50x16",   "clip-rn50x64",   "clip-vit-b32",
        "clip-vit-b16",    "clip-vit-l14",   "clip-vit-l14-336", "clip-vit-h14",
        "chinese-clip-vit-b16", "chinese-clip-vit-l14", "chinese-clip-rn50",
        "vit-ti16",        "vit-s16",        "vit-b16",        "conv4",
        "ken-small",       "ken-tiny",       NULL
    };
    return names;
}

uint32_t kn_resnet_channels(const kn_resnet_config *c, uint32_t stage)
{
    if (c->plain)
        return c->width;
    return (c->width << stage) * (c->bottleneck ? 4 : 1);
}

/* Sizes as the convolutions round them: 7x7 and 3x3 with stride 2 up, the average pools down. */
static uint32_t side(const kn_resnet_config *c, uint32_t n)
{
    if (c->plain)
        return n >> c->stages;
    if (c->stem == KN_STEM_STRIDED)
        n = (n + 1) / 2;
    else if (c->stem == KN_STEM_IMAGENET)
        n = ((n + 1) / 2 + 1) / 2;
    else if (c->stem == KN_STEM_CLIP)
        n = (n + 1) / 2 / 2;
    for (uint32_t s = 1; s < c->stages; s++)
        n = c->stem == KN_STEM_CLIP ? n / 2 : (n + 1) / 2;
    return n;
}

void kn_resnet_map(const kn_resnet_config *c, uint32_t hw[2])
{
    hw[0] = side(c, c->input[0]);
    hw[1] = side(c, c->input[1]);
}
