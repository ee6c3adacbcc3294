/*
 * config.c - JSON to structs.
 *
 * A reader remembers the first fault and answers the lowest value allowed after it, so that the
 * functions below read like the page that they implement (format.h) and check once at their end.
 */
#include "nn/config.h"

#include "base/alloc.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum {
    MAX_WIDTH = 8192,
    MAX_LAYERS = 256,
    MAX_HEAD_DIM = 128, /* kernels.h */
    MAX_MLP = 1 << 16,
    MAX_PATCH = 128,
    MAX_GRID = 256,
    MAX_SIDE = 1 << 14,
    MAX_INPUT = 1024,
    MAX_PLANES = 512,
    MAX_DIM = 1 << 14,
    MAX_CONTEXT = 4096,
    MAX_VOCAB = 1 << 22,
    MAX_LABELS = 1 << 20
};

typedef struct reader {
    const cJSON *object;
    const char *what; /* "image", "text" … */
    ken_status st;
} reader;

static void fault(reader *r, const char *key, const char *why)
{
    if (!r->st)
        r->st = kn_fail(KEN_E_FORMAT, "%s config: \"%s\": %s", r->what, key, why);
}

static uint32_t to_whole(reader *r, const cJSON *j, const char *key, uint32_t lo, uint32_t hi)
{
    const double d = cJSON_IsNumber(j) ? j->valuedouble : -1;
    if (d >= lo && d <= hi && d == floor(d))
        return (uint32_t)d;
    fault(r, key, j ? "out of range" : "missing");
    return lo;
}

static uint32_t whole(reader *r, const char *key, uint32_t lo, uint32_t hi)
{
    return to_whole(r, cJSON_GetObjectItemCaseSensitive(r->object, key), key, lo, hi);
}

static uint32_t whole_or(reader *r, const char *key, uint32_t lo, uint32_t hi, uint32_t otherwise)
{
    return cJSON_HasObjectItem(r->object, key) ? whole(r, key, lo, hi) : otherwise;
}

static const cJSON *list(reader *r, const char *key, int lo, int hi)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(r->object, key);
    const int n = cJSON_IsArray(j) ? cJSON_GetArraySize(j) : -1;
    if (n >= lo && n <= hi)
        return j;
    fault(r, key, j ? "not a list of the right length" : "missing");
    return NULL;
}

/* n numbers, all of them there */
static void wholes(reader *r, const char *key, uint32_t n, uint32_t lo, uint32_t hi, uint32_t *out)
{
    const cJSON *j = list(r, key, (int)n, (int)n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = j ? to_whole(r, cJSON_GetArrayItem(j, (int)i), key, lo, hi) : lo;
}

static void reals(reader *r, const char *key, uint32_t n, float *out)
{
    const cJSON *j = list(r, key, (int)n, (int)n);
    for (uint32_t i = 0; i < n; i++) {
        const cJSON *e = j ? cJSON_GetArrayItem(j, (int)i) : NULL;
        out[i] = cJSON_IsNumber(e) ? (float)e->valuedouble : 0;
        if (j && (!cJSON_IsNumber(e) || !isfinite(out[i])))
            fault(r, key, "not a number");
    }
}

/* The place of the member's string in `names`, separated by '|'. */
static uint32_t choice(reader *r, const char *key, const char *names)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(r->object, key);
    const char *s = cJSON_IsString(j) ? j->valuestring : NULL;
    const size_t len = s ? strlen(s) : 0;
    uint32_t at = 0;
    for (const char *p = names; s && *p; at++) {
        const size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, s, n))
            return at;
        p += n + (p[n] == '|');
    }
    fault(r, key, s ? "unknown" : "missing");
    return 0;
}

static float epsilon(reader *r)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(r->object, "eps");
    const double d = cJSON_IsNumber(j) ? j->valuedouble : 0;
    if (d > 0 && d < 1)
        return (float)d;
    fault(r, "eps", "not between 0 and 1");
    return 1;
}

static kn_trunk_config read_trunk(reader *r)
{
    kn_trunk_config c = {
        .width = whole(r, "width", 1, MAX_WIDTH),
        .layers = whole(r, "layers", 1, MAX_LAYERS),
        .heads = whole(r, "heads", 1, MAX_WIDTH),
        .mlp = whole(r, "mlp", 1, MAX_MLP),
        .act = choice(r, "act", "quickgelu|gelu") ? KN_ACT_GELU : KN_ACT_QUICKGELU,
        .eps = epsilon(r),
    };
    if (c.width % c.heads || c.width / c.heads > MAX_HEAD_DIM)
        fault(r, "heads", "do not divide the width into parts of at most 128");
    return c;
}

static void read_vit(reader *r, kn_vit_config *c)
{
    c->trunk = read_trunk(r);
    c->patch = whole(r, "patch", 1, MAX_PATCH);
    wholes(r, "grid", 2, 1, MAX_GRID, c->grid);
    c->ln_pre = (int)whole_or(r, "ln_pre", 0, 1, 0);
    c->dim = whole(r, "dim", 1, MAX_DIM);
}

static void check_resnet(reader *r, const kn_resnet_config *c)
{
    uint32_t hw[2];
    kn_resnet_map(c, hw);
    const uint32_t out = kn_resnet_channels(c, c->stages - 1);
    if (!hw[0] || !hw[1])
        fault(r, "input", "too small");
    if (c->plain && (c->pool_attention || c->shortcut_pad))
        fault(r, "block", "plain goes with a mean pool and no shortcut");
    if (c->pool_attention && (out % c->heads || out / c->heads > MAX_HEAD_DIM))
        fault(r, "heads", "do not divide the channels into parts of at most 128");
    if (c->stem == KN_STEM_CLIP && (!c->bottleneck || c->width % 2))
        fault(r, "stem", "clip needs bottlenecks and an even width");
    if (c->shortcut_pad && (c->bottleneck || c->width % 2))
        fault(r, "shortcut", "pad needs basic blocks and an even width");
}

static void read_resnet(reader *r, kn_resnet_config *c)
{
    c->stem = (kn_stem)choice(r, "stem", "imagenet|cifar|clip|strided");
    const uint32_t block = choice(r, "block", "basic|bottleneck|plain");
    c->bottleneck = block == 1;
    c->plain = block == 2;
    c->pool_attention = (int)choice(r, "pool", "mean|attention");
    c->shortcut_pad = (int)choice(r, "shortcut", "conv|pad");
    const cJSON *layers = list(r, "layers", 1, KN_MAX_STAGES);
    c->stages = layers ? (uint32_t)cJSON_GetArraySize(layers) : 1;
    wholes(r, "layers", c->stages, 1, MAX_LAYERS, c->layers);
    c->width = whole(r, "width", 1, MAX_PLANES);
    c->heads = c->pool_attention ? whole(r, "heads", 1, MAX_WIDTH) : 0;
    c->dim = whole(r, "dim", 1, MAX_DIM);
    wholes(r, "input", 2, 1, MAX_INPUT, c->input);
    if (!r->st)
        check_resnet(r, c);
}

static void read_image(reader *r, kn_net_config *out)
{
    if (choice(r, "kind", "vit|resnet")) {
        out->image = KN_NET_RESNET;
        read_resnet(r, &out->resnet);
    } else {
        out->image = KN_NET_VIT;
        read_vit(r, &out->vit);
    }
}

static void read_text(reader *r, kn_net_config *out)
{
    kn_text_config *c = &out->text;
    out->has_text = 1;
    c->bert = (int)choice(r, "kind", "clip|bert");
    c->trunk = read_trunk(r);
    c->context = whole(r, "context", 2, MAX_CONTEXT);
    c->positions = c->bert ? whole(r, "positions", c->context, MAX_CONTEXT) : c->context;
    c->vocab = whole(r, "vocab", 1, MAX_VOCAB);
    c->dim = whole(r, "dim", 1, MAX_DIM);
    c->eot = c->bert ? 0 : (int32_t)whole(r, "eot", 0, c->vocab - 1);
}

static void read_filter(reader *r, kn_filter *out)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(r->object, "filter");
    if (!cJSON_IsString(j) || kn_filter_named(out, j->valuestring))
        fault(r, "filter", j ? "unknown" : "missing");
}

static void read_prep(reader *r, kn_net_config *out)
{
    kn_prep *p = &out->prep;
    uint32_t fill[3] = { 0 };
    p->fit = (kn_fit)choice(r, "fit", "short|squash|longest");
    wholes(r, "resize", 2, 1, MAX_SIDE, p->resize);
    wholes(r, "crop", 2, 1, MAX_SIDE, p->crop);
    read_filter(r, &p->filter);
    p->hf_crop = (int)whole_or(r, "hf_crop", 0, 1, 0);
    if (cJSON_HasObjectItem(r->object, "fill"))
        wholes(r, "fill", 3, 0, 255, fill);
    reals(r, "mean", 3, p->mean);
    reals(r, "std", 3, p->std);
    for (int i = 0; i < 3; i++) {
        p->fill[i] = (uint8_t)fill[i];
        if (p->std[i] <= 0)
            fault(r, "std", "not above 0");
    }
}

/* The network takes what the preprocessing gives. */
static void check_crop(reader *r, const kn_net_config *c)
{
    const kn_vit_config *v = &c->vit;
    const int vit = c->image == KN_NET_VIT;
    const uint32_t h = vit ? v->grid[0] * v->patch : c->resnet.input[0];
    const uint32_t w = vit ? v->grid[1] * v->patch : c->resnet.input[1];
    if (c->prep.crop[0] != h || c->prep.crop[1] != w)
        fault(r, "crop", "not the network's input size");
}

static void read_image_prep(reader *r, kn_net_config *out)
{
    read_prep(r, out);
    if (!r->st)
        check_crop(r, out);
}

static ken_status section(const char *json, const char *what, void (*read)(reader *, kn_net_config *),
                          kn_net_config *out)
{
    cJSON *j = cJSON_Parse(json);
    reader r = { .object = j, .what = what };
    if (cJSON_IsObject(j))
        read(&r, out);
    else
        r.st = kn_fail(KEN_E_FORMAT, "%s config: not a JSON object", what);
    cJSON_Delete(j);
    return r.st;
}

ken_status kn_config_parse(kn_net_config *out, const char *image, const char *preprocess,
                           const char *text)
{
    kn_net_config c = { 0 };
    ken_status st = KEN_OK;
    if (!image && !text)
        return kn_fail(KEN_E_FORMAT, "neither an image nor a text config");
    if (image && !preprocess)
        return kn_fail(KEN_E_FORMAT, "an image config without a preprocess one");
    if (image)
        st = section(image, "image", read_image, &c);
    if (!st && image)
        st = section(preprocess, "preprocess", read_image_prep, &c);
    if (!st && text)
        st = section(text, "text", read_text, &c);
    if (!st)
        *out = c;
    return st;
}

int kn_config_scores(const char *json, const char *kinds, float ab[2])
{
    cJSON *j = cJSON_Parse(json);
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(j, kinds);
    const cJSON *a = cJSON_GetArrayItem(pair, 0), *b = cJSON_GetArrayItem(pair, 1);
    const int found = cJSON_GetArraySize(pair) == 2 && cJSON_IsNumber(a) && cJSON_IsNumber(b);
    if (found) {
        ab[0] = (float)a->valuedouble;
        ab[1] = (float)b->valuedouble;
    }
    cJSON_Delete(j);
    return found && isfinite(ab[0]) && isfinite(ab[1]);
}

/* Pointers first, the strings behind them. */
static char **copy_strings(const cJSON *array, uint32_t n)
{
    size_t bytes = n * sizeof(char *);
    for (const cJSON *e = array->child; e; e = e->next)
        bytes += strlen(e->valuestring) + 1;
    char **out = kn_alloc(bytes, 1);
    char *p = out ? (char *)(out + n) : NULL;
    const cJSON *e = array->child;
    for (uint32_t i = 0; out && i < n; i++, e = e->next) {
        const size_t len = strlen(e->valuestring) + 1;
        memcpy(p, e->valuestring, len);
        out[i] = p;
        p += len;
    }
    return out;
}

ken_status kn_config_labels(const char *json, char ***out, uint32_t *n)
{
    ken_status st = KEN_OK;
    cJSON *j = cJSON_Parse(json);
    char **labels = NULL;
    uint32_t count = 0;
    int strings = cJSON_IsArray(j);
    for (const cJSON *e = strings ? j->child : NULL; e; e = e->next, count++)
        strings = strings && cJSON_IsString(e) && count < MAX_LABELS;
    if (!strings)
        st = kn_fail(KEN_E_FORMAT, "labels: not a JSON list of strings");
    else if (!(labels = copy_strings(j, count)))
        st = KEN_E_NOMEM;
    cJSON_Delete(j);
    if (st)
        return st;
    *out = labels;
    *n = count;
    return KEN_OK;
}
