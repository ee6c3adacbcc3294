/*
 * resnet_run.c - the passes of a residual network over a batch, and its two poolings.
 */
#include "nn/resnet.h"

#include <string.h>

typedef struct resnet_work {
    void *early[KN_SLOTS]; /* maps of one picture */
    void *slot[KN_SLOTS];  /* of all */
    /* attention pool */
    void *tokens, *kv, *q, *mixed; /* (n, hw + 1, channels), … 2 channels, (n, channels) twice */
    float *row;                    /* (channels) */
    /* projection of the mean */
    float *mean;                   /* (n, channels) … */
    void *rounded;                 /* … and as the crew multiplies it */
    float *scratch;                /* of attention, a part for each thread */
    size_t scratch_each;
} resnet_work;

static size_t pool_tokens(const kn_resnet *r)
{
    return (size_t)r->hw[0] * r->hw[1] + 1;
}

static void plan_pool(const kn_crew *crew, const kn_resnet *r, size_t n, kn_arena *a, resnet_work *w)
{
    const size_t each = kn_type_bytes(crew->type), t = pool_tokens(r), c = r->channels;
    const size_t scratch = kn_attention_scratch((uint32_t)t, r->channels / r->c.heads);
    w->scratch_each = (scratch + 15) / 16 * 16;
    w->tokens = kn_arena_take(a, n * t * c * each);
    w->kv = kn_arena_take(a, 2 * n * t * c * each);
    w->q = kn_arena_take(a, n * c * each);
    w->mixed = kn_arena_take(a, n * c * each);
    w->row = kn_arena_take(a, c * sizeof *w->row);
    w->scratch = kn_arena_take(a, w->scratch_each * crew->threads * sizeof *w->scratch);
}

static resnet_work plan(const kn_crew *crew, const kn_resnet *r, size_t n, kn_arena *a)
{
    const size_t each = kn_type_bytes(crew->type);
    resnet_work w = { 0 };
    for (int i = 0; i < KN_SLOTS; i++) {
        w.early[i] = kn_arena_take(a, r->early_slot[i] * each);
        w.slot[i] = kn_arena_take(a, n * r->slot[i] * each);
    }
    if (r->c.pool_attention)
        plan_pool(crew, r, n, a, &w);
    if (r->proj.n) {
        w.mean = kn_arena_take(a, n * r->channels * sizeof *w.mean);
        w.rounded = kn_arena_take(a, n * r->channels * each);
    }
    return w;
}

size_t kn_resnet_bytes(const kn_crew *crew, const kn_resnet *r, size_t n)
{
    kn_arena a = { 0 };
    plan(crew, r, n, &a);
    return a.used;
}

/* ---- passes ---- */

typedef struct pass {
    const kn_crew *crew;
    const kn_step *p;
    const void *in;
    void *out;
    const void *residual; /* or NULL */
} pass;

static void convolve(const pass *l, size_t n)
{
    const kn_step *p = l->p;
    kn_gemm g = { .m = n * p->oh * p->ow, .a = l->in, .lda = p->c, .residual = l->residual,
                  .ldr = p->oc, .residual_type = l->crew->type,
                  .act = p->relu ? KN_ACT_RELU : KN_ACT_NONE, .c = l->out, .ldc = p->oc,
                  .c_type = l->crew->type };
    if (p->side == 1 && p->stride == 1) {
        kn_mat_mul(l->crew, &p->mat, g);
        return;
    }
    kn_mat_conv(l->crew, &p->mat, (kn_conv){ .g = g, .h = p->h, .w = p->w, .cin = p->c,
                                             .kh = p->side, .kw = p->side, .stride = p->stride,
                                             .pad = p->pad, .dilation = 1, .oh = p->oh,
                                             .ow = p->ow });
}

/* Every second pixel, its channels in the middle of twice as many. */
static void pad_channels(const kn_step *p, size_t bytes, const unsigned char *in, unsigned char *out)
{
    const size_t c = p->c * bytes, oc = p->oc * bytes, margin = (oc - c) / 2;
    for (size_t y = 0; y < p->oh; y++)
        for (size_t x = 0; x < p->ow; x++, out += oc) {
            memset(out, 0, oc);
            memcpy(out + margin, in + (y * p->stride * p->w + x * p->stride) * c, c);
        }
}

static void pool_pictures(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pass *l = cookie;
    const kn_step *p = l->p;
    const kn_type type = l->crew->type;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const void *in = kn_at_const(l->in, type, i * p->h * p->w * p->c);
        void *out = kn_at(l->out, type, i * p->oh * p->ow * p->oc);
        if (p->kind == KN_STEP_MAXPOOL)
            l->crew->k->maxpool(in, type, p->h, p->w, p->c, p->side, p->stride, p->pad, out);
        else if (p->kind == KN_STEP_AVGPOOL)
            l->crew->k->avgpool(in, type, p->h, p->w, p->c, p->side, out);
        else
            pad_channels(p, kn_type_bytes(type), in, out);
    }
}

static void run_step(pass *l, size_t n)
{
    if (l->p->kind == KN_STEP_CONV)
        convolve(l, n);
    else
        kn_crew_run(l->crew, n, 1, pool_pictures, l);
}

/* Picture i through the early steps; the last one writes where the later ones read. */
static void run_early(const kn_crew *crew, const kn_resnet *r, const resnet_work *w, size_t i)
{
    for (size_t s = 0; s < r->early; s++) {
        const kn_step *p = &r->steps[s];
        pass l = { crew, p, w->early[p->in], w->early[p->out],
                   p->residual < 0 ? NULL : w->early[p->residual] };
        if (s + 1 == r->early)
            l.out = kn_at(w->slot[p->out], crew->type, i * p->oh * p->ow * p->oc);
        run_step(&l, 1);
    }
}

static void run_late(const kn_crew *crew, const kn_resnet *r, const resnet_work *w, size_t n)
{
    for (size_t s = r->early; s < r->len; s++) {
        const kn_step *p = &r->steps[s];
        pass l = { crew, p, w->slot[p->in], w->slot[p->out],
                   p->residual < 0 ? NULL : w->slot[p->residual] };
        run_step(&l, n);
    }
}

/* ---- attention pool ---- */

/* n elements of the crew's type to f32 */
static void widen(const kn_crew *crew, const void *in, size_t n, float *out)
{
    if (crew->type == KN_BF16)
        crew->k->bf16_to_f32(in, out, n);
    else
        memcpy(out, in, n * sizeof *out);
}

/* The mean, then each pixel, plus their positions. */
static void make_tokens(const kn_crew *crew, const kn_resnet *r, const void *map, float *row,
                        void *tokens)
{
    const size_t t = pool_tokens(r), c = r->channels;
    for (size_t i = 0; i < t; i++) {
        if (i == 0)
            crew->k->meanpool(map, crew->type, t - 1, r->channels, row);
        else
            widen(crew, kn_at_const(map, crew->type, (i - 1) * c), c, row);
        for (size_t j = 0; j < c; j++)
            row[j] += r->pos[i * c + j];
        kn_crew_round(crew, row, c, kn_at(tokens, crew->type, i * c));
    }
}

typedef struct pool_loop {
    const kn_crew *crew;
    const kn_resnet *r;
    const resnet_work *w;
} pool_loop;

static void pool_attend(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const pool_loop *l = cookie;
    const kn_type type = l->crew->type;
    const size_t t = pool_tokens(l->r), c = l->r->channels;
    for (size_t i = begin; i < end; i++) {
        const kn_attention a = {
            .type = type,
            .q = kn_at(l->w->q, type, i * c),
            .k = kn_at(l->w->kv, type, i * t * 2 * c),
            .v = kn_at(l->w->kv, type, i * t * 2 * c + c),
            .ldq = c,
            .ldkv = 2 * c,
            .out = kn_at(l->w->mixed, type, i * c),
            .ldo = c,
            .heads = l->r->c.heads,
            .dim = l->r->channels / l->r->c.heads,
            .q_rows = 1,
            .kv_rows = (uint32_t)t,
            .scratch = l->w->scratch + worker * l->w->scratch_each,
        };
        l->crew->k->attention(&a);
    }
}

/* Multi-head attention whose only query is the mean. */
static void attention_pool(const kn_crew *crew, const kn_resnet *r, const resnet_work *w, size_t n,
                           float *out)
{
    const size_t t = pool_tokens(r), c = r->channels;
    const kn_type type = crew->type;
    for (size_t i = 0; i < n; i++)
        make_tokens(crew, r, kn_at_const(w->slot[r->last], type, i * (t - 1) * c), w->row,
                    kn_at(w->tokens, type, i * t * c));
    kn_gemm g = { .m = n * t, .a = w->tokens, .lda = c, .c = w->kv, .ldc = 2 * c, .c_type = type };
    kn_mat_mul(crew, &r->k, g);
    g.c = kn_at(w->kv, type, c);
    kn_mat_mul(crew, &r->v, g);
    kn_mat_mul(crew, &r->q, (kn_gemm){ .m = n, .a = w->tokens, .lda = t * c, .c = w->q, .ldc = c,
                                       .c_type = type });
    pool_loop l = { crew, r, w };
    kn_crew_run(crew, n, 1, pool_attend, &l);
    kn_mat_mul(crew, &r->o, (kn_gemm){ .m = n, .a = w->mixed, .lda = c, .c = out, .ldc = r->c.dim,
                                       .c_type = KN_F32 });
}

/* ---- the whole ---- */

static void run_maps(const kn_crew *crew, const kn_resnet *r, const kn_lut *lut, const uint8_t *pixels,
                     size_t n, const resnet_work *w)
{
    const size_t size = (size_t)r->c.input[0] * r->c.input[1];
    for (size_t i = 0; i < n; i++) {
        kn_lut_apply(lut, crew->type, pixels + i * size * 3, size, w->early[0]);
        run_early(crew, r, w, i);
    }
    run_late(crew, r, w, n);
}

void kn_resnet_last_map(const kn_crew *crew, const kn_resnet *r, const kn_lut *lut, const uint8_t *pixels,
                   float *map, kn_arena a)
{
    const resnet_work w = plan(crew, r, 1, &a);
    run_maps(crew, r, lut, pixels, 1, &w);
    widen(crew, w.slot[r->last], (size_t)r->hw[0] * r->hw[1] * r->channels, map);
}

void kn_resnet_run(const kn_crew *crew, const kn_resnet *r, const kn_lut *lut,
                   const uint8_t *pixels, size_t n, float *out, kn_arena a)
{
    const resnet_work w = plan(crew, r, n, &a);
    run_maps(crew, r, lut, pixels, n, &w);
    if (r->c.pool_attention) {
        attention_pool(crew, r, &w, n, out);
        return;
    }
    const size_t hw = (size_t)r->hw[0] * r->hw[1], c = r->channels;
    float *mean = r->proj.n ? w.mean : out;
    for (size_t i = 0; i < n; i++)
        crew->k->meanpool(kn_at_const(w.slot[r->last], crew->type, i * hw * c), crew->type, hw,
                          r->channels, mean + i * c);
    if (!r->proj.n)
        return;
    kn_crew_round(crew, mean, n * c, w.rounded);
    kn_mat_mul(crew, &r->proj, (kn_gemm){ .m = n, .a = w.rounded, .lda = c, .c = out,
                                          .ldc = r->c.dim, .c_type = KN_F32 });
}

double kn_resnet_macs(const kn_resnet *r)
{
    double macs = 0;
    for (size_t i = 0; i < r->len; i++) {
        const kn_step *p = &r->steps[i];
        if (p->kind == KN_STEP_CONV)
            macs += (double)p->oh * p->ow * p->oc * p->side * p->side * p->c;
    }
    macs += (double)r->proj.n * (double)r->proj.k;
    if (r->c.pool_attention) {
        const double t = (double)pool_tokens(r), c = r->channels;
        macs += 2 * t * c * c + c * c + 2 * t * c + c * r->c.dim;
    }
    return macs;
}
