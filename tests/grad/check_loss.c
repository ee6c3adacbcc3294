/*
 * check_loss.c - the gradient of every loss, for the embeddings and for weights of its own.
 *
 * Raw embeddings are short, so that gradients through a normalisation are large beside the
 * rounding of the loss; classes are spread so that some terms of every kind are active and some not.
 */
#include "tests/grad/grad.h"

#include "train/loss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 12, DIM = 6, CLASSES = 4 };

typedef struct loss_case {
    kn_loss *l;
    float *e, *de, *v, *dv;
    const uint32_t *labels;
    size_t n;
    int pairs;
} loss_case;

static double loss_at(void *cookie)
{
    loss_case *c = cookie;
    kn_loss_report r;
    const ken_status st =
        c->pairs ? kn_loss_run_pairs(c->l, c->e, c->v, c->n, c->labels, c->de, c->dv, &r)
                 : kn_loss_run(c->l, c->e, c->labels, c->n, c->de, &r);
    if (st) {
        printf("%s\n", ken_last_error());
        exit(1);
    }
    return r.loss;
}

/* Rows of a class lie around a centre of their own. */
static void spread(float *e, size_t n, size_t d, const uint32_t *labels, unsigned seed,
                   double scale)
{
    float centre[CLASSES * 16];
    kn_grad_fill(centre, CLASSES * d, seed + 100, scale * 0.7);
    kn_grad_fill(e, n * d, seed, scale);
    for (size_t i = 0; labels && i < n; i++)
        for (size_t j = 0; j < d; j++)
            e[i * d + j] += centre[labels[i] * d + j];
}

/* near: two pairs of rows lie so near that they are subtracted, not multiplied. */
static int run_near(const char *name, const kn_loss_config *config, const uint32_t *labels,
                    double scale, int near)
{
    float e[N * DIM], de[N * DIM], v[N * 16], dv[N * 16], *w, *g;
    loss_case c = { .e = e, .de = de, .v = v, .dv = dv, .labels = labels, .n = N };
    const int flat = config->soft || (config->kind == KN_LOSS_SOFTMAX && !config->normalize);
    kn_loss_config k = *config;
    size_t count;
    if (flat)
        c.n = 8; /* shallow slopes: fewer rows make them steeper beside the loss's rounding */
    k.dim = DIM;
    k.seed = 3;
    c.pairs = kn_loss_of_pairs(k.kind);
    const size_t dv_dim = k.teacher_dim ? k.teacher_dim : DIM;
    spread(e, c.n, DIM, labels, flat ? 7 : 1, scale);
    spread(v, c.n, dv_dim, NULL, 2, scale);
    for (size_t j = 0; near && j < DIM; j++) {
        e[DIM + j] = e[j] + 0.01 * v[j];
        e[3 * DIM + j] = e[2 * DIM + j] + 0.02 * v[j];
    }
    if (kn_loss_new(&c.l, &k)) {
        printf("%s: %s\n", name, ken_last_error());
        return 1;
    }
    kn_loss_params(c.l, &w, &g, &count);
    loss_at(&c);
    const int clip = k.kind == KN_LOSS_CLIP;
    kn_grad_part parts[3] = { { e, de, c.n * DIM } };
    size_t n = 1;
    if (clip)
        parts[n++] = (kn_grad_part){ v, dv, c.n * dv_dim };
    if (count)
        parts[n++] = (kn_grad_part){ w, g, count };
    const int failed = kn_grad_check(name, loss_at, &c, parts, n);
    kn_loss_free(c.l);
    return failed;
}

static int run(const char *name, const kn_loss_config *config, const uint32_t *labels, double scale)
{
    return run_near(name, config, labels, scale, 0);
}

/* ---- kinds ---- */

static const uint32_t labels[N] = { 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3 };
static const uint32_t uneven[N] = { 0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 3, 0 }; /* 3 is alone */

static int metric_losses(kn_loss_kind kind)
{
    static const kn_mining minings[] = { KN_MINING_ALL, KN_MINING_SEMIHARD, KN_MINING_HARD };
    int failed = 0;
    for (int i = 0; i < 3 * 2 * 2 * 2; i++) {
        kn_loss_config c = kn_loss_defaults(kind);
        char name[80];
        c.mining = minings[i / 8];
        c.normalize = i & 1;
        c.squared = i >> 1 & 1;
        c.soft = i >> 2 & 1;
        c.margin = (float)(kind == KN_LOSS_TRIPLET ? 0.3 : 0.9) * (c.normalize ? 1 : 0.14);
        if (kind != KN_LOSS_TRIPLET && (c.soft || c.mining == KN_MINING_SEMIHARD))
            continue;
        snprintf(name, sizeof name, "loss/%s-%s%s%s%s", kn_loss_name(kind),
                 kn_mining_name(c.mining), c.normalize ? "-normalized" : "",
                 c.squared ? "-squared" : "", c.soft ? "-soft" : "");
        failed += run(name, &c, c.soft ? uneven : labels,
                      c.soft && c.squared && !c.normalize ? 0.5 : 0.1);
    }
    return failed;
}

static int contrast_losses(kn_loss_kind kind)
{
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        kn_loss_config c = kn_loss_defaults(kind);
        char name[80];
        c.normalize = i & 1;
        snprintf(name, sizeof name, "loss/%s%s%s", kn_loss_name(kind), i & 1 ? "-normalized" : "",
                 i & 2 ? "-uneven" : "");
        failed += run(name, &c, i & 2 ? uneven : labels, c.normalize ? 0.1 : 0.3);
    }
    return failed;
}

static int proto_losses(void)
{
    int failed = 0;
    for (int i = 0; i < 8; i++) {
        kn_loss_config c = kn_loss_defaults(KN_LOSS_PROTO);
        char name[80];
        c.normalize = i & 1;
        c.shots = i & 2 ? 2 : 1;
        c.label_smoothing = (float)(i & 4 ? 0.1 : 0);
        c.temperature = c.normalize ? 0.2 : 1;
        snprintf(name, sizeof name, "loss/proto%s-%ushot%s", i & 1 ? "-normalized" : "",
                 (unsigned)c.shots, i & 4 ? "-smoothed" : "");
        failed += run(name, &c, i & 2 ? labels : uneven, c.normalize ? 0.1 : 0.5);
    }
    return failed;
}

static int class_losses(kn_loss_kind kind)
{
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        kn_loss_config c = kn_loss_defaults(kind);
        char name[80];
        c.classes = CLASSES;
        c.normalize = i & 1;
        c.label_smoothing = (float)(i & 2 ? 0.1 : 0);
        c.scale = kind == KN_LOSS_SOFTMAX ? 2 : kind == KN_LOSS_PROXYANCHOR ? 32 : 10;
        if ((kind != KN_LOSS_SOFTMAX && !(i & 1)) || (kind == KN_LOSS_PROXYANCHOR && i & 2))
            continue; /* always normalised; has no cross entropy */
        snprintf(name, sizeof name, "loss/%s%s%s", kn_loss_name(kind), i & 1 ? "-normalized" : "",
                 i & 2 ? "-smoothed" : "");
        failed += run(name, &c, uneven, c.normalize ? 0.1 : 1);
    }
    return failed;
}

static int pair_losses(void)
{
    static const uint32_t groups[N] = { 0, 1, 2, 0, 3, 4, 5, 0, 6, 6, 7, 8 };
    kn_loss_config clip = kn_loss_defaults(KN_LOSS_CLIP), d = kn_loss_defaults(KN_LOSS_DISTILL);
    int failed = run("loss/clip", &clip, NULL, 0.1);
    failed += run("loss/clip-groups", &clip, groups, 0.1);
    failed += run("loss/distill-cosine", &d, NULL, 0.1);
    d.temperature = (float)0.1;
    d.teacher_dim = 9;
    return failed + run("loss/distill-relations", &d, NULL, 0.1);
}

static int near_losses(void)
{
    kn_loss_config c = kn_loss_defaults(KN_LOSS_TRIPLET);
    c.normalize = 1;
    int failed = run_near("loss/triplet-near", &c, labels, 0.1, 1);
    c.squared = 1;
    failed += run_near("loss/triplet-near-squared", &c, labels, 0.1, 1);
    c = kn_loss_defaults(KN_LOSS_CONTRASTIVE);
    return failed + run_near("loss/contrastive-near", &c, labels, 0.1, 1);
}

int kn_grad_losses(void)
{
    int failed = near_losses();
    failed += metric_losses(KN_LOSS_TRIPLET) + metric_losses(KN_LOSS_CONTRASTIVE);
    failed += contrast_losses(KN_LOSS_INFONCE) + contrast_losses(KN_LOSS_SUPCON) + proto_losses();
    failed += class_losses(KN_LOSS_SOFTMAX) + class_losses(KN_LOSS_ARCFACE);
    failed += class_losses(KN_LOSS_COSFACE) + class_losses(KN_LOSS_PROXYANCHOR);
    return failed + pair_losses();
}
