/* route_search.c - searches: a query's terms out of JSON and forms, and the hits as JSON. */
#include "base/alloc.h"
#include "serve/search_query.h"
#include "serve/server.h"

#include <stdio.h>
#include <string.h>

/* ---- hits ---- */

static void add_links(cJSON *o, uint64_t id)
{
    char url[128];
    snprintf(url, sizeof url, "/v1/collections/" KN_COLLECTION "/items/%llu/thumbnail",
             (unsigned long long)id);
    cJSON_AddStringToObject(o, "thumbnail_url", url);
    snprintf(url, sizeof url, "/v1/collections/" KN_COLLECTION "/items/%llu/original",
             (unsigned long long)id);
    cJSON_AddStringToObject(o, "original_url", url);
}

static void add_meta(cJSON *o, const ken_record *r)
{
    cJSON *meta = r->meta ? cJSON_Parse(r->meta) : NULL;
    const char *description = kn_get_text(meta, "description", NULL);
    if (description)
        kn_json_text(o, "description", description);
    cJSON_AddItemToObject(o, "meta", meta ? meta : cJSON_CreateNull());
}

static cJSON *hit_json(const ken_hit *h, size_t rank, const ken_record *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "rank", (double)rank);
    kn_json_id(o, "id", h->id);
    kn_json_exact(o, "score", (double)h->score, 1);
    kn_json_exact(o, "raw", (double)h->raw, 1);
    kn_json_path(o, "path", r->path);
    kn_json_text(o, "object", r->object);
    kn_json_text(o, "kind", r->kind);
    const int size[2] = { (int)r->width, (int)r->height };
    cJSON_AddItemToObject(o, "size", cJSON_CreateIntArray(size, 2));
    add_meta(o, r);
    add_links(o, h->id);
    return o;
}

/* One hit after the other to fn, without those that another process has removed since. */
static ken_status each_hit(kn_call *c, const kn_query *a, cJSON *list,
                           cJSON *(*fn)(const ken_hit *, size_t, const ken_record *))
{
    size_t rank = 0;
    for (size_t i = 0; i < a->found; i++) {
        ken_record *r = NULL;
        const ken_status st = ken_get(c->s->db, a->hits[i].id, &r);
        if (st == KEN_E_NOTFOUND)
            continue;
        if (st)
            return st;
        cJSON_AddItemToArray(list, fn(&a->hits[i], ++rank, r));
        ken_record_free(r);
    }
    return KEN_OK;
}

static cJSON *times_json(const ken_search_times *t)
{
    cJSON *o = cJSON_CreateObject();
    kn_json_real(o, "encode", t->encode * 1e3, 5);
    kn_json_real(o, "search", t->search * 1e3, 5);
    kn_json_real(o, "total", t->total * 1e3, 5);
    return o;
}

/* Texts whose words the model has hardly met: what they find may be anything. */
static cJSON *strange_json(const kn_call *c, const kn_query *q)
{
    cJSON *list = cJSON_CreateArray();
    double share = 0;
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].text && !ken_model_strange(c->s->model, q->terms[i].text, &share)
            && share >= KEN_STRANGE)
            cJSON_AddItemToArray(list, cJSON_CreateString(q->terms[i].text));
    return list;
}

static ken_status hits_json(kn_call *c, const kn_query *q, cJSON **out)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "request_id", c->r->id);
    kn_json_text(o, "model", ken_model_get_info(c->s->model)->name);
    const ken_status st = each_hit(c, q, cJSON_AddArrayToObject(o, "hits"), hit_json);
    cJSON_AddItemToObject(o, "took_ms", times_json(&q->times));
    cJSON_AddItemToObject(o, "strange", strange_json(c, q));
    if (q->added)
        cJSON_AddItemToObject(o, "added", cJSON_Duplicate(q->added, 1));
    if (q->facets)
        cJSON_AddItemToObject(o, "facets", cJSON_Duplicate(q->facets, 1));
    if (st)
        cJSON_Delete(o);
    else
        *out = o;
    return st;
}

void kn_route_search(kn_call *c)
{
    kn_query q = { 0 };
    cJSON *o;
    const cJSON *body = c->is_form ? cJSON_GetObjectItemCaseSensitive(c->body, "query") : c->body;
    if (!kn_query_run(&q, c, body)) {
        const ken_status st = hits_json(c, &q, &o);
        if (st)
            kn_answer_failed(c->r, st, NULL);
        else
            kn_answer_json(c->r, 200, o);
    }
    kn_query_free(&q);
}

/* ---- many at once ---- */

enum { MAX_BATCH = 64 };

static int read_batch(kn_call *c, kn_query **queries, size_t *n)
{
    const cJSON *item;
    char prefix[32];
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(c->body, "searches")) {
        if (!(queries[*n] = kn_zalloc(1, sizeof **queries))) {
            kn_answer_failed(c->r, KEN_E_NOMEM, NULL);
            return -1;
        }
        snprintf(prefix, sizeof prefix, "searches[%zu].", (*n)++);
        if (kn_query_read(queries[*n - 1], c, item, prefix))
            return -1;
    }
    return 0;
}

/* Answers are put into `list`; 0, or -1 with the error given. */
static int search_batch(kn_call *c, kn_query *const *queries, size_t n, cJSON *list)
{
    cJSON *one;
    for (size_t i = 0; i < n; i++) {
        if (kn_query_search(queries[i]))
            return -1;
        const ken_status st = hits_json(c, queries[i], &one);
        if (st) {
            kn_answer_failed(c->r, st, NULL);
            return -1;
        }
        cJSON_AddItemToArray(list, one);
    }
    return 0;
}

void kn_route_search_batch(kn_call *c)
{
    kn_query *queries[MAX_BATCH];
    size_t n = 0;
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "results");
    int bad = read_batch(c, queries, &n);
    bad = bad ? bad : kn_query_encode(queries, n);
    bad = bad ? bad : search_batch(c, queries, n, list);
    if (bad)
        cJSON_Delete(o);
    else
        kn_answer_json(c->r, 200, o);
    for (size_t i = 0; i < n; i++) {
        kn_query_free(queries[i]);
        kn_free(queries[i]);
    }
}

/* ---- /api/search/…: the shape of simpler services ---- */

/* The object's name, else the folder's: what a picture is filed under. */
static void add_class(cJSON *o, const ken_record *r)
{
    char folder[256] = "";
    const char *end = strrchr(r->path, '/'), *from = end;
    while (from && from > r->path && from[-1] != '/')
        from--;
    if (end)
        snprintf(folder, sizeof folder, "%.*s", (int)(end - from < 255 ? end - from : 255), from);
    kn_json_text(o, "class_name", r->object ? r->object : folder);
}

static cJSON *result_json(const ken_hit *h, size_t rank, const ken_record *r)
{
    char text[128];
    cJSON *o = cJSON_CreateObject(), *meta = r->meta ? cJSON_Parse(r->meta) : NULL;
    add_class(o, r);
    kn_json_real(o, "similarity", (double)h->score, 6);
    cJSON_AddNumberToObject(o, "rank", (double)rank);
    kn_json_path(o, "path", r->path);
    const char *description = kn_get_text(meta, "description", NULL);
    kn_json_text(o, "description", description);
    snprintf(text, sizeof text, "rank %zu: the cosine between query and picture is %.3f", rank,
             (double)h->raw);
    cJSON_AddStringToObject(o, "explanation", text);
    kn_json_id(o, "id", h->id);
    add_links(o, h->id);
    cJSON_Delete(meta);
    return o;
}

static void answer_api(kn_call *c, const kn_query *a)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "success", 1);
    const ken_status st = each_hit(c, a, cJSON_AddArrayToObject(o, "results"), result_json);
    kn_json_real(o, "took_ms", a->times.total * 1e3, 5);
    if (st) {
        cJSON_Delete(o);
        kn_answer_failed(c->r, st, NULL);
    } else {
        kn_answer_json(c->r, 200, o);
    }
}

/* A search as /v1 takes it, made of the simple one's members. */
static void run_api(kn_call *c, const char *text, int has_image, double text_weight)
{
    kn_query a = { 0 };
    cJSON *q = cJSON_CreateObject(), *terms = cJSON_AddArrayToObject(q, "query");
    if (text) {
        cJSON *t = cJSON_CreateObject();
        cJSON_AddStringToObject(t, "text", text);
        cJSON_AddNumberToObject(t, "weight", text_weight);
        cJSON_AddItemToArray(terms, t);
    }
    if (has_image) {
        cJSON *t = cJSON_CreateObject();
        cJSON_AddStringToObject(cJSON_AddObjectToObject(t, "image"), "part", "image");
        cJSON_AddNumberToObject(t, "weight", 1 - (text ? text_weight : 0));
        cJSON_AddItemToArray(terms, t);
    }
    cJSON_AddNumberToObject(q, "limit", kn_get_number(c->body, "top_k", 10));
    if (!kn_query_run(&a, c, q))
        answer_api(c, &a);
    kn_query_free(&a);
    cJSON_Delete(q);
}

void kn_route_api_text(kn_call *c)
{
    run_api(c, kn_get_text(c->body, "query", ""), 0, 1);
}

void kn_route_api_image(kn_call *c)
{
    run_api(c, NULL, 1, 0);
}

void kn_route_api_hybrid(kn_call *c)
{
    /* the weights that ken's searches begin with: .6 picture, .4 words */
    run_api(c, kn_get_text(c->body, "query", ""), 1, kn_get_number(c->body, "text_weight", .4));
}
