/*
 * net.c - a model file, or a published architecture, to a network that is ready to run.
 *
 * Opening reads metadata and touches no weights but those that must be packed.  One source of
 * tensors (load.h) serves files and random networks, so that both take the same way.
 */
#include "nn/net_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "nn/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- how to compute ---- */

static ken_status choose_math(kn_crew *crew, const kn_net_options *o, const char **precision)
{
    const char *p = o->precision ? o->precision : "auto";
    if (!strcmp(p, "auto"))
        p = kn_cpu_get() & KN_CPU_AMX ? "bf16" : "f32";
    crew->k = kn_kernels_get();
    crew->threads = o->threads ? o->threads : kn_processors();
    crew->type = KN_F32;
    if (!strcmp(p, "f32")) {
        crew->math = KN_MATH_F32;
        *precision = "f32";
    } else if (!strcmp(p, "bf16x3")) {
        crew->math = KN_MATH_BF16X3;
        *precision = "bf16x3";
    } else if (!strcmp(p, "bf16")) {
        crew->math = KN_MATH_BF16;
        crew->type = KN_BF16;
        *precision = "bf16";
    } else if (!strcmp(p, "int8")) {
        return kn_fail(KEN_E_UNSUPPORTED, "precision int8 is not built in");
    } else {
        return kn_fail(KEN_E_INVALID, "precision \"%s\": one of auto, f32, bf16x3, bf16, int8", p);
    }
    return KEN_OK;
}

/* ---- metadata ---- */

static ken_status check_version(const kn_weights *w)
{
    const char *v = kn_weights_meta(w, "ken");
    char *end = NULL;
    if (!v)
        return kn_fail(KEN_E_FORMAT, "not a ken model (ken-convert makes one)");
    const long version = strtol(v, &end, 10);
    if (end == v || *end || version < 1)
        return kn_fail(KEN_E_FORMAT, "version \"%.20s\" is not a number", v);
    if (version > KN_FORMAT_VERSION)
        return kn_fail(KEN_E_VERSION, "written by a newer ken (format %ld, this one reads %d)", version,
                       KN_FORMAT_VERSION);
    return KEN_OK;
}

static const char *meta_or(const kn_net *n, const char *key, const char *otherwise)
{
    const char *s = n->weights ? kn_weights_meta(n->weights, key) : NULL;
    return s ? s : otherwise;
}

/* 1 or 0 for one of two words. */
static ken_status read_word(const kn_net *n, const char *key, const char *yes, const char *no, int *out)
{
    const char *s = meta_or(n, key, "");
    if (strcmp(s, yes) && strcmp(s, no))
        return kn_fail(KEN_E_FORMAT, "metadata \"%s\" is neither %s nor %s", key, yes, no);
    *out = !strcmp(s, yes);
    return KEN_OK;
}

static void set_fingerprint(kn_net *n, const char *checksum)
{
    char text[128];
    const int len = snprintf(text, sizeof text, "%.64s %s", checksum, n->info.precision);
    kn_hash128_hex(n->fingerprint, text, (size_t)len);
    n->info.fingerprint = n->fingerprint;
}

static void set_info(kn_net *n)
{
    const kn_net_config *c = &n->config;
    ken_model_info *i = &n->info;
    i->size = sizeof *i;
    i->name = i->path = "";
    i->has_images = c->image != KN_NET_NONE;
    i->has_texts = c->has_text;
    i->dim = c->image == KN_NET_VIT ? c->vit.dim : i->has_images ? c->resnet.dim : c->text.dim;
    i->input[0] = c->prep.crop[0];
    i->input[1] = c->prep.crop[1];
    i->context = c->has_text ? c->text.context : 0;
    i->tokenizer = c->has_text ? meta_or(n, "tokenizer", "") : "";
    i->arch = meta_or(n, "arch", "custom");
    i->dtype = meta_or(n, "dtype", "");
    i->licence = meta_or(n, "licence", "");
    i->source = meta_or(n, "source", "");
    i->bytes = n->weights ? kn_weights_file_bytes(n->weights) : 0;
}

static ken_status read_metadata(kn_net *n, kn_source *s)
{
    const kn_weights *w = n->weights;
    const char *checksum = kn_weights_meta(w, "checksum");
    ken_status st = check_version(w);
    if (!st)
        st = read_word(n, "layout", "panel16", "rows", &s->panels);
    if (!st)
        st = read_word(n, "folded", "1", "0", &s->folded);
    if (!st && !checksum)
        st = kn_fail(KEN_E_FORMAT, "no checksum in the metadata");
    if (!st)
        st = kn_config_parse(&n->config, kn_weights_meta(w, "image"),
                             kn_weights_meta(w, "preprocess"), kn_weights_meta(w, "text"));
    const kn_net_config *c = &n->config;
    if (!st && c->image != KN_NET_NONE && c->has_text &&
        c->text.dim != (c->image == KN_NET_VIT ? c->vit.dim : c->resnet.dim))
        st = kn_fail(KEN_E_FORMAT, "image and text configs differ in \"dim\"");
    if (st)
        return st;
    set_info(n);
    set_fingerprint(n, checksum);
    return KEN_OK;
}

static void read_scores(kn_net *n)
{
    const char *json = kn_weights_meta(n->weights, "scores");
    n->has_score[0] = json && kn_config_scores(json, "image-image", n->score[0]);
    n->has_score[1] = json && kn_config_scores(json, "text-image", n->score[1]);
}

/* ---- tensors ---- */

static ken_status load_head(kn_net *n, const kn_source *s)
{
    const kn_tensor *bias = kn_weights_find(n->weights, "fc.b");
    const char *json = kn_weights_meta(n->weights, "labels");
    uint32_t named = 0;
    ken_status st = KEN_OK;
    if (!bias)
        return KEN_OK;
    if (bias->rank != 1 || bias->shape[0] < 1 || bias->shape[0] > 1 << 20)
        return kn_fail(KEN_E_FORMAT, "tensor fc.b: not a list of labels' biases");
    n->info.labels = (uint32_t)bias->shape[0];
    if (json)
        st = kn_config_labels(json, &n->labels, &named);
    if (!st && json && named != n->info.labels)
        st = kn_fail(KEN_E_FORMAT, "tensor fc.b: a head of %u for %u labels", n->info.labels, named);
    if (!st && s)
        st = kn_load_linear(s, &n->head, n->info.labels, n->info.dim, 0, 1, "fc");
    return st;
}

static ken_status load_logit_scale(kn_net *n)
{
    const kn_tensor *t = kn_weights_find(n->weights, "logit_scale");
    float value;
    if (!t)
        return KEN_OK;
    if (t->dtype != KN_DT_F32 || t->bytes != sizeof value)
        return kn_fail(KEN_E_FORMAT, "tensor logit_scale: not one F32");
    memcpy(&value, t->data, sizeof value);
    n->logit_scale = expf(value);
    return KEN_OK;
}

static ken_status load_tokenizer(kn_net *n)
{
    const kn_tensor *t = kn_weights_find(n->weights, "tokenizer");
    if (!t || !n->config.has_text)
        return KEN_OK;
    ken_status st = kn_tokenizer_open(&n->tokenizer, n->info.tokenizer, t->data, t->bytes);
    if (!st && kn_tokenizer_vocab(n->tokenizer) > n->config.text.vocab)
        st = kn_fail(KEN_E_FORMAT, "a tokenizer of %u ids for a text network of %u",
                     kn_tokenizer_vocab(n->tokenizer), n->config.text.vocab);
    return st;
}

static ken_status load_networks(kn_net *n, const kn_source *s)
{
    ken_status st = KEN_OK;
    if (n->config.image != KN_NET_NONE)
        kn_lut_make(&n->lut, n->crew.k, &n->config.prep);
    if (n->config.image == KN_NET_VIT)
        st = kn_vit_load(s, &n->config.vit, &n->vit);
    if (n->config.image == KN_NET_RESNET)
        st = kn_resnet_load(s, &n->config.resnet, &n->resnet);
    if (!st && n->config.has_text)
        st = kn_tower_load(s, &n->config.text, &n->tower);
    return st;
}

/* ---- opening ---- */

static ken_status new_net(kn_net **out, const kn_net_options *opts, kn_source *s)
{
    static const kn_net_options none = { 0 };
    kn_net *n = kn_zalloc(1, sizeof *n);
    if (!n)
        return KEN_E_NOMEM;
    n->pool = kn_work_pool_new();
    if (!n->pool) {
        kn_free(n);
        return KEN_E_NOMEM;
    }
    ken_status st = choose_math(&n->crew, opts ? opts : &none, &n->info.precision);
    if (st) {
        kn_net_close(n);
        return st;
    }
    s->crew = &n->crew;
    s->owned = &n->owned;
    *out = n;
    return KEN_OK;
}

static void tell(const kn_net *n, double seconds)
{
    size_t bytes = 0;
    if (n->config.image == KN_NET_VIT)
        bytes = kn_vit_bytes(&n->crew, &n->vit, 1);
    if (n->config.image == KN_NET_RESNET)
        bytes = kn_resnet_bytes(&n->crew, &n->resnet, 1);
    kn_log(KEN_LOG_DEBUG, "opened %s in %.1f ms: %s, %u threads, %zu bytes of scratch a picture, "
           "%zu parts packed", n->info.arch, seconds * 1e3, n->info.precision, n->crew.threads, bytes,
           n->owned.len);
}

static ken_status load_all(kn_net *n, const kn_source *s)
{
    read_scores(n);
    ken_status st = load_logit_scale(n);
    if (!st)
        st = load_tokenizer(n);
    return st ? st : load_networks(n, s);
}

ken_status kn_net_open(kn_net **out, const char *path, const kn_net_options *opts)
{
    const int info_only = opts && opts->info_only;
    kn_net *n = NULL;
    kn_source s = { 0 };
    const double start = kn_clock();
    ken_status st = new_net(&n, opts, &s);
    if (st)
        return st;
    st = kn_weights_open(&n->weights, path);
    if (st == KEN_E_NOTFOUND)
        st = KEN_E_MODEL;
    s.weights = n->weights;
    if (!st)
        st = read_metadata(n, &s);
    if (!st)
        st = load_head(n, info_only ? NULL : &s);
    if (!st && !info_only)
        st = load_all(n, &s);
    if (st) {
        kn_net_close(n);
        return kn_fail_in(st, "open model %s", path);
    }
    if (!info_only)
        tell(n, kn_clock() - start);
    *out = n;
    return KEN_OK;
}

ken_status kn_net_random(kn_net **out, const char *arch, uint64_t seed, const kn_net_options *opts)
{
    kn_net *n = NULL;
    kn_source s = { .seed = seed, .panels = 1, .folded = 1 };
    char checksum[64];
    const double start = kn_clock();
    ken_status st = new_net(&n, opts, &s);
    if (st)
        return st;
    if (!kn_arch_find(&n->config, arch)) {
        kn_net_close(n);
        return kn_fail(KEN_E_NOTFOUND, "no architecture \"%s\"", arch);
    }
    set_info(n);
    for (const char *const *name = kn_arch_names(); *name; name++)
        if (!strcmp(*name, arch))
            n->info.arch = *name;
    n->info.dtype = n->crew.math == KN_MATH_F32 ? "f32" : "bf16";
    if (n->config.has_text) {
        n->info.tokenizer = n->config.text.bert ? "bert-wordpiece" : "clip-bpe";
        n->logit_scale = 100;
    }
    snprintf(checksum, sizeof checksum, "%s %llu", arch, (unsigned long long)seed);
    set_fingerprint(n, checksum);
    st = load_networks(n, &s);
    if (st) {
        kn_net_close(n);
        return kn_fail_in(st, "random %s", arch);
    }
    tell(n, kn_clock() - start);
    *out = n;
    return KEN_OK;
}

void kn_net_close(kn_net *n)
{
    if (!n)
        return;
    kn_work_pool_free(n->pool);
    kn_tokenizer_close(n->tokenizer);
    kn_free(n->labels);
    kn_owned_release(&n->owned);
    kn_weights_close(n->weights);
    kn_free(n);
}

/* ---- what it is ---- */

const char *const *kn_net_archs(void)
{
    return kn_arch_names();
}

const ken_model_info *kn_net_info(const kn_net *n)
{
    return &n->info;
}

const kn_prep *kn_net_prep(const kn_net *n)
{
    return n->info.has_images ? &n->config.prep : NULL;
}

const kn_tokenizer *kn_net_tokenizer(const kn_net *n)
{
    return n->tokenizer;
}

size_t kn_net_stand_in(const kn_net *n, const char *text, int32_t *ids)
{
    const kn_text_config *c = &n->config.text;
    const uint32_t end = c->bert ? 102 : (uint32_t)c->eot, start = c->bert ? 101 : end - 1;
    size_t len = 0;
    if (n->weights || !c->vocab)
        return 0;
    ids[len++] = (int32_t)start;
    for (const char *p = text + strspn(text, " \t\n"); *p && len + 1 < c->context;) {
        const size_t word = strcspn(p, " \t\n");
        ids[len++] = (int32_t)(1000 + kn_hash64(p, word) % (c->vocab - 1002));
        p += word;
        p += strspn(p, " \t\n");
    }
    ids[len++] = (int32_t)end;
    return len;
}

const char *kn_net_label(const kn_net *n, uint32_t i)
{
    return n->labels && i < n->info.labels ? n->labels[i] : NULL;
}

float kn_net_logit_scale(const kn_net *n)
{
    return n->logit_scale;
}

const char *kn_net_meta(const kn_net *n, const char *key)
{
    return n->weights ? kn_weights_meta(n->weights, key) : NULL;
}

int kn_net_calibration(const kn_net *n, const char *kinds, float ab[2])
{
    const int which = !strcmp(kinds, "image-image") ? 0 : !strcmp(kinds, "text-image") ? 1 : -1;
    if (which < 0 || !n->has_score[which])
        return 0;
    memcpy(ab, n->score[which], sizeof n->score[which]);
    return 1;
}

double kn_net_image_macs(const kn_net *n)
{
    if (n->config.image == KN_NET_VIT)
        return kn_vit_macs(&n->config.vit);
    return n->config.image == KN_NET_RESNET ? kn_resnet_macs(&n->resnet) : 0;
}

double kn_net_text_macs(const kn_net *n, size_t tokens)
{
    return n->config.has_text ? kn_tower_macs(&n->config.text, tokens) : 0;
}
