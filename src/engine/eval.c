/*
 * eval.c - ken_eval_recognize: every picture of the gallery ranked for every query.
 *
 * An object scores as its best reference.  Top-k counts objects; mAP, MRR and NDCG rank the
 * gallery's pictures, over the queries whose label is in the gallery at all.  Ties go to the picture
 * that was listed first.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "engine/model.h"
#include "kernels/kernels.h"
#include "train/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, QUERIES = 16, ECE_BINS = 15 };
static const double FPIR = 0.01;
static const size_t MAX_FILE = (size_t)1 << 30;

/* ---- labels as numbers ---- */

typedef struct named {
    const char *name;
    uint32_t number;
} named;

typedef struct labels {
    named *list; /* sorted by name */
    size_t n;
} labels;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static ken_status number_labels(labels *l, const ken_labelled *g)
{
    l->list = kn_alloc(g->n, sizeof *l->list);
    if (!l->list)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < g->n; i++)
        l->list[i] = (named){ g->labels[i], 0 };
    if (g->n)
        qsort(l->list, g->n, sizeof *l->list, by_name);
    for (size_t i = 0; i < g->n; i++)
        if (!l->n || strcmp(l->list[l->n - 1].name, l->list[i].name) != 0)
            l->list[l->n++] = (named){ l->list[i].name, (uint32_t)l->n };
    return KEN_OK;
}

/* -1 if no picture of the gallery has it. */
static int64_t number_of(const labels *l, const char *name)
{
    const named key = { name, 0 };
    const named *found = l->n ? bsearch(&key, l->list, l->n, sizeof key, by_name) : NULL;
    return found ? (int64_t)found->number : -1;
}

/* ---- pictures to vectors ---- */

typedef struct embedding {
    const ken_model *m;
    const kn_prep *prep;
    const ken_decode_options *decode;
    const char *const *paths;
    uint8_t *pixels;
    size_t bytes; /* of a fitted picture */
} embedding;

static ken_status fit_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const embedding *e = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        unsigned char *data = NULL;
        size_t len = 0;
        uint32_t width, height;
        st = kn_read_file(&data, &len, e->paths[i], MAX_FILE);
        if (!st)
            st = kn_image_decode_fit(data, len, e->decode, e->prep, e->pixels + i * e->bytes,
                                     &width, &height);
        if (st)
            kn_fail_in(st, "%s", e->paths[i]);
        kn_free(data);
    }
    return st;
}

static ken_status embed(embedding *e, kn_meter *meter, uint64_t *done, const char *const *paths,
                        size_t n, float *out)
{
    const size_t dim = ken_model_get_info(e->m)->dim;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i += BATCH) {
        const size_t now = n - i < BATCH ? n - i : BATCH;
        e->paths = paths + i;
        st = kn_meter_tell(meter, *done, paths[i]);
        if (!st)
            st = kn_parallel(now, 1, kn_processors(), fit_piece, e);
        if (!st)
            st = kn_model_embed_pixels(e->m, e->pixels, now, out + i * dim);
        *done += now;
    }
    return st;
}

/* ---- the whole ---- */

typedef struct eval {
    size_t dim, n, known, unknown; /* n: pictures of the gallery */
    labels labels;
    uint32_t *label;      /* (n) */
    const char **paths;   /* (n) */
    int64_t *truth;       /* (known + unknown) number of the label, -1 */
    float *gallery;       /* (n, dim) */
    float *queries;       /* (known + unknown, dim) */
    float *best;          /* (known + unknown) the best score … */
    unsigned char *right; /* … and whether its label is the query's */
    double top1, top5, top10, ap, rr, ndcg;
    size_t ranked;        /* queries with a label of the gallery */
} eval;

static void release(eval *e)
{
    kn_free(e->labels.list);
    kn_free(e->label);
    kn_free(e->paths);
    kn_free(e->truth);
    kn_free(e->gallery);
    kn_free(e->queries);
    kn_free(e->best);
    kn_free(e->right);
}

/* The first `refs` pictures of each label, in their order. */
static ken_status choose(eval *e, const ken_labelled *g, uint32_t refs)
{
    ken_status st = number_labels(&e->labels, g);
    uint32_t *taken = kn_zalloc(e->labels.n, sizeof *taken);
    e->label = kn_alloc(g->n, sizeof *e->label);
    e->paths = kn_alloc(g->n, sizeof *e->paths);
    if (!st && (!taken || !e->label || !e->paths))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < g->n; i++) {
        const uint32_t label = (uint32_t)number_of(&e->labels, g->labels[i]);
        if (refs && taken[label]++ >= refs)
            continue;
        e->label[e->n] = label;
        e->paths[e->n++] = g->paths[i];
    }
    kn_free(taken);
    return st;
}

static ken_status make_room(eval *e, const ken_labelled *q, const ken_labelled *u)
{
    e->known = q->n;
    e->unknown = u ? u->n : 0;
    const size_t all = e->known + e->unknown;
    e->truth = kn_alloc(all, sizeof *e->truth);
    e->gallery = kn_alloc_aligned(e->n * e->dim, sizeof *e->gallery);
    e->queries = kn_alloc_aligned(all * e->dim, sizeof *e->queries);
    e->best = kn_alloc(all, sizeof *e->best);
    e->right = kn_alloc(all, 1);
    if (!e->truth || !e->gallery || !e->queries || !e->best || !e->right)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < all; i++)
        e->truth[i] = i < q->n ? number_of(&e->labels, q->labels[i]) : -1;
    return KEN_OK;
}

static ken_status embed_all(eval *e, const ken_model *m, const ken_labelled *q,
                            const ken_labelled *u, const ken_decode_options *decode,
                            ken_progress_fn progress, void *cookie)
{
    kn_meter meter;
    uint64_t done = 0;
    embedding x = { .m = m, .prep = kn_model_prep(m), .decode = decode };
    if (!x.prep)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network",
                       ken_model_get_info(m)->name);
    x.bytes = (size_t)x.prep->crop[0] * x.prep->crop[1] * 3;
    x.pixels = kn_alloc_aligned(BATCH, x.bytes);
    if (!x.pixels)
        return KEN_E_NOMEM;
    kn_meter_start(&meter, "encode", "pictures", e->n + e->known + e->unknown, progress, cookie);
    ken_status st = embed(&x, &meter, &done, e->paths, e->n, e->gallery);
    if (!st)
        st = embed(&x, &meter, &done, q->paths, e->known, e->queries);
    if (!st && e->unknown)
        st = embed(&x, &meter, &done, u->paths, e->unknown, e->queries + e->known * e->dim);
    kn_meter_end(&meter);
    kn_free(x.pixels);
    return st;
}

/* ---- ranking ---- */

typedef struct ranked {
    float score;
    uint32_t place;
} ranked;

static int best_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

typedef struct scratch {
    float *scores;      /* (QUERIES, n) */
    ranked *order;      /* (n) */
    unsigned char *rel; /* (n) */
    uint32_t *met;      /* (labels) the query that met this object last, + 1 */
} scratch;

/* How many objects, the true one included, come up to the true one's first picture; 0: never. */
static size_t object_rank(const eval *e, const scratch *x, size_t query)
{
    size_t objects = 0;
    for (size_t i = 0; i < e->n; i++) {
        const uint32_t label = e->label[x->order[i].place];
        if (x->met[label] == query + 1)
            continue;
        x->met[label] = (uint32_t)query + 1;
        objects++;
        if ((int64_t)label == e->truth[query])
            return objects;
    }
    return 0;
}

static void rank_one(eval *e, const scratch *x, const float *scores, size_t query)
{
    for (size_t i = 0; i < e->n; i++)
        x->order[i] = (ranked){ scores[i], (uint32_t)i };
    qsort(x->order, e->n, sizeof *x->order, best_first);
    e->best[query] = x->order[0].score;
    e->right[query] = (int64_t)e->label[x->order[0].place] == e->truth[query];
    if (query >= e->known || e->truth[query] < 0)
        return;
    const size_t rank = object_rank(e, x, query);
    e->top1 += rank == 1;
    e->top5 += rank <= 5;
    e->top10 += rank <= 10;
    for (size_t i = 0; i < e->n; i++)
        x->rel[i] = (int64_t)e->label[x->order[i].place] == e->truth[query];
    e->ap += kn_average_precision(x->rel, e->n);
    e->rr += kn_reciprocal_rank(x->rel, e->n);
    e->ndcg += kn_ndcg(x->rel, e->n, 10);
    e->ranked++;
}

static ken_status rank_all(eval *e)
{
    const size_t all = e->known + e->unknown;
    scratch x = { .scores = kn_alloc_aligned(QUERIES * e->n, sizeof *x.scores),
                  .order = kn_alloc(e->n, sizeof *x.order),
                  .rel = kn_alloc(e->n, 1),
                  .met = kn_zalloc(e->labels.n, sizeof *x.met) };
    ken_status st = x.scores && x.order && x.rel && x.met ? KEN_OK : KEN_E_NOMEM;
    for (size_t q = 0; !st && q < all; q += QUERIES) {
        const size_t now = all - q < QUERIES ? all - q : QUERIES;
        st = kn_check_interrupt();
        kn_kernels_get()->dots_batch_f32(e->queries + q * e->dim, now, e->gallery, e->n, e->dim,
                                         x.scores, e->n);
        for (size_t i = 0; !st && i < now; i++)
            rank_one(e, &x, x.scores + i * e->n, q + i);
    }
    kn_free(x.scores);
    kn_free(x.order);
    kn_free(x.rel);
    kn_free(x.met);
    return st;
}

/* ---- the figures ---- */

static ken_status open_set(const eval *e, const ken_model *m, ken_eval_report *r)
{
    const size_t all = e->known + e->unknown;
    float *confidence = kn_alloc(all, sizeof *confidence);
    if (!confidence)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < all; i++)
        confidence[i] = ken_model_score(m, "image-image", e->best[i]);
    ken_status st = kn_auroc(&r->auroc, e->best, e->known, e->best + e->known, e->unknown);
    if (!st)
        st = kn_dir_at_fpir(&r->dir_at_fpir, e->best, e->right, e->known, e->best + e->known,
                            e->unknown, FPIR);
    if (!st)
        st = kn_ece(&r->ece, confidence, e->right, all, ECE_BINS);
    kn_free(confidence);
    return st;
}

static ken_status report(const eval *e, const ken_model *m, ken_eval_report *out)
{
    const double n = (double)e->known, ranked_n = e->ranked ? (double)e->ranked : 1;
    ken_eval_report r = { .queries = e->known,
                          .objects = e->labels.n,
                          .top1 = e->top1 / n,
                          .top5 = e->top5 / n,
                          .top10 = e->top10 / n,
                          .map = e->ap / ranked_n,
                          .mrr = e->rr / ranked_n,
                          .ndcg10 = e->ndcg / ranked_n,
                          .auroc = -1,
                          .dir_at_fpir = -1,
                          .ece = -1 };
    ken_status st = e->unknown ? open_set(e, m, &r) : KEN_OK;
    if (!st)
        *out = r;
    return st;
}

static int is_list(const ken_labelled *l)
{
    return l && (!l->n || (l->paths && l->labels));
}

ken_status ken_eval_recognize(const ken_model *m, const ken_labelled *gallery,
                              const ken_labelled *queries, const ken_labelled *unknown,
                              uint32_t refs, const ken_decode_options *decode,
                              ken_progress_fn progress, void *cookie, ken_eval_report *out)
{
    const double start = kn_clock();
    if (!m || !out || !is_list(gallery) || !is_list(queries) || (unknown && unknown->n && !unknown->paths))
        return kn_fail(KEN_E_INVALID, "ken_eval_recognize: a list or a place is missing");
    if (!gallery->n || !queries->n)
        return kn_fail(KEN_E_INVALID, "an evaluation needs a gallery and queries");
    eval e = { .dim = ken_model_get_info(m)->dim };
    ken_status st = choose(&e, gallery, refs);
    if (!st)
        st = make_room(&e, queries, unknown);
    if (!st)
        st = embed_all(&e, m, queries, unknown, decode, progress, cookie);
    if (!st)
        st = rank_all(&e);
    if (!st)
        st = report(&e, m, out);
    if (!st)
        out->seconds = kn_clock() - start;
    release(&e);
    return st;
}
