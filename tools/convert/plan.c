/* plan.c - one checkpoint, all of it accounted for. */
#include "tools/convert/plan.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "text/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TOKENIZER = 64 << 20, MAX_LABELS = 16 << 20 };

void cv_plan_release(cv_plan *p)
{
    for (size_t i = 0; i < p->len; i++) {
        kn_free(p->items[i].values);
        kn_free(p->items[i].bytes);
    }
    kn_free(p->items);
    kn_free(p->tokenizer_from);
    kn_free(p->labels);
    cv_names_release(&p->names);
    *p = (cv_plan){ 0 };
}

/* ---- tensors ---- */

ken_status cv_plan_add(cv_plan *p, const cv_item *item)
{
    cv_item *items = kn_room(p->items, p->len, &p->cap, sizeof *items);
    if (!items)
        return KEN_E_NOMEM;
    p->items = items;
    items[p->len++] = *item;
    return KEN_OK;
}

static ken_status need(cv_plan *p, cv_slot **out, uint64_t n, uint64_t k, const char *name)
{
    char have[160];
    cv_slot *s = cv_names_find(&p->names, "%s", name);
    if (!s)
        return kn_fail(KEN_E_FORMAT, "%s: no tensor for it in the checkpoint", name);
    const int vector = s->role == CV_VECTOR;
    if (s->n != n || (vector ? k != 0 : s->k != k)) {
        cv_describe(s->part[0].t, have, sizeof have);
        return kn_fail(KEN_E_FORMAT, "tensor %s: %s, where %s is (%llu, %llu)", s->part[0].t->name,
                       have, name, (unsigned long long)n, (unsigned long long)(k ? k : 1));
    }
    s->used = 1;
    *out = s;
    return KEN_OK;
}

#define FORMAT(name, fmt)                                                                          \
    char name[CV_NAME];                                                                            \
    do {                                                                                           \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        vsnprintf(name, sizeof name, fmt, ap);                                                     \
        va_end(ap);                                                                                \
    } while (0)

ken_status cv_plan_need(cv_plan *p, cv_slot **out, uint64_t n, uint64_t k, const char *fmt, ...)
{
    FORMAT(name, fmt);
    return need(p, out, n, k, name);
}

static ken_status take(cv_plan *p, cv_kind_of kind, uint64_t n, uint64_t k, const char *name)
{
    cv_item item = { .kind = kind, .rank = k ? 2 : 1, .n = n, .k = k ? k : 1 };
    cv_slot *s = NULL;
    ken_status st = need(p, &s, n, k, name);
    if (st)
        return st;
    snprintf(item.name, sizeof item.name, "%s", name);
    item.from = s;
    item.note = s->role == CV_TRANSPOSED ? "transposed" : s->parts > 1 ? "joined" : NULL;
    return cv_plan_add(p, &item);
}

ken_status cv_plan_take(cv_plan *p, cv_kind_of kind, uint64_t n, uint64_t k, const char *fmt, ...)
{
    FORMAT(name, fmt);
    return take(p, kind, n, k, name);
}

ken_status cv_plan_linear(cv_plan *p, uint64_t n, uint64_t k, uint64_t scaled, double scale,
                          const char *base)
{
    char name[CV_NAME];
    snprintf(name, sizeof name, "%.36s.w", base);
    ken_status st = take(p, CV_MAT, n, k, name);
    snprintf(name, sizeof name, "%.36s.b", base);
    if (!st)
        st = take(p, CV_FLOATS, n, 0, name);
    for (size_t i = 1; !st && scaled && !p->opts->trainable && i <= 2; i++) {
        cv_item *item = &p->items[p->len - i];
        item->scaled = scaled;
        item->scale = scale;
        item->note = item->from->parts > 1 ? "joined, scaled" : "scaled";
    }
    return st;
}

ken_status cv_plan_conv(cv_plan *p, uint64_t n, uint64_t k, const char *base)
{
    static const char *const parts[] = { "w", "b", "mean", "var" };
    char name[CV_NAME];
    cv_item bias = { .kind = CV_FLOATS, .rank = 1, .n = n, .k = 1, .bias = 1, .note = "BatchNorm" };
    snprintf(name, sizeof name, "%.36s.w", base);
    ken_status st = take(p, CV_MAT, n, k, name);
    const size_t conv = p->len - 1;
    for (int i = 0; !st && i < 4; i++) {
        cv_slot *s = NULL;
        snprintf(name, sizeof name, "%.30s.bn.%s", base, parts[i]);
        st = p->opts->trainable ? take(p, CV_FLOATS, n, 0, name) : need(p, &s, n, 0, name);
        bias.norm[i] = s;
    }
    if (st || p->opts->trainable)
        return st;
    snprintf(bias.name, sizeof bias.name, "%.36s.b", base);
    bias.from = bias.norm[1];
    memcpy(p->items[conv].norm, bias.norm, sizeof bias.norm);
    p->items[conv].note = "BatchNorm folded";
    return cv_plan_add(p, &bias);
}

/* ---- the rest of the file ---- */

static ken_status plan_scale(cv_plan *p)
{
    cv_slot *s = cv_names_find(&p->names, "logit_scale");
    const cv_item item = {
        .name = "logit_scale", .kind = CV_FLOATS, .rank = 0, .n = 1, .k = 1, .from = s
    };
    if (!s)
        return KEN_OK;
    s->used = 1;
    return cv_plan_add(p, &item);
}

static ken_status add_label(kn_buf *b, const char *s, size_t n)
{
    ken_status st = kn_buf_adds(b, b->len > 1 ? ",\"" : "\"");
    for (size_t i = 0; !st && i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            st = kn_buf_addf(b, "\\%c", c);
        else
            st = c < 0x20 ? kn_buf_addf(b, "\\u%04x", c) : kn_buf_add(b, s + i, 1);
    }
    return st ? st : kn_buf_adds(b, "\"");
}

/* Lines to a JSON list; *count of them. */
static ken_status read_labels(const char *path, char **out, uint64_t *count)
{
    unsigned char *text = NULL;
    size_t len = 0;
    kn_buf b;
    kn_buf_init(&b, 2 * (size_t)MAX_LABELS);
    ken_status st = kn_read_file(&text, &len, path, MAX_LABELS);
    if (!st)
        st = kn_buf_adds(&b, "[");
    const char *line = (const char *)text;
    for (*count = 0; !st && line && *line; ++*count) {
        const size_t n = strcspn(line, "\n");
        st = add_label(&b, line, n && line[n - 1] == '\r' ? n - 1 : n);
        line += n + (line[n] == '\n');
    }
    if (!st)
        st = kn_buf_adds(&b, "]");
    kn_free(text);
    *out = st ? NULL : kn_buf_take(&b);
    kn_buf_release(&b);
    if (!st && !*out)
        st = KEN_E_NOMEM;
    return st ? kn_fail_in(st, "--labels") : KEN_OK;
}

/* The trained head stays only with names for its classes. */
static ken_status plan_head(cv_plan *p, uint32_t dim)
{
    cv_slot *w = cv_names_find(&p->names, "fc.w"), *b = cv_names_find(&p->names, "fc.b");
    uint64_t count = 0;
    if (!p->opts->labels) {
        if (w)
            w->used = 1;
        if (b)
            b->used = 1;
        return KEN_OK;
    }
    if (!w || !b)
        return kn_fail(KEN_E_INVALID, "--labels: the checkpoint has no head");
    ken_status st = read_labels(p->opts->labels, &p->labels, &count);
    if (!st && count != w->n)
        st = kn_fail(KEN_E_INVALID, "--labels: %llu names for a head of %llu",
                     (unsigned long long)count, (unsigned long long)w->n);
    return st ? st : cv_plan_linear(p, w->n, dim, 0, 1, "fc");
}

static ken_status build_tokenizer(cv_plan *p, const char *path)
{
    unsigned char *source = NULL;
    size_t n = 0, len = 0;
    cv_item item = { .name = "tokenizer", .kind = CV_BYTES, .rank = 1, .k = 1 };
    ken_status st = kn_read_file(&source, &n, path, MAX_TOKENIZER);
    if (!st) {
        st = kn_tokenizer_build(&item.bytes, &len, p->tokenizer, source, n);
        if (st)
            kn_fail_in(st, "%s", path);
    }
    kn_free(source);
    item.n = len;
    if (!st)
        st = cv_plan_add(p, &item);
    if (st)
        kn_free(item.bytes);
    return st;
}

/* The ids that the tokenizer gives must be the network's. */
static ken_status check_tokenizer(cv_plan *p)
{
    const cv_item *item = &p->items[p->len - 1];
    kn_text_config *c = &p->config.text;
    kn_tokenizer *t = NULL;
    ken_status st = kn_tokenizer_open(&t, p->tokenizer, item->bytes, (size_t)item->n);
    if (st)
        return st;
    const int32_t end = kn_tokenizer_end(t);
    if (kn_tokenizer_vocab(t) > c->vocab || end < 0 || (uint32_t)end >= c->vocab)
        st = kn_fail(KEN_E_FORMAT, "%s: %u tokens for a network of %u", p->tokenizer_from,
                     kn_tokenizer_vocab(t), c->vocab);
    else if (!c->bert)
        c->eot = end;
    kn_tokenizer_close(t);
    return st;
}

static ken_status plan_tokenizer(cv_plan *p, const cv_side *side)
{
    if (!p->config.has_text)
        return p->opts->tokenizer
                   ? kn_fail(KEN_E_INVALID, "--tokenizer: the checkpoint has no text network")
                   : KEN_OK;
    p->tokenizer = p->config.text.bert ? "bert-wordpiece" : "clip-bpe";
    p->tokenizer_from =
        p->opts->tokenizer ? kn_strdup(p->opts->tokenizer) : cv_side_tokenizer(side, p->tokenizer);
    if (!p->tokenizer_from)
        return p->opts->tokenizer ? KEN_E_NOMEM : KEN_OK;
    ken_status st = build_tokenizer(p, p->tokenizer_from);
    return st ? st : check_tokenizer(p);
}

/* ---- preprocessing ---- */

static kn_prep default_prep(const cv_plan *p)
{
    const kn_net_config *c = &p->config;
    const int clip = c->image == KN_NET_VIT || c->resnet.stem == KN_STEM_CLIP;
    const int cifar = !clip && c->resnet.stem == KN_STEM_CIFAR;
    const uint32_t side =
        c->image == KN_NET_VIT ? c->vit.grid[0] * c->vit.patch : c->resnet.input[0];
    const uint32_t edge = clip || cifar ? side : side / 7 * 8 + side % 7 * 8 / 7;
    kn_net_config model;
    kn_arch_find(&model, clip ? "clip-vit-b32" : "resnet50"); /* for its statistics */
    kn_prep out = model.prep;
    out.fit = cifar || (clip && p->names.bert) ? KN_FIT_SQUASH : KN_FIT_SHORT;
    out.resize[0] = out.resize[1] = edge;
    out.crop[0] = out.crop[1] = side;
    return out;
}

static ken_status plan_prep(cv_plan *p, const cv_side *side)
{
    kn_net_config *c = &p->config;
    ken_status st;
    c->prep = default_prep(p);
    const kn_prep own = c->prep;
    st = cv_side_prep(side, &c->prep, &p->prep_from);
    if (st)
        return st;
    if (c->image == KN_NET_RESNET && !p->opts->size && !c->resnet.pool_attention)
        memcpy(c->resnet.input, c->prep.crop, sizeof c->resnet.input);
    if (memcmp(c->prep.crop, own.crop, sizeof own.crop) != 0 && p->opts->size) {
        memcpy(c->prep.resize, own.resize, sizeof own.resize);
        memcpy(c->prep.crop, own.crop, sizeof own.crop);
    }
    const uint32_t *crop = c->prep.crop;
    if ((c->image == KN_NET_VIT && memcmp(crop, own.crop, sizeof own.crop) != 0) ||
        (c->image == KN_NET_RESNET && memcmp(crop, c->resnet.input, sizeof c->resnet.input) != 0))
        return kn_fail(KEN_E_FORMAT, "%s: pictures of %u x %u for a network of %u x %u",
                       p->prep_from, crop[0], crop[1], own.crop[0], own.crop[1]);
    return KEN_OK;
}

/* ---- its name ---- */

static int same_trunk(const kn_trunk_config *a, const kn_trunk_config *b)
{
    return a->width == b->width && a->layers == b->layers && a->heads == b->heads &&
           a->mlp == b->mlp;
}

static int same_image(const kn_net_config *a, const kn_net_config *b)
{
    if (a->image != b->image)
        return 0;
    if (a->image == KN_NET_VIT)
        return same_trunk(&a->vit.trunk, &b->vit.trunk) && a->vit.patch == b->vit.patch &&
               a->vit.grid[0] == b->vit.grid[0] && a->vit.dim == b->vit.dim &&
               a->vit.ln_pre == b->vit.ln_pre;
    return a->resnet.stem == b->resnet.stem && a->resnet.bottleneck == b->resnet.bottleneck &&
           a->resnet.stages == b->resnet.stages && a->resnet.width == b->resnet.width &&
           a->resnet.dim == b->resnet.dim && a->resnet.shortcut_pad == b->resnet.shortcut_pad &&
           !memcmp(a->resnet.layers, b->resnet.layers, a->resnet.stages * sizeof *a->resnet.layers);
}

/* Vocabularies and contexts may differ: they do not make another network. */
static int same_net(const kn_net_config *a, const kn_net_config *b)
{
    if (!same_image(a, b) || a->has_text != b->has_text)
        return 0;
    return !a->has_text ||
           (a->text.bert == b->text.bert && same_trunk(&a->text.trunk, &b->text.trunk));
}

static ken_status name_arch(cv_plan *p)
{
    kn_net_config c;
    p->arch = "custom";
    for (const char *const *name = kn_arch_names(); *name; name++)
        if (kn_arch_find(&c, *name) && same_net(&c, &p->config))
            p->arch = *name;
    if (p->opts->arch && strcmp(p->arch, p->opts->arch) != 0)
        return kn_fail(KEN_E_FORMAT, "--arch %s: names and shapes are those of %s", p->opts->arch,
                       !strcmp(p->arch, "custom") ? "no published network" : p->arch);
    return KEN_OK;
}

/* ---- all of it ---- */

static ken_status infer(cv_plan *p, const cv_side *side)
{
    ken_status st = KEN_OK;
    if (cv_names_has(&p->names, "v.patch.w"))
        st = cv_infer_vit(p, side);
    else if (cv_names_has(&p->names, "v.stem.0.w"))
        st = cv_infer_resnet(p);
    if (!st && cv_names_has(&p->names, "t.tok"))
        st = cv_infer_text(p, side);
    return st;
}

/* No network may be so large that a number of it overflows: the reader's own limits are asked. */
static ken_status check_config(const cv_plan *p)
{
    char *image = NULL, *prep = NULL, *text = NULL;
    kn_net_config same;
    ken_status st = kn_config_write(&p->config, &image, &prep, &text);
    if (!st)
        st = kn_config_parse(&same, image, prep, text);
    kn_free(image);
    kn_free(prep);
    kn_free(text);
    return st;
}

static ken_status plan_nets(cv_plan *p, cv_set *set)
{
    const kn_net_config *c = &p->config;
    ken_status st = KEN_OK;
    if (c->image == KN_NET_VIT)
        st = cv_plan_vit(p, set);
    if (c->image == KN_NET_RESNET)
        st = cv_plan_resnet(p);
    if (!st && c->has_text)
        st = cv_plan_text(p);
    if (!st && c->image == KN_NET_RESNET)
        st = plan_head(p, c->resnet.dim);
    else if (!st && p->opts->labels)
        st = kn_fail(KEN_E_INVALID, "--labels: the checkpoint has no head");
    return st ? st : plan_scale(p);
}

static ken_status check_used(const cv_plan *p)
{
    for (size_t i = 0; i < p->names.len; i++) {
        const cv_slot *s = &p->names.slots[i];
        if (!s->used)
            return kn_fail(KEN_E_UNSUPPORTED, "tensor %s: no place for it in a network like this",
                           s->part[0].t->name);
    }
    return KEN_OK;
}

static ken_status make(cv_plan *p, cv_set *set, const cv_side *side)
{
    kn_net_config arch;
    if (p->opts->arch && !kn_arch_find(&arch, p->opts->arch))
        return kn_fail(KEN_E_INVALID, "--arch %s: no such architecture", p->opts->arch);
    ken_status st = cv_names_map(&p->names, set);
    if (!st)
        st = cv_side_check(side);
    if (!st)
        st = infer(p, side);
    if (!st && p->config.image == KN_NET_NONE && !p->config.has_text)
        st = kn_fail(KEN_E_UNSUPPORTED, "neither an image nor a text network in it");
    if (!st && p->config.image != KN_NET_NONE)
        st = plan_prep(p, side);
    if (!st)
        st = check_config(p);
    if (!st)
        st = plan_nets(p, set);
    if (!st)
        st = plan_tokenizer(p, side);
    if (!st)
        st = check_used(p);
    return st ? st : name_arch(p);
}

ken_status cv_plan_make(cv_plan *out, cv_set *set, const cv_side *side, const cv_options *o)
{
    cv_plan p = { .opts = o, .openai = set->openai };
    ken_status st = make(&p, set, side);
    if (st) {
        cv_plan_release(&p);
        return st;
    }
    *out = p;
    return KEN_OK;
}
