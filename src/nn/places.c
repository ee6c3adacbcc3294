/* places.c - pictures one by one through the network, to their places. */
#include "nn/places.h"

#include "base/error.h"
#include "base/progress.h"
#include "nn/graph.h"
#include "nn/net_state.h"

#include <string.h>

kn_grid kn_net_grid(const kn_net *net)
{
    const kn_net_config *c = &net->config;
    kn_grid g = { .hw = { 0, 0 } };
    if (c->image == KN_NET_VIT) {
        memcpy(g.hw, c->vit.grid, sizeof g.hw);
        g.step = (float)c->vit.patch;
        g.first = g.step / 2;
    } else if (c->image == KN_NET_RESNET) {
        memcpy(g.hw, net->resnet.hw, sizeof g.hw);
        g.step = net->resnet.step;
        g.first = net->resnet.first;
    }
    return g;
}

int kn_net_has_parts(const kn_net *net)
{
    return net->config.image == KN_NET_RESNET;
}

/* ---- residual networks ---- */

typedef struct map_work {
    float *map, *dmap; /* (places, channels) */
    void *rest;        /* of the run, or of what follows */
    size_t bytes;
} map_work;

static map_work plan(const kn_net *net, kn_arena *a)
{
    const kn_resnet *r = &net->resnet;
    const size_t map = (size_t)r->hw[0] * r->hw[1] * r->channels;
    const size_t run = kn_resnet_bytes(&net->crew, r, 1), places = kn_resnet_places_bytes(&net->crew, r);
    map_work w;
    w.map = kn_arena_take(a, map * sizeof *w.map);
    w.dmap = kn_arena_take(a, map * sizeof *w.dmap);
    w.bytes = run > places ? run : places;
    w.rest = kn_arena_take(a, w.bytes);
    return w;
}

static ken_status take(const kn_net *net, kn_work **area, map_work *w)
{
    kn_arena a = { 0 };
    kn_work_pool *pool = net->pool;
    if (!kn_net_has_parts(net))
        return kn_fail(KEN_E_UNSUPPORTED, "the model's image network is no residual network");
    plan(net, &a);
    ken_status st = kn_check_interrupt();
    if (!st)
        st = kn_work_take(pool, a.used, area);
    if (st)
        return st;
    a = kn_work_arena(*area);
    *w = plan(net, &a);
    return KEN_OK;
}

static void run(const kn_net *net, const uint8_t *pixels, const map_work *w)
{
    kn_resnet_last_map(&net->crew, &net->resnet, &net->lut, pixels, w->map, (kn_arena){ w->rest, 0 });
}

ken_status kn_net_parts(const kn_net *net, const uint8_t *pixels, size_t n, float *parts)
{
    const size_t size = (size_t)net->info.input[0] * net->info.input[1] * 3;
    const size_t each = (size_t)net->resnet.hw[0] * net->resnet.hw[1] * net->info.dim;
    kn_work_pool *pool = net->pool;
    kn_work *area = NULL;
    map_work w;
    ken_status st = take(net, &area, &w);
    for (size_t i = 0; !st && i < n; i++) {
        run(net, pixels + i * size, &w);
        kn_resnet_parts(&net->crew, &net->resnet, w.map, parts + i * each, (kn_arena){ w.rest, 0 });
    }
    kn_work_give(pool, area);
    return st;
}

/* max(0, sum_c mean_i(dmap_ic) map_ic) */
static void weigh_channels(const map_work *w, size_t places, size_t channels, float *heat)
{
    float *mean = w->dmap; /* in the place of the first row */
    for (size_t j = 0; j < channels; j++) {
        double sum = 0;
        for (size_t i = 0; i < places; i++)
            sum += (double)w->dmap[i * channels + j];
        mean[j] = (float)(sum / (double)places);
    }
    for (size_t i = 0; i < places; i++) {
        double sum = 0;
        for (size_t j = 0; j < channels; j++)
            sum += (double)mean[j] * (double)w->map[i * channels + j];
        heat[i] = sum > 0 ? (float)sum : 0;
    }
}

ken_status kn_net_gradcam(const kn_net *net, const uint8_t *pixels, size_t n, const float *dout, float *heat)
{
    const kn_resnet *r = &net->resnet;
    const size_t size = (size_t)net->info.input[0] * net->info.input[1] * 3;
    const size_t places = (size_t)r->hw[0] * r->hw[1];
    kn_work_pool *pool = net->pool;
    kn_work *area = NULL;
    map_work w;
    ken_status st = take(net, &area, &w);
    for (size_t i = 0; !st && i < n; i++) {
        run(net, pixels + i * size, &w);
        kn_resnet_map_grad(&net->crew, r, w.map, dout + i * net->info.dim, w.dmap,
                           (kn_arena){ w.rest, 0 });
        weigh_channels(&w, places, r->channels, heat + i * places);
    }
    kn_work_give(pool, area);
    return st;
}

/* ---- transformers ---- */

ken_status kn_net_relevance(const kn_net *net, const uint8_t *pixels, size_t n, const float *dout,
                            uint32_t layers, float *heat)
{
    const kn_graph_options o = { .batch = (uint32_t)n, .math = KN_MATH_F32, .threads = net->crew.threads,
                                 .relevance = 1 };
    kn_graph *g = NULL;
    const float *features;
    size_t kept = 0;
    if (net->config.image != KN_NET_VIT)
        return kn_fail(KEN_E_UNSUPPORTED, "the model's image network is no transformer");
    if (!net->weights)
        return kn_fail(KEN_E_UNSUPPORTED, "a network of random weights has nothing to explain");
    ken_status st = kn_graph_new(&g, &net->config, &o);
    if (!st)
        st = kn_graph_load(g, net->weights, &kept);
    if (!st && kept)
        st = kn_fail(KEN_E_FORMAT, "%zu tensors are missing", kept);
    if (!st)
        st = kn_check_interrupt();
    if (!st)
        st = kn_graph_images(g, pixels, n, 0, 0, &features);
    if (!st)
        kn_graph_relevance(g, dout, layers, heat);
    kn_graph_free(g);
    return st;
}
