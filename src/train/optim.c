/*
 * optim.c - SGD, AdamW, LARS and Lion, parameter by parameter.
 *
 * SGD and AdamW compute what torch.optim's do (weight decay joins SGD's gradient, and stays out of
 * AdamW's moments: Loshchilov and Hutter, ICLR 2019).  LARS: You, Gitman and Ginsburg, 2017, with
 * torch's momentum.  Lion: Chen et al., "Symbolic discovery of optimization algorithms", 2023.
 * Bias corrections are taken in double and reach the loops as two factors.
 */
#include "train/optim.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 1 << 14, LANES = 16 };

struct kn_optim {
    kn_optim_config c;
    size_t count;
    uint64_t steps;
    float *m, *v; /* one block: (count), and (count) more for ADAMW */
};

static const char *const names[] = { "sgd", "adamw", "lars", "lion" };

ken_status kn_optim_named(kn_optim_kind *out, const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (kn_optim_kind)i;
            return KEN_OK;
        }
    return kn_fail(KEN_E_INVALID, "no optimiser '%s': sgd, adamw, lars, lion", name);
}

const char *kn_optim_name(kn_optim_kind kind)
{
    return names[kind];
}

kn_optim_config kn_optim_defaults(kn_optim_kind kind)
{
    static const kn_optim_config d[] = {
        [KN_OPTIM_SGD] = { .momentum = 0.9 },
        [KN_OPTIM_ADAMW] = { .momentum = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01 },
        [KN_OPTIM_LARS] = { .momentum = 0.9, .eps = 1e-8, .weight_decay = 1e-4, .trust = 0.001 },
        [KN_OPTIM_LION] = { .momentum = 0.9, .beta2 = 0.99 },
    };
    kn_optim_config c = d[kind];
    c.kind = kind;
    return c;
}

static ken_status check(const kn_optim_config *c)
{
    if (!(c->momentum >= 0 && c->momentum < 1) || !(c->beta2 >= 0 && c->beta2 < 1))
        return kn_fail(KEN_E_INVALID, "momentum %g, beta2 %g: from 0 up to, not including, 1",
                       c->momentum, c->beta2);
    if (!(c->weight_decay >= 0) || !(c->eps >= 0))
        return kn_fail(KEN_E_INVALID, "weight decay %g, eps %g: not negative", c->weight_decay,
                       c->eps);
    return KEN_OK;
}

ken_status kn_optim_new(kn_optim **out, const kn_optim_config *c, size_t count)
{
    const ken_status st = check(c);
    if (st)
        return st;
    kn_optim *o = kn_zalloc(1, sizeof *o);
    const size_t floats = c->kind == KN_OPTIM_ADAMW ? 2 * count : count;
    if (!o)
        return KEN_E_NOMEM;
    o->c = *c;
    o->c.threads = c->threads ? c->threads : 1;
    o->count = count;
    o->m = kn_alloc_aligned(floats, sizeof *o->m);
    if (!o->m) {
        kn_free(o);
        return KEN_E_NOMEM;
    }
    memset(o->m, 0, floats * sizeof *o->m);
    o->v = o->m + count;
    *out = o;
    return KEN_OK;
}

void kn_optim_free(kn_optim *o)
{
    if (!o)
        return;
    kn_free(o->m);
    kn_free(o);
}

void kn_optim_set_momentum(kn_optim *o, double momentum)
{
    o->c.momentum = momentum;
}

void kn_optim_state(kn_optim *o, float **moments, size_t *count)
{
    *moments = o->m;
    *count = o->c.kind == KN_OPTIM_ADAMW ? 2 * o->count : o->count;
}

uint64_t kn_optim_steps(const kn_optim *o)
{
    return o->steps;
}

void kn_optim_set_steps(kn_optim *o, uint64_t steps)
{
    o->steps = steps;
}

/* ---- the rules: n parameters, n <= LANES; whole lanes in one loop of fixed length ---- */

typedef struct rule {
    float lr, decay;     /* decay: what weight_decay comes to here */
    float b1, b2;        /* momentum or beta 1; beta 2 */
    float c1, c2, eps;   /* ADAMW: step size lr / (1 - b1^t), 1 / sqrt(1 - b2^t) */
    int nesterov, fresh; /* SGD: the first step fills the buffer with the gradient */
} rule;

typedef void rule_fn(const rule *r, float *w, const float *g, float *m, float *v, size_t n);

static inline void adamw(const rule *r, float *w, const float *g, float *m, float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float keep = w[i] - r->decay * w[i];
        m[i] = m[i] + (g[i] - m[i]) * (1 - r->b1);
        v[i] = r->b2 * v[i] + (1 - r->b2) * g[i] * g[i];
        w[i] = keep - r->c1 * m[i] / (sqrtf(v[i]) * r->c2 + r->eps);
    }
}

static inline void sgd(const rule *r, float *w, const float *g, float *m, float *v, size_t n)
{
    (void)v;
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] + r->decay * w[i];
        m[i] = r->b1 * m[i] + d;
        w[i] = w[i] - r->lr * (r->nesterov ? d + r->b1 * m[i] : m[i]);
    }
}

/* The rate belongs to the buffer's terms here: m = b m + lr d. */
static inline void lars(const rule *r, float *w, const float *g, float *m, float *v, size_t n)
{
    (void)v;
    for (size_t i = 0; i < n; i++) {
        m[i] = r->b1 * m[i] + r->lr * (g[i] + r->decay * w[i]);
        w[i] = w[i] - m[i];
    }
}

static inline void lion(const rule *r, float *w, const float *g, float *m, float *v, size_t n)
{
    (void)v;
    for (size_t i = 0; i < n; i++) {
        const float c = r->b1 * m[i] + (1 - r->b1) * g[i];
        const float sign = (float)((c > 0) - (c < 0));
        w[i] = w[i] - r->decay * w[i] - r->lr * sign;
        m[i] = r->b2 * m[i] + (1 - r->b2) * g[i];
    }
}

/* A constant n lets the compiler use its vectors. */
#define RUN(fn)                                                                                    \
    static void run_##fn(const rule *r, float *w, const float *g, float *m, float *v, size_t n)    \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + LANES <= n; i += LANES)                                                         \
            fn(r, w + i, g + i, m + i, v + i, LANES);                                              \
        fn(r, w + i, g + i, m + i, v + i, n - i);                                                  \
    }
RUN(sgd)
RUN(adamw)
RUN(lars)
RUN(lion)

static rule_fn *const rules[] = { run_sgd, run_adamw, run_lars, run_lion };

/* ---- one step ---- */

typedef struct stepping {
    kn_optim *o;
    float *w;
    const float *g;
    size_t begin, count;
    rule rule;
} stepping;

static ken_status step_chunks(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const stepping *s = cookie;
    const size_t at = s->begin + begin * CHUNK;
    const size_t stop = s->begin + (end * CHUNK < s->count ? end * CHUNK : s->count);
    (void)worker;
    rules[s->o->c.kind](&s->rule, s->w + at, s->g + at, s->o->m + at, s->o->v + at, stop - at);
    return KEN_OK;
}

/* LARS: the rate that the norms of the range allow (1 where one of them is 0). */
static double trust(const kn_optim_config *c, const stepping *s, int decay)
{
    const double wn = kn_grad_norm(s->w + s->begin, s->count, c->threads);
    const double gn = kn_grad_norm(s->g + s->begin, s->count, c->threads);
    const double wd = decay ? c->weight_decay : 0;
    return wn > 0 && gn > 0 ? c->trust * wn / (gn + wd * wn + c->eps) : 1;
}

static rule rule_of(const kn_optim *o, const stepping *s, const kn_param_range *p, double lr)
{
    const kn_optim_config *c = &o->c;
    const double t = (double)o->steps, wd = p->decay ? c->weight_decay : 0;
    const int decoupled = c->kind == KN_OPTIM_ADAMW || c->kind == KN_OPTIM_LION;
    rule r = { .b1 = (float)c->momentum,
               .b2 = (float)c->beta2,
               .eps = (float)c->eps,
               .nesterov = c->nesterov };
    lr *= (double)p->lr_scale;
    r.decay = (float)(decoupled ? lr * wd : wd);
    if (c->kind == KN_OPTIM_LARS)
        lr *= trust(c, s, p->decay);
    r.lr = (float)lr;
    if (c->kind == KN_OPTIM_ADAMW) {
        r.c1 = (float)(lr / (1 - pow(c->momentum, t)));
        r.c2 = (float)(1 / sqrt(1 - pow(c->beta2, t)));
    }
    return r;
}

ken_status kn_optim_step(kn_optim *o, float *w, const float *g, const kn_param_range *ranges,
                         size_t n_ranges, double lr)
{
    o->steps++;
    for (size_t i = 0; i < n_ranges; i++) {
        const kn_param_range *p = &ranges[i];
        if (p->begin > o->count || p->count > o->count - p->begin)
            return kn_fail(KEN_E_INVALID, "parameters %zu … of %zu", p->begin, o->count);
        if (p->frozen || !p->count)
            continue;
        stepping s = { .o = o, .w = w, .g = g, .begin = p->begin, .count = p->count };
        s.rule = rule_of(o, &s, p, lr);
        const ken_status st =
            kn_parallel((p->count + CHUNK - 1) / CHUNK, 1, o->c.threads, step_chunks, &s);
        if (st)
            return st;
    }
    return KEN_OK;
}

/* ---- norms and averages ---- */

typedef struct block_loop {
    const float *in;
    float *out;
    size_t n;
    double *sums; /* a chunk */
    float factor;
} block_loop;

static double chunk_squares(const float *g, size_t n)
{
    double lane[LANES] = { 0 }, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)g[i + j] * (double)g[i + j];
    for (; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

static ken_status square_chunks(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const block_loop *l = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t at = i * CHUNK, left = l->n - at;
        l->sums[i] = chunk_squares(l->in + at, left < CHUNK ? left : CHUNK);
    }
    return KEN_OK;
}

double kn_grad_norm(const float *g, size_t n, uint32_t threads)
{
    enum { ROUND = 256 }; /* chunks whose sums are kept at a time */
    double sums[ROUND], sum = 0;
    for (size_t at = 0; at < n; at += (size_t)ROUND * CHUNK) {
        const size_t left = n - at, most = (size_t)ROUND * CHUNK;
        block_loop l = { .in = g + at, .n = left < most ? left : most, .sums = sums };
        const size_t chunks = (l.n + CHUNK - 1) / CHUNK;
        if (kn_parallel(chunks, 1, threads ? threads : 1, square_chunks, &l))
            return NAN;
        for (size_t i = 0; i < chunks; i++)
            sum += sums[i];
    }
    return sqrt(sum);
}

static ken_status scale_chunks(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const block_loop *l = cookie;
    const size_t stop = end * CHUNK < l->n ? end * CHUNK : l->n;
    (void)worker;
    for (size_t i = begin * CHUNK; i < stop; i++)
        l->out[i] *= l->factor;
    return KEN_OK;
}

double kn_grad_clip(float *g, size_t n, double most, uint32_t threads)
{
    const double norm = kn_grad_norm(g, n, threads);
    block_loop l = { .out = g, .n = n, .factor = (float)(most / (norm + 1e-6)) };
    if (!isfinite(norm) || l.factor >= 1)
        return norm;
    const ken_status st =
        kn_parallel((n + CHUNK - 1) / CHUNK, 1, threads ? threads : 1, scale_chunks, &l);
    return st ? NAN : norm;
}

static ken_status average_chunks(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const block_loop *l = cookie;
    const size_t stop = end * CHUNK < l->n ? end * CHUNK : l->n;
    (void)worker;
    for (size_t i = begin * CHUNK; i < stop; i++)
        l->out[i] += l->factor * (l->in[i] - l->out[i]);
    return KEN_OK;
}

void kn_ema_update(float *avg, const float *w, size_t n, double decay, uint32_t threads)
{
    block_loop l = { .in = w, .out = avg, .n = n, .factor = (float)(1 - decay) };
    const ken_status st =
        kn_parallel((n + CHUNK - 1) / CHUNK, 1, threads ? threads : 1, average_chunks, &l);
    (void)st; /* no piece fails */
}

double kn_ema_decay(double decay, uint64_t step)
{
    const double early = (1 + (double)step) / (10 + (double)step);
    return early < decay ? early : decay;
}
