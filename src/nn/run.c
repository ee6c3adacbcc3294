/*
 * run.c - batches of any size through the networks.
 *
 * Two ways to use the threads, with the same bits: each thread takes whole pictures, and nobody
 * waits for anybody; or, when there are too few of them, all threads share each product.  Either
 * way a micro-batch is small enough for its activations to stay in the cache.
 */
#include "nn/net_state.h"

#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"

enum {
    VIT_ROWS = 800,        /* of a micro-batch */
    RESNET_PICTURES = 8,
    TEXT_ROWS = 512,
    TEXT_ROWS_A_THREAD = 96 /* fewer share products */
};

static kn_crew alone(const kn_net *n)
{
    kn_crew c = n->crew;
    c.threads = 1;
    return c;
}

/* ---- pictures ---- */

typedef struct image_loop {
    const kn_net *net;
    kn_crew crew;
    const uint8_t *pixels;
    float *out;
} image_loop;

static size_t micro_batch(const kn_net *n)
{
    if (n->config.image == KN_NET_RESNET)
        return RESNET_PICTURES;
    const size_t rows = (size_t)n->config.vit.grid[0] * n->config.vit.grid[1] + 1;
    return rows < VIT_ROWS ? VIT_ROWS / rows : 1;
}

static ken_status run_images(const image_loop *l, size_t first, size_t n)
{
    const kn_net *net = l->net;
    const int vit = net->config.image == KN_NET_VIT;
    const uint8_t *pixels = l->pixels + first * net->info.input[0] * net->info.input[1] * 3;
    float *out = l->out + first * net->info.dim;
    kn_work_pool *pool = net->pool;
    kn_work *w = NULL;
    const size_t bytes = vit ? kn_vit_bytes(&l->crew, &net->vit, n)
                             : kn_resnet_bytes(&l->crew, &net->resnet, n);
    ken_status st = kn_check_interrupt();
    if (!st)
        st = kn_work_take(pool, bytes, &w);
    if (st)
        return st;
    if (vit)
        kn_vit_run(&l->crew, &net->vit, &net->lut, pixels, n, out, kn_work_arena(w));
    else
        kn_resnet_run(&l->crew, &net->resnet, &net->lut, pixels, n, out, kn_work_arena(w));
    kn_work_give(pool, w);
    return KEN_OK;
}

static ken_status image_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const image_loop *l = cookie;
    const size_t most = micro_batch(l->net);
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; i < end && !st; i += most)
        st = run_images(l, i, end - i < most ? end - i : most);
    return st;
}

ken_status kn_net_images(const kn_net *net, const uint8_t *pixels, size_t n, float *out)
{
    const uint32_t threads = net->crew.threads;
    const size_t whole = n / threads >= 2 || threads == 1 ? n - n % threads : 0;
    if (!net->info.has_images)
        return kn_fail(KEN_E_UNSUPPORTED, "the model has no image network");
    image_loop each = { net, alone(net), pixels, out }, together = { net, net->crew, pixels, out };
    ken_status st = kn_parallel(whole, 1, threads, image_piece, &each);
    return st ? st : image_piece(whole, n, 0, &together);
}

/* ---- texts ---- */

typedef struct text_loop {
    const kn_net *net;
    kn_crew crew;
    kn_texts all;
    float *out;
} text_loop;

static ken_status run_texts(const text_loop *l, size_t first, size_t n)
{
    const kn_net *net = l->net;
    const kn_texts part = { l->all.ids, l->all.at + first, l->all.need + first, n };
    kn_work_pool *pool = net->pool;
    kn_work *w = NULL;
    ken_status st = kn_check_interrupt();
    if (!st)
        st = kn_work_take(pool, kn_tower_bytes(&l->crew, &net->tower, &part), &w);
    if (st)
        return st;
    kn_tower_run(&l->crew, &net->tower, &part, l->out + first * net->info.dim, kn_work_arena(w));
    kn_work_give(pool, w);
    return KEN_OK;
}

static ken_status text_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const text_loop *l = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    while (begin < end && !st) {
        size_t n = 0, rows = 0;
        while (begin + n < end && (!n || rows + l->all.need[begin + n] <= TEXT_ROWS))
            rows += l->all.need[begin + n++];
        st = run_texts(l, begin, n);
        begin += n;
    }
    return st;
}

/* Where each text's ids begin and how many of them count; all rows. */
static ken_status measure(const kn_net *net, const int32_t *ids, const size_t *lens, size_t n,
                          size_t *at, size_t *need, size_t *rows)
{
    ken_status st = KEN_OK;
    size_t first = 0;
    *rows = 0;
    for (size_t i = 0; i < n && !st; i++) {
        st = kn_tower_need(&net->tower, ids + first, lens[i], &need[i]);
        at[i] = first;
        first += lens[i];
        if (!st)
            *rows += need[i];
    }
    return st;
}

ken_status kn_net_texts(const kn_net *net, const int32_t *ids, const size_t *lens, size_t n, float *out)
{
    kn_work_pool *pool = net->pool;
    kn_work *w = NULL;
    size_t rows = 0;
    if (!net->info.has_texts)
        return kn_fail(KEN_E_MODEL, "the model has no text network");
    ken_status st = kn_work_take(pool, 2 * n * sizeof(size_t) + 128, &w);
    if (st)
        return st;
    kn_arena a = kn_work_arena(w);
    size_t *at = kn_arena_take(&a, n * sizeof *at), *need = kn_arena_take(&a, n * sizeof *need);
    st = measure(net, ids, lens, n, at, need, &rows);
    if (!st) {
        const int together = rows < (size_t)TEXT_ROWS_A_THREAD * net->crew.threads;
        text_loop l = { net, together ? net->crew : alone(net), { ids, at, need, n }, out };
        st = together ? text_piece(0, n, 0, &l) : kn_parallel(n, 1, net->crew.threads, text_piece, &l);
    }
    kn_work_give(pool, w);
    return st;
}

/* ---- the trained head ---- */

ken_status kn_net_head(const kn_net *net, const float *features, size_t n, float *logits)
{
    kn_work_pool *pool = net->pool;
    kn_work *w = NULL;
    const size_t dim = net->info.dim;
    if (!net->head.n)
        return kn_fail(KEN_E_UNSUPPORTED, "the model has no trained head");
    ken_status st = kn_work_take(pool, n * dim * sizeof(float), &w);
    if (st)
        return st;
    kn_arena a = kn_work_arena(w);
    void *in = kn_arena_take(&a, n * dim * sizeof(float));
    kn_crew_round(&net->crew, features, n * dim, in);
    kn_mat_mul(&net->crew, &net->head, (kn_gemm){ .m = n, .a = in, .lda = dim, .c = logits,
                                                  .ldc = net->head.n, .c_type = KN_F32 });
    kn_work_give(pool, w);
    return KEN_OK;
}
