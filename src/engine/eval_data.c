/* eval_data.c - see eval_data.h. */
#include "engine/eval_data.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "engine/model.h"
#include "engine/parts.h"
#include "engine/pictures.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };
/* Of vectors in memory, all told; what is more lies on disk.  10^6 of 512 are measured below 2 GB. */
static const size_t GALLERY_BYTES = (size_t)768 << 20, QUERY_BYTES = (size_t)256 << 20;

/* ---- labels as numbers ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ken_status number_labels(kn_eval_data *d, const ken_labelled *g)
{
    d->names = kn_alloc(g->n, sizeof *d->names);
    if (!d->names)
        return KEN_E_NOMEM;
    if (g->n)
        memcpy(d->names, g->labels, g->n * sizeof *d->names);
    if (g->n)
        qsort(d->names, g->n, sizeof *d->names, by_name);
    for (size_t i = 0; i < g->n; i++)
        if (!d->labels_n || strcmp(d->names[d->labels_n - 1], d->names[i]) != 0)
            d->names[d->labels_n++] = d->names[i];
    return KEN_OK;
}

/* -1 if no picture of the gallery has it. */
static int64_t number_of(const kn_eval_data *d, const char *name)
{
    const char **found = d->labels_n
                             ? bsearch(&name, d->names, d->labels_n, sizeof *d->names, by_name)
                             : NULL;
    return found ? found - d->names : -1;
}

/* The first `refs` pictures of each label, in their order. */
static ken_status choose(kn_eval_data *d, const ken_labelled *g, uint32_t refs)
{
    uint32_t *taken = kn_zalloc(d->labels_n, sizeof *taken);
    d->label = kn_alloc(g->n, sizeof *d->label);
    d->paths = kn_alloc(g->n, sizeof *d->paths);
    d->places = kn_alloc(g->n, sizeof *d->places);
    d->first = kn_zalloc(d->labels_n + 1, sizeof *d->first);
    ken_status st = taken && d->label && d->paths && d->places && d->first ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < g->n; i++) {
        const uint32_t label = (uint32_t)number_of(d, g->labels[i]);
        if (refs && taken[label]++ >= refs)
            continue;
        d->label[d->n] = label;
        d->paths[d->n++] = g->paths[i];
        d->first[label + 1]++;
    }
    for (size_t l = 0; !st && l < d->labels_n; l++) {
        d->first[l + 1] += d->first[l];
        taken[l] = 0;
    }
    for (size_t i = 0; !st && i < d->n; i++)
        d->places[d->first[d->label[i]] + taken[d->label[i]]++] = (uint32_t)i;
    kn_free(taken);
    return st;
}

/* ---- pictures to vectors ---- */

typedef struct embedding {
    const ken_model *m;
    const kn_prep *prep;
    const ken_decode_options *decode;
    kn_pictures pictures;
    kn_meter meter;
    uint64_t done;
    uint8_t *pixels; /* (BATCH, more + 1, crop, crop, 3) */
    float *vectors;  /* (BATCH * (more + 1), dim) */
    size_t bytes;    /* of a fitted picture */
    /* of the list at hand: */
    const char *const *paths;
    uint32_t more; /* parts of each, or looks */
    int looks;
    float part; /* what parts are multiplied with */
} embedding;

static ken_status fit_one(embedding *e, const char *path, uint8_t *pixels)
{
    unsigned char *data = NULL;
    size_t len = 0;
    uint32_t width, height;
    ken_image *img = NULL;
    ken_status st = kn_pictures_read(&e->pictures, path, &data, &len);
    if (!st && !e->more)
        st = kn_image_decode_fit(data, len, e->decode, e->prep, pixels, &width, &height);
    else if (!st)
        st = ken_image_decode(&img, data, len, e->decode);
    kn_free(data);
    if (img)
        st = e->looks ? kn_looks_fit(img, e->prep, e->more, pixels)
                      : kn_parts_fit(img, e->prep, e->more, pixels);
    ken_image_free(img);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

static ken_status fit_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    embedding *e = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++)
        st = fit_one(e, e->paths[i], e->pixels + i * (1 + e->more) * e->bytes);
    return st;
}

static ken_status begin_embedding(embedding *e, const ken_model *m, const ken_decode_options *decode,
                                  uint32_t most)
{
    const size_t dim = ken_model_get_info(m)->dim;
    *e = (embedding){ .m = m, .prep = kn_model_prep(m), .decode = decode };
    kn_pictures_init(&e->pictures);
    if (!e->prep)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network",
                       ken_model_get_info(m)->name);
    e->bytes = (size_t)e->prep->crop[0] * e->prep->crop[1] * 3;
    e->pixels = kn_alloc_aligned((size_t)BATCH * (1 + most), e->bytes);
    e->vectors = kn_alloc_aligned((size_t)BATCH * (1 + most) * dim, sizeof *e->vectors);
    return e->pixels && e->vectors ? KEN_OK : KEN_E_NOMEM;
}

static void end_embedding(embedding *e)
{
    kn_pictures_release(&e->pictures);
    kn_free(e->pixels);
    kn_free(e->vectors);
}

/* As the collection keeps them. */
static void weigh_parts(const embedding *e, size_t n)
{
    const size_t dim = ken_model_get_info(e->m)->dim, rows = 1 + e->more;
    for (size_t i = 0; i < n * rows; i++)
        for (size_t j = 0; i % rows && j < dim; j++)
            e->vectors[i * dim + j] *= e->part;
}

static ken_status embed(embedding *e, const char *const *paths, size_t n, uint32_t more, int looks,
                        kn_spill *out)
{
    ken_status st = KEN_OK;
    e->more = more;
    e->looks = looks;
    for (size_t i = 0; !st && i < n; i += BATCH) {
        const size_t now = n - i < BATCH ? n - i : BATCH;
        e->paths = paths + i;
        st = kn_meter_tell(&e->meter, e->done, paths[i]);
        if (!st)
            st = kn_parallel(now, 1, kn_processors(), fit_piece, e);
        if (!st)
            st = kn_model_embed_pixels(e->m, e->pixels, now * (1 + more), e->vectors);
        if (!st && !looks && more)
            weigh_parts(e, now);
        if (!st)
            st = kn_spill_add(out, e->vectors, now * (1 + more));
        e->done += now;
    }
    return st;
}

ken_status kn_eval_embed(const ken_model *m, const char *const *paths, size_t n,
                         const ken_decode_options *decode, ken_progress_fn progress, void *cookie,
                         float *out)
{
    embedding e;
    kn_spill rows;
    const float *got = NULL;
    const size_t dim = ken_model_get_info(m)->dim;
    ken_status st = begin_embedding(&e, m, decode, 0);
    kn_spill_init(&rows, dim, SIZE_MAX / 2);
    kn_meter_start(&e.meter, "encode", "pictures", n, progress, cookie);
    if (!st)
        st = embed(&e, paths, n, 0, 0, &rows);
    kn_meter_end(&e.meter);
    if (!st && n)
        st = kn_spill_get(&rows, 0, n, NULL, &got);
    if (!st && n)
        memcpy(out, got, n * dim * sizeof *out);
    kn_spill_release(&rows);
    end_embedding(&e);
    return st;
}

/* ---- the whole ---- */

static int is_list(const ken_labelled *l)
{
    return l && (!l->n || (l->paths && l->labels));
}

/* A model that says nothing of crops is measured as it is: by whole references. */
static ken_status take_options(kn_eval_data *d, const ken_eval_options *o)
{
    const char *json = kn_model_meta(d->m, "recognition");
    ken_status st = kn_recognition_parse(&d->r, json);
    if (st)
        return st;
    if (!json)
        d->r.crops = 0;
    if (o->crops > KN_PARTS_MAX || o->looks > KN_LOOKS_MAX || !(o->fpir >= 0) || o->fpir >= 1 ||
        !(o->part <= 1))
        return kn_fail(KEN_E_INVALID, "ken_eval_options: a value is out of range");
    if (o->crops)
        d->r.crops = o->crops < 0 ? 0 : (uint32_t)o->crops;
    if (o->part > 0)
        d->r.part = o->part;
    if (o->looks)
        d->r.looks = o->looks < 0 ? 0 : (uint32_t)o->looks;
    return KEN_OK;
}

static ken_status embed_all(kn_eval_data *d, const ken_labelled *q, const ken_labelled *u,
                            const ken_eval_options *o)
{
    embedding e;
    const uint32_t most = d->r.crops > d->r.looks ? d->r.crops : d->r.looks;
    ken_status st = begin_embedding(&e, d->m, &o->decode, most);
    kn_meter_start(&e.meter, "encode", "pictures", d->n + d->known + d->unknown, o->progress,
                   o->cookie);
    e.part = (float)d->r.part;
    if (!st)
        st = embed(&e, d->paths, d->n, d->r.crops, 0, &d->gallery);
    if (!st)
        st = embed(&e, q->paths, d->known, d->r.looks, 1, &d->queries);
    if (!st && d->unknown)
        st = embed(&e, u->paths, d->unknown, d->r.looks, 1, &d->queries);
    kn_meter_end(&e.meter);
    end_embedding(&e);
    return st;
}

ken_status kn_eval_load(kn_eval_data *d, const ken_model *m, const ken_labelled *gallery,
                        const ken_labelled *queries, const ken_labelled *unknown,
                        const ken_eval_options *o)
{
    *d = (kn_eval_data){ .m = m };
    if (!m || !is_list(gallery) || !is_list(queries) || (unknown && unknown->n && !unknown->paths))
        return kn_fail(KEN_E_INVALID, "an evaluation without a model, or a list is missing");
    if (o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_eval_options: size is not set");
    if (!gallery->n || !queries->n || gallery->n > UINT32_MAX)
        return kn_fail(KEN_E_INVALID, "an evaluation needs a gallery and queries");
    d->dim = ken_model_get_info(m)->dim;
    d->known = queries->n;
    d->unknown = unknown ? unknown->n : 0;
    kn_spill_init(&d->gallery, d->dim, GALLERY_BYTES);
    kn_spill_init(&d->queries, d->dim, QUERY_BYTES);
    ken_status st = take_options(d, o);
    if (!st)
        st = number_labels(d, gallery);
    if (!st)
        st = choose(d, gallery, o->refs);
    if (!st && !(d->truth = kn_alloc(d->known + d->unknown, sizeof *d->truth)))
        st = KEN_E_NOMEM;
    for (size_t i = 0; !st && i < d->known + d->unknown; i++)
        d->truth[i] = i < d->known ? number_of(d, queries->labels[i]) : -1;
    return st ? st : embed_all(d, queries, unknown, o);
}

void kn_eval_unload(kn_eval_data *d)
{
    kn_free(d->label);
    kn_free(d->paths);
    kn_free(d->names);
    kn_free(d->first);
    kn_free(d->places);
    kn_free(d->truth);
    kn_spill_release(&d->gallery);
    kn_spill_release(&d->queries);
}
