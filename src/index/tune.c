/* tune.c - see tune.h.  The table is lines of text in the file's table page. */
#include "index/tune.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 500 };

/* Queries of one kind and their true answers. */
typedef struct exam {
    const float *queries; /* (n, dim) */
    size_t n, k;
    const uint64_t *own; /* (n) the id that does not count, or NULL … */
    const size_t *slots; /* … and its slot */
    kn_near *truth;      /* (n, k + 1) */
    size_t *found;
} exam;

static size_t asked(const exam *e)
{
    return e->k + (e->own != NULL);
}

/* How many of the first k of a, without the own id, are among the first k of b. */
static size_t common(const exam *e, size_t q, const kn_near *a, size_t na, const kn_near *b,
                     size_t nb)
{
    size_t hit = 0;
    for (size_t i = 0, seen = 0; i < na && seen < e->k; i++) {
        if (e->own && a[i].id == e->own[q])
            continue;
        seen++;
        for (size_t j = 0, met = 0; j < nb && met < e->k; j++) {
            if (e->own && b[j].id == e->own[q])
                continue;
            met++;
            if (b[j].id == a[i].id) {
                hit++;
                break;
            }
        }
    }
    return hit;
}

/* One way to search, over all queries of an exam. */
static ken_status measure(const kn_index *ix, const exam *e, kn_point *p, uint32_t dim)
{
    kn_find find = { .k = asked(e), .ef = p->ef, .nprobe = p->nprobe, .rerank = p->rerank };
    kn_near *near = kn_alloc(find.k, sizeof *near);
    double sum = 0, square = 0, seconds = 0;
    ken_status st = near ? KEN_OK : KEN_E_NOMEM;
    for (size_t q = 0; !st && q < e->n; q++) {
        size_t found;
        const double start = kn_clock();
        find.hide = e->own ? e->slots[q] + 1 : 0;
        st = kn_index_search(ix, e->queries + q * dim, 1, &find, NULL, 0, 1, near, &found);
        seconds += kn_clock() - start;
        const size_t most = e->found[q] - (e->own && e->found[q] ? 1 : 0);
        const double share =
            st || !most ? 1
                        : (double)common(e, q, near, found, e->truth + q * asked(e), e->found[q])
                              / (double)(most < e->k ? most : e->k);
        sum += share;
        square += share * share;
        if (!st)
            st = kn_check_interrupt();
    }
    kn_free(near);
    if (st || !e->n)
        return st;
    const double n = (double)e->n, mean = sum / n, var = square / n - mean * mean;
    /* one-sided; never surer than n + 2 queries of which two failed a little (Agresti and Coull) */
    const double low = mean - 1.645 * sqrt((var > 0 ? var : 0) / n + .25 / (n * n));
    p->recall = mean < p->recall ? mean : p->recall;
    p->low = low < p->low ? low : p->low;
    p->us = 1e6 * seconds / n > p->us ? 1e6 * seconds / n : p->us;
    return KEN_OK;
}

static ken_status answer(const kn_index *ix, exam *e, uint32_t threads)
{
    e->truth = kn_alloc(e->n + 1, asked(e) * sizeof *e->truth);
    e->found = kn_zalloc(e->n + 1, sizeof *e->found);
    return e->truth && e->found
               ? kn_index_exact(ix, e->queries, e->n, asked(e), threads, e->truth, e->found)
               : KEN_E_NOMEM;
}

/* The settings that are worth trying. */
static size_t settings(const kn_index *ix, kn_point *points)
{
    static const uint32_t efs[] = { 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768 };
    static const uint32_t reranks[] = { 40, 160, 640 };
    const kn_spec *s = kn_index_spec(ix);
    const kn_point none = { .recall = 1, .low = 1 };
    size_t n = 0;
    if (s->kind == KN_KIND_FLAT)
        points[n++] = none;
    for (size_t i = 0; s->kind == KN_KIND_HNSW && i < sizeof efs / sizeof *efs; i++) {
        points[n] = none;
        points[n++].ef = efs[i];
    }
    for (uint32_t probe = 1; s->kind == KN_KIND_IVF && n + 3 <= KN_POINTS; probe *= 2) {
        for (size_t r = 0; r < (s->refine ? 3u : 1u); r++) {
            points[n] = none;
            points[n].nprobe = probe < s->lists ? probe : s->lists;
            points[n++].rerank = s->refine ? reranks[r] : 0;
        }
        if (probe >= s->lists)
            break;
    }
    return n;
}

static ken_status write_points(const char *path, const kn_point *p, size_t n)
{
    char text[KN_INDEX_TABLE_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < n && len + 100 < sizeof text - 16; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%u %u %u %.4f %.4f %.1f\n", p[i].ef,
                                p[i].nprobe, p[i].rerank, p[i].recall, p[i].low, p[i].us);
    return kn_index_file_set_table(path, text);
}

/* Rows spread over the base, that live. */
static void sample(const kn_index *ix, float *rows, uint64_t *ids, size_t *slots, exam *e)
{
    const kn_rows *r = kn_index_rows(ix);
    const size_t step = r->n / SAMPLE + 1;
    for (size_t i = 0; i < r->n && e->n < SAMPLE; i += step)
        if (kn_index_lives(ix, i)) {
            memcpy(rows + e->n * r->dim, r->f32 + i * r->dim, r->dim * sizeof *rows);
            slots[e->n] = i;
            ids[e->n++] = r->ids[i];
        }
    e->queries = rows;
    e->own = ids;
    e->slots = slots;
}

ken_status kn_index_tune(kn_index *ix, const float *queries, size_t nq, uint32_t threads)
{
    kn_index_info info;
    kn_point points[KN_POINTS];
    kn_index_get_info(ix, &info);
    if (!info.path || !kn_index_rows(ix)->f32)
        return kn_fail(KEN_E_INVALID, "an index is measured that lies in a file, with its rows");
    const size_t k = info.n > KN_TUNE_K ? KN_TUNE_K : info.n > 1 ? info.n - 1 : 1;
    exam own = { .k = k }, given = { .queries = queries, .n = nq, .k = k };
    float *rows = kn_alloc((size_t)SAMPLE * info.dim, sizeof *rows);
    uint64_t *ids = kn_alloc(SAMPLE, sizeof *ids);
    size_t *slots = kn_alloc(SAMPLE, sizeof *slots);
    ken_status st = rows && ids && slots ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        sample(ix, rows, ids, slots, &own);
        st = answer(ix, &own, threads);
    }
    if (!st)
        st = answer(ix, &given, threads);
    const size_t n = settings(ix, points);
    for (size_t i = 0; !st && i < n; i++) {
        st = measure(ix, &own, &points[i], info.dim);
        if (!st && nq)
            st = measure(ix, &given, &points[i], info.dim);
    }
    if (!st)
        st = write_points(info.path, points, n);
    kn_free(rows);
    kn_free(ids);
    kn_free(slots);
    kn_free(own.truth);
    kn_free(own.found);
    kn_free(given.truth);
    kn_free(given.found);
    return st;
}

size_t kn_index_points(const kn_index *ix, kn_point *points)
{
    kn_index_info info;
    size_t n = 0;
    kn_index_get_info(ix, &info);
    for (const char *line = info.table; line && n < KN_POINTS && *line;) {
        kn_point p;
        if (sscanf(line, "%u %u %u %lf %lf %lf", &p.ef, &p.nprobe, &p.rerank, &p.recall, &p.low,
                   &p.us) != 6)
            break;
        size_t i = n++;
        for (; i && points[i - 1].us > p.us; i--)
            points[i] = points[i - 1];
        points[i] = p;
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return n;
}

ken_status kn_index_pick(const kn_index *ix, double recall, kn_point *out)
{
    kn_point points[KN_POINTS];
    const size_t n = kn_index_points(ix, points);
    size_t best = 0, i = 0;
    if (!n)
        return kn_fail(KEN_E_INVALID, "nothing is known of this index's recall: `ken ann tune` measures it");
    for (; i < n && points[i].low < recall; i++)
        best = points[i].low > points[best].low ? i : best;
    *out = points[i < n ? i : best];
    return KEN_OK;
}
