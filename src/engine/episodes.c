/*
 * episodes.c - ken_eval_episodes: few-shot classification of classes that are drawn anew each time.
 *
 * A query is of the class whose mean support vector is nearest (Snell, Swersky and Zemel,
 * "Prototypical Networks for Few-shot Learning", NeurIPS 2017).  Episode e depends on the seed and e
 * alone.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/rand.h"
#include "engine/eval_data.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct picture {
    const char *label;
    size_t place; /* in the list */
} picture;

typedef struct episodes {
    ken_episode_options o;
    size_t dim, n;
    float *vectors;    /* (n, dim) in the order of the list */
    picture *pictures; /* (n) by label */
    size_t *first;     /* (classes + 1) of those classes that are large enough, in pictures */
    size_t *count;     /* (classes) */
    size_t classes, largest;
    double *accuracy;  /* (o.episodes) */
} episodes;

static int by_label(const void *a, const void *b)
{
    const picture *x = a, *y = b;
    const int order = strcmp(x->label, y->label);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static ken_status find_classes(episodes *e, const ken_labelled *l)
{
    const size_t need = (size_t)e->o.shots + e->o.queries;
    e->pictures = kn_alloc(l->n, sizeof *e->pictures);
    e->first = kn_alloc(l->n, sizeof *e->first);
    e->count = kn_alloc(l->n, sizeof *e->count);
    if (!e->pictures || !e->first || !e->count)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < l->n; i++)
        e->pictures[i] = (picture){ l->labels[i], i };
    qsort(e->pictures, l->n, sizeof *e->pictures, by_label);
    for (size_t i = 0, end; i < l->n; i = end) {
        for (end = i; end < l->n && !strcmp(e->pictures[i].label, e->pictures[end].label);)
            end++;
        if (end - i < need)
            continue;
        e->first[e->classes] = i;
        e->count[e->classes++] = end - i;
        e->largest = end - i > e->largest ? end - i : e->largest;
    }
    if (e->classes < e->o.ways)
        return kn_fail(KEN_E_INVALID, "%zu classes have %zu pictures or more, %u are needed",
                       e->classes, need, e->o.ways);
    return KEN_OK;
}

/* The first k of list (n) become a random choice of it. */
static void choose(kn_rand *r, size_t *list, size_t n, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        const size_t j = i + kn_rand_below(r, (uint32_t)(n - i)), t = list[i];
        list[i] = list[j];
        list[j] = t;
    }
}

static void count_up(size_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        list[i] = i;
}

typedef struct scratch {
    size_t *classes;  /* (classes) */
    size_t *chosen;   /* (largest) */
    size_t *queries;  /* (ways, queries) places */
    float *means;     /* (ways, dim) */
} scratch;

static const float *vector_of(const episodes *e, size_t class, size_t i, size_t *place)
{
    *place = e->pictures[e->first[class] + i].place;
    return e->vectors + *place * e->dim;
}

static void draw(const episodes *e, const scratch *s, uint64_t episode)
{
    kn_rand r = kn_rand_at(e->o.seed, episode);
    size_t place;
    count_up(s->classes, e->classes);
    choose(&r, s->classes, e->classes, e->o.ways);
    memset(s->means, 0, e->o.ways * e->dim * sizeof *s->means);
    for (size_t w = 0; w < e->o.ways; w++) {
        const size_t class = s->classes[w];
        count_up(s->chosen, e->count[class]);
        choose(&r, s->chosen, e->count[class], (size_t)e->o.shots + e->o.queries);
        for (size_t i = 0; i < e->o.shots; i++) {
            const float *v = vector_of(e, class, s->chosen[i], &place);
            for (size_t d = 0; d < e->dim; d++)
                s->means[w * e->dim + d] += v[d] / (float)e->o.shots;
        }
        for (size_t i = 0; i < e->o.queries; i++)
            (void)vector_of(e, class, s->chosen[e->o.shots + i], &s->queries[w * e->o.queries + i]);
    }
}

static double answer(const episodes *e, const scratch *s)
{
    const size_t ways = e->o.ways, all = ways * e->o.queries;
    size_t right = 0;
    for (size_t q = 0; q < all; q++) {
        const float *v = e->vectors + s->queries[q] * e->dim;
        size_t best = 0;
        float least = INFINITY;
        for (size_t w = 0; w < ways; w++) {
            const float far = kn_kernels_get()->l2sq_f32(v, s->means + w * e->dim, e->dim);
            if (far < least) {
                least = far;
                best = w;
            }
        }
        right += best == q / e->o.queries;
    }
    return (double)right / (double)all;
}

static ken_status run_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    episodes *e = cookie;
    scratch s = { kn_alloc(e->classes, sizeof *s.classes), kn_alloc(e->largest, sizeof *s.chosen),
                  kn_alloc((size_t)e->o.ways * e->o.queries, sizeof *s.queries),
                  kn_alloc_aligned(e->o.ways * e->dim, sizeof *s.means) };
    ken_status st = s.classes && s.chosen && s.queries && s.means ? KEN_OK : KEN_E_NOMEM;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        draw(e, &s, i);
        e->accuracy[i] = answer(e, &s);
    }
    kn_free(s.classes);
    kn_free(s.chosen);
    kn_free(s.queries);
    kn_free(s.means);
    return st;
}

/* Mean, and 1.96 standard errors of it. */
static void summarise(const episodes *e, ken_episode_report *out)
{
    const size_t n = e->o.episodes;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += e->accuracy[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (e->accuracy[i] - mean) * (e->accuracy[i] - mean);
    *out = (ken_episode_report){ .accuracy = mean, .episodes = n, .classes = e->classes };
    out->ci95 = n > 1 ? 1.96 * sqrt(squares / (double)(n - 1) / (double)n) : 0;
}

static ken_episode_options with_defaults(const ken_episode_options *o)
{
    ken_episode_options r = *o;
    r.ways = r.ways ? r.ways : 20;
    r.shots = r.shots ? r.shots : 1;
    r.queries = r.queries ? r.queries : 1;
    r.episodes = r.episodes ? r.episodes : 2000;
    return r;
}

ken_status ken_eval_episodes(const ken_model *m, const ken_labelled *data,
                             const ken_episode_options *opts, ken_episode_report *out)
{
    static const ken_episode_options defaults = KEN_EPISODE_OPTIONS_INIT;
    const ken_episode_options *o = opts ? opts : &defaults;
    if (!m || !data || !data->n || !data->paths || !data->labels || !out || o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_eval_episodes: no model, pictures, options or place");
    episodes e = { .o = with_defaults(o), .dim = ken_model_get_info(m)->dim, .n = data->n };
    ken_status st = find_classes(&e, data);
    if (!st) {
        e.vectors = kn_alloc_aligned(e.n * e.dim, sizeof *e.vectors);
        e.accuracy = kn_alloc(e.o.episodes, sizeof *e.accuracy);
        st = e.vectors && e.accuracy ? KEN_OK : KEN_E_NOMEM;
    }
    if (!st)
        st = kn_eval_embed(m, data->paths, e.n, &o->decode, o->progress, o->cookie, e.vectors);
    if (!st)
        st = kn_parallel(e.o.episodes, 16, kn_processors(), run_piece, &e);
    if (!st)
        summarise(&e, out);
    kn_free(e.vectors);
    kn_free(e.pictures);
    kn_free(e.first);
    kn_free(e.count);
    kn_free(e.accuracy);
    return st;
}
