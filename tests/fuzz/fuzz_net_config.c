/*
 * fuzz_net_config.c - any bytes as the metadata of a model file: image, preprocess, text, labels and
 * scores, a NUL behind each.  What is accepted must keep the promises of nn/config.h.
 */
#include "tests/fuzz/fuzz.h"
#include "base/alloc.h"
#include "nn/config.h"

enum { PARTS = 5 };

static void check_trunk(const kn_trunk_config *c)
{
    if (!c->width || !c->layers || !c->heads || !c->mlp || c->width % c->heads ||
        c->width / c->heads > 128 || !(c->eps > 0))
        abort();
}

static void check(const kn_net_config *c)
{
    uint32_t hw[2];
    if (c->image == KN_NET_VIT) {
        check_trunk(&c->vit.trunk);
        if (c->prep.crop[0] != c->vit.grid[0] * c->vit.patch)
            abort();
    } else if (c->image == KN_NET_RESNET) {
        kn_resnet_map(&c->resnet, hw);
        if (!hw[0] || !hw[1] || (c->resnet.pool_attention && !c->resnet.heads))
            abort();
    }
    if (c->has_text) {
        check_trunk(&c->text.trunk);
        if (c->text.positions < c->text.context || (uint32_t)c->text.eot >= c->text.vocab)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    kn_net_config c = { 0 };
    const char *part[PARTS] = { NULL };
    char **labels = NULL;
    uint32_t n = 0;
    float ab[2];
    char *copy = malloc(len + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, len);
    copy[len] = 0;
    const char *p = copy;
    for (int i = 0; i < PARTS && p <= copy + len; i++) {
        part[i] = *p ? p : NULL; /* an empty part is an absent one */
        p += strlen(p) + 1;
    }
    if (!kn_config_parse(&c, part[0], part[1], part[2]))
        check(&c);
    if (part[3] && !kn_config_labels(part[3], &labels, &n))
        kn_free(labels);
    if (part[4])
        kn_config_scores(part[4], "image-image", ab);
    free(copy);
    return 0;
}
