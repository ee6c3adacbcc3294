/*
 * loss.c - one loss: its settings, its own weights, and the way around each kind.
 *
 * A run looks for numbers that are not finite, takes unit vectors if the loss wants them, hands
 * them to the kind, and turns the gradient back to the raw embeddings.
 */
#include "train/loss.h"

#include "train/loss_state.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/rand.h"

#include <math.h>
#include <string.h>

/* What a kind is and what it takes by default. */
typedef struct trait {
    const char *name;
    kn_loss_kind_fn *run;        /* NULL: of pairs */
    int classes, cosine, mining; /* has its own classes; normalises always; can mine */
    kn_loss_config defaults;
} trait;

static const trait kinds[KN_LOSS_KINDS] = {
    [KN_LOSS_TRIPLET] = { "triplet", kn_loss_metric, 0, 0, 1, { .margin = 0.5f } },
    [KN_LOSS_CONTRASTIVE] = { "contrastive",
                              kn_loss_metric,
                              0,
                              0,
                              1,
                              { .margin = 0.7f, .squared = 1, .normalize = 1 } },
    [KN_LOSS_INFONCE] = { "infonce",
                          kn_loss_contrast,
                          0,
                          0,
                          0,
                          { .temperature = 0.1f, .normalize = 1 } },
    [KN_LOSS_SUPCON] = { "supcon",
                         kn_loss_contrast,
                         0,
                         0,
                         0,
                         { .temperature = 0.1f, .normalize = 1 } },
    [KN_LOSS_PROTO] = { "proto", kn_loss_proto, 0, 0, 0, { .temperature = 1, .shots = 1 } },
    [KN_LOSS_SOFTMAX] = { "softmax", kn_loss_softmax, 1, 0, 0, { .scale = 1 } },
    [KN_LOSS_ARCFACE] = { "arcface",
                          kn_loss_cosine,
                          1,
                          1,
                          0,
                          { .margin = 0.5f, .scale = 64, .normalize = 1 } },
    [KN_LOSS_COSFACE] = { "cosface",
                          kn_loss_cosine,
                          1,
                          1,
                          0,
                          { .margin = 0.35f, .scale = 64, .normalize = 1 } },
    [KN_LOSS_PROXYANCHOR] = { "proxyanchor",
                              kn_loss_proxies,
                              1,
                              1,
                              0,
                              { .margin = 0.1f, .scale = 32, .normalize = 1 } },
    [KN_LOSS_CLIP] = { "clip", NULL, 0, 1, 0, { .temperature = 0.07f, .normalize = 1 } },
    [KN_LOSS_DISTILL] = { "distill", NULL, 0, 1, 0, { .normalize = 1 } },
};

static const char *const minings[] = { "all", "hard", "semihard", "auto" };

kn_loss_config kn_loss_defaults(kn_loss_kind kind)
{
    kn_loss_config c = kinds[kind].defaults;
    c.kind = kind;
    return c;
}

ken_status kn_loss_named(kn_loss_kind *out, const char *name)
{
    for (int i = 0; i < KN_LOSS_KINDS; i++)
        if (!strcmp(name, kinds[i].name)) {
            *out = (kn_loss_kind)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID,
                   "no loss '%s': triplet, contrastive, infonce, supcon, proto, softmax, arcface, "
                   "cosface, proxyanchor, clip, distill",
                   name);
}

const char *kn_loss_name(kn_loss_kind kind)
{
    return kinds[kind].name;
}

ken_status kn_mining_named(kn_mining *out, const char *name)
{
    for (size_t i = 0; i < sizeof minings / sizeof *minings; i++)
        if (!strcmp(name, minings[i])) {
            *out = (kn_mining)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID, "no mining '%s': all, hard, semihard, auto", name);
}

const char *kn_mining_name(kn_mining mining)
{
    return minings[mining];
}

int kn_loss_of_pairs(kn_loss_kind kind)
{
    return !kinds[kind].run;
}

int kn_loss_of_classes(kn_loss_kind kind)
{
    return kinds[kind].classes;
}

/* ---- making one ---- */

static ken_status check(const kn_loss_config *c)
{
    if (c->kind >= KN_LOSS_KINDS)
        return kn_fail(KEN_E_INVALID, "loss %d", (int)c->kind);
    const trait *k = &kinds[c->kind];
    const int temperature = k->defaults.temperature > 0, scale = k->defaults.scale > 0;
    if (!c->dim)
        return kn_fail(KEN_E_INVALID, "%s: embeddings of dimension 0", k->name);
    if (k->classes && !c->classes)
        return kn_fail(KEN_E_INVALID, "%s: needs the number of classes", k->name);
    if (c->mining != KN_MINING_ALL && !k->mining)
        return kn_fail(KEN_E_INVALID, "%s: has no mining", k->name);
    if (c->mining == KN_MINING_SEMIHARD && c->kind != KN_LOSS_TRIPLET)
        return kn_fail(KEN_E_INVALID, "%s: has no semi-hard mining", k->name);
    if ((temperature && !(c->temperature > 0)) || !(c->temperature >= 0))
        return kn_fail(KEN_E_INVALID, "%s: temperature %g", k->name, (double)c->temperature);
    if ((scale && !(c->scale > 0)) || !(c->margin >= 0))
        return kn_fail(KEN_E_INVALID, "%s: scale %g, margin %g", k->name, (double)c->scale,
                       (double)c->margin);
    if (!(c->label_smoothing >= 0 && c->label_smoothing < 1))
        return kn_fail(KEN_E_INVALID, "label smoothing %g: from 0 up to, not including, 1",
                       (double)c->label_smoothing);
    if (c->kind == KN_LOSS_PROTO && !c->shots)
        return kn_fail(KEN_E_INVALID, "proto: 0 shots");
    if (c->kind == KN_LOSS_DISTILL && !(c->temperature > 0) && c->teacher_dim &&
        c->teacher_dim != c->dim)
        return kn_fail(KEN_E_INVALID, "distill: a teacher of dimension %u needs a temperature",
                       (unsigned)c->teacher_dim);
    return KEN_OK;
}

/* softmax: as torch.nn.Linear, uniform within 1/sqrt(dim); on the sphere: a direction each. */
static void start_weights(kn_loss *l)
{
    const kn_loss_config *c = &l->c;
    const float reach = (float)(1 / sqrt((double)c->dim));
    kn_rand r = kn_rand_at(c->seed, 0x6c6f7373 /* "loss" */);
    if (c->kind == KN_LOSS_CLIP)
        l->w[0] = -logf(c->temperature);
    else if (c->kind == KN_LOSS_SOFTMAX)
        for (size_t i = 0; i < l->count; i++)
            l->w[i] = (2 * kn_rand_float(&r) - 1) * reach;
    else
        for (size_t i = 0; i < l->count; i++)
            l->w[i] = kn_rand_normal(&r) * reach;
}

static ken_status build(kn_loss *l)
{
    const kn_loss_config *c = &l->c;
    const int own = kinds[c->kind].classes;
    l->count = own ? (size_t)c->classes * c->dim : 0;
    if (c->kind == KN_LOSS_SOFTMAX)
        l->count += c->classes;
    if (c->kind == KN_LOSS_CLIP)
        l->count = 1;
    l->w = kn_alloc_aligned(l->count, sizeof *l->w);
    l->g = kn_alloc_aligned(l->count, sizeof *l->g);
    if (!l->w || !l->g)
        return KEN_E_NOMEM;
    start_weights(l);
    memset(l->g, 0, l->count * sizeof *l->g);
    return KEN_OK;
}

ken_status kn_loss_new(kn_loss **out, const kn_loss_config *c)
{
    ken_status st = check(c);
    if (st)
        return st;
    kn_loss *l = kn_zalloc(1, sizeof *l);
    if (!l)
        return KEN_E_NOMEM;
    l->c = *c;
    l->c.threads = c->threads ? c->threads : 1;
    l->c.normalize = c->normalize || kinds[c->kind].cosine;
    l->mining = c->mining == KN_MINING_AUTO ? KN_MINING_ALL : c->mining;
    l->watch.stage = (double)l->mining;
    st = build(l);
    if (st) {
        kn_loss_free(l);
        return st;
    }
    *out = l;
    return KEN_OK;
}

void kn_loss_free(kn_loss *l)
{
    if (!l)
        return;
    for (int i = 0; i < ROOMS; i++)
        kn_free(l->room[i].p);
    kn_free(l->w);
    kn_free(l->g);
    kn_free(l);
}

void kn_loss_params(kn_loss *l, float **w, float **g, size_t *count)
{
    *w = l->w;
    *g = l->g;
    *count = l->count;
}

size_t kn_loss_ranges(const kn_loss *l, size_t at, kn_param_range out[2])
{
    const size_t vectors = (size_t)(kinds[l->c.kind].classes ? l->c.classes : 0) * l->c.dim;
    size_t n = 0;
    if (vectors)
        out[n++] = (kn_param_range){ at, vectors, 1, 1, 0 };
    if (l->count > vectors)
        out[n++] = (kn_param_range){ at + vectors, l->count - vectors, 1, 0, 0 };
    return n;
}

void kn_loss_state(kn_loss *l, double **state, size_t *count)
{
    *state = &l->watch.runs;
    *count = sizeof l->watch / sizeof l->watch.runs;
}

/* ---- a run ---- */

static long first_bad(const float *e, size_t n, size_t d)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t j = 0; j < d; j++)
            sum += e[i * d + j] * 0; /* NaN as soon as one is infinite or NaN */
        if (!(sum == 0))
            return (long)i;
    }
    return -1;
}

static ken_status run_kind(kn_loss *l, const batch *b, kn_loss_report *r)
{
    ken_status st = kinds[l->c.kind].run(l, b, r);
    if (st || kinds[l->c.kind].run == kn_loss_metric || kinds[l->c.kind].run == kn_loss_contrast)
        return st;
    float *s = kn_loss_room(l, ROOM_S, b->n * b->n, sizeof *s);
    if (!s)
        return KEN_E_NOMEM;
    st = kn_loss_abt(l, b->z, b->n, l->c.dim, b->z, b->n, s);
    return st ? st : kn_loss_spread(l, s, 1, 0, b->labels, b->n, r);
}

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static ken_status check_labels(const kn_loss *l, const uint32_t *labels, size_t n)
{
    for (size_t i = 0; kinds[l->c.kind].classes && i < n; i++)
        if (labels[i] >= l->c.classes)
            return kn_fail(KEN_E_INVALID, "label %u of %u classes", (unsigned)labels[i],
                           (unsigned)l->c.classes);
    return KEN_OK;
}

static kn_loss_report blank(kn_loss *l)
{
    l->mining = (kn_mining)(int)l->watch.stage; /* a checkpoint may have put it back */
    return (kn_loss_report){ .bad = -1, .mining = l->mining };
}

/* Nothing can be said of this batch. */
static void spoil(kn_loss *l, kn_loss_report *r, long row)
{
    r->bad = row;
    r->loss = NAN;
    memset(l->g, 0, l->count * sizeof *l->g);
}

ken_status kn_loss_run(kn_loss *l, const float *e, const uint32_t *labels, size_t n, float *de,
                       kn_loss_report *r)
{
    const size_t d = l->c.dim;
    if (!kinds[l->c.kind].run || !n)
        return kn_fail(KEN_E_INVALID, "%s: %s", kinds[l->c.kind].name,
                       n ? "of pairs" : "an empty batch");
    ken_status st = check_labels(l, labels, n);
    if (st)
        return st;
    *r = blank(l);
    const long bad = first_bad(e, n, d);
    if (bad >= 0) {
        spoil(l, r, bad);
        memset(de, 0, n * d * sizeof *de);
        return KEN_OK;
    }
    float *z = kn_loss_room(l, ROOM_Z, n * d, sizeof *z);
    float *length = kn_loss_room(l, ROOM_LENGTH, n, sizeof *length);
    float *dz = kn_loss_room(l, ROOM_DZ, n * d, sizeof *dz);
    if (!z || !length || !dz)
        return KEN_E_NOMEM;
    st = kn_loss_unit(l, e, n, d, z, length);
    if (st)
        return st;
    r->norm = mean_of(length, n);
    const batch b = { l->c.normalize ? z : e, labels, n, l->c.normalize ? dz : de };
    st = run_kind(l, &b, r);
    if (!st && l->c.normalize)
        st = kn_loss_unit_back(l, z, length, dz, n, d, de);
    if (!st)
        kn_loss_watch(l, r);
    return st;
}

/* ---- of pairs ---- */

/* Unit vectors of one side, room for their gradient. */
typedef struct side {
    float *z, *length, *dz;
    size_t d;
} side;

static ken_status take_side(kn_loss *l, side *s, const float *e, size_t n, int second, size_t d)
{
    s->d = d;
    s->z = kn_loss_room(l, second ? ROOM_Z2 : ROOM_Z, n * d, sizeof *s->z);
    s->length = kn_loss_room(l, second ? ROOM_LENGTH2 : ROOM_LENGTH, n, sizeof *s->length);
    s->dz = kn_loss_room(l, second ? ROOM_DZ2 : ROOM_DZ, n * d, sizeof *s->dz);
    if (!s->z || !s->length || !s->dz)
        return KEN_E_NOMEM;
    return kn_loss_unit(l, e, n, d, s->z, s->length);
}

ken_status kn_loss_run_pairs(kn_loss *l, const float *u, const float *v, size_t n,
                             const uint32_t *groups, float *du, float *dv, kn_loss_report *r)
{
    const int clip = l->c.kind == KN_LOSS_CLIP;
    const size_t d = l->c.dim, dt = !clip && l->c.teacher_dim ? l->c.teacher_dim : d;
    side a, b;
    if (kinds[l->c.kind].run || !n)
        return kn_fail(KEN_E_INVALID, "%s: %s", kinds[l->c.kind].name,
                       n ? "not a loss of pairs" : "an empty batch");
    *r = blank(l);
    const long bad_u = first_bad(u, n, d), bad_v = first_bad(v, n, dt);
    if (bad_u >= 0 || bad_v >= 0) {
        spoil(l, r, bad_u >= 0 ? bad_u : bad_v);
        memset(du, 0, n * d * sizeof *du);
        if (clip)
            memset(dv, 0, n * d * sizeof *dv);
        return KEN_OK;
    }
    ken_status st = take_side(l, &a, u, n, 0, d);
    if (!st)
        st = take_side(l, &b, v, n, 1, dt);
    if (st)
        return st;
    r->norm = mean_of(a.length, n);
    st = clip ? kn_loss_clip(l, a.z, b.z, n, groups, a.dz, b.dz, r)
              : kn_loss_distill(l, a.z, b.z, n, a.dz, r);
    if (!st)
        st = kn_loss_unit_back(l, a.z, a.length, a.dz, n, d, du);
    if (!st && clip)
        st = kn_loss_unit_back(l, b.z, b.length, b.dz, n, d, dv);
    if (!st)
        kn_loss_watch(l, r);
    return st;
}
