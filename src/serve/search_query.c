/* search_query.c - terms out of JSON, encoded together with other requests', and searched. */
#include "serve/search_query.h"

#include "base/alloc.h"
#include "base/digits.h"
#include "base/progress.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static int read_id(kn_query *q, const char *text, const char *param, ken_term *t)
{
    t->is_id = 1;
    if (!kn_decimal(text, &t->id)) {
        kn_answer_error(q->c->r, 422, "invalid", param, "expects the number of an item, as a string");
        return -1;
    }
    return 0;
}

int kn_take_image(kn_call *c, const cJSON *v, const char *param, ken_image **out)
{
    const char *data = kn_get_text(v, "data", NULL), *part = kn_get_text(v, "part", NULL);
    if (data)
        return kn_take_base64(c, data, param, out);
    if (!part) {
        kn_answer_error(c->r, 422, "url_refused", param,
                        "this server fetches nothing: send the picture itself");
        return -1;
    }
    const kn_part *p = c->is_form ? kn_form_part(&c->form, part) : NULL;
    if (!p) {
        kn_answer_error(c->r, 422, "part_missing", param, "there is no form with a part %.60s", part);
        return -1;
    }
    return kn_take_picture(c, p->bytes, p->len, param, out);
}

static int read_term(kn_query *q, const cJSON *v, const char *prefix)
{
    ken_term *t = &q->terms[q->n];
    char param[64];
    int bad = 0;
    snprintf(param, sizeof param, "%.40squery[%zu]", prefix, q->n);
    *t = (ken_term){ .weight = cJSON_IsObject(v) ? (float)kn_get_number(v, "weight", 1) : 1 };
    t->text = cJSON_IsString(v) ? v->valuestring : kn_get_text(v, "text", NULL);
    t->object = kn_get_text(v, "object", NULL);
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(v, "image");
    const char *id = kn_get_text(v, "id", kn_get_text(image, "id", NULL));
    if (id)
        bad = read_id(q, id, param, t);
    else if (image)
        bad = kn_take_image(q->c, image, param, &q->images[q->n]);
    t->image = q->images[q->n];
    if (!bad && t->weight == 0) {
        kn_answer_error(q->c->r, 422, "invalid", param, "a weight of 0 leaves nothing");
        bad = -1;
    }
    q->n++;
    return bad;
}

int kn_query_read(kn_query *q, kn_call *c, const cJSON *body, const char *prefix)
{
    const cJSON *terms = cJSON_GetObjectItemCaseSensitive(body, "query"), *item;
    q->c = c;
    q->body = body;
    if (!cJSON_IsArray(terms))
        return read_term(q, terms, prefix);
    cJSON_ArrayForEach (item, terms)
        if (read_term(q, item, prefix))
            return -1;
    return 0;
}

/* ---- encoding ---- */

/* Spaces have models of their own, which the queue does not know. */
static int is_expanded(const kn_query *q, const char *how)
{
    return !strcmp(kn_get_text(q->body, "expand", "none"), how) && !kn_get_text(q->body, "spaces", NULL);
}

/* The texts, or the pictures, of those queries from the first on that are expanded in its way.  inputs may be
 * NULL: they are counted. */
static size_t gather(kn_query *const *queries, size_t n, int texts, const char *expand, const void **inputs)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; is_expanded(queries[k], expand) && i < queries[k]->n; i++) {
            const ken_term *t = &queries[k]->terms[i];
            const void *input = texts ? (const void *)t->text : (const void *)t->image;
            if (input && inputs)
                inputs[m] = input;
            m += input != NULL;
        }
    return m;
}

static ken_status encode(kn_query *const *queries, size_t n, int texts, const char *expand)
{
    kn_encoder *e = queries[0]->c->s->encoder;
    const size_t m = gather(queries, n, texts, expand, NULL);
    const void **inputs = m ? kn_alloc(m, sizeof *inputs) : NULL;
    if (!inputs)
        return m ? KEN_E_NOMEM : KEN_OK;
    gather(queries, n, texts, expand, inputs);
    const ken_status st =
        texts ? kn_encoder_texts_ahead(e, (const char *const *)(const void *)inputs, m, expand)
              : kn_encoder_images_ahead(e, (const ken_image *const *)(const void *)inputs, m);
    kn_free(inputs);
    return st;
}

int kn_query_encode(kn_query *const *queries, size_t n)
{
    static const char *const ways[] = { "none", "prompts", "aqe" };
    const double start = kn_clock();
    ken_status st = KEN_OK;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (int texts = 0; !st && texts < 2; texts++)
            st = encode(queries, n, texts, ways[way]);
    for (size_t k = 0; k < n; k++)
        queries[k]->times.encode = kn_clock() - start;
    if (st)
        kn_answer_failed(queries[0]->c->r, st, "query");
    return st ? -1 : 0;
}

/* ---- the search ---- */

static void added(const char *what, float weight, void *cookie)
{
    kn_query *q = cookie;
    cJSON *one = cJSON_CreateObject();
    kn_json_path(one, *what == '/' ? "path" : "text", what);
    kn_json_real(one, "weight", (double)weight, 6);
    cJSON_AddItemToArray(q->added, one);
}

static ken_search_options options(kn_query *q)
{
    ken_search_options o = KEN_SEARCH_OPTIONS_INIT;
    const cJSON *min = cJSON_GetObjectItemCaseSensitive(q->body, "min_score");
    o.k = (uint32_t)kn_get_number(q->body, "limit", 10);
    o.min_score = (float)kn_get_number(q->body, "min_score", 0);
    o.min_auto = cJSON_IsString(min);
    o.has_min_raw = cJSON_HasObjectItem(q->body, "min_raw");
    o.min_raw = (float)kn_get_number(q->body, "min_raw", 0);
    o.hidden = kn_get_bool(q->body, "hidden");
    o.where = kn_get_text(q->body, "where", NULL);
    o.group = kn_get_text(q->body, "group_by", NULL);
    o.expand = kn_get_text(q->body, "expand", NULL);
    o.spaces = kn_get_text(q->body, "spaces", NULL);
    o.fusion = kn_get_text(q->body, "fusion", NULL);
    o.exact = kn_get_bool(q->body, "exact");
    o.ef = (uint32_t)kn_get_number(q->body, "ef", 0);
    const double verify = kn_get_number(q->body, "verify", 14);
    o.verify = verify > 0 ? (int)verify : -1;
    if (kn_get_bool(q->body, "explain_query")) {
        q->added = cJSON_CreateArray();
        o.added = added;
        o.cookie = q;
    }
    return o;
}

/* ---- facets ---- */

enum { FACETS = 50 };

static int note_facet(const char *key, const char *value, uint64_t count, void *cookie)
{
    cJSON *all = cookie, *list = cJSON_GetObjectItemCaseSensitive(all, key), *o = cJSON_CreateObject();
    if (!list)
        list = cJSON_AddArrayToObject(all, key);
    kn_json_path(o, "value", value);
    cJSON_AddNumberToObject(o, "count", (double)count);
    cJSON_AddItemToArray(list, o);
    return cJSON_GetArraySize(list) == FACETS;
}

/* 0, or -1 with the answer given. */
static int count_facets(kn_query *q)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(q->body, "facets"), *key;
    ken_status st = KEN_OK;
    if (!keys)
        return 0;
    q->facets = cJSON_CreateObject();
    cJSON_ArrayForEach (key, keys)
        if (!st)
            st = ken_facets(q->c->s->db, key->valuestring, kn_get_text(q->body, "where", NULL),
                            kn_get_bool(q->body, "hidden"), note_facet, q->facets);
    if (st)
        kn_answer_failed(q->c->r, st, "facets");
    return st ? -1 : 0;
}

/* An unknown id or object is the query's fault, not a missing route. */
static void failed(kn_call *c, ken_status st)
{
    if (st == KEN_E_NOTFOUND)
        kn_answer_error(c->r, 422, "not_found", "query", "%s", ken_last_error());
    else
        kn_answer_failed(c->r, st, NULL);
}

int kn_query_search(kn_query *q)
{
    const ken_search_options o = options(q);
    const double encoded = q->times.encode, start = kn_clock();
    q->hits = kn_alloc(o.k, sizeof *q->hits);
    const ken_status st =
        q->hits ? ken_search(q->c->s->db, q->terms, q->n, &o, q->hits, &q->found, &q->times) : KEN_E_NOMEM;
    if (st) {
        failed(q->c, st);
        return -1;
    }
    q->times.encode += encoded;
    q->times.total = encoded + kn_clock() - start;
    kn_metrics_searched(q->c->s->metrics, &q->times);
    return count_facets(q);
}

int kn_query_run(kn_query *q, kn_call *c, const cJSON *body)
{
    int bad = kn_query_read(q, c, body, "");
    bad = bad ? bad : kn_query_encode(&q, 1);
    return bad ? bad : kn_query_search(q);
}

void kn_query_free(kn_query *q)
{
    for (size_t i = 0; i < q->n; i++)
        ken_image_free(q->images[i]);
    kn_free(q->hits);
    cJSON_Delete(q->added);
    cJSON_Delete(q->facets);
}
