/* route_embed.c - vectors: OpenAI's shape, which takes pictures too, and clip-as-service's. */
#include "base/alloc.h"
#include "base/base64.h"
#include "serve/server.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_MATCHES = 256, MAX_TEXT = 1 << 16 };

/* Inputs of one request: texts and pictures in any order. */
enum { TEXT, IMAGE, FITTED, KINDS };
typedef struct inputs {
    kn_call *c;
    size_t n, dim;
    unsigned char *kinds; /* (n) */
    const char **texts;   /* (n) or NULL: then */
    ken_image **images;   /* (n) */
    float *vectors;     /* (n, dim) */
} inputs;

static int start(inputs *in, kn_call *c, size_t n)
{
    *in = (inputs){ .c = c, .n = n, .dim = ken_model_get_info(c->s->model)->dim };
    in->kinds = kn_zalloc(n, sizeof *in->kinds);
    in->texts = kn_zalloc(n, sizeof *in->texts);
    in->images = kn_zalloc(n, sizeof *in->images);
    in->vectors = kn_alloc_aligned(n * in->dim, sizeof *in->vectors);
    if (in->kinds && in->texts && in->images && in->vectors)
        return 0;
    kn_answer_failed(c->r, KEN_E_NOMEM, NULL);
    return -1;
}

static void release(inputs *in)
{
    for (size_t i = 0; in->images && i < in->n; i++)
        ken_image_free(in->images[i]);
    kn_free(in->kinds);
    kn_free(in->texts);
    kn_free(in->images);
    kn_free(in->vectors);
}

/* Those of one kind go through the queue together; their vectors are put back in the inputs' order. */
static ken_status encode_kind(inputs *in, int kind)
{
    size_t n = 0;
    const void **list = kn_alloc(in->n, sizeof *list);
    float *vectors = kn_alloc_aligned(in->n * in->dim, sizeof *vectors);
    ken_status st = list && vectors ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < in->n; i++)
        if (in->kinds[i] == kind)
            list[n++] = kind == TEXT ? (const void *)in->texts[i] : (const void *)in->images[i];
    const ken_image *const *images = (const ken_image *const *)list;
    if (!st && n)
        st = kind == TEXT    ? kn_encoder_texts(in->c->s->encoder, (const char *const *)list, n, vectors)
             : kind == IMAGE ? kn_encoder_images(in->c->s->encoder, images, n, vectors)
                             : kn_encoder_fitted(in->c->s->encoder, images, n, vectors);
    n = 0;
    for (size_t i = 0; !st && i < in->n; i++)
        if (in->kinds[i] == kind)
            memcpy(in->vectors + i * in->dim, vectors + n++ * in->dim, in->dim * sizeof *vectors);
    kn_free(list);
    kn_free(vectors);
    return st;
}

static int encode(inputs *in)
{
    ken_status st = KEN_OK;
    for (int kind = 0; !st && kind < KINDS; kind++)
        st = encode_kind(in, kind);
    if (st)
        kn_answer_failed(in->c->r, st, "input");
    return st ? -1 : 0;
}

static cJSON *vector_json(const float *v, size_t dim)
{
    cJSON *list = cJSON_CreateArray();
    char text[40];
    for (size_t i = 0; i < dim; i++) {
        snprintf(text, sizeof text, "%.9g", (double)v[i]);
        cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
    }
    return list;
}

/* ---- /v1/embeddings ---- */

static int refuse_url(kn_call *c, const char *s, const char *param)
{
    if (strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0)
        return 0;
    kn_answer_error(c->r, 422, "url_refused", param,
                    "this server fetches nothing: send the picture itself");
    return -1;
}

static int check_fitted(const inputs *in, size_t i, const char *param)
{
    const ken_model_info *m = ken_model_get_info(in->c->s->model);
    const uint32_t w = ken_image_width(in->images[i]), h = ken_image_height(in->images[i]);
    if (w == m->input[1] && h == m->input[0])
        return 0;
    kn_answer_error(in->c->r, 422, "invalid", param, "a fitted picture of %u x %u pixels; %s takes %u x %u",
                    w, h, m->name, m->input[1], m->input[0]);
    return -1;
}

static int read_input(inputs *in, size_t i, const cJSON *v, int pictures)
{
    char param[32];
    snprintf(param, sizeof param, "input[%zu]", i);
    const char *text = cJSON_IsString(v) && !pictures ? v->valuestring : kn_get_text(v, "text", NULL);
    const char *image = cJSON_IsString(v) && pictures ? v->valuestring : kn_get_text(v, "image", NULL);
    if (text && strlen(text) > MAX_TEXT) {
        kn_answer_error(in->c->r, 422, "too_large", param, "a text of more than %d bytes", MAX_TEXT);
        return -1;
    }
    if (text) {
        in->texts[i] = text;
        return 0;
    }
    const char *fitted = kn_get_text(v, "fitted", NULL);
    if (!fitted && refuse_url(in->c, image, param))
        return -1;
    in->kinds[i] = fitted ? FITTED : IMAGE;
    const int bad = kn_take_base64(in->c, fitted ? fitted : image, param, &in->images[i]);
    return bad ? bad : fitted ? check_fitted(in, i, param) : 0;
}

static int check_asked(kn_call *c)
{
    const ken_model_info *m = ken_model_get_info(c->s->model);
    const char *model = kn_get_text(c->body, "model", m->name);
    if (strcmp(model, m->name) != 0 && strcmp(model, m->fingerprint) != 0)
        kn_answer_error(c->r, 404, "model", "model", "no model %.100s; there is %s", model, m->name);
    else if (kn_get_number(c->body, "dimensions", m->dim) != m->dim)
        kn_answer_error(c->r, 422, "invalid", "dimensions", "vectors of %s have %u numbers", m->name,
                        m->dim);
    return c->r->status ? -1 : 0;
}

static size_t count_tokens(const inputs *in)
{
    const ken_model_info *m = ken_model_get_info(in->c->s->model);
    size_t sum = 0, n;
    int32_t *ids = m->context ? kn_alloc(m->context, sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < in->n; i++) {
        n = m->context;
        if (in->texts[i] && !ken_model_tokens(in->c->s->model, in->texts[i], ids, &n))
            sum += n;
    }
    kn_free(ids);
    return sum;
}

static cJSON *embeddings_json(const inputs *in, int base64)
{
    const ken_model_info *m = ken_model_get_info(in->c->s->model);
    cJSON *o = cJSON_CreateObject(), *data;
    cJSON_AddStringToObject(o, "object", "list");
    data = cJSON_AddArrayToObject(o, "data");
    for (size_t i = 0; i < in->n; i++) {
        const float *v = in->vectors + i * in->dim;
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "object", "embedding");
        cJSON_AddNumberToObject(one, "index", (double)i);
        char *text = base64 ? kn_base64(v, in->dim * sizeof *v) : NULL; /* little-endian, as we are */
        if (base64)
            cJSON_AddStringToObject(one, "embedding", text ? text : "");
        else
            cJSON_AddItemToObject(one, "embedding", vector_json(v, in->dim));
        kn_free(text);
        cJSON_AddItemToArray(data, one);
    }
    kn_json_text(o, "model", m->name);
    kn_json_text(o, "fingerprint", m->fingerprint);
    cJSON *usage = cJSON_AddObjectToObject(o, "usage");
    const size_t tokens = count_tokens(in);
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)tokens);
    return o;
}

void kn_route_embeddings(kn_call *c)
{
    inputs in = { 0 };
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(c->body, "input"), *item;
    const int pictures = !strcmp(kn_get_text(c->body, "modality", "text"), "image");
    const int base64 = !strcmp(kn_get_text(c->body, "encoding_format", "float"), "base64");
    size_t i = 0;
    if (check_asked(c))
        return;
    int bad = start(&in, c, cJSON_IsArray(input) ? (size_t)cJSON_GetArraySize(input) : 1);
    if (!bad && !cJSON_IsArray(input))
        bad = read_input(&in, 0, input, pictures);
    else if (!bad)
        cJSON_ArrayForEach (item, input)
            bad = bad ? bad : read_input(&in, i++, item, pictures);
    if (!bad && !encode(&in))
        kn_answer_json(c->r, 200, embeddings_json(&in, base64));
    release(&in);
}

/* ---- clip-as-service's /post ---- */

static int read_document(inputs *in, size_t i, const cJSON *v, const char *param)
{
    const char *text = kn_get_text(v, "text", NULL), *blob = kn_get_text(v, "blob", NULL);
    const char *uri = kn_get_text(v, "uri", NULL);
    if (text) {
        in->texts[i] = text;
        return 0;
    }
    if (!blob && !uri) {
        kn_answer_error(in->c->r, 422, "invalid", param, "expects text, blob or uri");
        return -1;
    }
    if (!blob && strncmp(uri, "data:", 5) != 0) {
        kn_answer_error(in->c->r, 422, "url_refused", param,
                        "this server fetches nothing: send a blob or a data URI");
        return -1;
    }
    in->kinds[i] = IMAGE;
    return kn_take_base64(in->c, blob ? blob : uri, param, &in->images[i]);
}

static size_t count_documents(const cJSON *data)
{
    size_t n = 0;
    const cJSON *d;
    cJSON_ArrayForEach (d, data)
        n += 1 + (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(d, "matches"));
    return n;
}

/* Each document, then its matches. */
static int read_documents(inputs *in, const cJSON *data)
{
    const cJSON *d, *m;
    char param[64];
    size_t at = 0, i = 0;
    cJSON_ArrayForEach (d, data) {
        size_t j = 0;
        snprintf(param, sizeof param, "data[%zu]", i);
        if (read_document(in, at++, d, param))
            return -1;
        cJSON_ArrayForEach (m, cJSON_GetObjectItemCaseSensitive(d, "matches")) {
            snprintf(param, sizeof param, "data[%zu].matches[%zu]", i, j++);
            if (read_document(in, at++, m, param))
                return -1;
        }
        i++;
    }
    return 0;
}

static cJSON *document_json(const inputs *in, size_t at, const cJSON *from)
{
    cJSON *o = cJSON_CreateObject();
    char id[48];
    snprintf(id, sizeof id, "%.24s-%zu", in->c->r->id, at);
    cJSON_AddStringToObject(o, "id", kn_get_text(from, "id", id));
    if (in->texts[at])
        cJSON_AddStringToObject(o, "text", in->texts[at]);
    return o;
}

/* clip-as-service's ranking: the cosine, and the softmax of logits over the matches. */
static cJSON *matches_json(const inputs *in, size_t at, const cJSON *matches)
{
    const float scale = ken_model_logit_scale(in->c->s->model);
    const size_t n = (size_t)cJSON_GetArraySize(matches);
    double cosine[MAX_MATCHES], sum = 0, most = -2;
    cJSON *list = cJSON_CreateArray();
    const cJSON *m;
    for (size_t i = 0; i < n; i++) {
        cosine[i] = 0;
        for (size_t d = 0; d < in->dim; d++)
            cosine[i] +=
                (double)in->vectors[at * in->dim + d] * (double)in->vectors[(at + 1 + i) * in->dim + d];
        most = cosine[i] > most ? cosine[i] : most;
    }
    const double sharp = scale > 0 ? (double)scale : 100;
    for (size_t i = 0; i < n; i++)
        sum += exp(sharp * (cosine[i] - most));
    size_t i = 0;
    cJSON_ArrayForEach (m, matches) {
        cJSON *one = document_json(in, at + 1 + i, m), *scores = cJSON_AddObjectToObject(one, "scores");
        kn_json_real(cJSON_AddObjectToObject(scores, "clip_score"), "value",
                     exp(sharp * (cosine[i] - most)) / sum, 6);
        kn_json_real(cJSON_AddObjectToObject(scores, "clip_score_cosine"), "value", cosine[i], 6);
        cJSON_AddItemToArray(list, one);
        i++;
    }
    return list;
}

static cJSON *post_json(const inputs *in, const cJSON *data, int rank)
{
    cJSON *o = cJSON_CreateObject(), *list;
    const cJSON *d;
    size_t at = 0;
    cJSON_AddStringToObject(cJSON_AddObjectToObject(o, "header"), "requestId", in->c->r->id);
    cJSON_AddNullToObject(o, "parameters");
    cJSON_AddArrayToObject(o, "routes");
    list = cJSON_AddArrayToObject(o, "data");
    cJSON_ArrayForEach (d, data) {
        const cJSON *matches = cJSON_GetObjectItemCaseSensitive(d, "matches");
        cJSON *one = document_json(in, at, d);
        if (rank)
            cJSON_AddItemToObject(one, "matches", matches_json(in, at, matches));
        else
            cJSON_AddItemToObject(one, "embedding", vector_json(in->vectors + at * in->dim, in->dim));
        cJSON_AddItemToArray(list, one);
        at += 1 + (size_t)cJSON_GetArraySize(matches);
    }
    return o;
}

void kn_route_post(kn_call *c)
{
    inputs in = { 0 };
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(c->body, "data");
    const int rank = !strcmp(kn_get_text(c->body, "execEndpoint", "/"), "/rank");
    if (!start(&in, c, count_documents(data)) && !read_documents(&in, data) && !encode(&in))
        kn_answer_json(c->r, 200, post_json(&in, data, rank));
    release(&in);
}
