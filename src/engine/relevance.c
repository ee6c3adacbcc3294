/* relevance.c - see relevance.h. */
#include "engine/relevance.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/contrast.h"
#include "engine/features.h"
#include "kernels/kernels.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum { LEAST_DEPTH = 20 };
static const double NOT_FITTED = 2; /* more than any cosine */
static const double ALIKE = 1.2; /* numbers of items, one of which does not need a point of its own */

/* ---- what the model says ---- */

static int is_within(const cJSON *v, double most)
{
    return cJSON_IsNumber(v) && fabs(v->valuedouble) <= most;
}

static int read_point(const cJSON *p, kn_relevance *out)
{
    const cJSON *items = cJSON_GetArrayItem(p, 0), *floor_ = cJSON_GetArrayItem(p, 1),
                *margin = cJSON_GetArrayItem(p, 2);
    if (!is_within(items, 1e15) || items->valuedouble < 1 || !is_within(floor_, 2) || !is_within(margin, 2)
        || out->n == KN_RELEVANCE_POINTS)
        return 0;
    const kn_relevance_point now = { items->valuedouble, floor_->valuedouble, margin->valuedouble };
    if (out->n && out->words[out->n - 1].items >= now.items)
        return 0;
    out->words[out->n++] = now;
    return 1;
}

ken_status kn_relevance_read(kn_relevance *out, const kn_encoder *e, const ken_model *m)
{
    const char *text = e->meta ? e->meta(m, "relevance") : NULL;
    kn_relevance r = { .strange = 1, .pictures = NOT_FITTED };
    if (!text)
        return kn_fail(KEN_E_MODEL,
                       "model %s does not say what is relevant (`ken eval relevance` finds it out)",
                       e->info(m)->name);
    cJSON *o = cJSON_Parse(text);
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(o, "words"),
                *strange = cJSON_GetObjectItemCaseSensitive(o, "strange"),
                *pictures = cJSON_GetObjectItemCaseSensitive(o, "pictures");
    int good = cJSON_IsObject(o) && (!words || cJSON_IsArray(words)) && (!strange || is_within(strange, 1))
               && (!pictures || is_within(pictures, 2));
    for (const cJSON *p = good && words ? words->child : NULL; p && good; p = p->next)
        good = read_point(p, &r);
    r.strange = good && strange ? strange->valuedouble : r.strange;
    r.pictures = good && pictures ? pictures->valuedouble : r.pictures;
    cJSON_Delete(o);
    if (!good)
        return kn_fail(KEN_E_FORMAT, "model %s: its \"relevance\" is malformed", e->info(m)->name);
    *out = r;
    return KEN_OK;
}

char *kn_relevance_print(const kn_relevance *r)
{
    cJSON *o = cJSON_CreateObject(), *words = r->n ? cJSON_AddArrayToObject(o, "words") : NULL;
    for (size_t i = 0; i < r->n; i++) {
        const double p[3] = { r->words[i].items, r->words[i].floor, r->words[i].margin };
        cJSON_AddItemToArray(words, cJSON_CreateDoubleArray(p, 3));
    }
    if (r->strange < 1)
        cJSON_AddNumberToObject(o, "strange", r->strange);
    if (r->pictures < NOT_FITTED)
        cJSON_AddNumberToObject(o, "pictures", r->pictures);
    char *text = cJSON_PrintUnformatted(o), *copy = text ? kn_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return copy;
}

void kn_relevance_put(kn_relevance *r, kn_relevance_point p)
{
    size_t at = 0;
    while (at < r->n && r->words[at].items * ALIKE < p.items)
        at++;
    const int replaces = at < r->n && r->words[at].items < p.items * ALIKE;
    if (!replaces && r->n == KN_RELEVANCE_POINTS)
        return;
    if (!replaces)
        memmove(r->words + at + 1, r->words + at, (r->n++ - at) * sizeof *r->words);
    r->words[at] = p;
}

kn_relevance_point kn_relevance_at(const kn_relevance *r, double items)
{
    size_t i = 0;
    while (i < r->n && r->words[i].items < items)
        i++;
    if (i == 0 || i == r->n)
        return r->words[i ? i - 1 : 0];
    const kn_relevance_point a = r->words[i - 1], b = r->words[i];
    const double t = log(items / a.items) / log(b.items / a.items);
    return (kn_relevance_point){ items, a.floor + t * (b.floor - a.floor),
                                 a.margin + t * (b.margin - a.margin) };
}

ken_status kn_relevance_strange(const kn_encoder *e, const ken_model *m, const ken_term *terms, size_t n,
                                double *share)
{
    double one = 0;
    ken_status st = KEN_OK;
    *share = 0;
    for (size_t i = 0; !st && i < n && e == &kn_encoder_model; i++) {
        st = terms[i].text ? ken_model_strange(m, terms[i].text, &one) : KEN_OK;
        *share = fmax(*share, terms[i].text ? one : 0);
    }
    return st;
}

/* ---- margins ---- */

static ken_status measure(ken *k, const float *query, const float *others, size_t n_others, size_t dim,
                          const kn_near *hits, size_t n, float *margins)
{
    const kn_kernels *kern = kn_kernels_get();
    float *item = kn_alloc_aligned(dim, sizeof *item), *dots = kn_alloc_aligned(n_others, sizeof *dots);
    ken_status st = item && dots ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        float own = 0;
        st = kn_collection_vector(k, hits[i].id, (uint32_t)dim, item);
        if (st == KEN_E_NOTFOUND) { /* removed since */
            st = KEN_OK;
            continue;
        }
        if (st)
            break;
        kern->dots_f32(item, query, 1, dim, &own);
        kern->dots_f32(item, others, n_others, dim, dots);
        for (size_t j = 0; j < n_others; j++)
            margins[i] = own - dots[j] < margins[i] ? own - dots[j] : margins[i];
    }
    kn_free(item);
    kn_free(dots);
    return st;
}

/* The vectors of the text and of what it is not. */
static ken_status encode(ken *k, const ken_model *m, const char *text, kn_rivals *out)
{
    kn_contrast c = { 0 };
    ken_status st = kn_contrast_make(&c, text);
    if (st || !c.n)
        return st;
    out->dim = k->encoder->info(m)->dim;
    out->vectors = kn_alloc_aligned((c.n + 1) * out->dim, sizeof *out->vectors);
    st = out->vectors ? kn_features_texts(k, m, &text, 1, out->vectors) : KEN_E_NOMEM;
    if (!st)
        st = k->encoder->texts(m, (const char *const *)c.texts, c.n, out->vectors + out->dim);
    if (st)
        kn_rivals_release(out);
    else
        out->n = c.n;
    kn_contrast_release(&c);
    return st;
}

ken_status kn_relevance_margins(ken *k, const ken_model *m, const ken_term *terms, size_t n_terms,
                                kn_rivals *r, const kn_near *hits, size_t n, float *margins)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; i < n; i++)
        margins[i] = (float)NOT_FITTED;
    if (n_terms != 1 || !terms[0].text || terms[0].weight < 0 || !n)
        return KEN_OK;
    if (!r->known)
        st = encode(k, m, terms[0].text, r);
    r->known = !st;
    return st || !r->n ? st : measure(k, r->vectors, r->vectors + r->dim, r->n, r->dim, hits, n, margins);
}

void kn_rivals_release(kn_rivals *r)
{
    kn_free(r->vectors);
    *r = (kn_rivals){ 0 };
}

/* ---- the cut ---- */

size_t kn_relevance_depth(size_t most)
{
    return most > LEAST_DEPTH ? most : LEAST_DEPTH;
}

/* How near a hit of these terms must be. */
static ken_status bounds(ken *k, const ken_model *m, const ken_term *terms, size_t n_terms, size_t items,
                         kn_relevance_point *out)
{
    kn_relevance r;
    size_t words = 0;
    double strange = 0;
    ken_status st = kn_relevance_read(&r, k->encoder, m);
    for (size_t i = 0; i < n_terms; i++)
        words += terms[i].text != NULL;
    if (!st && ((words && !r.n) || (words < n_terms && r.pictures >= NOT_FITTED)))
        st = kn_fail(KEN_E_MODEL, "model %s does not say what is relevant to %s",
                     k->encoder->info(m)->name, words && !r.n ? "words" : "pictures");
    if (!st)
        st = kn_relevance_strange(k->encoder, m, terms, n_terms, &strange);
    if (st)
        return st;
    *out = words ? kn_relevance_at(&r, (double)items) : (kn_relevance_point){ 0, r.pictures, -NOT_FITTED };
    if (words < n_terms) /* words and pictures together: as near as the lower floor of the two asks */
        out->floor = fmin(out->floor, r.pictures);
    if (strange > r.strange)
        out->floor = NOT_FITTED;
    return KEN_OK;
}

ken_status kn_relevance_cut(ken *k, const ken_model *m, const ken_term *terms, size_t n_terms, size_t items,
                            kn_rivals *r, kn_near *hits, size_t *n, size_t most)
{
    kn_relevance_point least;
    size_t kept = 0;
    ken_status st = bounds(k, m, terms, n_terms, items, &least);
    float *margins = st ? NULL : kn_alloc(*n + 1, sizeof *margins);
    if (st || !margins)
        return st ? st : KEN_E_NOMEM;
    st = kn_relevance_margins(k, m, terms, n_terms, r, hits, *n, margins);
    for (size_t i = 0; !st && i < *n && kept < most; i++)
        if ((double)hits[i].raw >= least.floor && (double)margins[i] >= least.margin)
            hits[kept++] = hits[i];
    kn_free(margins);
    if (!st)
        *n = kept;
    return st;
}
