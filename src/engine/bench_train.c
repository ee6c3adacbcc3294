/* bench_train.c - a training step as `ken train` makes one, on random pictures, to be timed. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/rand.h"
#include "nn/graph.h"
#include "train/loss.h"
#include "train/optim.h"

#include <string.h>

enum { SIDE_MOST = 1024, BATCH_MOST = 4096, SHOTS = 4 };
static const char STRIDED[] = "-strided"; /* a residual network with the stem for small pictures */

struct ken_bench_step {
    kn_graph *g;
    kn_loss *loss;
    kn_optim *optim;
    uint8_t *pixels;
    uint32_t *labels;
    float *de;
    size_t batch;
    uint64_t step;
};

static ken_status configure(kn_net_config *c, const char *arch, uint32_t size)
{
    char name[48];
    const size_t len = strlen(arch), cut = sizeof STRIDED - 1;
    const int strided = len > cut && !strcmp(arch + len - cut, STRIDED);
    if (len >= sizeof name)
        return kn_fail(KEN_E_NOTFOUND, "no architecture '%s'", arch);
    memcpy(name, arch, len + 1);
    if (strided)
        name[len - cut] = 0;
    if (!kn_arch_find(c, name) || (strided && c->resnet.stem != KN_STEM_IMAGENET))
        return kn_fail(KEN_E_NOTFOUND, "no architecture '%s'", arch);
    if (!size)
        size = c->prep.crop[0];
    if (size < 16 || size > SIDE_MOST || (c->image == KN_NET_VIT && size % c->vit.patch))
        return kn_fail(KEN_E_INVALID, "pictures of %u pixels do not fit %s", size, arch);
    c->prep.crop[0] = c->prep.crop[1] = size;
    if (strided)
        c->resnet.stem = KN_STEM_STRIDED;
    if (c->image == KN_NET_VIT)
        c->vit.grid[0] = c->vit.grid[1] = size / c->vit.patch;
    else
        c->resnet.input[0] = c->resnet.input[1] = size;
    return KEN_OK;
}

static ken_status make_parts(ken_bench_step *b, const kn_net_config *c, const kn_graph_options *o)
{
    kn_loss_config l = kn_loss_defaults(KN_LOSS_TRIPLET);
    kn_optim_config a = kn_optim_defaults(KN_OPTIM_ADAMW);
    const size_t bytes = (size_t)o->batch * c->prep.crop[0] * c->prep.crop[1] * 3;
    size_t n;
    ken_status st = kn_graph_new(&b->g, c, o);
    if (st)
        return st;
    kn_graph_weights(b->g, &n);
    l.dim = kn_graph_dim(b->g);
    l.threads = a.threads = o->threads;
    st = kn_loss_new(&b->loss, &l);
    if (!st)
        st = kn_optim_new(&b->optim, &a, n);
    if (st)
        return st;
    b->batch = o->batch;
    b->pixels = kn_alloc(bytes, 1);
    b->labels = kn_alloc(b->batch, sizeof *b->labels);
    b->de = kn_alloc(b->batch * l.dim, sizeof *b->de);
    if (!b->pixels || !b->labels || !b->de)
        return KEN_E_NOMEM;
    kn_rand r = kn_rand_at(1, 0);
    for (size_t i = 0; i < bytes; i++)
        b->pixels[i] = (uint8_t)kn_rand_below(&r, 256);
    for (size_t i = 0; i < b->batch; i++)
        b->labels[i] = (uint32_t)(i / SHOTS);
    return KEN_OK;
}

ken_status ken_bench_train(ken_bench_step **out, const char *arch, uint32_t size, uint32_t batch,
                           const char *precision, uint32_t threads)
{
    kn_net_config c;
    kn_graph_options o = { .batch = batch, .threads = threads, .math = KN_MATH_BF16 };
    ken_status st = configure(&c, arch, size);
    if (!st && (!batch || batch > BATCH_MOST))
        st = kn_fail(KEN_E_INVALID, "a batch has 1 to %d pictures", BATCH_MOST);
    if (!strcmp(precision, "f32"))
        o.math = KN_MATH_F32;
    else if (!st && strcmp(precision, "bf16"))
        st = kn_fail(KEN_E_UNSUPPORTED, "training computes in f32 or bf16, not in %s", precision);
    if (st)
        return st;
    ken_bench_step *b = kn_zalloc(1, sizeof *b);
    st = b ? make_parts(b, &c, &o) : KEN_E_NOMEM;
    if (st) {
        ken_bench_free(b);
        return st;
    }
    *out = b;
    return KEN_OK;
}

ken_status ken_bench_step_run(ken_bench_step *b)
{
    kn_loss_report report;
    const float *e;
    size_t n;
    float *w = kn_graph_weights(b->g, &n);
    const kn_param_range all = { .count = n, .lr_scale = 1, .decay = 1 };
    ken_status st = kn_graph_images(b->g, b->pixels, b->batch, 1, b->step++, &e);
    if (!st)
        st = kn_loss_run(b->loss, e, b->labels, b->batch, b->de, &report);
    if (st)
        return st;
    kn_graph_zero_gradients(b->g);
    kn_graph_backward(b->g, b->de);
    st = kn_optim_step(b->optim, w, kn_graph_gradients(b->g), &all, 1, 1e-4);
    kn_graph_changed(b->g);
    return st;
}

double ken_bench_step_flops(const ken_bench_step *b)
{
    return 6 * kn_graph_macs(b->g) * (double)b->batch;
}

void ken_bench_free(ken_bench_step *b)
{
    if (!b)
        return;
    kn_graph_free(b->g);
    kn_loss_free(b->loss);
    kn_optim_free(b->optim);
    kn_free(b->pixels);
    kn_free(b->labels);
    kn_free(b->de);
    kn_free(b);
}
