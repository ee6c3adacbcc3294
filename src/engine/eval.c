/*
 * eval.c - ken_eval_recognize: how well a model recognises.
 *
 * Top-k counts objects; mAP, MRR, NDCG, precision and recall rank the gallery's pictures, over the
 * queries whose label is in the gallery at all.  The figures of the open set are taken on the same
 * confidence that ken_recognize answers with.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/eval_match.h"
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ECE_BINS = 15 };
static const double FPIR = 0.01;
static const size_t CUTS[3] = { 1, 5, 10 };

/* Of one query; read when all are there, so that sums do not depend on threads. */
typedef struct figures {
    int ranked;
    uint64_t object_rank;
    double ap, at_r, rr, ndcg, precision[3], recall[3];
} figures;

typedef struct eval {
    kn_eval_data d;
    kn_first *first;     /* (known + unknown) */
    figures *figures;    /* (known) */
    float *evidence, *confidence; /* (known + unknown) */
    unsigned char *right; /* (known + unknown) */
} eval;

static void take_ranking(size_t query, const uint64_t *ranks, size_t relevant, uint64_t object_rank,
                         void *cookie)
{
    figures *f = &((eval *)cookie)->figures[query];
    *f = (figures){ .ranked = 1,
                    .object_rank = object_rank,
                    .ap = kn_average_precision(ranks, relevant),
                    .at_r = kn_map_at_r(ranks, relevant),
                    .rr = kn_reciprocal_rank(ranks, relevant),
                    .ndcg = kn_ndcg(ranks, relevant, 10) };
    for (int i = 0; i < 3; i++) {
        f->precision[i] = kn_precision_at(ranks, relevant, CUTS[i]);
        f->recall[i] = kn_recall_at(ranks, relevant, CUTS[i]);
    }
}

static ken_status make_room(eval *e)
{
    const size_t all = e->d.known + e->d.unknown;
    e->first = kn_alloc(all, sizeof *e->first);
    e->figures = kn_zalloc(e->d.known, sizeof *e->figures);
    e->evidence = kn_alloc(all, sizeof *e->evidence);
    e->confidence = kn_alloc(all, sizeof *e->confidence);
    e->right = kn_zalloc(all, 1);
    return e->first && e->figures && e->evidence && e->confidence && e->right ? KEN_OK
                                                                               : KEN_E_NOMEM;
}

static void judge(eval *e)
{
    const kn_eval_data *d = &e->d;
    for (size_t i = 0; i < d->known + d->unknown; i++) {
        const kn_first *f = &e->first[i];
        const double lead = isfinite(f->other) ? (double)f->raw - (double)f->other : 0;
        const double evidence = kn_recognition_evidence(&d->r, (double)f->raw, lead);
        const size_t references = d->first[f->label + 1] - d->first[f->label];
        e->evidence[i] = (float)evidence;
        e->confidence[i] = (float)kn_recognition_confidence(&d->r, evidence, (double)d->labels_n,
                                                            (double)references);
        e->right[i] = (int64_t)f->label == d->truth[i];
    }
}

/* ---- the figures ---- */

/* What comes of the model's own threshold. */
static void at_threshold(const eval *e, double fpir, ken_eval_report *r)
{
    const kn_eval_data *d = &e->d;
    size_t found = 0, mistaken = 0;
    if (d->r.impostors.objects < 1)
        return;
    const float t = (float)kn_recognition_threshold(&d->r, fpir, (double)d->labels_n);
    for (size_t i = 0; i < d->known + d->unknown; i++) {
        found += i < d->known && e->right[i] && e->evidence[i] >= t;
        mistaken += i >= d->known && e->evidence[i] >= t;
    }
    r->model_dir = (double)found / (double)d->known;
    r->model_fpir = d->unknown ? (double)mistaken / (double)d->unknown : -1;
}

static ken_status open_set(const eval *e, double fpir, ken_eval_report *r)
{
    const size_t known = e->d.known, unknown = e->d.unknown;
    ken_status st = kn_auroc(&r->auroc, e->evidence, known, e->evidence + known, unknown);
    if (!st)
        st = kn_dir_at_fpir(&r->dir_at_fpir, e->evidence, e->right, known, e->evidence + known,
                            unknown, fpir);
    return st ? st : kn_ece(&r->ece, e->confidence, e->right, known + unknown, ECE_BINS);
}

static void add_up(const eval *e, ken_eval_report *r)
{
    size_t ranked = 0;
    for (size_t i = 0; i < e->d.known; i++) {
        const figures *f = &e->figures[i];
        ranked += f->ranked != 0;
        r->top1 += f->ranked && f->object_rank <= 1;
        r->top5 += f->ranked && f->object_rank <= 5;
        r->top10 += f->ranked && f->object_rank <= 10;
        r->map += f->ap;
        r->map_at_r += f->at_r;
        r->mrr += f->rr;
        r->ndcg10 += f->ndcg;
        for (int c = 0; c < 3; c++) {
            r->precision[c] += f->precision[c];
            r->recall[c] += f->recall[c];
        }
    }
    double *const means[] = { &r->map,          &r->map_at_r,     &r->mrr,       &r->ndcg10,
                              &r->precision[0], &r->precision[1], &r->precision[2],
                              &r->recall[0],    &r->recall[1],    &r->recall[2] };
    for (size_t i = 0; ranked && i < sizeof means / sizeof *means; i++)
        *means[i] /= (double)ranked;
    r->top1 /= (double)e->d.known;
    r->top5 /= (double)e->d.known;
    r->top10 /= (double)e->d.known;
    r->ranked = ranked;
}

static ken_status tell_confusions(const eval *e, const ken_eval_options *o)
{
    const kn_eval_data *d = &e->d;
    size_t n = 0;
    kn_confusion *list = kn_alloc(d->known, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < d->known; i++)
        if (d->truth[i] >= 0)
            list[n++] = (kn_confusion){ (uint32_t)d->truth[i], e->first[i].label, 1 };
    n = kn_confusions(list, n);
    for (size_t i = 0; i < n; i++)
        if (o->confusion(d->names[list[i].truth], d->names[list[i].answer], list[i].count, o->cookie))
            break;
    kn_free(list);
    return KEN_OK;
}

static ken_status report(const eval *e, const ken_eval_options *o, ken_eval_report *out)
{
    const double fpir = o->fpir > 0 ? o->fpir : e->d.r.fpir > 0 ? e->d.r.fpir : FPIR;
    ken_eval_report r = { .queries = e->d.known,
                          .objects = e->d.labels_n,
                          .auroc = -1,
                          .dir_at_fpir = -1,
                          .ece = -1,
                          .fpir = fpir,
                          .model_dir = -1,
                          .model_fpir = -1 };
    add_up(e, &r);
    at_threshold(e, fpir, &r);
    ken_status st = e->d.unknown ? open_set(e, fpir, &r) : KEN_OK;
    if (!st && o->confusion)
        st = tell_confusions(e, o);
    if (!st)
        *out = r;
    return st;
}

ken_status ken_eval_recognize(const ken_model *m, const ken_labelled *gallery,
                              const ken_labelled *queries, const ken_labelled *unknown,
                              const ken_eval_options *opts, ken_eval_report *out)
{
    static const ken_eval_options defaults = KEN_EVAL_OPTIONS_INIT;
    const ken_eval_options *o = opts ? opts : &defaults;
    const double start = kn_clock();
    eval e = { 0 };
    ken_status st = out ? kn_eval_load(&e.d, m, gallery, queries, unknown, o)
                        : kn_fail(KEN_E_INVALID, "ken_eval_recognize: no place for the report");
    if (!st)
        st = make_room(&e);
    const kn_match match = { .d = &e.d,
                             .variants_n = 1,
                             .first = e.first,
                             .ranking = take_ranking,
                             .cookie = &e,
                             .progress = o->progress,
                             .progress_cookie = o->cookie };
    if (!st)
        st = kn_match_all(&match);
    if (!st) {
        judge(&e);
        st = report(&e, o, out);
    }
    if (!st)
        out->seconds = kn_clock() - start;
    kn_eval_unload(&e.d);
    kn_free(e.first);
    kn_free(e.figures);
    kn_free(e.evidence);
    kn_free(e.confidence);
    kn_free(e.right);
    return st;
}
