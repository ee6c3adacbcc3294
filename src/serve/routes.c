/*
 * routes.c - every route and every shape: the table that requests are answered by, and that the
 * OpenAPI document is written from.
 */
#include "serve/server.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define END { NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL }
#define TEXT(name, flags, least, most, help) \
    { name, KN_STRING | (flags), NULL, least, most, NULL, 0, NULL, help }
#define CHOICE(name, flags, choices, help) \
    { name, KN_STRING | (flags), choices, 0, 0, NULL, 0, NULL, help }
#define NUMBER(name, flags, least, most, help) \
    { name, KN_NUMBER | (flags), NULL, least, most, NULL, 0, NULL, help }
#define WHOLE(name, flags, least, most, help) \
    { name, KN_WHOLE | (flags), NULL, least, most, NULL, 0, NULL, help }
#define TRUTH(name, flags, help) { name, KN_BOOL | (flags), NULL, 0, 0, NULL, 0, NULL, help }
#define OBJECT(name, flags, shape, help) { name, KN_OBJECT | (flags), NULL, 0, 0, NULL, 0, shape, help }
#define FREE(name, flags, help) { name, KN_FREE | (flags), NULL, 0, 0, NULL, 0, NULL, help }
#define LIST(name, flags, items, most, help) \
    { name, KN_ARRAY | (flags), NULL, 0, 0, items, most, NULL, help }
#define FILE_PART(name, flags, help) { name, KN_FILE | (flags), NULL, 0, 0, NULL, 0, NULL, help }
/* Members that answers always have. */
#define SAYS_TEXT(name) TEXT(name, KN_NEEDED, 0, 0, NULL)
#define SAYS_COUNT(name) WHOLE(name, KN_NEEDED, 0, MANY, NULL)
#define SHAPE(id, title, ...) \
    static const kn_field id##_fields[] = { __VA_ARGS__, END }; \
    static const kn_shape id = { title, id##_fields, 0 }
#define ONE_OF(id, title, n, ...) \
    static const kn_field id##_fields[] = { __VA_ARGS__, END }; \
    static const kn_shape id = { title, id##_fields, n }

enum { MAX_TEXT = 4096, MAX_HITS = 1000 };
static const double MANY = 9007199254740991.; /* 2^53 - 1: what a number of JSON holds exactly */

/* ---- queries ---- */

ONE_OF(picture, "Picture", 4,
      TEXT("data", 0, 1, 64 << 20, "the file, base64 or a data URI"),
      TEXT("part", 0, 1, 63, "the form's part of this name"),
      TEXT("url", 0, 1, 2048, "refused: this server fetches nothing"),
      TEXT("id", 0, 1, 20, "an item of the collection"));
ONE_OF(sent, "SentPicture", 1,
      TEXT("data", 0, 1, 64 << 20, "the file, base64 or a data URI"));
ONE_OF(term, "Term", 4,
      TEXT("text", 0, 1, MAX_TEXT, "words"),
      OBJECT("image", 0, &picture, "a picture"),
      TEXT("id", 0, 1, 20, "an item of the collection"),
      TEXT("object", 0, 1, 200, "the mean of an object's references"),
      NUMBER("weight", 0, -100, 100, "1 if left out; negative takes away; 0 is refused"));
static const kn_field term_item = { NULL, KN_STRING | KN_OBJECT, NULL, 1, MAX_TEXT, NULL, 0, &term, NULL };
SHAPE(search, "Search",
      { "query", KN_STRING | KN_ARRAY | KN_NEEDED, NULL, 1, MAX_TEXT, &term_item, 64, NULL,
        "words, or a list of terms whose weighted sum is looked for" },
      WHOLE("limit", 0, 1, MAX_HITS, "at most so many hits; 10"),
      NUMBER("min_score", 0, 0, 1, "leave out hits below"),
      NUMBER("min_raw", 0, -1, 1, "leave out hits whose cosine is below"),
      TRUTH("hidden", 0, "items whose files have vanished, too"));
SHAPE(search_form, "SearchForm",
      OBJECT("query", KN_NEEDED, &search,
             "the search as JSON; {\"image\": {\"part\": NAME}} is a file of the form"));
SHAPE(took, "Took",
      NUMBER("encode", KN_NEEDED, 0, 0, "milliseconds, waiting included"),
      NUMBER("search", KN_NEEDED, 0, 0, NULL),
      NUMBER("total", KN_NEEDED, 0, 0, NULL));
static const kn_field side = WHOLE(NULL, 0, 0, 1 << 20, NULL);
SHAPE(hit, "Hit",
      WHOLE("rank", KN_NEEDED, 1, MAX_HITS, NULL),
      TEXT("id", KN_NEEDED, 1, 20, NULL),
      NUMBER("score", KN_NEEDED, 0, 1, "calibrated"),
      NUMBER("raw", KN_NEEDED | KN_NULL, -1.001, 1.001, "the cosine"),
      SAYS_TEXT("path"),
      TEXT("path_bytes", 0, 0, 0, "in hex, of a path that is not UTF-8"),
      TEXT("object", KN_NEEDED | KN_NULL, 0, 0, NULL),
      CHOICE("kind", KN_NEEDED, "image|model|reference", NULL),
      LIST("size", KN_NEEDED, &side, 0, "width, height"),
      FREE("meta", KN_NEEDED | KN_NULL, NULL),
      SAYS_TEXT("thumbnail_url"), SAYS_TEXT("original_url"));
static const kn_field hit_item = OBJECT(NULL, 0, &hit, NULL);
SHAPE(hits, "Hits",
      SAYS_TEXT("request_id"), SAYS_TEXT("model"),
      LIST("hits", KN_NEEDED, &hit_item, 0, "best first"),
      OBJECT("took_ms", KN_NEEDED, &took, NULL));

/* ---- the simple searches ---- */

SHAPE(api_text, "TextSearch",
      TEXT("query", KN_NEEDED, 1, MAX_TEXT, "words"),
      WHOLE("top_k", 0, 1, MAX_HITS, "10"));
SHAPE(api_image, "ImageSearch",
      FILE_PART("image", KN_NEEDED, "a picture's file"),
      WHOLE("top_k", 0, 1, MAX_HITS, "10"));
SHAPE(api_hybrid, "HybridSearch",
      TEXT("query", KN_NEEDED, 1, MAX_TEXT, "words"),
      FILE_PART("image", KN_NEEDED, "a picture's file"),
      WHOLE("top_k", 0, 1, MAX_HITS, "10"),
      NUMBER("text_weight", 0, .01, .99, "of the words; the picture has the rest; 0.4"));
SHAPE(result, "Result",
      TEXT("class_name", KN_NEEDED, 0, 0, "the object, else the folder"),
      NUMBER("similarity", KN_NEEDED, 0, 1, NULL),
      WHOLE("rank", KN_NEEDED, 1, MAX_HITS, NULL),
      SAYS_TEXT("path"),
      TEXT("path_bytes", 0, 0, 0, NULL),
      TEXT("description", KN_NEEDED | KN_NULL, 0, 0, NULL),
      SAYS_TEXT("explanation"),
      TEXT("id", KN_NEEDED, 1, 20, NULL),
      SAYS_TEXT("thumbnail_url"), SAYS_TEXT("original_url"));
static const kn_field result_item = OBJECT(NULL, 0, &result, NULL);
SHAPE(results, "Results",
      TRUTH("success", KN_NEEDED, NULL),
      LIST("results", KN_NEEDED, &result_item, 0, "best first"),
      NUMBER("took_ms", KN_NEEDED, 0, 0, NULL));

/* ---- items and objects ---- */

SHAPE(item, "Item",
      TEXT("id", KN_NEEDED, 1, 20, NULL),
      SAYS_TEXT("path"),
      TEXT("path_bytes", 0, 0, 0, NULL),
      TEXT("object", KN_NEEDED | KN_NULL, 0, 0, NULL),
      CHOICE("kind", KN_NEEDED, "image|model|reference", NULL),
      LIST("size", KN_NEEDED, &side, 0, "width, height"),
      SAYS_COUNT("bytes"),
      TEXT("mtime", KN_NEEDED | KN_NULL, 0, 0, NULL),
      TEXT("added", KN_NEEDED | KN_NULL, 0, 0, NULL),
      TEXT("hash", KN_NEEDED, 0, 0, "XXH3-128 of the file"),
      TEXT("model", KN_NEEDED, 0, 0, "fingerprint"),
      FREE("meta", KN_NEEDED | KN_NULL, NULL),
      TRUTH("hidden", KN_NEEDED, "the file has vanished"));
static const kn_field thumbnail_args[] = {
    WHOLE("w", 0, 16, 1024, "the longer side in pixels; 256"), WHOLE("view", 0, 0, 11,
        "of a 3-D model: which side"), END };
SHAPE(object_item, "ObjectItem",
      TEXT("id", KN_NEEDED, 1, 20, NULL));
static const kn_field object_items = OBJECT(NULL, 0, &object_item, NULL);
SHAPE(object, "Object",
      TEXT("object", KN_NEEDED, 0, 0, "its name"),
      WHOLE("references", KN_NEEDED, 0, MANY, "pictures"),
      WHOLE("vectors", KN_NEEDED, 0, MANY, "those of parts too"),
      LIST("items", 0, &object_items, 0, NULL));
static const kn_field object_list = OBJECT(NULL, 0, &object, NULL);
SHAPE(objects, "Objects",
      LIST("objects", KN_NEEDED, &object_list, 0, "by name"));
static const kn_field sent_item = OBJECT(NULL, 0, &sent, NULL);
SHAPE(teach, "Teach",
      LIST("images", KN_NEEDED, &sent_item, 32, "photographs, one to three are enough"));
SHAPE(teach_form, "TeachForm",
      FILE_PART("image", KN_REPEATED, "a photograph's file"));
SHAPE(recognize, "Recognize",
      OBJECT("image", KN_NEEDED, &sent, NULL),
      WHOLE("limit", 0, 1, MAX_HITS, "candidates; 10"),
      NUMBER("fpir", 0, 1e-6, .5, "let this share of unknown objects pass for known ones"));
SHAPE(recognize_form, "RecognizeForm",
      FILE_PART("image", KN_NEEDED, NULL),
      WHOLE("limit", 0, 1, MAX_HITS, "candidates; 10"),
      NUMBER("fpir", 0, 1e-6, .5, "let this share of unknown objects pass for known ones"));
SHAPE(candidate, "Candidate",
      SAYS_TEXT("object"),
      NUMBER("score", KN_NEEDED, 0, 1, NULL),
      NUMBER("raw", KN_NEEDED, -1.001, 1.001, NULL),
      NUMBER("confidence", KN_NEEDED, 0, 1, NULL),
      TEXT("id", KN_NEEDED, 1, 20, "the reference that is most like the picture"));
static const kn_field candidate_item = OBJECT(NULL, 0, &candidate, NULL);
SHAPE(recognition, "Recognition",
      SAYS_TEXT("request_id"),
      TEXT("object", KN_NEEDED | KN_NULL, 0, 0, "null: unknown"),
      NUMBER("confidence", KN_NEEDED, 0, 1, "the chance that the first candidate is right"),
      LIST("candidates", KN_NEEDED, &candidate_item, 0, "best first"));

/* ---- the server ---- */

SHAPE(health, "Health",
      SAYS_TEXT("status"));
SHAPE(version, "Version",
      SAYS_TEXT("version"), SAYS_TEXT("features"), SAYS_TEXT("level"));
SHAPE(limits, "Limits",
      SAYS_COUNT("body_bytes"),
      WHOLE("parts", KN_NEEDED, 0, MANY, "of a form"),
      WHOLE("pixels", KN_NEEDED, 0, MANY, "of a picture"),
      WHOLE("queue", KN_NEEDED, 0, MANY, "requests that may wait"),
      SAYS_COUNT("workers"), SAYS_COUNT("connections"),
      WHOLE("timeout_seconds", KN_NEEDED, 0, MANY, "without a byte"),
      TRUTH("urls", KN_NEEDED, "whether pictures may be given as such"));
SHAPE(model, "Model",
      SAYS_TEXT("id"), SAYS_TEXT("object"), SAYS_TEXT("owned_by"), SAYS_TEXT("arch"),
      WHOLE("dim", KN_NEEDED, 1, 1 << 20, NULL),
      LIST("input", KN_NEEDED, &side, 0, "height, width"),
      TRUTH("image", KN_NEEDED, NULL),
      TRUTH("text", KN_NEEDED, NULL),
      WHOLE("context", KN_NEEDED, 0, MANY, "tokens of the longest text"),
      SAYS_TEXT("tokenizer"), SAYS_COUNT("bytes"), SAYS_TEXT("dtype"), SAYS_TEXT("precision"),
      SAYS_TEXT("licence"),
      TEXT("fingerprint", KN_NEEDED, 0, 0, "equal means equal vectors"));
static const kn_field model_item = OBJECT(NULL, 0, &model, NULL);
SHAPE(models, "Models",
      SAYS_TEXT("object"),
      LIST("data", KN_NEEDED, &model_item, 0, NULL));
SHAPE(collection, "Collection",
      SAYS_TEXT("name"), SAYS_COUNT("items"), SAYS_COUNT("objects"), SAYS_TEXT("model"),
      SAYS_TEXT("store"));
static const kn_field collection_item = OBJECT(NULL, 0, &collection, NULL);
SHAPE(collections, "Collections",
      LIST("collections", KN_NEEDED, &collection_item, 0, NULL));
SHAPE(index_stats, "IndexStats",
      SAYS_TEXT("kind"), SAYS_COUNT("n"), SAYS_COUNT("pending"), SAYS_COUNT("dead"),
      TRUTH("stale", KN_NEEDED, NULL));
SHAPE(stats, "Stats",
      SAYS_COUNT("items"), SAYS_COUNT("hidden"), SAYS_COUNT("objects"), SAYS_COUNT("vectors"),
      SAYS_COUNT("bytes"), SAYS_COUNT("dim"), SAYS_TEXT("model"), SAYS_TEXT("fingerprint"),
      SAYS_TEXT("precision"), SAYS_TEXT("store"),
      OBJECT("index", KN_NEEDED, &index_stats, NULL));

/* ---- the table ---- */

#define C "/v1/collections/{collection}"
#define JSON "application/json"
#define ROUTE(m, at, fn, who) .method = m, .path = at, .run = fn, .scope = who

const kn_route kn_routes[] = {
    { ROUTE("GET", "/livez", kn_route_live, KN_OPEN), .name = "live",
      .encoder_too = 1, .answer = &health, .summary = "The process runs." },
    { ROUTE("GET", "/readyz", kn_route_ready, KN_OPEN), .name = "ready",
      .encoder_too = 1, .answer = &health, .summary = "Model and collection are open." },
    { ROUTE("GET", "/healthz", kn_route_ready, KN_OPEN), .name = "health",
      .encoder_too = 1, .answer = &health, .summary = "The same as /readyz." },
    { ROUTE("GET", "/version", kn_route_version, KN_OPEN), .name = "version",
      .encoder_too = 1, .answer = &version, .summary = "What runs." },
    { ROUTE("GET", "/metrics", kn_route_metrics, KN_OPEN), .name = "metrics",
      .encoder_too = 1, .type = "text/plain", .summary = "For Prometheus." },
    { ROUTE("GET", "/v1/openapi.json", kn_route_openapi, KN_OPEN), .name = "openapi",
      .encoder_too = 1, .type = JSON, .summary = "This document." },
    { ROUTE("GET", "/v1/limits", kn_route_limits, KN_READ), .name = "limits",
      .encoder_too = 1, .answer = &limits, .summary = "How much a request may be." },
    { ROUTE("GET", "/v1/models", kn_route_models, KN_READ), .name = "models",
      .encoder_too = 1, .answer = &models, .summary = "The model that encodes." },
    { ROUTE("GET", "/v1/collections", kn_route_collections, KN_READ), .name = "collections",
      .answer = &collections, .summary = "The collections." },
    { ROUTE("GET", C, kn_route_collection, KN_READ), .name = "collection",
      .answer = &collection, .errors = "404", .summary = "One of them." },
    { ROUTE("GET", C "/stats", kn_route_stats, KN_READ), .name = "stats",
      .answer = &stats, .errors = "404", .summary = "Counts and sizes." },
    { ROUTE("POST", C "/search", kn_route_search, KN_READ), .name = "search",
      .json = &search, .form = &search_form, .files = "pictures that the search names", .answer = &hits,
      .errors = "404 409", .summary = "Find by words, pictures, items and objects." },
    { ROUTE("GET", C "/items/{id}", kn_route_item, KN_READ), .name = "item",
      .answer = &item, .errors = "404", .summary = "What is known of an item." },
    { ROUTE("GET", C "/items/{id}/thumbnail", kn_route_thumbnail, KN_READ), .name = "thumbnail",
      .args = thumbnail_args, .type = "image/jpeg", .errors = "304 403 404",
      .summary = "A small JPEG of it." },
    { ROUTE("GET", C "/items/{id}/original", kn_route_original, KN_READ), .name = "original",
      .type = "*/*", .errors = "206 304 403 404 416", .summary = "Its file; ranges are understood." },
    { ROUTE("GET", C "/objects", kn_route_objects, KN_READ), .name = "objects",
      .answer = &objects, .errors = "404", .summary = "Every object." },
    { ROUTE("GET", C "/objects/{name}", kn_route_object, KN_READ), .name = "object",
      .answer = &object, .errors = "404", .summary = "One, with its references." },
    { ROUTE("PUT", C "/objects/{name}", kn_route_object_put, KN_WRITE), .name = "teach",
      .json = &teach, .form = &teach_form, .files = "photographs, too", .answer = &object,
      .errors = "201 404 409", .summary = "Add photographs to an object, new or not." },
    { ROUTE("DELETE", C "/objects/{name}", kn_route_object_delete, KN_WRITE), .name = "forget",
      .status = 204, .errors = "404", .summary = "Forget an object." },
    { ROUTE("POST", C "/recognize", kn_route_recognize, KN_READ), .name = "recognize",
      .json = &recognize, .form = &recognize_form, .answer = &recognition, .errors = "404 409",
      .summary = "Which object a picture shows." },
    { ROUTE("POST", "/api/search/text", kn_route_api_text, KN_READ), .name = "searchText",
      .json = &api_text, .answer = &results, .errors = "409", .summary = "Find by words." },
    { ROUTE("POST", "/api/search/image", kn_route_api_image, KN_READ), .name = "searchImage",
      .form = &api_image, .answer = &results, .errors = "409", .summary = "Find by a picture." },
    { ROUTE("POST", "/api/search/hybrid", kn_route_api_hybrid, KN_READ), .name = "searchHybrid",
      .form = &api_hybrid, .answer = &results, .errors = "409", .summary = "Find by both." },
};
const size_t kn_routes_n = sizeof kn_routes / sizeof *kn_routes;

/* ---- finding one ---- */

/* 1 if the path fits; values of {collection} and {id} or {name} are put into names, decoded. */
static int fits(const char *pattern, const char *path, char *names[2], int *bad)
{
    int n = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return 0;
            continue;
        }
        const size_t len = strcspn(path, "/");
        if (!len)
            return 0;
        names[n++] = kn_http_unescape(path, len, bad);
        path += len;
        pattern += strcspn(pattern, "}") + 1;
    }
    return !*pattern && !*path;
}

static void forget(char *names[2])
{
    kn_free(names[0]);
    kn_free(names[1]);
    names[0] = names[1] = NULL;
}

int kn_route_offered(const ken_server *s, const kn_route *t)
{
    return t->encoder_too == 2 ? s->shims : s->db || t->encoder_too;
}

const kn_route *kn_route_find(const ken_server *s, kn_request *r, char *allowed, size_t room, int *bad)
{
    const char *method = strcmp(r->method, "HEAD") ? r->method : "GET";
    *allowed = 0;
    *bad = 0;
    for (size_t i = 0; i < kn_routes_n; i++) {
        const kn_route *t = &kn_routes[i];
        int unescaped = 0;
        if (!kn_route_offered(s, t))
            continue;
        if (!fits(t->path, r->path, r->names, &unescaped)) {
            forget(r->names);
            continue;
        }
        *bad |= unescaped;
        if (!strcmp(t->method, method))
            return t;
        forget(r->names);
        const size_t n = strlen(allowed);
        snprintf(allowed + n, room - n, "%s%s", n ? ", " : "", t->method);
    }
    return NULL;
}
