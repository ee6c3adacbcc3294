/*
 * explain.c - why a picture is like another, or fits words.
 *
 * Parts: the features of a residual network are a sum over places (nn/places.h), f = sum_i f_i, so
 * that the cosine of two pictures is exactly sum_ij f_i g_j / (|f| |g|), a number for each pair of
 * places (Stylianou, Souvenir and Pless, "Visualizing deep similarity networks", 2019), and that of
 * a picture and words sum_i f_i t / |f|.
 *
 * Grad-CAM weighs the last map's channels by the cosine's gradient, d cos / d f = (t - cos f/|f|) / |f|;
 * attention relevance takes it back through a transformer (nn/graph.h).  Here pairs are products of the
 * two sides' heat, which is scaled to sum to 1.
 */
#include "engine/explain.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/model.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { LEAST_GRID = 16, MOST_GRID = 256, DEFAULT_REGIONS = 3, MOST_REGIONS = 16 };
enum { MOST_PAIRS = 1 << 24 /* of places: 128 MB; 64 x 64 places on both sides */ };
enum { LAYERS = 0 /* of attention that relevance goes through: all */ };

typedef enum method { AUTO, PARTS, GRADCAM, RELEVANCE, METHODS } method;
static const char *const names[METHODS] = { "auto", "parts", "gradcam", "relevance" };
static const char *const sources[METHODS] = { "", "", "Grad-CAM", "attention relevance" };

/* What is handed out, with all that it points to. */
typedef struct explanation {
    ken_explanation e; /* first: ken_explanation_free() gets its address */
    float *maps[2];
    ken_region *regions;
    char *text;
} explanation;

/* ---- the two sides ---- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static int is_picture(const kn_side *s)
{
    return s->term->image != NULL;
}

static ken_status make_picture(const kn_explaining *e, kn_side *s)
{
    const kn_prep *p = kn_model_prep(e->model);
    if (!p)
        return kn_fail(KEN_E_UNSUPPORTED, "the model has no image network");
    s->grid = kn_net_grid(kn_model_net(e->model));
    memcpy(s->hw, s->grid.hw, sizeof s->hw);
    s->places = (size_t)s->hw[0] * s->hw[1];
    s->pixels = kn_alloc((size_t)p->crop[0] * p->crop[1], 3);
    ken_status st = s->pixels ? kn_image_fit(s->term->image, p, s->pixels) : KEN_E_NOMEM;
    return st ? st : kn_net_images(kn_model_net(e->model), s->pixels, 1, s->vector);
}

static ken_status make_side(const kn_explaining *e, kn_side *s)
{
    const ken_term *t = s->term;
    ken_status st = KEN_OK;
    s->places = 1;
    s->vector = kn_alloc(e->dim, sizeof *s->vector);
    if (!s->vector)
        return KEN_E_NOMEM;
    if (t->image)
        st = make_picture(e, s);
    else if (t->text)
        st = ken_model_embed_texts(e->model, &t->text, 1, s->vector);
    else
        memcpy(s->vector, t->vector, e->dim * sizeof *s->vector);
    if (!st)
        s->norm = kn_kernels_get()->l2_normalize(s->vector, e->dim);
    return st;
}

/* ---- parts ---- */

/* The parts of s->vector.  What rounding to the network's precision leaves between their sum and it is
 * spread evenly. */
static ken_status make_parts(const kn_explaining *e, kn_side *s)
{
    const size_t n = s->places, dim = e->dim;
    s->parts = kn_alloc(n * dim, sizeof *s->parts);
    if (!s->parts)
        return KEN_E_NOMEM;
    if (!is_picture(s)) {
        memcpy(s->parts, s->vector, dim * sizeof *s->parts);
        return KEN_OK;
    }
    const ken_status st = kn_net_parts(kn_model_net(e->model), s->pixels, 1, s->parts);
    if (st)
        return st;
    const double scale = s->norm > 0 ? 1 / (double)s->norm : 0;
    for (size_t j = 0; j < dim; j++) {
        double rest = (double)s->vector[j];
        for (size_t i = 0; i < n; i++)
            rest -= (double)s->parts[i * dim + j] * scale;
        for (size_t i = 0; i < n; i++)
            s->parts[i * dim + j] = (float)((double)s->parts[i * dim + j] * scale + rest / (double)n);
    }
    return KEN_OK;
}

static ken_status pair_parts(kn_explaining *e)
{
    kn_side *a = &e->side[0], *b = &e->side[1];
    ken_status st = make_parts(e, a);
    if (!st)
        st = make_parts(e, b);
    for (size_t i = 0; !st && i < a->places; i++)
        for (size_t j = 0; j < b->places; j++)
            e->pairs[i * b->places + j] = dot(a->parts + i * e->dim, b->parts + j * e->dim, e->dim);
    return st;
}

/* ---- heat ---- */

/* The cosine's gradient to the features of s. */
static void cosine_grad(const kn_explaining *e, const kn_side *s, const kn_side *other, float *dout)
{
    const double cosine = dot(s->vector, other->vector, e->dim);
    for (size_t j = 0; j < e->dim; j++)
        dout[j] = s->norm > 0 ? (float)(((double)other->vector[j] - cosine * (double)s->vector[j])
                                        / (double)s->norm)
                              : 0;
}

/* places (n) to sum to 1, unless all are 0 */
static void scale_to_one(float *places, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)places[i];
    for (size_t i = 0; sum > 0 && i < n; i++)
        places[i] = (float)((double)places[i] / sum);
}

/* What both pictures, or the only one, are run with. */
typedef struct batch {
    kn_side *side[2];
    size_t n;
    uint8_t *pixels;
    float *dout, *heat;
} batch;

static ken_status make_batch(kn_explaining *e, batch *b)
{
    const kn_prep *p = kn_model_prep(e->model);
    const size_t size = (size_t)p->crop[0] * p->crop[1] * 3;
    size_t places = 0;
    for (int i = 0; i < 2; i++)
        if (is_picture(&e->side[i])) {
            b->side[b->n++] = &e->side[i];
            places = e->side[i].places;
        }
    b->pixels = kn_alloc(b->n * size, 1);
    b->dout = kn_alloc(b->n * e->dim, sizeof *b->dout);
    b->heat = kn_alloc(b->n * places, sizeof *b->heat);
    if (!b->pixels || !b->dout || !b->heat)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < b->n; i++) {
        kn_side *s = b->side[i];
        memcpy(b->pixels + i * size, s->pixels, size);
        cosine_grad(e, s, s == &e->side[0] ? &e->side[1] : &e->side[0], b->dout + i * e->dim);
    }
    return KEN_OK;
}

static ken_status make_heat(kn_explaining *e, method how)
{
    const kn_net *net = kn_model_net(e->model);
    batch b = { .n = 0 };
    ken_status st = make_batch(e, &b);
    if (!st && how == GRADCAM)
        st = kn_net_gradcam(net, b.pixels, b.n, b.dout, b.heat);
    else if (!st)
        st = kn_net_relevance(net, b.pixels, b.n, b.dout, LAYERS, b.heat);
    for (int i = 0; i < 2 && !st; i++) {
        kn_side *s = &e->side[i];
        s->heat = kn_alloc(s->places, sizeof *s->heat);
        if (!s->heat)
            st = KEN_E_NOMEM;
        else if (is_picture(s))
            memcpy(s->heat, b.heat + (s == b.side[0] ? 0 : s->places), s->places * sizeof *s->heat);
        else
            s->heat[0] = 1;
        if (!st)
            scale_to_one(s->heat, s->places);
    }
    kn_free(b.pixels);
    kn_free(b.dout);
    kn_free(b.heat);
    return st;
}

static ken_status pair_heat(kn_explaining *e, method how)
{
    const kn_side *a = &e->side[0], *b = &e->side[1];
    const ken_status st = make_heat(e, how);
    for (size_t i = 0; !st && i < a->places; i++)
        for (size_t j = 0; j < b->places; j++)
            e->pairs[i * b->places + j] = (double)a->heat[i] * (double)b->heat[j];
    return st;
}

/* ---- the whole ---- */

static ken_status choose(const ken_model *m, const char *name, method *out)
{
    *out = AUTO;
    for (int i = 0; name && i < METHODS; i++)
        if (!strcmp(name, names[i]))
            *out = (method)i;
    if (name && strcmp(name, names[*out]))
        return kn_fail(KEN_E_INVALID, "method \"%s\": one of auto, parts, gradcam, relevance", name);
    const int parts = kn_net_has_parts(kn_model_net(m));
    if (*out == AUTO)
        *out = parts ? PARTS : RELEVANCE;
    if (parts && *out == RELEVANCE)
        return kn_fail(KEN_E_UNSUPPORTED, "relevance explains transformers; this is a residual network");
    if (!parts && *out != RELEVANCE)
        return kn_fail(KEN_E_UNSUPPORTED, "%s explains residual networks; this is a transformer",
                       names[*out]);
    return KEN_OK;
}

/* The network's places, each cut so often that the picture has LEAST_GRID cells or more a side. */
static uint32_t default_grid(const ken_model *m)
{
    const kn_grid g = kn_net_grid(kn_model_net(m));
    const uint32_t n = g.hw[0] > g.hw[1] ? g.hw[0] : g.hw[1];
    return n && n < LEAST_GRID ? (LEAST_GRID + n - 1) / n * n : n;
}

static float score_of(const kn_explaining *e, double raw)
{
    const int texts = (e->side[0].term->text != NULL) + (e->side[1].term->text != NULL);
    return ken_model_score(e->model, texts ? "text-image" : "image-image", (float)raw);
}

static ken_status explain(kn_explaining *e, method how, size_t most, explanation *x)
{
    ken_status st = KEN_OK;
    for (int i = 0; i < 2 && !st; i++)
        st = make_side(e, &e->side[i]);
    if (!st && e->side[0].places > MOST_PAIRS / e->side[1].places)
        st = kn_fail(KEN_E_LIMIT, "the network has %zu places; pairs of them are too many",
                     e->side[0].places);
    if (!st && !(e->pairs = kn_alloc(e->side[0].places * e->side[1].places, sizeof *e->pairs)))
        st = KEN_E_NOMEM;
    if (!st)
        st = how == PARTS ? pair_parts(e) : pair_heat(e, how);
    if (!st)
        st = kn_explain_maps(e, kn_model_prep(e->model));
    if (!st && !(x->regions = kn_zalloc(most, sizeof *x->regions)))
        st = KEN_E_NOMEM;
    if (!st)
        st = kn_explain_regions(e, x->regions, most, &x->e.n_regions);
    if (!st)
        st = kn_explain_sentence(e, sources[how], x->regions, x->e.n_regions, &x->text);
    if (st)
        return st;
    const double raw = dot(e->side[0].vector, e->side[1].vector, e->dim);
    x->e.method = names[how];
    x->e.grid[0] = x->e.grid[1] = e->grid;
    x->e.raw = (float)raw;
    x->e.score = score_of(e, raw);
    x->e.regions = x->regions;
    x->e.text = x->text;
    for (int i = 0; i < 2; i++) {
        x->maps[i] = e->side[i].map;
        e->side[i].map = NULL;
    }
    x->e.a = x->maps[0];
    x->e.b = x->maps[1];
    return KEN_OK;
}

static void release(kn_explaining *e)
{
    for (int i = 0; i < 2; i++) {
        kn_side *s = &e->side[i];
        kn_free(s->vector);
        kn_free(s->pixels);
        kn_free(s->parts);
        kn_free(s->heat);
        kn_free(s->rows);
        kn_free(s->cols);
        kn_free(s->map);
    }
    kn_free(e->pairs);
}

static ken_status check(const ken_explain_options *o, const ken_term *a, const ken_term *b)
{
    const ken_term *terms[2] = { a, b };
    if (o->size != sizeof *o || o->grid > MOST_GRID || o->regions > MOST_REGIONS)
        return kn_fail(KEN_E_INVALID, "ken_explain_options: a value is out of range");
    if (o->language && strcmp(o->language, "auto") && strcmp(o->language, "en") && strcmp(o->language, "zh"))
        return kn_fail(KEN_E_INVALID, "language \"%s\": one of auto, en, zh", o->language);
    for (int i = 0; i < 2; i++)
        if ((terms[i]->image != NULL) + (terms[i]->text != NULL) + (terms[i]->vector != NULL) != 1)
            return kn_fail(KEN_E_INVALID, "ken_explain: a side is a picture, a text or a vector");
    if (!a->image && !b->image)
        return kn_fail(KEN_E_INVALID, "ken_explain: without a picture there is no place to show");
    return KEN_OK;
}

ken_status ken_explain(const ken_model *m, const ken_term *a, const ken_term *b,
                       const ken_explain_options *opts, ken_explanation **out)
{
    static const ken_explain_options defaults = KEN_EXPLAIN_OPTIONS_INIT;
    const ken_explain_options *o = opts ? opts : &defaults;
    method how = AUTO;
    if (!m || !a || !b || !out)
        return kn_fail(KEN_E_INVALID, "ken_explain: a NULL argument");
    ken_status st = check(o, a, b);
    if (!st)
        st = choose(m, o->method, &how);
    if (st)
        return st;
    kn_explaining e = { .model = m, .dim = ken_model_get_info(m)->dim,
                        .side = { { .term = a }, { .term = b } },
                        .language = o->language && strcmp(o->language, "auto") ? o->language : NULL };
    e.grid = o->grid ? o->grid : default_grid(m);
    explanation *x = kn_zalloc(1, sizeof *x);
    st = x ? explain(&e, how, o->regions ? o->regions : DEFAULT_REGIONS, x) : KEN_E_NOMEM;
    release(&e);
    if (st) {
        ken_explanation_free(x ? &x->e : NULL);
        return st;
    }
    *out = &x->e;
    return KEN_OK;
}

void ken_explanation_free(ken_explanation *e)
{
    explanation *x = (explanation *)e;
    if (!x)
        return;
    for (int i = 0; i < 2; i++)
        kn_free(x->maps[i]);
    kn_free(x->regions);
    kn_free(x->text);
    kn_free(x);
}
