/*
 * search_query.c - terms out of JSON, encoded together with other requests', and searched.
 *
 * Words and pictures become vectors in the encoder's queue; what is left for ken_search() is to weigh
 * and to compare.
 */
#include "serve/search_query.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 64 };

typedef struct query {
    kn_call *c;
    ken_term terms[MAX_TERMS];
    ken_image *images[MAX_TERMS]; /* of a term, or NULL */
    size_t n;
    float *vectors; /* (n, dim) */
} query;

static int read_id(query *q, const char *text, const char *param, ken_term *t)
{
    char *end;
    errno = 0;
    t->id = strtoull(text, &end, 10);
    t->is_id = 1;
    if (*text < '0' || *text > '9' || *end || errno) {
        kn_answer_error(q->c->r, 422, "invalid", param, "expects the number of an item, as a string");
        return -1;
    }
    return 0;
}

static int read_image(query *q, const cJSON *v, const char *param, ken_term *t)
{
    const char *data = kn_get_text(v, "data", NULL), *part = kn_get_text(v, "part", NULL);
    const char *id = kn_get_text(v, "id", NULL);
    ken_image **out = &q->images[q->n];
    if (id)
        return read_id(q, id, param, t);
    if (data)
        return kn_take_base64(q->c, data, param, out);
    if (!part) {
        kn_answer_error(q->c->r, 422, "url_refused", param,
                        "this server fetches nothing: send the picture itself");
        return -1;
    }
    const kn_part *p = kn_form_part(&q->c->form, part);
    if (!p) {
        kn_answer_error(q->c->r, 422, "part_missing", param, "the form has no part %.60s", part);
        return -1;
    }
    return kn_take_picture(q->c, p->bytes, p->len, param, out);
}

static int read_term(query *q, const cJSON *v)
{
    ken_term *t = &q->terms[q->n];
    char param[32];
    int bad = 0;
    snprintf(param, sizeof param, "query[%zu]", q->n);
    *t = (ken_term){ .weight = cJSON_IsObject(v) ? (float)kn_get_number(v, "weight", 1) : 1 };
    t->text = cJSON_IsString(v) ? v->valuestring : kn_get_text(v, "text", NULL);
    t->object = kn_get_text(v, "object", NULL);
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(v, "image");
    if (kn_get_text(v, "id", NULL))
        bad = read_id(q, kn_get_text(v, "id", NULL), param, t);
    else if (image)
        bad = read_image(q, image, param, t);
    if (!bad && t->weight == 0) {
        kn_answer_error(q->c->r, 422, "invalid", param, "a weight of 0 leaves nothing");
        bad = -1;
    }
    q->n++;
    return bad;
}

static int read_terms(query *q, const cJSON *v)
{
    const cJSON *item;
    if (!cJSON_IsArray(v))
        return read_term(q, v);
    cJSON_ArrayForEach(item, v) if (read_term(q, item)) return -1;
    return 0;
}

/* ---- encoding ---- */

static ken_status encode_texts(query *q, size_t dim)
{
    const char *texts[MAX_TERMS];
    size_t n = 0;
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].text)
            texts[n++] = q->terms[i].text;
    ken_status st = n ? kn_encoder_texts(q->c->s->encoder, texts, n, q->vectors) : KEN_OK;
    n = 0;
    for (size_t i = 0; !st && i < q->n; i++) {
        if (!q->terms[i].text)
            continue;
        q->terms[i].text = NULL;
        q->terms[i].vector = q->vectors + n++ * dim;
        q->terms[i].of_text = 1;
    }
    return st;
}

static ken_status encode_images(query *q, size_t dim)
{
    const ken_image *images[MAX_TERMS];
    size_t n = 0;
    float *to = q->vectors + (size_t)MAX_TERMS * dim;
    for (size_t i = 0; i < q->n; i++)
        if (q->images[i])
            images[n++] = q->images[i];
    ken_status st = n ? kn_encoder_images(q->c->s->encoder, images, n, to) : KEN_OK;
    n = 0;
    for (size_t i = 0; !st && i < q->n; i++)
        if (q->images[i])
            q->terms[i].vector = to + n++ * dim;
    return st;
}

static ken_status encode(query *q)
{
    const size_t dim = ken_model_get_info(q->c->s->model)->dim;
    q->vectors = kn_alloc_aligned(2 * (size_t)MAX_TERMS * dim, sizeof *q->vectors);
    ken_status st = q->vectors ? encode_texts(q, dim) : KEN_E_NOMEM;
    return st ? st : encode_images(q, dim);
}

/* ---- the search ---- */

static ken_search_options options(const cJSON *body)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    o.k = (uint32_t)kn_get_number(body, "limit", 10);
    o.min_score = (float)kn_get_number(body, "min_score", 0);
    o.has_min_raw = cJSON_HasObjectItem(body, "min_raw");
    o.min_raw = (float)kn_get_number(body, "min_raw", 0);
    o.hidden = kn_get_bool(body, "hidden");
    return o;
}

/* An unknown id or object is the query's fault, not a missing route. */
static void failed(kn_call *c, ken_status st)
{
    if (st == KEN_E_NOTFOUND)
        kn_answer_error(c->r, 422, "not_found", "query", "%s", ken_last_error());
    else
        kn_answer_failed(c->r, st, "query");
}

int kn_query_run(kn_call *c, const cJSON *body, kn_answer *a)
{
    query q = { .c = c };
    const ken_search_options o = options(body);
    const double start = kn_clock();
    int bad = read_terms(&q, cJSON_GetObjectItemCaseSensitive(body, "query"));
    if (!bad) {
        a->hits = kn_alloc(o.k, sizeof *a->hits);
        ken_status st = a->hits ? encode(&q) : KEN_E_NOMEM;
        const double encoded = kn_clock();
        if (!st)
            st = ken_search(c->s->db, q.terms, q.n, &o, a->hits, &a->found, &a->times);
        if (st)
            failed(c, st);
        a->times.encode = encoded - start;
        a->times.total = kn_clock() - start;
        if (!st)
            kn_metrics_searched(c->s->metrics, &a->times);
        bad = st ? -1 : 0;
    }
    if (bad)
        kn_answer_free(a);
    for (size_t i = 0; i < q.n; i++)
        ken_image_free(q.images[i]);
    kn_free(q.vectors);
    return bad;
}

void kn_answer_free(kn_answer *a)
{
    kn_free(a->hits);
    a->hits = NULL;
}
