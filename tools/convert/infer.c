/*
 * infer.c - a network's configuration from the names and shapes of its tensors.
 *
 * The rules are the publishers' own (openai/CLIP clip/model.py, build_model): depth from the
 * numbers in names, widths from shapes, heads of 64.  Where a head is not 64 wide (LAION's H, g
 * and bigG) a configuration file says so, or the pair of width and depth, which names one
 * published network.
 */
#include "tools/convert/plan.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 999 };

static ken_status missing(const char *name)
{
    return kn_fail(KEN_E_FORMAT, "%s: no tensor for it in the checkpoint", name);
}

static uint32_t count_layers(const cv_plan *p, const char *fmt_prefix, const char *fmt_suffix)
{
    uint32_t n = 0;
    while (n < MAX_DEPTH && cv_names_find(&p->names, "%s%u%s", fmt_prefix, n, fmt_suffix))
        n++;
    return n;
}

static int fits32(uint64_t v)
{
    return v > 0 && v <= INT32_MAX;
}

/* Positions of a square grid and of one token before it. */
static ken_status square_and_one(const cv_slot *pos, uint32_t *side)
{
    *side = pos->n <= 1 << 20 ? (uint32_t)sqrt((double)pos->n) : 0;
    if (*side && (uint64_t)*side * *side + 1 == pos->n)
        return KEN_OK;
    return kn_fail(KEN_E_FORMAT, "tensor %s: %llu positions are not a square and one",
                   pos->part[0].t->name, (unsigned long long)pos->n);
}

/* ---- transformers ---- */

static const struct {
    uint32_t width, layers, heads;
} wide[] = { { 1280, 32, 16 }, { 1408, 40, 16 }, { 1664, 48, 16 } }; /* ViT-H, -g, -bigG */

static uint32_t vision_heads(const cv_plan *p, const cv_side *side, uint32_t width, uint32_t layers)
{
    kn_net_config arch;
    uint32_t heads = width % 64 ? 0 : width / 64;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (wide[i].width == width && wide[i].layers == layers)
            heads = wide[i].heads;
    if (p->opts->arch && kn_arch_find(&arch, p->opts->arch) && arch.image == KN_NET_VIT &&
        arch.vit.trunk.width == width)
        return arch.vit.trunk.heads;
    const uint32_t each = cv_side_whole(side->open_clip, "model_cfg.vision_cfg.head_width", 0);
    if (each && !(width % each))
        heads = width / each;
    heads = cv_side_whole(side->hf, "num_attention_heads", heads);
    return cv_side_whole(side->hf, "vision_config.num_attention_heads", heads);
}

/* Zero heads, where nothing said how many. */
static ken_status check_heads(const kn_trunk_config *c)
{
    if (c->heads)
        return KEN_OK;
    return kn_fail(KEN_E_UNSUPPORTED,
                   "how many heads has a transformer of width %u? No configuration is beside it",
                   c->width);
}

static float epsilon(const cv_side *side, const char *path, float otherwise)
{
    const cJSON *j = cv_side_get(side->hf, path);
    return cJSON_IsNumber(j) ? (float)j->valuedouble : otherwise;
}

/* In the order that the interface promises; Chinese-CLIP's code has only one. */
static ken_status find_act(cv_plan *p, const cv_side *side, const char *tower, kn_act *act)
{
    int found = 0;
    if (p->opts->has_act) {
        *act = p->opts->act;
        p->act_from = "--activation";
        return KEN_OK;
    }
    ken_status st = cv_side_act(side, tower, act, &found);
    if (st)
        return st;
    if (found) {
        p->act_from = side->hf ? "config.json" : "open_clip_config.json";
        return KEN_OK;
    }
    if (!p->openai && !p->names.bert)
        return kn_fail(
            KEN_E_UNSUPPORTED,
            "QuickGELU or GELU? The checkpoint does not say, and no configuration is beside it: "
            "give --activation quickgelu (OpenAI's, some others) or gelu (most of LAION's)");
    *act = KN_ACT_QUICKGELU;
    p->act_from = p->openai ? "OpenAI's archive" : "Chinese-CLIP's code";
    return KEN_OK;
}

ken_status cv_infer_vit(cv_plan *p, const cv_side *side)
{
    kn_vit_config *c = &p->config.vit;
    const cv_slot *patch = cv_names_find(&p->names, "v.patch.w"),
                  *fc = cv_names_find(&p->names, "v.0.fc1.w");
    const cv_slot *pos = cv_names_find(&p->names, "v.pos"),
                  *proj = cv_names_find(&p->names, "v.proj.w");
    if (!patch || !fc || !pos)
        return missing(!patch ? "v.patch.w" : !fc ? "v.0.fc1.w" : "v.pos");
    const uint64_t *shape = patch->part[0].shape; /* (width, patch, patch, 3) */
    if (shape[3] != 3 || shape[1] != shape[2] || !fits32(shape[1]) || !fits32(patch->n) ||
        !fits32(fc->n))
        return kn_fail(KEN_E_FORMAT, "tensor %s: not the patches of pictures of three channels",
                       patch->part[0].t->name);
    ken_status st = square_and_one(pos, &p->grid[0]);
    if (st)
        return st;
    p->grid[1] = p->grid[0];
    c->patch = (uint32_t)shape[1];
    c->grid[0] = c->grid[1] = p->opts->size ? p->opts->size / c->patch : p->grid[0];
    if (p->opts->size % c->patch)
        return kn_fail(KEN_E_INVALID, "--size %u is no multiple of the patch, %u", p->opts->size,
                       c->patch);
    c->ln_pre = cv_names_has(&p->names, "v.ln_pre.w");
    c->trunk.width = (uint32_t)patch->n;
    c->trunk.layers = count_layers(p, "v.", ".ln1.w");
    c->trunk.mlp = (uint32_t)fc->n;
    c->trunk.heads = vision_heads(p, side, c->trunk.width, c->trunk.layers);
    c->trunk.eps = epsilon(side, "vision_config.layer_norm_eps", 1e-5F);
    c->dim = proj ? (uint32_t)proj->n : c->trunk.width;
    p->config.image = KN_NET_VIT;
    if (!c->ln_pre)
        return kn_fail(KEN_E_UNSUPPORTED, "a ViT without ln_pre, which pools in another way");
    st = find_act(p, side, "vision", &c->trunk.act);
    return st ? st : check_heads(&c->trunk);
}

static ken_status infer_bert(const cv_side *side, kn_text_config *c)
{
    const cJSON *act = cv_side_get(side->hf, "text_config.hidden_act");
    if (cJSON_IsString(act) && strcmp(act->valuestring, "gelu") != 0)
        return kn_fail(KEN_E_UNSUPPORTED, "config.json: text activation \"%.40s\"",
                       act->valuestring);
    c->bert = 1;
    c->trunk.act = KN_ACT_GELU;
    c->trunk.eps = epsilon(side, "text_config.layer_norm_eps", 1e-12F);
    c->positions = c->context;
    c->context = c->positions < 52 ? c->positions : 52; /* cn_clip's tokenize() */
    return check_heads(&c->trunk);
}

ken_status cv_infer_text(cv_plan *p, const cv_side *side)
{
    kn_text_config *c = &p->config.text;
    const cv_slot *tok = cv_names_find(&p->names, "t.tok"),
                  *pos = cv_names_find(&p->names, "t.pos");
    const cv_slot *fc = cv_names_find(&p->names, "t.0.fc1.w"),
                  *proj = cv_names_find(&p->names, "t.proj.w");
    if (!pos || !fc || !proj)
        return missing(!pos ? "t.pos" : !fc ? "t.0.fc1.w" : "t.proj.w");
    if (!fits32(tok->k) || !fits32(tok->n) || !fits32(pos->n) || !fits32(fc->n) || !fits32(proj->n))
        return kn_fail(KEN_E_FORMAT, "tensor %s: not a table of words", tok->part[0].t->name);
    p->config.has_text = 1;
    *c = (kn_text_config){ .trunk = { .width = (uint32_t)tok->k,
                                      .layers = count_layers(p, "t.", ".ln1.w"),
                                      .heads = tok->k % 64 ? 0 : (uint32_t)tok->k / 64,
                                      .mlp = (uint32_t)fc->n,
                                      .eps = 1e-5F },
                           .context = (uint32_t)pos->n,
                           .positions = (uint32_t)pos->n,
                           .vocab = (uint32_t)tok->n,
                           .dim = (uint32_t)proj->n };
    c->trunk.heads = cv_side_whole(side->open_clip, "model_cfg.text_cfg.heads", c->trunk.heads);
    c->trunk.heads = cv_side_whole(side->hf, "num_attention_heads", c->trunk.heads);
    c->trunk.heads = cv_side_whole(side->hf, "text_config.num_attention_heads", c->trunk.heads);
    if (p->names.bert)
        return infer_bert(side, c);
    ken_status st = check_heads(&c->trunk);
    if (st)
        return st;
    c->trunk.eps = epsilon(side, "text_config.layer_norm_eps", 1e-5F);
    c->eot = (int32_t)c->vocab - 1; /* the largest id: what the publisher's argmax finds */
    return find_act(p, side, "text", &c->trunk.act);
}

/* ---- ResNets ---- */

static ken_status infer_pool(cv_plan *p, kn_resnet_config *c)
{
    const cv_slot *pos = cv_names_find(&p->names, "v.pool.pos"),
                  *o = cv_names_find(&p->names, "v.pool.o.w");
    if (!pos || !o)
        return missing("v.pool.pos");
    uint32_t grid = 0;
    ken_status st = square_and_one(pos, &grid);
    if (!st && (!fits32(o->n) || !fits32(pos->k)))
        st = missing("v.pool.o.w");
    if (st)
        return st;
    c->pool_attention = 1;
    c->heads = (uint32_t)(pos->k / 64);
    if (!c->heads)
        c->heads = 1;
    c->dim = (uint32_t)o->n;
    c->input[0] = c->input[1] = grid << (c->stages + 1);
    return KEN_OK;
}

ken_status cv_infer_resnet(cv_plan *p)
{
    kn_resnet_config *c = &p->config.resnet;
    const cv_slot *stem = cv_names_find(&p->names, "v.stem.0.w"),
                  *first = cv_names_find(&p->names, "v.1.0.conv1.w");
    if (!stem || !first)
        return missing(!stem ? "v.stem.0.w" : "v.1.0.conv1.w");
    const uint64_t side = stem->part[0].shape[1];
    if (stem->part[0].shape[3] != 3 || (side != 3 && side != 7) || !fits32(first->n))
        return kn_fail(KEN_E_UNSUPPORTED,
                       "tensor %s: not the first layer of a ResNet that is known",
                       stem->part[0].t->name);
    p->config.image = KN_NET_RESNET;
    c->stem = side == 7                               ? KN_STEM_IMAGENET
              : cv_names_has(&p->names, "v.stem.1.w") ? KN_STEM_CLIP
                                                      : KN_STEM_CIFAR;
    c->bottleneck = cv_names_has(&p->names, "v.1.0.conv3.w");
    c->width = (uint32_t)first->n;
    if (c->stem != KN_STEM_CLIP && stem->n != first->n)
        return kn_fail(KEN_E_UNSUPPORTED,
                       "tensor %s: %u planes behind a stem of %llu, as wide "
                       "ResNets and ResNeXts have them",
                       first->part[0].t->name, c->width, (unsigned long long)stem->n);
    for (c->stages = 0; c->stages < KN_MAX_STAGES; c->stages++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "v.%u.", c->stages + 1);
        c->layers[c->stages] = count_layers(p, prefix, ".conv1.w");
        if (!c->layers[c->stages])
            break;
    }
    c->shortcut_pad = c->stem == KN_STEM_CIFAR && !cv_names_has(&p->names, "v.2.0.down.w");
    if (c->stem == KN_STEM_CLIP)
        return infer_pool(p, c);
    c->input[0] = c->input[1] = p->opts->size ? p->opts->size : c->stem == KN_STEM_CIFAR ? 32 : 224;
    c->dim = kn_resnet_channels(c, c->stages - 1);
    return KEN_OK;
}
