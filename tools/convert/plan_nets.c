/* plan_nets.c - the tensors that each network needs, as format.h lists them. */
#include "tools/convert/plan.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- transformers ---- */

static ken_status norm(cv_plan *p, uint64_t width, const char *tower, int layer, const char *name)
{
    char base[CV_NAME - 2];
    if (layer < 0)
        snprintf(base, sizeof base, "%s.%s", tower, name);
    else
        snprintf(base, sizeof base, "%s.%d.%s", tower, layer, name);
    ken_status st = cv_plan_take(p, CV_FLOATS, width, 0, "%s.w", base);
    return st ? st : cv_plan_take(p, CV_FLOATS, width, 0, "%s.b", base);
}

static ken_status linear(cv_plan *p, uint64_t n, uint64_t k, const char *tower, uint32_t layer,
                         const char *name)
{
    char base[CV_NAME - 2];
    snprintf(base, sizeof base, "%s.%u.%s", tower, layer, name);
    return cv_plan_linear(p, n, k, 0, 1, base);
}

static ken_status trunk(cv_plan *p, const kn_trunk_config *c, const char *tower)
{
    const uint64_t w = c->width;
    ken_status st = KEN_OK;
    for (uint32_t i = 0; !st && i < c->layers; i++) {
        char qkv[CV_NAME - 2];
        snprintf(qkv, sizeof qkv, "%s.%u.qkv", tower, i);
        st = norm(p, w, tower, (int)i, "ln1");
        if (!st)
            st = cv_plan_linear(p, 3 * w, w, w, 1 / sqrt((double)(c->width / c->heads)), qkv);
        if (!st)
            st = linear(p, w, w, tower, i, "o");
        if (!st)
            st = norm(p, w, tower, (int)i, "ln2");
        if (!st)
            st = linear(p, c->mlp, w, tower, i, "fc1");
        if (!st)
            st = linear(p, w, c->mlp, tower, i, "fc2");
    }
    return st;
}

/* The positions for another size of picture: the class's row as it is, the others as a picture. */
static ken_status resized_positions(cv_plan *p, cv_set *set, const uint32_t from[2])
{
    const kn_vit_config *c = &p->config.vit;
    const size_t w = c->trunk.width, n = (size_t)c->grid[0] * c->grid[1] + 1;
    const size_t n0 = (size_t)from[0] * from[1] + 1;
    const cv_resize how = p->names.family == CV_HF ? CV_BICUBIC
                          : p->names.bert          ? CV_BICUBIC_CORNERS
                                                   : CV_BICUBIC_ANTIALIAS;
    cv_item item = {
        .name = "v.pos", .kind = CV_FLOATS, .rank = 2, .n = n, .k = w, .note = "resized"
    };
    cv_slot *slot = NULL;
    float *all = NULL;
    ken_status st = cv_plan_need(p, &slot, n0, w, "v.pos");
    if (st)
        return st;
    item.from = slot;
    item.values = kn_alloc(n, w * sizeof *item.values);
    all = kn_alloc(n0, w * sizeof *all);
    if (!item.values || !all)
        st = KEN_E_NOMEM;
    if (!st)
        st = cv_view_all(set, &slot->part[0], all);
    if (!st) {
        memcpy(item.values, all, w * sizeof *all);
        st = cv_resize_grid(all + w, from, item.values + w, c->grid, w, how);
    }
    kn_free(all);
    if (!st)
        st = cv_plan_add(p, &item);
    if (st)
        kn_free(item.values);
    return st;
}

static ken_status positions(cv_plan *p, cv_set *set)
{
    const kn_vit_config *c = &p->config.vit;
    if (c->grid[0] != p->grid[0])
        return resized_positions(p, set, p->grid);
    return cv_plan_take(p, CV_FLOATS, (uint64_t)c->grid[0] * c->grid[1] + 1, c->trunk.width,
                        "v.pos");
}

ken_status cv_plan_vit(cv_plan *p, cv_set *set)
{
    const kn_vit_config *c = &p->config.vit;
    const uint64_t w = c->trunk.width;
    ken_status st = cv_plan_take(p, CV_MAT, w, (uint64_t)c->patch * c->patch * 3, "v.patch.w");
    if (!st)
        st = cv_plan_take(p, CV_FLOATS, w, 0, "v.cls");
    if (!st)
        st = positions(p, set);
    if (!st)
        st = norm(p, w, "v", -1, "ln_pre");
    if (!st)
        st = trunk(p, &c->trunk, "v");
    if (!st)
        st = norm(p, w, "v", -1, "ln_post");
    if (!st && cv_names_has(&p->names, "v.proj.w"))
        st = cv_plan_take(p, CV_MAT, c->dim, w, "v.proj.w");
    return st;
}

ken_status cv_plan_text(cv_plan *p)
{
    const kn_text_config *c = &p->config.text;
    const uint64_t w = c->trunk.width;
    ken_status st = cv_plan_take(p, CV_ROWS, c->vocab, w, "t.tok");
    if (!st)
        st = cv_plan_take(p, CV_ROWS, c->positions, w, "t.pos");
    if (!st && c->bert) {
        cv_slot *s = cv_names_find(&p->names, "t.type"); /* only the first type is ever used */
        cv_item item = { .name = "t.type", .kind = CV_ROWS, .n = 1, .k = w, .from = s };
        if (!s || s->k != w || !s->n)
            return kn_fail(KEN_E_FORMAT, "t.type: no such tensor, or not (types, %llu)",
                           (unsigned long long)w);
        s->used = 1;
        item.note = s->n > 1 ? "first row" : NULL;
        st = cv_plan_add(p, &item);
    }
    if (!st)
        st = norm(p, w, "t", -1, c->bert ? "ln_emb" : "ln_final");
    if (!st)
        st = trunk(p, &c->trunk, "t");
    if (!st)
        st = cv_plan_take(p, CV_MAT, c->dim, w, "t.proj.w");
    return st;
}

/* ---- ResNets ---- */

static ken_status block(cv_plan *p, const kn_resnet_config *c, uint32_t stage, uint32_t i,
                        uint64_t *channels)
{
    char name[CV_NAME - 2];
    const uint64_t planes = (uint64_t)c->width << stage, out = kn_resnet_channels(c, stage),
                   in = *channels;
    const uint64_t n[3] = { planes, c->bottleneck ? planes : out, out };
    const uint64_t k[3] = { c->bottleneck ? in : 9 * in, 9 * planes, planes };
    ken_status st = KEN_OK;
    for (int j = 0; !st && j < (c->bottleneck ? 3 : 2); j++) {
        snprintf(name, sizeof name, "v.%u.%u.conv%d", stage + 1, i, j + 1);
        st = cv_plan_conv(p, n[j], k[j], name);
    }
    if (!st && !c->shortcut_pad && ((stage && !i) || in != out)) {
        snprintf(name, sizeof name, "v.%u.%u.down", stage + 1, i);
        st = cv_plan_conv(p, out, in, name);
    }
    *channels = out;
    return st;
}

static ken_status attention_pool(cv_plan *p, const kn_resnet_config *c, uint64_t channels)
{
    uint32_t hw[2];
    kn_resnet_map(c, hw);
    ken_status st = cv_plan_take(p, CV_FLOATS, (uint64_t)hw[0] * hw[1] + 1, channels, "v.pool.pos");
    if (!st)
        st = cv_plan_linear(p, channels, channels, channels,
                            1 / sqrt((double)(channels / c->heads)), "v.pool.q");
    if (!st)
        st = cv_plan_linear(p, channels, channels, 0, 1, "v.pool.k");
    if (!st)
        st = cv_plan_linear(p, channels, channels, 0, 1, "v.pool.v");
    return st ? st : cv_plan_linear(p, c->dim, channels, 0, 1, "v.pool.o");
}

ken_status cv_plan_resnet(cv_plan *p)
{
    const kn_resnet_config *c = &p->config.resnet;
    uint64_t channels = c->width;
    ken_status st;
    if (c->stem == KN_STEM_CLIP) {
        const uint64_t half = c->width / 2;
        if (p->opts->size && p->opts->size != c->input[0])
            return kn_fail(KEN_E_INVALID, "--size: no publisher resizes this network's positions");
        st = cv_plan_conv(p, half, 27, "v.stem.0");
        if (!st)
            st = cv_plan_conv(p, half, 9 * half, "v.stem.1");
        if (!st)
            st = cv_plan_conv(p, channels, 9 * half, "v.stem.2");
    } else {
        st = cv_plan_conv(p, channels, c->stem == KN_STEM_CIFAR ? 27 : 147, "v.stem.0");
    }
    for (uint32_t s = 0; s < c->stages; s++)
        for (uint32_t i = 0; !st && i < c->layers[s]; i++)
            st = block(p, c, s, i, &channels);
    return st || !c->pool_attention ? st : attention_pool(p, c, channels);
}
