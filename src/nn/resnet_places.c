/*
 * resnet_places.c - from the last map of a residual network to what each of its places does.
 *
 * With the mean pool the features are W mean(x_i): place i adds W x_i / n.  With attention
 * (Radford et al. 2021) they are O sum_i a_i (V t_i) + b, the a_i of each head being what the query
 * of the mean gives to token i; so place i adds what its own token brings, and its share of the
 * mean's token.  What is constant is spread evenly.  Nothing is left out: the parts' sum is the
 * features, given the weights of the attention as they came out.
 */
#include "nn/resnet.h"

#include <string.h>

static size_t places(const kn_resnet *r)
{
    return (size_t)r->hw[0] * r->hw[1];
}

/* Attention's inside, of one picture: t = places + 1 tokens, the mean first. */
typedef struct pool {
    void *in;          /* (t, channels) of the crew's type: inputs of products */
    float *tokens;     /* (t, channels) */
    float *q;          /* (channels), scaled */
    float *k, *v;      /* (t, channels) */
    float *weight;     /* (heads, t) */
    float *mixed;      /* (t, channels) */
    float *row;        /* (channels), (dim) */
    float *dweight;    /* (t) */
} pool;

static pool plan(const kn_crew *crew, const kn_resnet *r, kn_arena *a)
{
    const size_t c = r->channels, t = places(r) + 1, all = t * c * sizeof(float);
    pool p = { 0 };
    p.in = kn_arena_take(a, t * c * kn_type_bytes(crew->type));
    p.row = kn_arena_take(a, (c > r->c.dim ? c : r->c.dim) * sizeof *p.row);
    if (!r->c.pool_attention)
        return p;
    p.tokens = kn_arena_take(a, all);
    p.q = kn_arena_take(a, c * sizeof *p.q);
    p.k = kn_arena_take(a, all);
    p.v = kn_arena_take(a, all);
    p.weight = kn_arena_take(a, r->c.heads * t * sizeof *p.weight);
    p.mixed = kn_arena_take(a, all);
    p.dweight = kn_arena_take(a, t * sizeof *p.dweight);
    return p;
}

size_t kn_resnet_places_bytes(const kn_crew *crew, const kn_resnet *r)
{
    kn_arena a = { 0 };
    plan(crew, r, &a);
    return a.used;
}

/* out (rows, m->n) f32 = x m^T + bias */
static void multiply(const kn_crew *crew, const kn_mat *m, const float *x, size_t rows, void *in, float *out)
{
    kn_crew_round(crew, x, rows * m->k, in);
    kn_mat_mul(crew, m, (kn_gemm){ .m = rows, .a = in, .lda = m->k, .c = out, .ldc = m->n,
                                   .c_type = KN_F32 });
}

/* dx (rows, m->k) += dy (rows, m->n) m */
static void multiply_back(const kn_crew *crew, const kn_mat *m, const float *dy, size_t rows, float *row,
                          float *dx)
{
    for (size_t j = 0; j < m->n; j++) {
        kn_mat_row(crew->k, m, j, row);
        for (size_t i = 0; i < rows; i++)
            for (size_t c = 0; c < m->k; c++)
                dx[i * m->k + c] += dy[i * m->n + j] * row[c];
    }
}

/* ---- attention ---- */

static void make_tokens(const kn_resnet *r, const float *map, float *tokens)
{
    const size_t n = places(r), c = r->channels;
    memcpy(tokens, r->pos, (n + 1) * c * sizeof *tokens);
    for (size_t j = 0; j < c; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)map[i * c + j];
            tokens[(i + 1) * c + j] += map[i * c + j];
        }
        tokens[j] += (float)(sum / (double)n);
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static void attend(const kn_crew *crew, const kn_resnet *r, const float *map, pool *p)
{
    const size_t t = places(r) + 1, c = r->channels, d = c / r->c.heads;
    make_tokens(r, map, p->tokens);
    multiply(crew, &r->q, p->tokens, 1, p->in, p->q);
    multiply(crew, &r->k, p->tokens, t, p->in, p->k);
    multiply(crew, &r->v, p->tokens, t, p->in, p->v);
    for (size_t h = 0; h < r->c.heads; h++) {
        float *w = p->weight + h * t;
        for (size_t i = 0; i < t; i++)
            w[i] = dot(p->q + h * d, p->k + i * c + h * d, d);
        crew->k->softmax(w, t);
    }
}

/* Rows 1 .. n of mixed: what each place adds before the last product; row 0: what is left. */
static void mix(const kn_crew *crew, const kn_resnet *r, const float *map, const pool *p)
{
    const size_t n = places(r), t = n + 1, c = r->channels, d = c / r->c.heads;
    kn_mat v = r->v;
    v.bias = NULL;
    float *own = p->k; /* V x_i without position and bias: what each brings to the mean's token */
    multiply(crew, &v, map, n, p->in, own);
    for (size_t j = 0; j < c; j++) {
        const float *w = p->weight + j / d * t;
        float rest = p->v[j];
        for (size_t i = 0; i < n; i++) {
            const float to_mean = own[i * c + j] / (float)n;
            rest -= to_mean;
            p->mixed[(i + 1) * c + j] = w[i + 1] * p->v[(i + 1) * c + j] + w[0] * to_mean;
        }
        p->mixed[j] = w[0] * rest;
    }
}

static void attention_parts(const kn_crew *crew, const kn_resnet *r, const float *map, float *parts, pool *p)
{
    const size_t n = places(r), dim = r->c.dim;
    attend(crew, r, map, p);
    mix(crew, r, map, p);
    multiply(crew, &r->o, p->mixed, 1, p->in, p->row); /* with the bias */
    kn_mat o = r->o;
    o.bias = NULL;
    multiply(crew, &o, p->mixed + r->channels, n, p->in, parts);
    for (size_t i = 0; i < n * dim; i++)
        parts[i] += p->row[i % dim] / (float)n;
}

/* Through one head's softmax and products: v becomes dv, k dk, q dq; dm (channels) is of the mix. */
static void head_back(const kn_resnet *r, const pool *p, const float *dm, size_t h)
{
    const size_t t = places(r) + 1, c = r->channels, d = c / r->c.heads, first = h * d;
    const float *w = p->weight + h * t;
    float *dw = p->dweight;
    double mean = 0;
    for (size_t i = 0; i < t; i++) {
        dw[i] = dot(dm + first, p->v + i * c + first, d);
        mean += (double)w[i] * (double)dw[i];
    }
    for (size_t i = 0; i < t; i++)
        dw[i] = w[i] * (dw[i] - (float)mean);
    for (size_t j = first; j < first + d; j++) {
        const float q = p->q[j];
        p->q[j] = 0;
        for (size_t i = 0; i < t; i++) {
            p->q[j] += dw[i] * p->k[i * c + j];
            p->k[i * c + j] = dw[i] * q;
            p->v[i * c + j] = w[i] * dm[j];
        }
    }
}

static void attention_grad(const kn_crew *crew, const kn_resnet *r, const float *map, const float *dout,
                           float *dmap, pool *p)
{
    const size_t n = places(r), t = n + 1, c = r->channels;
    float *dm = p->mixed, *dtokens = p->tokens;
    attend(crew, r, map, p);
    memset(dm, 0, c * sizeof *dm);
    multiply_back(crew, &r->o, dout, 1, p->row, dm);
    for (size_t h = 0; h < r->c.heads; h++)
        head_back(r, p, dm, h);
    memset(dtokens, 0, t * c * sizeof *dtokens);
    multiply_back(crew, &r->q, p->q, 1, p->row, dtokens);
    multiply_back(crew, &r->k, p->k, t, p->row, dtokens);
    multiply_back(crew, &r->v, p->v, t, p->row, dtokens);
    for (size_t i = 0; i < n * c; i++)
        dmap[i] = dtokens[c + i] + dtokens[i % c] / (float)n;
}

/* ---- both pools ---- */

void kn_resnet_parts(const kn_crew *crew, const kn_resnet *r, const float *map, float *parts, kn_arena a)
{
    const size_t n = places(r);
    pool p = plan(crew, r, &a);
    if (r->c.pool_attention) {
        attention_parts(crew, r, map, parts, &p);
        return;
    }
    if (r->proj.n)
        multiply(crew, &r->proj, map, n, p.in, parts);
    else
        memcpy(parts, map, n * r->channels * sizeof *parts);
    for (size_t i = 0; i < n * r->c.dim; i++)
        parts[i] /= (float)n;
}

void kn_resnet_map_grad(const kn_crew *crew, const kn_resnet *r, const float *map, const float *dout,
                        float *dmap, kn_arena a)
{
    const size_t n = places(r), c = r->channels;
    pool p = plan(crew, r, &a);
    if (r->c.pool_attention) {
        attention_grad(crew, r, map, dout, dmap, &p);
        return;
    }
    memset(dmap, 0, c * sizeof *dmap);
    if (r->proj.n)
        multiply_back(crew, &r->proj, dout, 1, p.row, dmap);
    else
        memcpy(dmap, dout, c * sizeof *dmap);
    for (size_t j = 0; j < c; j++)
        dmap[j] /= (float)n;
    for (size_t i = 1; i < n; i++)
        memcpy(dmap + i * c, dmap, c * sizeof *dmap);
}
