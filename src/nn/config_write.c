/*
 * config_write.c - configurations as the metadata of a model file has them (format.h).
 */
#include "nn/config.h"

#include "base/buf.h"

enum { MAX_CONFIG = 1 << 16 };

static const char *act_name(kn_act a)
{
    return a == KN_ACT_GELU ? "gelu" : "quickgelu";
}

static ken_status put_trunk(kn_buf *b, const kn_trunk_config *c)
{
    return kn_buf_addf(
        b, "\"width\":%u,\"layers\":%u,\"heads\":%u,\"mlp\":%u,\"act\":\"%s\",\"eps\":%.9g",
        c->width, c->layers, c->heads, c->mlp, act_name(c->act), (double)c->eps);
}

static ken_status put_vit(kn_buf *b, const kn_vit_config *c)
{
    ken_status st = kn_buf_adds(b, "{\"kind\":\"vit\",");
    if (!st)
        st = put_trunk(b, &c->trunk);
    return st ? st
              : kn_buf_addf(b, ",\"patch\":%u,\"grid\":[%u,%u],\"ln_pre\":%d,\"dim\":%u}", c->patch,
                            c->grid[0], c->grid[1], c->ln_pre, c->dim);
}

static ken_status put_resnet(kn_buf *b, const kn_resnet_config *c)
{
    static const char *const stems[] = { "imagenet", "cifar", "clip", "strided" };
    ken_status st =
        kn_buf_addf(b, "{\"kind\":\"resnet\",\"stem\":\"%s\",\"block\":\"%s\",\"layers\":[",
                    stems[c->stem], c->plain ? "plain" : c->bottleneck ? "bottleneck" : "basic");
    for (uint32_t i = 0; !st && i < c->stages; i++)
        st = kn_buf_addf(b, i ? ",%u" : "%u", c->layers[i]);
    if (!st)
        st =
            kn_buf_addf(b, "],\"width\":%u,\"pool\":\"%s\",\"shortcut\":\"%s\"", c->width,
                        c->pool_attention ? "attention" : "mean", c->shortcut_pad ? "pad" : "conv");
    if (!st && c->pool_attention)
        st = kn_buf_addf(b, ",\"heads\":%u", c->heads);
    return st ? st
              : kn_buf_addf(b, ",\"dim\":%u,\"input\":[%u,%u]}", c->dim, c->input[0], c->input[1]);
}

static ken_status put_prep(kn_buf *b, const kn_prep *p)
{
    static const char *const fits[] = { "short", "squash", "longest" };
    return kn_buf_addf(
        b,
        "{\"fit\":\"%s\",\"resize\":[%u,%u],\"crop\":[%u,%u],\"filter\":\"%s\",\"hf_crop\":%d,"
        "\"fill\":[%u,%u,%u],\"mean\":[%.9g,%.9g,%.9g],\"std\":[%.9g,%.9g,%.9g]}",
        fits[p->fit], p->resize[0], p->resize[1], p->crop[0], p->crop[1], kn_filter_name(p->filter),
        p->hf_crop, p->fill[0], p->fill[1], p->fill[2], (double)p->mean[0], (double)p->mean[1],
        (double)p->mean[2], (double)p->std[0], (double)p->std[1], (double)p->std[2]);
}

static ken_status put_text(kn_buf *b, const kn_text_config *c)
{
    ken_status st = kn_buf_addf(b, "{\"kind\":\"%s\",", c->bert ? "bert" : "clip");
    if (!st)
        st = put_trunk(b, &c->trunk);
    if (!st)
        st =
            kn_buf_addf(b, ",\"context\":%u,\"vocab\":%u,\"dim\":%u", c->context, c->vocab, c->dim);
    if (!st)
        st = c->bert ? kn_buf_addf(b, ",\"positions\":%u}", c->positions)
                     : kn_buf_addf(b, ",\"eot\":%d}", c->eot);
    return st;
}

static ken_status finish(kn_buf *b, ken_status st, char **out)
{
    if (!st) {
        *out = kn_buf_take(b);
        st = *out ? KEN_OK : KEN_E_NOMEM;
    }
    kn_buf_release(b);
    return st;
}

ken_status kn_config_write(const kn_net_config *c, char **image, char **prep, char **text)
{
    kn_buf b;
    ken_status st = KEN_OK;
    kn_buf_init(&b, MAX_CONFIG);
    if (c->image != KN_NET_NONE)
        st = finish(&b, c->image == KN_NET_VIT ? put_vit(&b, &c->vit) : put_resnet(&b, &c->resnet),
                    image);
    kn_buf_init(&b, MAX_CONFIG);
    if (!st && c->image != KN_NET_NONE)
        st = finish(&b, put_prep(&b, &c->prep), prep);
    kn_buf_init(&b, MAX_CONFIG);
    if (!st && c->has_text)
        st = finish(&b, put_text(&b, &c->text), text);
    return st;
}
