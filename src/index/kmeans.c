/* kmeans.c - matrix products, a finish in double, and lists that are kept from running empty. */
#include "index/kmeans.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/rand.h"
#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    TILE_FLOATS = 1 << 18, /* of scores at once, for each thread: 1 MB */
    TILE_LEAST = 64,       /* rows of a tile, at least … */
    TILE_MOST = 256,       /* … and at most */
    LANES = 16,            /* scores side by side in the search for the greatest */
    OVERSIZED = 8          /* times the mean: an error that is worth two centres … */
};
static const double jitter = 1.0 / 1024; /* … and how far apart the two begin */

/* ---- assignment ----------------------------------------------------------------- */

typedef struct assign {
    const kn_kernels *kern;
    const float *centres, *rows;
    size_t k, dim, tile;
    int dot;
    float *panels;  /* of the centres */
    float *bias;    /* (k) minus half the squared lengths; zero for dot */
    float *scores;  /* (workers, tile, k) */
    double longest; /* of the centres */
    uint32_t *near;
} assign;

/* In one order at every level: eight chains. */
static double sum_exact(const float *a, const float *b, size_t n, int l2)
{
    double s[8] = { 0 };
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) {
            const double x = (double)a[i + j], y = (double)b[i + j], d = x - y;
            s[j] += l2 ? d * d : x * y;
        }
    for (size_t j = 0; i < n; i++, j++) {
        const double x = (double)a[i], y = (double)b[i], d = x - y;
        s[j] += l2 ? d * d : x * y;
    }
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static float greatest(const float *s, size_t n)
{
    float lane[LANES], best = -INFINITY;
    size_t i = 0;
    for (size_t j = 0; j < LANES; j++)
        lane[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] = s[i + j] > lane[j] ? s[i + j] : lane[j];
    for (; i < n; i++)
        best = s[i] > best ? s[i] : best;
    for (size_t j = 0; j < LANES; j++)
        best = lane[j] > best ? lane[j] : best;
    return best;
}

/*
 * A score x.c - |c|^2 / 2 comes within (dim + 6) eps (|x| |c| + |c|^2 / 2) of the true one (kernels.h),
 * so the nearest centre is among those within twice that of the greatest score.
 */
static uint32_t nearest(const assign *a, const float *x, const float *scores)
{
    const double length = sqrt(sum_exact(x, x, a->dim, 0)), c = a->longest;
    const double slack = 2.0 * ((double)a->dim + 6) * (double)FLT_EPSILON * (length * c + c * c / 2);
    const double floor = (double)greatest(scores, a->k) - slack;
    double best = INFINITY;
    size_t at = 0, n = 0, first = 0;
    for (size_t j = 0; j < a->k; j++)
        if ((double)scores[j] >= floor) {
            first = n++ ? first : j;
            if (n == 1)
                continue; /* it may be the only one */
            if (n == 2)
                best = (a->dot ? -1 : 1)
                       * sum_exact(x, a->centres + (at = first) * a->dim, a->dim, !a->dot);
            const double d = (a->dot ? -1 : 1)
                             * sum_exact(x, a->centres + j * a->dim, a->dim, !a->dot);
            if (d < best) {
                best = d;
                at = j;
            }
        }
    return (uint32_t)(n > 1 ? at : first);
}

static ken_status assign_rows(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const assign *a = cookie;
    float *scores = a->scores + (size_t)worker * a->tile * a->k;
    for (size_t i = begin; i < end; i += a->tile) {
        const size_t m = end - i < a->tile ? end - i : a->tile;
        const kn_gemm g = { .math = KN_MATH_F32,
                            .m = m,
                            .n = a->k,
                            .k = a->dim,
                            .a = a->rows + i * a->dim,
                            .lda = a->dim,
                            .w = a->panels,
                            .w_type = KN_F32,
                            .bias = a->bias,
                            .act = KN_ACT_NONE,
                            .c = scores,
                            .ldc = a->k,
                            .c_type = KN_F32 };
        a->kern->gemm(&g);
        for (size_t r = 0; r < m; r++)
            a->near[i + r] = nearest(a, a->rows + (i + r) * a->dim, scores + r * a->k);
    }
    return KEN_OK;
}

static void weigh_centres(assign *a)
{
    double longest = 0;
    for (size_t j = 0; j < a->k; j++) {
        const float *c = a->centres + j * a->dim;
        const double square = sum_exact(c, c, a->dim, 0);
        a->bias[j] = a->dot ? 0 : (float)(-square / 2);
        longest = square > longest ? square : longest;
    }
    a->longest = sqrt(longest);
}

/* Few short centres, as product quantisers have: their kernel is exact in order and faster. */
static int is_short(size_t k, size_t dim, int dot)
{
    return !dot && k % 16 == 0 && k > 0 && k <= 256 && dim <= 32;
}

static ken_status assign_short(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const assign *a = cookie;
    const kn_pq_space space = { 1, a->k, a->dim, a->panels };
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        uint8_t best;
        a->kern->pq_nearest(&space, a->rows + i * a->dim, &best);
        a->near[i] = best;
    }
    return KEN_OK;
}

static ken_status assign_all_short(assign *a, size_t n, uint32_t threads)
{
    a->panels = kn_alloc_aligned(a->k * a->dim, sizeof *a->panels);
    if (!a->panels)
        return KEN_E_NOMEM;
    for (size_t j = 0; j < a->k; j++)
        for (size_t e = 0; e < a->dim; e++)
            a->panels[e * a->k + j] = a->centres[j * a->dim + e];
    const ken_status st = kn_parallel(n, 1, threads, assign_short, a);
    kn_free(a->panels);
    return st;
}

ken_status kn_kmeans_assign(const float *centres, size_t k, size_t dim, int dot, const float *rows,
                            size_t n, uint32_t threads, uint32_t *near)
{
    assign a = { kn_kernels_get(), centres, rows, k, dim, TILE_FLOATS / (k + 1), dot, NULL, NULL,
                 NULL, 0, near };
    ken_status st = KEN_OK;
    threads = threads ? threads : 1;
    if (is_short(k, dim, dot))
        return assign_all_short(&a, n, threads);
    a.tile = a.tile < TILE_LEAST ? TILE_LEAST : a.tile > TILE_MOST ? TILE_MOST : a.tile;
    a.panels = kn_alloc_aligned(kn_panel_bytes(k, dim, KN_F32), 1);
    a.bias = kn_alloc(k, sizeof *a.bias);
    a.scores = kn_alloc_aligned(a.tile * k, threads * sizeof *a.scores);
    if (!a.panels || !a.bias || !a.scores) {
        st = KEN_E_NOMEM;
        goto done;
    }
    weigh_centres(&a);
    a.kern->pack(centres, k, dim, KN_F32, a.panels);
    st = kn_parallel(n, 1, threads, assign_rows, &a);
done:
    kn_free(a.panels);
    kn_free(a.bias);
    kn_free(a.scores);
    return st;
}

/* ---- training ------------------------------------------------------------------- */

typedef struct train {
    const kn_kmeans *km;
    const float *rows; /* (n, dim): the sample */
    size_t n;
    float *centres;
    uint32_t *near, *before; /* (n) */
    uint32_t *order;         /* (n) rows by centre */
    size_t *first;           /* (k + 1) where a centre's rows begin in it */
    double *error;           /* (k) of a centre's rows */
} train;

/* `count` of 0 .. n-1, ascending, each set as likely (Knuth's algorithm S). */
static void choose(uint32_t *out, size_t count, size_t n, kn_rand *r)
{
    for (size_t i = 0, found = 0; found < count; i++)
        if (kn_rand_below(r, (uint32_t)(n - i)) < count - found)
            out[found++] = (uint32_t)i;
}

static void shuffle(uint32_t *p, size_t n, kn_rand *r)
{
    for (size_t i = n; i > 1; i--) {
        const uint32_t j = kn_rand_below(r, (uint32_t)i), t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
}

static void copy_centre(train *t, size_t j, size_t row)
{
    memcpy(t->centres + j * t->km->dim, t->rows + row * t->km->dim,
           t->km->dim * sizeof *t->centres);
}

/* Any k rows; all of them in turns when there are fewer. */
static void start_anywhere(train *t, kn_rand *r)
{
    const size_t k = t->km->k, some = k < t->n ? k : t->n;
    choose(t->order, some, t->n, r);
    shuffle(t->order, some, r);
    for (size_t j = 0; j < k; j++)
        copy_centre(t, j, t->order[j % some]);
}

/* Each next centre is a row, as likely as its squared distance to the nearest centre so far. */
static ken_status start_apart(train *t, kn_rand *r)
{
    const size_t dim = t->km->dim;
    double *far = kn_alloc(t->n, sizeof *far), all = 0;
    if (!far)
        return KEN_E_NOMEM;
    for (size_t j = 0; j < t->km->k; j++) {
        size_t at = j ? 0 : kn_rand_below(r, (uint32_t)t->n);
        double left = (double)(kn_rand_u64(r) >> 11) * 0x1p-53 * all;
        for (; j && at + 1 < t->n && (left -= far[at]) >= 0; at++)
            ;
        copy_centre(t, j, at);
        all = 0;
        for (size_t i = 0; i < t->n; i++) {
            const double d = sum_exact(t->rows + i * dim, t->centres + j * dim, dim, 1);
            far[i] = j && far[i] < d ? far[i] : d;
            all += far[i];
        }
    }
    kn_free(far);
    return KEN_OK;
}

/* Rows by centre, those of one in their order (a counting sort). */
static void sort_rows(train *t)
{
    const size_t k = t->km->k;
    memset(t->first, 0, (k + 1) * sizeof *t->first);
    for (size_t i = 0; i < t->n; i++)
        t->first[t->near[i]]++;
    size_t at = 0;
    for (size_t j = 0; j <= k; j++) {
        const size_t count = j < k ? t->first[j] : 0;
        t->first[j] = at;
        at += count;
    }
    for (size_t i = 0; i < t->n; i++)
        t->order[t->first[t->near[i]]++] = (uint32_t)i;
    memmove(t->first + 1, t->first, k * sizeof *t->first);
    t->first[0] = 0;
}

static void to_unit(float *c, size_t dim)
{
    const double length = sqrt(sum_exact(c, c, dim, 0));
    for (size_t e = 0; length > 0 && e < dim; e++)
        c[e] = (float)((double)c[e] / length);
}

/* Means of their rows; a centre without rows stays. */
static ken_status average(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const train *t = cookie;
    const size_t dim = t->km->dim;
    double *sum = kn_alloc(dim, sizeof *sum);
    (void)worker;
    if (!sum)
        return KEN_E_NOMEM;
    for (size_t j = begin; j < end; j++) {
        const size_t n = t->first[j + 1] - t->first[j];
        if (!n)
            continue;
        for (size_t e = 0; e < dim; e++)
            sum[e] = 0;
        for (size_t i = t->first[j]; i < t->first[j + 1]; i++) {
            const float *x = t->rows + (size_t)t->order[i] * dim;
            for (size_t e = 0; e < dim; e++)
                sum[e] += (double)x[e];
        }
        for (size_t e = 0; e < dim; e++)
            t->centres[j * dim + e] = (float)(sum[e] / (double)n);
        if (t->km->spherical)
            to_unit(t->centres + j * dim, dim);
    }
    kn_free(sum);
    return KEN_OK;
}

/* Centre `from` becomes two, a little apart: itself and `to`. */
static void split(train *t, size_t from, size_t to)
{
    const size_t dim = t->km->dim;
    float *a = t->centres + from * dim, *b = t->centres + to * dim;
    for (size_t e = 0; e < dim; e++) {
        const double x = (double)a[e], d = e % 2 ? jitter : -jitter;
        a[e] = (float)(x * (1 + d));
        b[e] = (float)(x * (1 - d));
    }
    t->error[from] = t->error[to] = t->error[from] / 2;
}

/* Sums of squared distances to the new centres. */
static ken_status measure(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const train *t = cookie;
    const size_t dim = t->km->dim;
    (void)worker;
    for (size_t j = begin; j < end; j++) {
        t->error[j] = 0;
        for (size_t i = t->first[j]; i < t->first[j + 1]; i++)
            t->error[j] +=
                sum_exact(t->rows + (size_t)t->order[i] * dim, t->centres + j * dim, dim, 1);
    }
    return KEN_OK;
}

static size_t worst(const double *error, size_t k)
{
    size_t at = 0;
    for (size_t j = 1; j < k; j++)
        at = error[j] > error[at] ? j : at;
    return at;
}

/* Centres with no rows, and those with next to none while another has far too much to answer for, go
 * to the side of the worst one.  By error, not by rows: a list of copies cannot be parted. */
static ken_status refill(train *t)
{
    const size_t k = t->km->k, few = t->n / k / OVERSIZED;
    size_t small = 0;
    double mean = 0;
    for (size_t j = 0; j < k; j++)
        small += t->first[j + 1] - t->first[j] <= few;
    const ken_status st = small ? kn_parallel(k, 1, t->km->threads, measure, t) : KEN_OK;
    if (st || !small)
        return st;
    for (size_t j = 0; j < k; j++)
        mean += t->error[j] / (double)k;
    for (size_t j = 0; j < k; j++) {
        const size_t rows = t->first[j + 1] - t->first[j], from = worst(t->error, k);
        if (rows <= few && t->error[from] > (rows ? OVERSIZED * mean : 0))
            split(t, from, j);
    }
    return KEN_OK;
}

static size_t moved(const train *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->near[i] != t->before[i];
    return n;
}

static ken_status lloyd(train *t)
{
    const kn_kmeans *km = t->km;
    ken_status st = KEN_OK;
    memset(t->before, 255, t->n * sizeof *t->before);
    for (uint32_t i = 0; !st && i < km->iterations; i++) {
        st = kn_kmeans_assign(t->centres, km->k, km->dim, 0, t->rows, t->n, km->threads, t->near);
        if (st)
            break;
        sort_rows(t);
        st = kn_parallel(km->k, 1, km->threads, average, t);
        if (moved(t) <= t->n / 1000)
            break;
        memcpy(t->before, t->near, t->n * sizeof *t->before);
        if (!st && i + 1 < km->iterations)
            st = refill(t);
    }
    return st;
}

/* The sample, in the order of the rows; NULL and no error if it is all of them. */
static ken_status take_sample(const kn_kmeans *km, const float *rows, size_t n, kn_rand *r,
                              float **out, size_t *count)
{
    const size_t most = km->sample && km->sample < n / km->k ? km->sample * km->k : n;
    uint32_t *which = NULL;
    *out = NULL;
    *count = most;
    if (most == n)
        return KEN_OK;
    which = kn_alloc(most, sizeof *which);
    *out = which ? kn_alloc_aligned(most * km->dim, sizeof **out) : NULL;
    if (*out) {
        choose(which, most, n, r);
        for (size_t i = 0; i < most; i++)
            memcpy(*out + i * km->dim, rows + which[i] * km->dim, km->dim * sizeof **out);
    }
    kn_free(which);
    return *out ? KEN_OK : KEN_E_NOMEM;
}

ken_status kn_kmeans_train(const kn_kmeans *km, const float *rows, size_t n, float *centres)
{
    train t = { .km = km, .centres = centres };
    kn_rand r = kn_rand_at(km->seed, 0x6b6d);
    float *sample = NULL;
    memset(centres, 0, km->k * km->dim * sizeof *centres);
    if (!n || !km->k)
        return KEN_OK;
    if (n > UINT32_MAX)
        return kn_fail(KEN_E_LIMIT, "k-means takes at most 2^32 rows");
    ken_status st = take_sample(km, rows, n, &r, &sample, &t.n);
    if (st)
        return st;
    t.rows = sample ? sample : rows;
    t.near = kn_alloc(t.n, sizeof *t.near);
    t.before = kn_alloc(t.n, sizeof *t.before);
    t.order = kn_alloc(t.n, sizeof *t.order);
    t.first = kn_alloc(km->k + 1, sizeof *t.first);
    t.error = kn_alloc(km->k, sizeof *t.error);
    st = t.near && t.before && t.order && t.first && t.error ? KEN_OK : KEN_E_NOMEM;
    if (!st && km->plus_plus)
        st = start_apart(&t, &r);
    else if (!st)
        start_anywhere(&t, &r);
    for (size_t j = 0; !st && km->spherical && j < km->k; j++)
        to_unit(centres + j * km->dim, km->dim);
    st = st ? st : lloyd(&t);
    kn_free(sample);
    kn_free(t.near);
    kn_free(t.before);
    kn_free(t.order);
    kn_free(t.first);
    kn_free(t.error);
    return st;
}
