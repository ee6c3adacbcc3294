/* ask.c - queries to JSON, and JSON to what ken_search() and ken_recognize() would have given. */
#include "cli/ask.h"

#include "cli/mem.h"
#include "cli/option.h"
#include "cli/resident.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the query ---- */

/* Nine digits say a float to the bit. */
static void add_float(cJSON *o, const char *name, float v)
{
    cli_json_real(o, name, (double)v, 9);
}

static cJSON *term_json(const ken_term *t, size_t *pictures)
{
    char part[24];
    cJSON *o = cJSON_CreateObject();
    if (t->text) {
        cJSON_AddStringToObject(o, "text", t->text);
    } else if (t->object) {
        cJSON_AddStringToObject(o, "object", t->object);
    } else if (t->image) {
        snprintf(part, sizeof part, "f%zu", (*pictures)++);
        cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "image"), "part", part);
    } else {
        cli_json_id(o, "id", t->id);
    }
    add_float(o, "weight", t->weight);
    return o;
}

static cJSON *search_json(const cli_query *q, const ken_search_options *o)
{
    size_t pictures = 0;
    cJSON *v = cJSON_CreateObject(), *terms = cJSON_AddArrayToObject(v, "query");
    for (size_t i = 0; i < q->n; i++)
        cJSON_AddItemToArray(terms, term_json(&q->terms[i], &pictures));
    cJSON_AddNumberToObject(v, "limit", o->k);
    if (o->min_auto)
        cJSON_AddStringToObject(v, "min_score", "auto");
    else
        add_float(v, "min_score", o->min_score);
    if (o->has_min_raw)
        add_float(v, "min_raw", o->min_raw);
    if (o->where)
        cJSON_AddStringToObject(v, "where", o->where);
    if (o->group)
        cJSON_AddStringToObject(v, "group_by", o->group);
    if (o->expand && strcmp(o->expand, "none"))
        cJSON_AddStringToObject(v, "expand", o->expand);
    if (o->ef)
        cJSON_AddNumberToObject(v, "ef", o->ef);
    if (o->hidden)
        cJSON_AddTrueToObject(v, "hidden");
    if (o->exact)
        cJSON_AddTrueToObject(v, "exact");
    return v;
}

/* What the routes don't take. */
static int is_askable(const cli_query *q, const ken_search_options *o)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].mesh)
            return 0;
    return !o->added && !o->spaces && cli_opt_layer(OPT_VERIFY) <= LAYER_BUILT_IN;
}

/* ---- the answer ---- */

static const char *text_of(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

static double number_of(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static uint64_t id_of(const cJSON *o)
{
    const char *digits = text_of(o, "id");
    return digits ? strtoull(digits, NULL, 10) : 0;
}

/* "path", or the bytes in "path_bytes" where it is not UTF-8. */
static char *path_of(const cJSON *o)
{
    const char *hex = text_of(o, "path_bytes");
    if (!hex)
        return cli_mem_text(text_of(o, "path"));
    const size_t n = strlen(hex) / 2;
    char *bytes = cli_mem_new(n + 1, 1), two[3] = { 0 };
    for (size_t i = 0; i < n; i++) {
        memcpy(two, hex + 2 * i, 2);
        bytes[i] = (char)strtoul(two, NULL, 16);
    }
    return bytes;
}

static int read_hit(const cJSON *v, ken_hit *hit, ken_record *r)
{
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(v, "meta");
    *hit = (ken_hit){ id_of(v), (float)number_of(v, "score"), (float)number_of(v, "raw") };
    r->id = hit->id;
    r->path = path_of(v);
    r->object = cli_mem_text(text_of(v, "object"));
    r->meta = cJSON_IsObject(meta) ? cJSON_PrintUnformatted(meta) : NULL;
    return r->path ? 0 : -1;
}

static void read_times(const cJSON *v, ken_search_times *t)
{
    const cJSON *ms = cJSON_GetObjectItemCaseSensitive(v, "took_ms");
    t->encode = number_of(ms, "encode") / 1e3;
    t->search = number_of(ms, "search") / 1e3;
    t->total = number_of(ms, "total") / 1e3;
}

static void read_strange(const cJSON *v, cli_answer *a)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v, "strange"), *item;
    a->strange = cli_mem_new((size_t)cJSON_GetArraySize(list) + 1, sizeof *a->strange);
    cJSON_ArrayForEach (item, list)
        if (cJSON_IsString(item))
            a->strange[a->n_strange++] = cli_mem_text(item->valuestring);
}

static int read_answer(const cJSON *v, cli_answer *a)
{
    const cJSON *hits = cJSON_GetObjectItemCaseSensitive(v, "hits"), *item;
    const size_t n = (size_t)cJSON_GetArraySize(hits);
    int bad = cJSON_IsArray(hits) ? 0 : -1;
    a->hits = cli_mem_new(n + 1, sizeof *a->hits);
    a->records = cli_mem_new(n + 1, sizeof *a->records);
    a->model = cli_mem_text(text_of(v, "model"));
    cJSON_ArrayForEach (item, hits) {
        if (bad)
            break;
        bad = read_hit(item, &a->hits[a->n], &a->records[a->n]);
        a->n++;
    }
    read_times(v, &a->times);
    read_strange(v, a);
    return bad;
}

int cli_ask_search(const cli_query *q, const ken_search_options *o, cli_answer *out)
{
    size_t n = 0;
    *out = (cli_answer){ 0 };
    if (!is_askable(q, o))
        return -1;
    const ken_image **pictures = cli_mem_new(q->n, sizeof *pictures);
    for (size_t i = 0; i < q->n; i++)
        if (q->terms[i].image)
            pictures[n++] = q->terms[i].image;
    cJSON *body = search_json(q, o);
    cJSON *v = cli_resident_ask("search", body, "query", pictures, n);
    int bad = v ? read_answer(v, out) : -1;
    if (bad)
        cli_answer_free(out);
    cJSON_Delete(v);
    cJSON_Delete(body);
    cli_mem_free(pictures);
    return bad;
}

void cli_answer_free(cli_answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        cli_mem_free(a->records[i].path);
        cli_mem_free(a->records[i].object);
        cJSON_free(a->records[i].meta);
    }
    for (size_t i = 0; i < a->n_strange; i++)
        cli_mem_free(a->strange[i]);
    cli_mem_free(a->strange);
    cli_mem_free(a->records);
    cli_mem_free(a->hits);
    cli_mem_free(a->model);
    *a = (cli_answer){ 0 };
}

/* ---- recognising ---- */

static int read_recognition(const cJSON *v, ken_recognition *r)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v, "candidates"), *item;
    ken_candidate *all = cli_mem_new((size_t)cJSON_GetArraySize(list) + 1, sizeof *all);
    *r = (ken_recognition){ .confidence = number_of(v, "confidence"), .candidates = all };
    cJSON_ArrayForEach (item, list)
        all[r->n++] = (ken_candidate){ cli_mem_text(text_of(item, "object")), (float)number_of(item, "score"),
                                       (float)number_of(item, "raw"), number_of(item, "confidence"),
                                       id_of(item) };
    if (text_of(v, "object") && r->n)
        r->object = all[0].object;
    for (size_t i = 0; i < r->n; i++)
        if (!all[i].object)
            return -1;
    return cJSON_IsArray(list) ? 0 : -1;
}

int cli_ask_recognize(const ken_image *img, const ken_recognize_options *o, ken_recognition *r)
{
    if (o->exact || o->ef || o->looks)
        return -1;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "limit", o->k);
    if (o->fpir > 0)
        cli_json_real(body, "fpir", o->fpir, 17);
    cJSON *v = cli_resident_ask("recognize", body, NULL, &img, 1);
    int bad = v ? read_recognition(v, r) : -1;
    if (v && bad)
        cli_recognition_free(r);
    cJSON_Delete(v);
    cJSON_Delete(body);
    return bad;
}

void cli_recognition_free(ken_recognition *r)
{
    for (size_t i = 0; i < r->n; i++)
        cli_mem_free((void *)(uintptr_t)r->candidates[i].object);
    cli_mem_free((void *)(uintptr_t)r->candidates);
    *r = (ken_recognition){ 0 };
}
