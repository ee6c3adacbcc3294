/*
 * net_oracle.h - the networks as a textbook writes them: plain loops in double, one picture or text,
 * every row of every layer, nothing shared with src/nn.  Weights are folded ones (make_fold).
 */
#ifndef NET_ORACLE_H
#define NET_ORACLE_H

#include "tests/unit/net_make.h"

typedef struct oracle {
    make_model *m;
    int gelu, bert, causal;
    size_t heads;
    double eps;
} oracle;

static double *reals(size_t n)
{
    return calloc(n ? n : 1, sizeof(double));
}

/* y (rows, n) = x w^T + b */
static double *linear(const oracle *o, const char *name, const double *x, size_t rows)
{
    const make_tensor *w = make_find(o->m, "%s.w", name), *b = make_find(o->m, "%s.b", name);
    double *y = reals(rows * w->n);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < w->n; j++) {
            double sum = b ? b->data[j] : 0;
            for (size_t k = 0; k < w->k; k++)
                sum += x[i * w->k + k] * w->data[j * w->k + k];
            y[i * w->n + j] = sum;
        }
    return y;
}

static void norm(const oracle *o, const char *name, double *x, size_t rows)
{
    const make_tensor *w = make_find(o->m, "%s.w", name), *b = make_find(o->m, "%s.b", name);
    for (size_t i = 0; i < rows; i++, x += w->n) {
        double mean = 0, var = 0;
        for (size_t j = 0; j < w->n; j++)
            mean += x[j] / (double)w->n;
        for (size_t j = 0; j < w->n; j++)
            var += (x[j] - mean) * (x[j] - mean) / (double)w->n;
        for (size_t j = 0; j < w->n; j++)
            x[j] = (x[j] - mean) / sqrt(var + o->eps) * w->data[j] + b->data[j];
    }
}

/* One head, columns h*dim ..; q, k, v are ld apart; the scale is in q already. */
static void head(const double *q, const double *k, const double *v, size_t ld, size_t rows, size_t dim,
                 int causal, double *out, size_t ldo)
{
    double *p = reals(rows);
    for (size_t i = 0; i < rows; i++) {
        const size_t n = causal ? i + 1 : rows;
        double sum = 0;
        for (size_t j = 0; j < n; j++) {
            p[j] = 0;
            for (size_t d = 0; d < dim; d++)
                p[j] += q[i * ld + d] * k[j * ld + d];
            p[j] = exp(p[j]);
            sum += p[j];
        }
        for (size_t d = 0; d < dim; d++) {
            out[i * ldo + d] = 0;
            for (size_t j = 0; j < n; j++)
                out[i * ldo + d] += p[j] / sum * v[j * ld + d];
        }
    }
    free(p);
}

static void add_into(double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
    free(y);
}

static void activate(const oracle *o, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = o->gelu ? x[i] / 2 * (1 + erf(x[i] / sqrt(2))) : x[i] / (1 + exp(-1.702 * x[i]));
}

static double *copy(const double *x, size_t n)
{
    double *y = reals(n);
    memcpy(y, x, n * sizeof *x);
    return y;
}

static void layer(const oracle *o, const char *base, double *x, size_t rows, size_t w)
{
    char name[48];
    const size_t dim = w / o->heads;
    double *h = copy(x, rows * w), *mixed = reals(rows * w);
    snprintf(name, sizeof name, "%s.ln1", base);
    if (!o->bert)
        norm(o, name, h, rows);
    snprintf(name, sizeof name, "%s.qkv", base);
    double *qkv = linear(o, name, h, rows);
    for (size_t i = 0; i < o->heads; i++)
        head(qkv + i * dim, qkv + w + i * dim, qkv + 2 * w + i * dim, 3 * w, rows, dim, o->causal,
             mixed + i * dim, w);
    snprintf(name, sizeof name, "%s.o", base);
    add_into(x, linear(o, name, mixed, rows), rows * w);
    snprintf(name, sizeof name, "%s.ln1", base);
    if (o->bert)
        norm(o, name, x, rows);
    memcpy(h, x, rows * w * sizeof *x);
    snprintf(name, sizeof name, "%s.ln2", base);
    if (!o->bert)
        norm(o, name, h, rows);
    snprintf(name, sizeof name, "%s.fc1", base);
    double *u = linear(o, name, h, rows);
    const size_t mlp = make_find(o->m, "%s.b", name)->n;
    activate(o, u, rows * mlp);
    snprintf(name, sizeof name, "%s.fc2", base);
    add_into(x, linear(o, name, u, rows), rows * w);
    snprintf(name, sizeof name, "%s.ln2", base);
    if (o->bert)
        norm(o, name, x, rows);
    free(u);
    free(qkv);
    free(mixed);
    free(h);
}

static void layers(const oracle *o, const char *prefix, size_t n, double *x, size_t rows, size_t w)
{
    char base[48];
    for (size_t i = 0; i < n; i++) {
        snprintf(base, sizeof base, "%s.%zu", prefix, i);
        layer(o, base, x, rows, w);
    }
}

static double *project(const oracle *o, const char *name, const double *row, size_t w)
{
    return make_find(o->m, "%s.w", name) ? linear(o, name, row, 1) : copy(row, w);
}

/* pixels (gh*p, gw*p, 3), normalised already */
static double *oracle_vit(const oracle *o, const double *pixels, size_t gh, size_t gw, size_t p,
                          size_t n)
{
    const make_tensor *cls = make_find(o->m, "v.cls"), *pos = make_find(o->m, "v.pos");
    const size_t w = cls->n, rows = gh * gw + 1;
    double *x = reals(rows * w), *patch = reals(p * p * 3);
    for (size_t t = 0; t < rows; t++) {
        const size_t gy = t ? (t - 1) / gw : 0, gx = t ? (t - 1) % gw : 0;
        for (size_t y = 0; t && y < p; y++)
            memcpy(patch + y * p * 3, pixels + ((gy * p + y) * gw * p + gx * p) * 3,
                   p * 3 * sizeof *patch);
        double *row = t ? linear(o, "v.patch", patch, 1) : NULL;
        for (size_t j = 0; j < w; j++)
            x[t * w + j] = pos->data[t * w + j] + (t ? row[j] : cls->data[j]);
        free(row);
    }
    if (make_find(o->m, "v.ln_pre.w"))
        norm(o, "v.ln_pre", x, rows);
    layers(o, "v", n, x, rows, w);
    norm(o, "v.ln_post", x, 1);
    double *out = project(o, "v.proj", x, w);
    free(patch);
    free(x);
    return out;
}

static double *oracle_text(const oracle *o, const int32_t *ids, size_t len, size_t n)
{
    const make_tensor *tok = make_find(o->m, "t.tok"), *pos = make_find(o->m, "t.pos");
    const make_tensor *type = make_find(o->m, "t.type");
    const size_t w = tok->k;
    double *x = reals(len * w);
    for (size_t i = 0; i < len; i++)
        for (size_t j = 0; j < w; j++)
            x[i * w + j] = (double)tok->data[(size_t)ids[i] * w + j] + pos->data[i * w + j] +
                           (type ? type->data[j] : 0);
    if (o->bert)
        norm(o, "t.ln_emb", x, len);
    layers(o, "t", n, x, len, w);
    double *row = o->bert ? x : x + (len - 1) * w;
    if (!o->bert)
        norm(o, "t.ln_final", row, 1);
    double *out = project(o, "t.proj", row, w);
    free(x);
    return out;
}

/* ---- residual networks ---- */

typedef struct map {
    size_t h, w, c;
    double *x; /* (h, w, c) */
} map;

static map new_map(size_t h, size_t w, size_t c)
{
    return (map){ h, w, c, reals(h * w * c) };
}

static double pixel(const map *in, long y, long x, size_t c)
{
    const int outside = y < 0 || x < 0 || y >= (long)in->h || x >= (long)in->w;
    return outside ? 0 : in->x[((size_t)y * in->w + (size_t)x) * in->c + c];
}

/* Frees in, unless keep. */
static map conv(const oracle *o, const char *name, map in, size_t side, size_t stride, int relu,
                int keep)
{
    const make_tensor *w = make_find(o->m, "%s.w", name), *b = make_find(o->m, "%s.b", name);
    const size_t pad = side / 2;
    map out = new_map((in.h + 2 * pad - side) / stride + 1, (in.w + 2 * pad - side) / stride + 1, w->n);
    for (size_t i = 0; i < out.h * out.w * out.c; i++) {
        const size_t n = i % w->n, x = i / w->n % out.w, y = i / w->n / out.w;
        double sum = b->data[n];
        for (size_t k = 0; k < w->k; k++) {
            const size_t c = k % in.c, kx = k / in.c % side, ky = k / in.c / side;
            sum += w->data[n * w->k + k] *
                   pixel(&in, (long)(y * stride + ky) - (long)pad, (long)(x * stride + kx) - (long)pad, c);
        }
        out.x[i] = relu && sum < 0 ? 0 : sum;
    }
    if (!keep)
        free(in.x);
    return out;
}

/* Largest or mean of side x side pixels. */
static map pool(map in, size_t side, size_t stride, size_t pad, int mean, int keep)
{
    map out = new_map((in.h + 2 * pad - side) / stride + 1, (in.w + 2 * pad - side) / stride + 1, in.c);
    for (size_t i = 0; i < out.h * out.w * out.c; i++) {
        const size_t c = i % in.c, x = i / in.c % out.w, y = i / in.c / out.w;
        double sum = 0, most = -1e300;
        for (size_t k = 0; k < side * side; k++) {
            const long py = (long)(y * stride + k / side) - (long)pad;
            const long px = (long)(x * stride + k % side) - (long)pad;
            if (py < 0 || px < 0 || py >= (long)in.h || px >= (long)in.w)
                continue;
            sum += pixel(&in, py, px, c);
            most = fmax(most, pixel(&in, py, px, c));
        }
        out.x[i] = mean ? sum / (double)(side * side) : most;
    }
    if (!keep)
        free(in.x);
    return out;
}

typedef struct res_shape {
    int clip, cifar, bottleneck;
    size_t stages, layers[4], width, heads;
} res_shape;

static map shortcut(const oracle *o, const res_shape *r, const char *base, map in, size_t cout,
                    size_t stride)
{
    char name[64];
    if (stride == 1 && in.c == cout)
        return in;
    if (r->cifar) {
        map out = new_map((in.h + 1) / 2, (in.w + 1) / 2, cout);
        for (size_t i = 0; i < out.h * out.w; i++)
            for (size_t c = 0; c < in.c; c++)
                out.x[i * cout + cout / 4 + c] =
                    pixel(&in, (long)(i / out.w * 2), (long)(i % out.w * 2), c);
        free(in.x);
        return out;
    }
    snprintf(name, sizeof name, "%s.down", base);
    if (r->clip && stride > 1)
        return conv(o, name, pool(in, stride, stride, 0, 1, 0), 1, 1, 0, 0);
    return conv(o, name, in, 1, stride, 0, 0);
}

static map block(const oracle *o, const res_shape *r, const char *base, map in, size_t planes,
                 size_t stride)
{
    char name[64];
    map x;
    snprintf(name, sizeof name, "%s.conv1", base);
    x = r->bottleneck ? conv(o, name, in, 1, 1, 1, 1) : conv(o, name, in, 3, stride, 1, 1);
    snprintf(name, sizeof name, "%s.conv2", base);
    if (r->bottleneck) {
        x = conv(o, name, x, 3, r->clip ? 1 : stride, 1, 0);
        if (r->clip && stride > 1)
            x = pool(x, stride, stride, 0, 1, 0);
        snprintf(name, sizeof name, "%s.conv3", base);
        x = conv(o, name, x, 1, 1, 0, 0);
    } else {
        x = conv(o, name, x, 3, 1, 0, 0);
    }
    map side = shortcut(o, r, base, in, r->bottleneck ? 4 * planes : planes, stride);
    for (size_t i = 0; i < x.h * x.w * x.c; i++)
        x.x[i] = fmax(0, x.x[i] + side.x[i]);
    free(side.x);
    return x;
}

/* Attention whose query is the mean. */
static double *attention_pool(const oracle *o, const map *x, size_t heads)
{
    const make_tensor *pos = make_find(o->m, "v.pool.pos");
    const size_t n = x->h * x->w, c = x->c, dim = c / heads;
    double *t = reals((n + 1) * c), *mixed = reals((n + 1) * c);
    for (size_t i = 0; i < n * c; i++) {
        t[c + i] = x->x[i];
        t[i % c] += x->x[i] / (double)n;
    }
    for (size_t i = 0; i < (n + 1) * c; i++)
        t[i] += pos->data[i];
    double *q = linear(o, "v.pool.q", t, n + 1), *k = linear(o, "v.pool.k", t, n + 1);
    double *v = linear(o, "v.pool.v", t, n + 1);
    for (size_t h = 0; h < heads; h++)
        head(q + h * dim, k + h * dim, v + h * dim, c, n + 1, dim, 0, mixed + h * dim, c);
    double *out = linear(o, "v.pool.o", mixed, 1);
    free(t);
    free(mixed);
    free(q);
    free(k);
    free(v);
    return out;
}

static map stem(const oracle *o, const res_shape *r, map x)
{
    if (r->cifar)
        return conv(o, "v.stem.0", x, 3, 1, 1, 1);
    if (!r->clip)
        return pool(conv(o, "v.stem.0", x, 7, 2, 1, 1), 3, 2, 1, 0, 0);
    x = conv(o, "v.stem.0", x, 3, 2, 1, 1);
    x = conv(o, "v.stem.1", x, 3, 1, 1, 0);
    return pool(conv(o, "v.stem.2", x, 3, 1, 1, 0), 2, 2, 0, 1, 0);
}

static double *oracle_resnet(const oracle *o, const res_shape *r, double *pixels, size_t h, size_t w)
{
    char base[48];
    map x = stem(o, r, (map){ h, w, 3, pixels });
    for (size_t s = 0; s < r->stages; s++)
        for (size_t i = 0; i < r->layers[s]; i++) {
            snprintf(base, sizeof base, "v.%zu.%zu", s + 1, i);
            x = block(o, r, base, x, r->width << s, s && !i ? 2 : 1);
        }
    double *out;
    if (r->clip) {
        out = attention_pool(o, &x, r->heads);
    } else {
        out = reals(x.c);
        for (size_t i = 0; i < x.h * x.w * x.c; i++)
            out[i % x.c] += x.x[i] / (double)(x.h * x.w);
    }
    free(x.x);
    return out;
}

#endif
