/*
 * calibrate.c - ken_calibrate: what a model's scores mean, measured on pictures that it has not seen.
 *
 * Galleries of several sizes are drawn from the one that is given, halved again and again, with all
 * references and with one each; a query whose object was not drawn is one of an unknown object
 * there.  So one pass shows how confidence and thresholds follow the number of objects.  Within each
 * gallery the queries are weighted to the shares of known and unknown that the lists have.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/rand.h"
#include "engine/eval_match.h"
#include "engine/fit.h"
#include "engine/model.h"
#include "engine/model_meta.h"
#include "kernels/kernels.h"
#include "train/metrics.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEVELS = 6,
    LEAST_OBJECTS = 8,  /* in the smallest gallery */
    LEAST_UNKNOWN = 50, /* queries, for a tail */
    FEATURES = 4,
    ECE_BINS = 15,
    STRANGERS = 16 /* pictures of other objects that a query is paired with */
};
static const double FPIR = .01, RIDGE = 1e-4, WHOLE = 5; /* weight of the whole gallery among others */

typedef struct calibration {
    kn_eval_data d;
    unsigned levels, variants_n; /* variant l: level l, all references; levels + l: the first of each */
    unsigned char *level;        /* (labels) the last level that it belongs to */
    uint16_t *variants;          /* (n) */
    double objects[LEVELS];
    kn_first *first; /* (known + unknown, variants_n) */
    size_t samples;
    double *x, *w;           /* (samples, FEATURES), (samples) */
    unsigned char *y, *half; /* (samples): right; which half of the queries it is of */
} calibration;

/* ---- galleries ---- */

static ken_status draw_galleries(calibration *c)
{
    const kn_eval_data *d = &c->d;
    kn_rand r = kn_rand_at(1, 0);
    int many = 0;
    c->levels = 1;
    while (c->levels < LEVELS && (d->labels_n >> c->levels) >= LEAST_OBJECTS)
        c->levels++;
    c->level = kn_alloc(d->labels_n, 1);
    c->variants = kn_zalloc(d->n, sizeof *c->variants);
    if (!c->level || !c->variants)
        return KEN_E_NOMEM;
    for (size_t l = 0; l < d->labels_n; l++) {
        unsigned level = 0;
        while (level + 1 < c->levels && kn_rand_below(&r, 2))
            level++;
        c->level[l] = (unsigned char)level;
        many |= d->first[l + 1] - d->first[l] > 1;
        for (unsigned i = 0; i <= level; i++)
            c->objects[i]++;
    }
    c->variants_n = many ? 2 * c->levels : c->levels;
    for (size_t l = 0; l < d->labels_n; l++)
        for (size_t i = d->first[l]; i < d->first[l + 1]; i++) {
            const unsigned set = (2u << c->level[l]) - 1;
            c->variants[d->places[i]] = (uint16_t)set;
            if (many && i == d->first[l])
                c->variants[d->places[i]] |= (uint16_t)(set << c->levels);
        }
    return KEN_OK;
}

/* ---- samples ---- */

static double lead_of(const kn_first *f)
{
    return isfinite(f->other) ? (double)f->raw - (double)f->other : 0;
}

static double references_of(const calibration *c, const kn_first *f, unsigned variant)
{
    const kn_eval_data *d = &c->d;
    return variant >= c->levels ? 1 : (double)(d->first[f->label + 1] - d->first[f->label]);
}

static int is_in(const calibration *c, size_t query, unsigned level)
{
    return c->d.truth[query] >= 0 && c->level[c->d.truth[query]] >= level;
}

static void add_samples(calibration *c, unsigned variant)
{
    const size_t all = c->d.known + c->d.unknown;
    const unsigned level = variant % c->levels;
    const double share = (double)c->d.known / (double)all, part = level ? 1 : WHOLE;
    size_t in = 0;
    for (size_t q = 0; q < all; q++)
        in += (size_t)is_in(c, q, level);
    for (size_t q = 0; q < all; q++) {
        const kn_first *f = &c->first[q * c->variants_n + variant];
        const int known = is_in(c, q, level);
        double *x = c->x + c->samples * FEATURES;
        if (f->label == UINT32_MAX)
            continue;
        x[0] = (double)f->raw;
        x[1] = lead_of(f);
        x[2] = log(c->objects[level]);
        x[3] = log(references_of(c, f, variant));
        c->y[c->samples] = (int64_t)f->label == c->d.truth[q];
        c->w[c->samples] = part * (known ? share / (double)in : (1 - share) / (double)(all - in));
        c->half[c->samples++] = q % 2;
    }
}

static ken_status make_samples(calibration *c)
{
    const size_t most = (c->d.known + c->d.unknown) * c->variants_n;
    c->x = kn_alloc(most * FEATURES, sizeof *c->x);
    c->w = kn_alloc(most, sizeof *c->w);
    c->y = kn_alloc(most, 1);
    c->half = kn_alloc(most, 1);
    if (!c->x || !c->w || !c->y || !c->half)
        return KEN_E_NOMEM;
    for (unsigned v = 0; v < c->variants_n; v++)
        if (c->objects[v % c->levels] >= 2)
            add_samples(c, v);
    return KEN_OK;
}

/* ---- confidence ---- */

/* On the samples of one half of the queries; 2: of both. */
static ken_status fit_confidence(const calibration *c, int half, kn_recognition *r)
{
    double b[1 + FEATURES];
    double *x = kn_alloc(c->samples * FEATURES, sizeof *x), *w = kn_alloc(c->samples, sizeof *w);
    unsigned char *y = kn_alloc(c->samples, 1);
    size_t n = 0;
    ken_status st = x && w && y ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < c->samples; i++) {
        if (half != 2 && c->half[i] != half)
            continue;
        memcpy(x + n * FEATURES, c->x + i * FEATURES, FEATURES * sizeof *x);
        y[n] = c->y[i];
        w[n++] = c->w[i];
    }
    if (!st)
        st = kn_fit_logistic(b, x, y, w, n, FEATURES, RIDGE);
    if (!st) {
        r->bias = b[0];
        r->raw = b[1];
        r->lead = b[2];
        r->objects = b[3];
        r->references = b[4];
    }
    kn_free(x);
    kn_free(w);
    kn_free(y);
    return st;
}

/* In the whole gallery; each query is judged by r[its half]. */
static ken_status measure_ece(const calibration *c, const kn_recognition r[2], double *out)
{
    const size_t all = c->d.known + c->d.unknown;
    float *confidence = kn_alloc(all, sizeof *confidence);
    unsigned char *right = kn_alloc(all, 1);
    ken_status st = confidence && right ? KEN_OK : KEN_E_NOMEM;
    for (size_t q = 0; !st && q < all; q++) {
        const kn_first *f = &c->first[q * c->variants_n];
        const kn_recognition *by = &r[q % 2];
        const double evidence = kn_recognition_evidence(by, (double)f->raw, lead_of(f));
        confidence[q] = (float)kn_recognition_confidence(by, evidence, c->objects[0],
                                                         references_of(c, f, 0));
        right[q] = (int64_t)f->label == c->d.truth[q];
    }
    if (!st)
        st = kn_ece(out, confidence, right, all, ECE_BINS);
    kn_free(confidence);
    kn_free(right);
    return st;
}

/* Before: by what the model said.  After: each half judged by the fit to the other. */
static ken_status calibrate_confidence(const calibration *c, kn_recognition *r, ken_calibration *out)
{
    const kn_recognition before[2] = { *r, *r };
    kn_recognition crossed[2] = { *r, *r };
    ken_status st = measure_ece(c, before, &out->ece_before);
    if (!st)
        st = fit_confidence(c, 1, &crossed[0]);
    if (!st)
        st = fit_confidence(c, 0, &crossed[1]);
    if (!st)
        st = measure_ece(c, crossed, &out->ece_after);
    return st ? st : fit_confidence(c, 2, r);
}

/* ---- unknown objects ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The evidence of the unknown queries in a gallery, sorted. */
static void unknown_evidence(const calibration *c, const kn_recognition *r, unsigned level,
                             double *out)
{
    for (size_t i = 0; i < c->d.unknown; i++) {
        const kn_first *f = &c->first[(c->d.known + i) * c->variants_n + level];
        out[i] = kn_recognition_evidence(r, (double)f->raw, lead_of(f));
    }
    qsort(out, c->d.unknown, sizeof *out, ascending);
}

static double quantile(const double *sorted, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t i = (size_t)at >= n - 1 ? n - 2 : (size_t)at;
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

static ken_status fit_tail(kn_impostors *m, double *sorted, size_t n)
{
    size_t tail = n / 10 < 30 ? 30 : n / 10;
    tail = tail > n / 2 ? n / 2 : tail;
    for (int i = 0; i < KN_QUANTILES; i++)
        m->quantile[i] = quantile(sorted, n, (double)i / (KN_QUANTILES - 1));
    m->from = sorted[n - tail];
    m->rate = (double)tail / (double)n;
    double *excess = sorted + n - tail;
    for (size_t i = 0; i < tail; i++)
        excess[i] -= m->from;
    return kn_fit_pareto(&m->shape, &m->scale, excess, tail);
}

static double log_odds(double p)
{
    p = fmin(fmax(p, 1e-6), 1 - 1e-6);
    return log(p / (1 - p));
}

/* How far the smaller galleries are from what r says of them. */
static double misfit(const calibration *c, const kn_recognition *r, double *room)
{
    const double at[] = { .5, .7, .8, .9, .95 };
    double sum = 0;
    for (unsigned level = 1; level < c->levels; level++) {
        if (c->objects[level] < 2)
            continue;
        unknown_evidence(c, r, level, room);
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            const double t = quantile(room, c->d.unknown, at[i]);
            const double p = kn_recognition_fpir(r, t, c->objects[level]);
            const double miss = log_odds(p) - log_odds(1 - at[i]);
            sum += miss * miss;
        }
    }
    return sum;
}

static ken_status calibrate_unknown(const calibration *c, kn_recognition *r)
{
    kn_recognition best = *r;
    double least = INFINITY;
    double *room = kn_alloc(c->d.unknown, sizeof *room);
    if (!room)
        return KEN_E_NOMEM;
    unknown_evidence(c, r, 0, room);
    best.impostors = (kn_impostors){ .objects = c->objects[0], .power = 1 };
    ken_status st = fit_tail(&best.impostors, room, c->d.unknown);
    for (int i = 0; !st && c->levels > 1 && i <= 150; i++) {
        kn_recognition tried = best;
        tried.impostors.power = i / 100.0;
        const double miss = misfit(c, &tried, room);
        if (miss < least) {
            least = miss;
            *r = tried;
        }
    }
    if (!st && c->levels == 1)
        *r = best;
    kn_free(room);
    return st;
}

/* ---- scores of pairs ---- */

typedef struct pairs {
    double *x, *w;
    unsigned char *y;
    size_t n;
} pairs;

/* Cosines of each known query with pictures of its own object and of others. */
static ken_status gather_pairs(const calibration *c, pairs *p)
{
    const kn_eval_data *d = &c->d;
    kn_rand r = kn_rand_at(1, 1);
    float *room = kn_alloc_aligned(2 * d->dim, sizeof *room);
    ken_status st = room ? KEN_OK : KEN_E_NOMEM;
    for (size_t q = 0; !st && q < d->known; q++) {
        const float *query, *row;
        if (d->truth[q] < 0)
            continue;
        const size_t from = d->first[d->truth[q]], own = d->first[d->truth[q] + 1] - from;
        st = kn_spill_get(&d->queries, q * (1 + d->r.looks), 1, room, &query);
        for (size_t i = 0; !st && i < own + STRANGERS; i++) {
            const uint32_t place = i < own ? d->places[from + i] : kn_rand_below(&r, (uint32_t)d->n);
            const int same = (int64_t)d->label[place] == d->truth[q];
            if (i >= own && same)
                continue;
            st = kn_spill_get(&d->gallery, place * (1 + d->r.crops), 1, room + d->dim, &row);
            p->x[p->n] = st ? 0 : (double)kn_kernels_get()->dot_f32(query, row, d->dim);
            p->y[p->n++] = (unsigned char)same;
        }
    }
    kn_free(room);
    return st;
}

/* Half of the weight to pairs of one object. */
static ken_status calibrate_scores(const calibration *c, double ab[2])
{
    const kn_eval_data *d = &c->d;
    size_t most = 0, same = 0;
    double b[2];
    for (size_t q = 0; q < d->known; q++)
        most += d->truth[q] < 0 ? 0 : d->first[d->truth[q] + 1] - d->first[d->truth[q]] + STRANGERS;
    pairs p = { kn_alloc(most, sizeof *p.x), kn_alloc(most, sizeof *p.w), kn_alloc(most, 1), 0 };
    ken_status st = p.x && p.w && p.y ? gather_pairs(c, &p) : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < p.n; i++)
        same += p.y[i];
    for (size_t i = 0; !st && i < p.n; i++)
        p.w[i] = .5 / (double)(p.y[i] ? same : p.n - same);
    if (!st)
        st = kn_fit_logistic(b, p.x, p.y, p.w, p.n, 1, RIDGE);
    if (!st) {
        ab[0] = b[1];
        ab[1] = b[0];
    }
    kn_free(p.x);
    kn_free(p.w);
    kn_free(p.y);
    return st;
}

/* ---- the model file ---- */

/* The metadata "scores" with its picture-picture pair replaced; kn_free it. */
static char *print_scores(const char *old, const double ab[2])
{
    cJSON *o = old ? cJSON_Parse(old) : NULL;
    if (!cJSON_IsObject(o)) {
        cJSON_Delete(o);
        o = cJSON_CreateObject();
    }
    cJSON_DeleteItemFromObjectCaseSensitive(o, "image-image");
    cJSON_AddItemToObject(o, "image-image", cJSON_CreateDoubleArray(ab, 2));
    char *text = cJSON_PrintUnformatted(o), *copy = text ? kn_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return copy;
}

static ken_status write_model(const ken_model *m, const kn_recognition *r, const double ab[2],
                              const char *path)
{
    char *recognition = kn_recognition_print(r), *scores = print_scores(kn_model_meta(m, "scores"), ab);
    const kn_meta_change changes[] = { { "recognition", recognition }, { "scores", scores } };
    ken_status st = recognition && scores ? kn_model_rewrite(m, changes, 2, path) : KEN_E_NOMEM;
    kn_free(recognition);
    kn_free(scores);
    return st;
}

/* ---- the call ---- */

static ken_status run(calibration *c, const ken_eval_options *o, kn_recognition *r,
                      ken_calibration *out)
{
    ken_status st = draw_galleries(c);
    const size_t all = c->d.known + c->d.unknown;
    if (!st && !(c->first = kn_alloc(all * c->variants_n, sizeof *c->first)))
        st = KEN_E_NOMEM;
    const kn_match match = { .d = &c->d,
                             .variants = c->variants,
                             .variants_n = c->variants_n,
                             .first = c->first,
                             .progress = o->progress,
                             .progress_cookie = o->cookie };
    if (!st)
        st = kn_match_all(&match);
    if (!st)
        st = make_samples(c);
    if (!st)
        st = calibrate_confidence(c, r, out);
    if (!st)
        st = calibrate_unknown(c, r);
    return st ? st : calibrate_scores(c, out->scores);
}

static void fill_report(const calibration *c, const kn_recognition *r, ken_calibration *out)
{
    const double w[5] = { r->bias, r->raw, r->lead, r->objects, r->references };
    memcpy(out->weights, w, sizeof w);
    out->queries = c->d.known;
    out->unknown = c->d.unknown;
    out->objects = c->d.labels_n;
    out->crops = r->crops;
    out->looks = r->looks;
    out->power = r->impostors.power;
    out->shape = r->impostors.shape;
    out->fpir = r->fpir;
    for (int i = 0; i < 4; i++)
        out->threshold[i] = kn_recognition_threshold(r, r->fpir, pow(10, 3 + i));
}

static void release(calibration *c)
{
    kn_eval_unload(&c->d);
    kn_free(c->level);
    kn_free(c->variants);
    kn_free(c->first);
    kn_free(c->x);
    kn_free(c->w);
    kn_free(c->y);
    kn_free(c->half);
}

ken_status ken_calibrate(const ken_model *m, const ken_labelled *gallery,
                         const ken_labelled *queries, const ken_labelled *unknown,
                         const ken_eval_options *opts, const char *path, ken_calibration *out)
{
    static const ken_eval_options defaults = KEN_EVAL_OPTIONS_INIT;
    const ken_eval_options *o = opts ? opts : &defaults;
    calibration c = { 0 };
    ken_calibration report = { 0 };
    if (!m || !path || !out || !*ken_model_get_info(m)->path)
        return kn_fail(KEN_E_INVALID, "ken_calibrate: no model file, or no place for the result");
    if (!unknown || unknown->n < LEAST_UNKNOWN)
        return kn_fail(KEN_E_INVALID, "a calibration needs at least %d pictures of unknown objects",
                       LEAST_UNKNOWN);
    ken_status st = kn_eval_load(&c.d, m, gallery, queries, unknown, o);
    kn_recognition r = c.d.r;
    r.fpir = o->fpir > 0 ? o->fpir : r.fpir > 0 ? r.fpir : FPIR;
    if (!st)
        st = run(&c, o, &r, &report);
    if (!st)
        st = write_model(m, &r, report.scores, path);
    if (!st) {
        fill_report(&c, &r, &report);
        *out = report;
    }
    release(&c);
    return st;
}
