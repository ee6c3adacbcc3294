/*
 * resnet.c - a network is a list of passes over maps in a few slots.
 *
 * Maps are NHWC, of the crew's type; bias, ReLU and the residual sum are in each convolution's
 * epilogue, in place where the shortcut is the identity.  The early maps are large and their
 * weights few, the late ones the other way round: so the steps up to the second stage's end run
 * on one picture at a time, which stays in the cache, and the others on all pictures of the batch.
 */
#include "nn/resnet.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEM_STEPS = 4, BLOCK_STEPS = 6 };

/* ---- building the list ---- */

typedef struct builder {
    const kn_source *s;
    kn_resnet *r;
    ken_status st;
    uint32_t h, w, c; /* the map so far … */
    int at;           /* … its slot … */
    float first, step; /* … and in pixels of the picture the middle of its first pixel, and the next one's
                          distance */
} builder;

static int free_slot(int a, int b)
{
    for (int i = 0; i < KN_SLOTS; i++)
        if (i != a && i != b)
            return i;
    return -1;
}

static kn_step *add(builder *b, kn_step step)
{
    kn_step *p = &b->r->steps[b->r->len++];
    step.residual = -1;
    step.h = b->h;
    step.w = b->w;
    step.c = b->c;
    step.in = b->at;
    *p = step;
    return p;
}

/* The map that p puts out is now the last one. */
static void go_on(builder *b, const kn_step *p)
{
    b->h = p->oh;
    b->w = p->ow;
    b->c = p->oc;
    b->at = p->out;
    b->first += ((float)(p->side - 1) / 2 - (float)p->pad) * b->step;
    b->step *= (float)p->stride;
}

static uint32_t reach(uint32_t n, uint32_t side, uint32_t stride, uint32_t pad)
{
    return n + 2 * pad < side ? 0 : (n + 2 * pad - side) / stride + 1;
}

static kn_step *conv(builder *b, const char *name, uint32_t cout, uint32_t side, uint32_t stride,
                     int relu, int out)
{
    const uint32_t pad = side / 2;
    kn_step *p = add(b, (kn_step){ .kind = KN_STEP_CONV, .side = side, .stride = stride, .pad = pad,
                                   .relu = relu, .oh = reach(b->h, side, stride, pad),
                                   .ow = reach(b->w, side, stride, pad), .oc = cout, .out = out });
    if (!b->st)
        b->st = kn_load_conv(b->s, &p->mat, cout, (size_t)side * side * b->c, "%s", name);
    go_on(b, p);
    return p;
}

static void pool(builder *b, kn_step_kind kind, uint32_t side, uint32_t stride, uint32_t pad, int out)
{
    go_on(b, add(b, (kn_step){ .kind = kind, .side = side, .stride = stride, .pad = pad,
                               .oh = reach(b->h, side, stride, pad),
                               .ow = reach(b->w, side, stride, pad), .oc = b->c, .out = out }));
}

static void stem(builder *b, const kn_resnet_config *c)
{
    if (c->stem == KN_STEM_CIFAR) {
        conv(b, "v.stem.0", c->width, 3, 1, 1, 1);
    } else if (c->stem == KN_STEM_IMAGENET) {
        conv(b, "v.stem.0", c->width, 7, 2, 1, 1);
        pool(b, KN_STEP_MAXPOOL, 3, 2, 1, 0);
    } else if (c->stem == KN_STEM_STRIDED) {
        conv(b, "v.stem.0", c->width, 7, 2, 1, 1);
    } else {
        conv(b, "v.stem.0", c->width / 2, 3, 2, 1, 1);
        conv(b, "v.stem.1", c->width / 2, 3, 1, 1, 0);
        conv(b, "v.stem.2", c->width, 3, 1, 1, 1);
        pool(b, KN_STEP_AVGPOOL, 2, 2, 0, 0);
    }
}

/* The shortcut of a block whose input was `from`, into a slot that is not b->at; b goes on where
 * it was.  Returns the slot. */
static int shortcut(builder *b, const builder *from, const char *base, uint32_t cout,
                    uint32_t stride)
{
    const kn_resnet_config *c = &b->r->c;
    char name[40];
    if (stride == 1 && from->c == cout)
        return from->at;
    builder side = *from;
    side.st = b->st;
    if (c->shortcut_pad) {
        const int out = free_slot(from->at, b->at);
        add(&side, (kn_step){ .kind = KN_STEP_PAD, .stride = stride, .oh = b->h, .ow = b->w,
                              .oc = cout, .out = out });
        return out;
    }
    snprintf(name, sizeof name, "%s.down", base);
    int out = free_slot(from->at, b->at);
    if (c->stem == KN_STEM_CLIP && stride > 1) { /* pooled instead of strided */
        pool(&side, KN_STEP_AVGPOOL, stride, stride, 0, out);
        out = from->at;
        stride = 1;
    }
    conv(&side, name, cout, 1, stride, 0, out);
    b->st = side.st;
    return out;
}

/* The last convolution of a block, on top of the shortcut and in its slot. */
static void join(builder *b, const builder *from, const char *base, int which, uint32_t cout,
                 uint32_t side, uint32_t stride)
{
    char name[40];
    const int over = shortcut(b, from, base, cout, stride);
    snprintf(name, sizeof name, "%s.conv%d", base, which);
    kn_step *p = conv(b, name, cout, side, 1, 1, over);
    p->residual = over;
}

static void block(builder *b, uint32_t stage, uint32_t i)
{
    const kn_resnet_config *c = &b->r->c;
    const uint32_t planes = c->width << stage, cout = kn_resnet_channels(c, stage);
    const uint32_t stride = stage && !i ? 2 : 1;
    const int clip = c->stem == KN_STEM_CLIP;
    const builder from = *b;
    const int one = free_slot(b->at, b->at), two = free_slot(b->at, one);
    char base[24], name[40];
    snprintf(base, sizeof base, "v.%u.%u", stage + 1, i);

    if (c->plain) {
        conv(b, base, c->width, 3, 1, 1, one);
        pool(b, KN_STEP_MAXPOOL, 2, 2, 0, two);
        return;
    }
    snprintf(name, sizeof name, "%s.conv1", base);
    if (!c->bottleneck) {
        conv(b, name, planes, 3, stride, 1, one);
        join(b, &from, base, 2, cout, 3, stride);
        return;
    }
    conv(b, name, planes, 1, 1, 1, one);
    snprintf(name, sizeof name, "%s.conv2", base);
    conv(b, name, planes, 3, clip ? 1 : stride, 1, two);
    if (clip && stride > 1)
        pool(b, KN_STEP_AVGPOOL, stride, stride, 0, one);
    join(b, &from, base, 3, cout, 1, stride);
}

static void measure(kn_resnet *r)
{
    const kn_resnet_config *c = &r->c;
    r->early_slot[0] = (size_t)c->input[0] * c->input[1] * 3;
    for (size_t i = 0; i < r->len; i++) {
        const kn_step *p = &r->steps[i];
        size_t *slot = i < r->early ? r->early_slot : r->slot;
        const size_t in = (size_t)p->h * p->w * p->c, out = (size_t)p->oh * p->ow * p->oc;
        if (slot[p->in] < in)
            slot[p->in] = in;
        if (slot[p->out] < out)
            slot[p->out] = out;
        if (i + 1 == r->early && r->slot[p->out] < out)
            r->slot[p->out] = out; /* where the early steps leave their last map */
    }
}

static ken_status load_pool(const kn_source *s, kn_resnet *r)
{
    const size_t n = r->channels;
    const float scale = 1 / sqrtf((float)(r->channels / r->c.heads));
    ken_status st = kn_load_array(s, &r->pos, (size_t)r->hw[0] * r->hw[1] + 1, n, "v.pool.pos");
    if (!st)
        st = kn_load_linear(s, &r->q, n, n, n, scale, "v.pool.q");
    if (!st)
        st = kn_load_linear(s, &r->k, n, n, 0, 1, "v.pool.k");
    if (!st)
        st = kn_load_linear(s, &r->v, n, n, 0, 1, "v.pool.v");
    if (!st)
        st = kn_load_linear(s, &r->o, r->c.dim, n, 0, 1, "v.pool.o");
    return st;
}

ken_status kn_resnet_load(const kn_source *s, const kn_resnet_config *c, kn_resnet *out)
{
    builder b = { .s = s, .r = out, .h = c->input[0], .w = c->input[1], .c = 3, .first = 0.5F, .step = 1 };
    size_t blocks = 0;
    *out = (kn_resnet){ .c = *c };
    for (uint32_t i = 0; i < c->stages; i++)
        blocks += c->layers[i];
    out->steps = kn_own(s->owned, STEM_STEPS + blocks * BLOCK_STEPS, sizeof *out->steps);
    if (!out->steps)
        return KEN_E_NOMEM;
    if (!c->plain)
        stem(&b, c);
    for (uint32_t stage = 0; stage < c->stages && !b.st; stage++) {
        for (uint32_t i = 0; i < c->layers[stage] && !b.st; i++)
            block(&b, stage, i);
        if (stage < 2)
            out->early = out->len;
    }
    out->last = b.at;
    out->hw[0] = b.h;
    out->hw[1] = b.w;
    out->channels = b.c;
    out->first = b.first;
    out->step = b.step;
    measure(out);
    if (!b.st && c->pool_attention)
        return load_pool(s, out);
    if (!b.st && c->dim != out->channels)
        return kn_load_mat(s, &out->proj, c->dim, out->channels, "v.proj");
    return b.st;
}
