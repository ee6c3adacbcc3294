/* recognition.c - see recognition.h. */
#include "engine/recognition.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/parts.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* Two crops: see parts.c.  The weights are a guess that fits networks whose cosines of different
 * objects lie anywhere from .2 to .8; a model that is to be trusted is calibrated. */
void kn_recognition_default(kn_recognition *r)
{
    *r = (kn_recognition){ .crops = 2, .part = 1, .bias = -8, .raw = 8, .lead = 25 };
}

/* ---- the metadata ---- */

static int read_list(const cJSON *o, const char *name, double *out, int n)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, name), *e;
    int i = 0;
    if (!cJSON_IsArray(list))
        return 0;
    cJSON_ArrayForEach(e, list)
    {
        if (i == n || !cJSON_IsNumber(e) || !isfinite(e->valuedouble))
            return 0;
        out[i++] = e->valuedouble;
    }
    return i == n;
}

static int read_number(const cJSON *o, const char *name, double *out, double least, double most)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!e)
        return 1;
    *out = e->valuedouble;
    return cJSON_IsNumber(e) && *out >= least && *out <= most;
}

static int read_impostors(const cJSON *o, kn_impostors *im)
{
    double tail[4];
    if (!read_number(o, "objects", &im->objects, 1, 1e15)
        || !read_number(o, "power", &im->power, 0, 2)
        || !read_list(o, "quantiles", im->quantile, KN_QUANTILES)
        || !read_list(o, "tail", tail, 4))
        return 0;
    for (int i = 1; i < KN_QUANTILES; i++)
        if (im->quantile[i] < im->quantile[i - 1])
            return 0;
    im->from = tail[0];
    im->rate = tail[1];
    im->shape = tail[2];
    im->scale = tail[3];
    return im->objects >= 1 && im->rate > 0 && im->rate < 1 && im->scale > 0;
}

static int read_all(const cJSON *o, kn_recognition *r)
{
    double crops = r->crops, looks = r->looks, w[5];
    const cJSON *impostors = cJSON_GetObjectItemCaseSensitive(o, "impostors");
    if (!cJSON_IsObject(o) || !read_number(o, "crops", &crops, 0, KN_PARTS_MAX)
        || !read_number(o, "looks", &looks, 0, KN_LOOKS_MAX)
        || !read_number(o, "part", &r->part, 0.1, 1)
        || !read_number(o, "fpir", &r->fpir, 0, 1))
        return 0;
    r->crops = (uint32_t)crops;
    r->looks = (uint32_t)looks;
    if (cJSON_GetObjectItemCaseSensitive(o, "weights")) {
        if (!read_list(o, "weights", w, 5))
            return 0;
        r->bias = w[0];
        r->raw = w[1];
        r->lead = w[2];
        r->objects = w[3];
        r->references = w[4];
    }
    return !impostors || read_impostors(impostors, &r->impostors);
}

ken_status kn_recognition_parse(kn_recognition *r, const char *json)
{
    kn_recognition read;
    kn_recognition_default(&read);
    if (json) {
        cJSON *o = cJSON_Parse(json);
        const int good = read_all(o, &read);
        cJSON_Delete(o);
        if (!good)
            return kn_fail(KEN_E_FORMAT, "metadata \"recognition\" does not make sense");
    }
    *r = read;
    return KEN_OK;
}

char *kn_recognition_print(const kn_recognition *r)
{
    const double w[] = { r->bias, r->raw, r->lead, r->objects, r->references };
    const kn_impostors *m = &r->impostors;
    const double tail[] = { m->from, m->rate, m->shape, m->scale };
    cJSON *o = cJSON_CreateObject(), *im = m->objects >= 1 ? cJSON_CreateObject() : NULL;
    cJSON_AddNumberToObject(o, "crops", r->crops);
    cJSON_AddNumberToObject(o, "looks", r->looks);
    cJSON_AddNumberToObject(o, "part", r->part);
    cJSON_AddNumberToObject(o, "fpir", r->fpir);
    cJSON_AddItemToObject(o, "weights", cJSON_CreateDoubleArray(w, 5));
    if (im) {
        cJSON_AddNumberToObject(im, "objects", m->objects);
        cJSON_AddNumberToObject(im, "power", m->power);
        cJSON_AddItemToObject(im, "quantiles", cJSON_CreateDoubleArray(m->quantile, KN_QUANTILES));
        cJSON_AddItemToObject(im, "tail", cJSON_CreateDoubleArray(tail, 4));
        cJSON_AddItemToObject(o, "impostors", im);
    }
    char *text = cJSON_PrintUnformatted(o), *copy = text ? kn_strdup(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(o);
    return copy;
}

/* ---- the chance of being right ---- */

double kn_recognition_evidence(const kn_recognition *r, double raw, double lead)
{
    return r->raw * raw + r->lead * lead;
}

double kn_recognition_confidence(const kn_recognition *r, double evidence, double objects,
                                 double references)
{
    const double x = r->bias + evidence + r->objects * log(fmax(objects, 1))
                     + r->references * log(fmax(references, 1));
    return 1 / (1 + exp(-x));
}

/* ---- the unknown ---- */

/* P(>= t) among N0 objects. */
static double tail_at(const kn_impostors *m, double t)
{
    if (t >= m->from) {
        const double z = (t - m->from) / m->scale, arm = 1 + m->shape * z;
        if (arm <= 0)
            return 0; /* beyond the end of a bounded tail */
        return m->rate * (fabs(m->shape) < 1e-9 ? exp(-z) : pow(arm, -1 / m->shape));
    }
    int i = 0;
    while (i < KN_QUANTILES - 1 && m->quantile[i + 1] <= t)
        i++;
    if (t < m->quantile[0])
        return 1;
    const double step = m->quantile[i + 1] - m->quantile[i];
    const double below = (i + (step > 0 ? (t - m->quantile[i]) / step : 0)) / (KN_QUANTILES - 1);
    return fmax(1 - below, m->rate);
}

/* Where it is p. */
static double tail_inverse(const kn_impostors *m, double p)
{
    if (p <= m->rate) {
        const double share = fmax(p, 1e-300) / m->rate;
        return m->from
               + m->scale
                     * (fabs(m->shape) < 1e-9 ? -log(share)
                                              : (pow(share, -m->shape) - 1) / m->shape);
    }
    const double at = (1 - p) * (KN_QUANTILES - 1);
    const int i = at >= KN_QUANTILES - 1 ? KN_QUANTILES - 2 : (int)at;
    const double t = m->quantile[i] + (at - i) * (m->quantile[i + 1] - m->quantile[i]);
    return fmin(t, m->from);
}

static double exponent(const kn_impostors *m, double objects)
{
    return pow(fmax(objects, 1) / m->objects, m->power);
}

double kn_recognition_threshold(const kn_recognition *r, double fpir, double objects)
{
    /* 1 - (1 - fpir) ^ (1 / exponent), without cancellation */
    const double p = -expm1(log1p(-fpir) / exponent(&r->impostors, objects));
    return tail_inverse(&r->impostors, p);
}

double kn_recognition_fpir(const kn_recognition *r, double t, double objects)
{
    const double p = tail_at(&r->impostors, t);
    return p >= 1 ? 1 : -expm1(exponent(&r->impostors, objects) * log1p(-p));
}
