/* check_attention.c - kernels/<level>/attention.c
 *
 * Outputs are compared with softmax and sums in double; then one row alone, and one head alone, must
 * have the bits they had among the others. */
#include "checkkern.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct trial {
    kn_attention a;
    float *wide; /* (rows, 3 * heads * dim): q, k and v as the kernel sees them, in f32 */
    size_t ld;
    uint16_t *narrow;
} trial;

static float in_wide(const trial *t, size_t row, uint32_t part, uint32_t h, uint32_t d)
{
    const uint32_t w = t->a.heads * t->a.dim;
    return t->wide[row * t->ld + part * w + h * t->a.dim + d];
}

static const void *at(const trial *t, size_t i)
{
    return t->a.type == KN_BF16 ? (const void *)(t->narrow + i) : (const void *)(t->wide + i);
}

/* kv_rows rows of q, k, v in storage that ends at a guard page; queries are the last q_rows. */
static void prepare(ck *t, trial *tr)
{
    kn_attention *a = &tr->a;
    const size_t w = (size_t)a->heads * a->dim, n = ((size_t)a->kv_rows - 1) * (3 * w + 5) + 3 * w;
    tr->ld = 3 * w + 5;
    tr->wide = ck_guarded(t, n * sizeof(float));
    tr->narrow = ck_guarded(t, n * sizeof(uint16_t));
    ck_fill(tr->wide, n);
    for (size_t i = 0; i < n; i++) {
        tr->wide[i] *= i % tr->ld < w ? 1.5f : 1; /* sharper scores */
        tr->narrow[i] = ck_to_bf16(tr->wide[i]);
        if (a->type == KN_BF16)
            tr->wide[i] = ck_from_bf16(tr->narrow[i]);
    }
    a->q = at(tr, (a->kv_rows - a->q_rows) * tr->ld);
    a->k = at(tr, w);
    a->v = at(tr, 2 * w);
    a->ldq = a->ldkv = tr->ld;
    a->ldo = w + 3;
    const size_t scratch = (kn_attention_scratch(a->kv_rows, a->dim) + 15) / 16 * 64;
    a->scratch = ck_guarded(t, scratch);
    memset(a->scratch, 0xff, scratch); /* NaN, which nothing may see */
    a->out = ck_guarded(t, ((a->q_rows - 1) * a->ldo + w) * (a->type == KN_BF16 ? 2 : 4));
    float *bias = ck_guarded(t, a->kv_rows * sizeof *bias);
    ck_fill(bias, a->kv_rows);
    for (uint32_t j = 1; j < a->kv_rows; j += 3)
        bias[j] = -INFINITY; /* a key that is not there */
    a->bias = a->kv_rows % 2 ? NULL : bias;
}

static double oracle(const trial *t, uint32_t i, uint32_t h, uint32_t d, double *mag)
{
    const kn_attention *a = &t->a;
    const uint32_t first = a->kv_rows - a->q_rows, n = a->causal ? first + i + 1 : a->kv_rows;
    double sum = 0, out = 0, most = -1e300;
    *mag = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t j = 0; j < n; j++) {
            double s = a->bias ? (double)a->bias[j] : 0;
            for (uint32_t e = 0; e < a->dim; e++)
                s += (double)in_wide(t, first + i, 0, h, e) * (double)in_wide(t, j, 1, h, e);
            most = !pass && s > most ? s : most;
            if (pass) {
                const double p = exp(s - most), v = (double)in_wide(t, j, 2, h, d);
                sum += p;
                out += p * v;
                *mag += p * fabs(v);
            }
        }
    *mag /= sum;
    return out / sum;
}

static float out_at(const kn_attention *a, uint32_t i, uint32_t column)
{
    if (a->type == KN_BF16)
        return ck_from_bf16(((const uint16_t *)a->out)[i * a->ldo + column]);
    return ((const float *)a->out)[i * a->ldo + column];
}

static void check_values(ck *t, const trial *tr)
{
    const kn_attention *a = &tr->a;
    /* a score's error is at most dim eps sum|q k| < dim eps 1.5 dim, and moves p by that share */
    const double eps = FLT_EPSILON, share = (1.5 * a->dim * (a->dim + 4) + a->kv_rows + 16) * eps;
    for (uint32_t k = 0; k < 60; k++) {
        const uint32_t i = ck_rand() % a->q_rows, h = ck_rand() % a->heads, d = ck_rand() % a->dim;
        double mag, want = oracle(tr, i, h, d, &mag);
        /* bf16: half a unit of the result, and of each weight where they meet values in bf16 */
        const double round = a->type == KN_BF16 ? fabs(want) / 256 + mag / 512 : 0;
        ck_near(t, (double)out_at(a, i, h * a->dim + d), want, 2 * share * mag + round,
                "type %d dim %u keys %u queries %u causal %d row %u", a->type, a->dim, a->kv_rows,
                a->q_rows, a->causal, i);
    }
}

static void check_alone(ck *t, const trial *tr)
{
    kn_attention one = tr->a;
    const size_t size = one.type == KN_BF16 ? 2 : 4;
    const uint32_t i = ck_rand() % one.q_rows, h = ck_rand() % one.heads;
    char *alone = ck_guarded(t, one.dim * size);
    one.q = (const char *)one.q + (i * one.ldq + h * one.dim) * size;
    one.k = (const char *)one.k + h * one.dim * size;
    one.v = (const char *)one.v + h * one.dim * size;
    one.kv_rows = one.causal ? one.kv_rows - one.q_rows + i + 1 : one.kv_rows;
    one.q_rows = one.heads = 1;
    one.out = alone;
    t->now.attention(&one);
    ck_equal(t, alone, (const char *)tr->a.out + (i * tr->a.ldo + h * one.dim) * size,
             one.dim * size, "row %u head %u alone, type %d keys %u", i, h, one.type,
             tr->a.kv_rows);
}

static void check_one(ck *t, kn_type type, uint32_t dim, uint32_t keys, uint32_t queries,
                      int causal)
{
    trial tr = { .a = { .type = type,
                        .heads = 1 + ck_rand() % 3,
                        .dim = dim,
                        .q_rows = queries,
                        .kv_rows = keys,
                        .causal = causal } };
    prepare(t, &tr);
    t->now.attention(&tr.a);
    check_values(t, &tr);
    check_alone(t, &tr);
    ck_release(t);
}

/* A call is over before the system takes the core away: that is why there are few heads.
 * Operations a second, and their share of what multiply-adds in registers give in turns with it. */
static void bench(ck *t, kn_type type, uint32_t keys, uint32_t queries)
{
    const kn_math math = type == KN_BF16 ? KN_MATH_BF16 : KN_MATH_F32;
    double best = 1e30, peak = 0;
    trial tr = { .a = { .type = type, .heads = 2, .dim = 64, .q_rows = queries, .kv_rows = keys } };
    prepare(t, &tr);
    tr.a.bias = NULL;
    for (int turn = 0; turn < 40; turn++) {
        const double begin = ck_now();
        t->now.attention(&tr.a);
        const double middle = ck_now(), done = t->now.peak(math, 1000);
        best = fmin(best, middle - begin);
        peak = fmax(peak, done / (ck_now() - middle));
    }
    const double work = 4.0 * tr.a.heads * tr.a.dim * keys * queries;
    printf(
        "%-16s %-10s %s 2 heads of 64, %u queries, %u keys: %.1f us, %.1f GFLOP/s, %.2f of peak\n",
        "attention", t->level, type == KN_BF16 ? "bf16" : "f32", queries, keys, best * 1e6,
        work / best * 1e-9, work / best / peak);
    ck_release(t);
}

static void benches(ck *t)
{
    static const uint32_t keys[] = { 8, 50, 77, 197, 257, 577 };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (int narrow = 0; narrow < 2; narrow++) {
            bench(t, narrow ? KN_BF16 : KN_F32, keys[i], keys[i]);
            bench(t, narrow ? KN_BF16 : KN_F32, keys[i], 1);
        }
}

void check_attention(ck *t)
{
    if (!CK_BEGIN(t, attention))
        return;
    static const uint32_t dims[] = { 64, 64, 64, 32, 80, 128, 7, 72 };
    static const uint32_t sizes[] = { 1, 5, 8, 16, 50, 63, 64, 65, 77, 130, 257 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < 6; k++) {
            const kn_type type = k % 2 ? KN_BF16 : KN_F32;
            const uint32_t n = sizes[i], dim = dims[(i + (unsigned)k) % 8];
            check_one(t, type, dim, n, k / 2 == 1 ? 1 : n, k / 2 == 2);
        }
    if (t->bench)
        benches(t);
}
