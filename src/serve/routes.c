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
static const kn_field facet_key = TEXT(NULL, 0, 1, 200, NULL);
SHAPE(search, "Search",
      { "query", KN_STRING | KN_ARRAY | KN_NEEDED, NULL, 1, MAX_TEXT, &term_item, 64, NULL,
        "words, or a list of terms whose weighted sum is looked for" },
      WHOLE("limit", 0, 1, MAX_HITS, "at most so many hits; 10"),
      { "min_score", KN_NUMBER | KN_STRING, "auto", 0, 1, NULL, 0, NULL,
        "leave out hits below; auto: those that have nothing to do with the query" },
      NUMBER("min_raw", 0, -1, 1, "leave out hits whose cosine is below"),
      TRUTH("hidden", 0, "items whose files have vanished, too"),
      TEXT("where", 0, 1, MAX_TEXT, "only items of which this holds, as of `ken search --where`"),
      CHOICE("group_by", 0, "near|object|dir", "of each group the best hit alone"),
      CHOICE("expand", 0, "none|prompts|aqe", "what is added to the query"),
      TRUTH("explain_query", 0, "say what expand adds"),
      LIST("facets", 0, &facet_key, 16,
           "count the values of what where lets through: object kind ext dir tag taken mtime added meta.KEY"),
      TEXT("spaces", 0, 1, 512, "whose answers are fused, ',' between"),
      CHOICE("fusion", 0, "rrf|weighted", NULL),
      TRUTH("exact", 0, "compare with every vector"),
      WHOLE("ef", 0, 1, 100000, "how many an HNSW index keeps in sight"),
      WHOLE("verify", 0, 0, 100, "of a picture: hold it against so many 3-D models among the hits; 14"));
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
      TEXT("description", 0, 0, 0, "what meta says"),
      SAYS_TEXT("thumbnail_url"), SAYS_TEXT("original_url"));
ONE_OF(addition, "Addition", 2, TEXT("text", 0, 0, 0, NULL), TEXT("path", 0, 0, 0, NULL),
       TEXT("path_bytes", 0, 0, 0, NULL), NUMBER("weight", KN_NEEDED, 0, 0, NULL));
static const kn_field addition_item = OBJECT(NULL, 0, &addition, NULL);
static const kn_field hit_item = OBJECT(NULL, 0, &hit, NULL);
static const kn_field strange_item = SAYS_TEXT(NULL);
SHAPE(hits, "Hits",
      SAYS_TEXT("request_id"), SAYS_TEXT("model"),
      LIST("hits", KN_NEEDED, &hit_item, 0, "best first"),
      OBJECT("took_ms", KN_NEEDED, &took, NULL),
      LIST("strange", KN_NEEDED, &strange_item, 0, "texts whose words the model hardly knows"),
      LIST("added", 0, &addition_item, 0, "to the query, with explain_query"),
      FREE("facets", 0, "of each key a list of value and count, the most frequent first"));
static const kn_field search_item = OBJECT(NULL, 0, &search, NULL);
SHAPE(batch, "SearchBatch",
      LIST("searches", KN_NEEDED, &search_item, 64, "encoded in one pass"));
static const kn_field hits_item = OBJECT(NULL, 0, &hits, NULL);
SHAPE(batch_hits, "HitsBatch",
      LIST("results", KN_NEEDED, &hits_item, 0, "in the order of the searches"));

/* ---- near duplicates ---- */

static const kn_field duplicates_args[] = {
    NUMBER("min_raw", 0, 1e-6, 1, "least cosine of two that are the same; 0.97"),
    TEXT("where", 0, 1, MAX_TEXT, "only items of which this holds"), END };
SHAPE(duplicate, "Duplicate",
      TEXT("id", KN_NEEDED, 1, 20, NULL), SAYS_TEXT("path"), TEXT("path_bytes", 0, 0, 0, NULL),
      NUMBER("score", KN_NEEDED, -1.001, 1.001, "the cosine with the first of the group"));
static const kn_field duplicate_item = OBJECT(NULL, 0, &duplicate, NULL);
static const kn_field duplicate_group = { NULL, KN_ARRAY, NULL, 0, 0, &duplicate_item, 0, NULL, NULL };
SHAPE(duplicates, "Duplicates",
      LIST("groups", KN_NEEDED, &duplicate_group, 0, "two and more in each, by rising ids"));

/* ---- explanations ---- */

ONE_OF(explained, "Side", 3,
       TEXT("text", 0, 1, MAX_TEXT, "words"),
       OBJECT("image", 0, &picture, "a picture"),
       TEXT("id", 0, 1, 20, "an item of the collection"));
SHAPE(explain, "Explain",
      OBJECT("a", KN_NEEDED, &explained, NULL),
      OBJECT("b", KN_NEEDED, &explained, NULL),
      TEXT("method", 0, 1, 32, "auto; parts, gradcam …"),
      WHOLE("grid", 0, 2, 256, "cells a side of a map"),
      WHOLE("regions", 0, 1, 16, "3"),
      CHOICE("language", 0, "auto|en|zh", "of the sentence; auto is that of the words"));
SHAPE(explain_form, "ExplainForm",
      OBJECT("explain", KN_NEEDED, &explain,
             "as JSON; {\"image\": {\"part\": NAME}} is a file of the form"));
static const kn_field any_object = FREE(NULL, 0, NULL);
static const kn_field any_number = { NULL, KN_NUMBER, NULL, 0, 0, NULL, 0, NULL, NULL };
SHAPE(region, "Region",
      LIST("a", KN_NEEDED, &side, 0, "x, y, width, height; empty for words"),
      LIST("b", KN_NEEDED, &side, 0, NULL),
      NUMBER("share", KN_NEEDED, 0, 1, "of all that speaks for the match"));
static const kn_field region_item = OBJECT(NULL, 0, &region, NULL);
SHAPE(explanation, "Explanation",
      LIST("grid", KN_NEEDED, &side, 0, "rows, columns"),
      LIST("a", KN_NEEDED, &any_number, 0, "row by row over the whole picture; empty for words"),
      LIST("b", KN_NEEDED, &any_number, 0, NULL),
      NUMBER("score", KN_NEEDED, 0, 1, NULL),
      NUMBER("raw", KN_NEEDED, -1.001, 1.001, NULL),
      LIST("regions", KN_NEEDED, &region_item, 0, "best first"),
      SAYS_TEXT("text"), SAYS_TEXT("method"), SAYS_TEXT("model"));

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
static const kn_field item_item = OBJECT(NULL, 0, &item, NULL);
SHAPE(items, "Items", LIST("items", KN_NEEDED, &item_item, 0, NULL));
SHAPE(item_page, "ItemPage",
      LIST("items", KN_NEEDED, &item_item, 0, "by id"),
      TEXT("next_cursor", KN_NEEDED | KN_NULL, 0, 0, "null: this is the last page"));
static const kn_field page_args[] = {
    TEXT("cursor", 0, 1, 20, "next_cursor of the page before"),
    WHOLE("limit", 0, 1, MAX_HITS, "100"),
    TEXT("object", 0, 1, 200, "of this object alone"),
    TRUTH("hidden", 0, "those whose files have vanished, too"), END };
SHAPE(note, "ItemNote",
      TEXT("object", 0, 0, 200, "its object; \"\": none"),
      FREE("meta", 0, "takes the place of what was there"));
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

/* ---- vectors ---- */

ONE_OF(embed_input, "EmbeddingInput", 3,
       TEXT("text", 0, 1, MAX_TEXT, NULL),
       TEXT("image", 0, 1, 64 << 20, "base64 or a data URI"),
       TEXT("fitted", 0, 1, 64 << 20, "the same, as the network takes a picture in: of its input's size"));
static const kn_field embed_item = { NULL, KN_STRING | KN_OBJECT, NULL, 1, 64 << 20, NULL, 0, &embed_input,
                                     NULL };
SHAPE(embed, "EmbeddingRequest",
      TEXT("model", 0, 1, 256, "name or fingerprint; any other than the server's is refused"),
      { "input", KN_STRING | KN_ARRAY | KN_NEEDED, NULL, 1, 64 << 20, &embed_item, 2048, NULL,
        "texts, or pictures as base64 or data URI where modality says so" },
      CHOICE("encoding_format", 0, "float|base64", "base64: little-endian f32"),
      CHOICE("modality", 0, "text|image", "what plain strings are"),
      WHOLE("dimensions", 0, 1, 1 << 20, "as many as the model has"),
      TEXT("user", 0, 0, 256, NULL));
SHAPE(embedding, "Embedding",
      SAYS_TEXT("object"), SAYS_COUNT("index"),
      { "embedding", KN_ARRAY | KN_STRING | KN_NEEDED, NULL, 0, 0, &any_number, 0, NULL, NULL });
static const kn_field embedding_item = OBJECT(NULL, 0, &embedding, NULL);
SHAPE(usage, "Usage", SAYS_COUNT("prompt_tokens"), SAYS_COUNT("total_tokens"));
SHAPE(embeddings, "Embeddings",
      SAYS_TEXT("object"),
      LIST("data", KN_NEEDED, &embedding_item, 0, "in the order of the inputs"),
      SAYS_TEXT("model"), SAYS_TEXT("fingerprint"),
      OBJECT("usage", KN_NEEDED, &usage, NULL));
SHAPE(match, "PostMatch",
      TEXT("id", 0, 1, 128, NULL), TEXT("text", 0, 1, MAX_TEXT, NULL),
      TEXT("uri", 0, 1, 64 << 20, "a data URI"), TEXT("blob", 0, 1, 64 << 20, "base64"));
static const kn_field match_item = OBJECT(NULL, 0, &match, NULL);
SHAPE(document, "PostDocument",
      TEXT("id", 0, 1, 128, NULL), TEXT("text", 0, 1, MAX_TEXT, NULL),
      TEXT("uri", 0, 1, 64 << 20, "a data URI"), TEXT("blob", 0, 1, 64 << 20, "base64"),
      LIST("matches", 0, &match_item, 256, "of /rank"));
static const kn_field document_item = OBJECT(NULL, 0, &document, NULL);
SHAPE(post, "PostRequest",
      LIST("data", KN_NEEDED, &document_item, 256, NULL),
      CHOICE("execEndpoint", 0, "/|/encode|/rank", NULL),
      FREE("parameters", 0, "not looked at"), FREE("header", 0, "not looked at"));
SHAPE(post_answer, "PostAnswer",
      FREE("header", KN_NEEDED, NULL), FREE("parameters", KN_NEEDED | KN_NULL, NULL),
      LIST("routes", KN_NEEDED, NULL, 0, NULL), LIST("data", KN_NEEDED, &any_object, 0, NULL));

/* ---- jobs ---- */

static const kn_field path_item = TEXT(NULL, 0, 1, 4096, NULL);
SHAPE(index_request, "IndexRequest",
      LIST("paths", 0, &path_item, 64, "absolute, under the server's roots; all of the roots if left out"));
SHAPE(job_report, "JobReport",
      SAYS_COUNT("seen"), SAYS_COUNT("added"), SAYS_COUNT("updated"), SAYS_COUNT("moved"),
      SAYS_COUNT("removed"),
      SAYS_COUNT("failed"), SAYS_COUNT("skipped"), NUMBER("seconds", KN_NEEDED, 0, 0, NULL));
SHAPE(job, "Job",
      SAYS_TEXT("id"), SAYS_TEXT("kind"),
      CHOICE("state", KN_NEEDED, "running|done|failed|canceled", NULL),
      SAYS_TEXT("stage"), SAYS_COUNT("done"),
      WHOLE("total", KN_NEEDED, 0, MANY, "0 while unknown"),
      NUMBER("rate", KN_NEEDED, 0, 0, "a second"),
      NUMBER("seconds_left", KN_NEEDED | KN_NULL, 0, 0, NULL),
      TEXT("problem", KN_NEEDED | KN_NULL, 0, 0, "the last one"),
      OBJECT("report", KN_NEEDED | KN_NULL, &job_report, NULL));
static const kn_field job_item = OBJECT(NULL, 0, &job, NULL);
SHAPE(jobs, "Jobs", LIST("jobs", KN_NEEDED, &job_item, 0, "the oldest first"));

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
    { ROUTE("POST", C "/search/batch", kn_route_search_batch, KN_READ), .name = "searchBatch",
      .json = &batch, .answer = &batch_hits, .errors = "404 409", .summary = "Several searches at once." },
    { ROUTE("GET", C "/dups", kn_route_duplicates, KN_READ), .name = "duplicates", .args = duplicates_args,
      .answer = &duplicates, .errors = "404", .summary = "Pictures that are nearly the same, in groups." },
    { ROUTE("POST", C "/explain", kn_route_explain, KN_READ), .name = "explain", .json = &explain,
      .form = &explain_form, .files = "pictures that the question names", .answer = &explanation,
      .type = "image/png", .errors = "404 409",
      .summary = "Where two pictures, or a picture and words, agree; drawn with Accept: image/png." },
    { ROUTE("POST", C "/index", kn_route_index, KN_ADMIN), .name = "index", .json = &index_request,
      .status = 202, .answer = &job, .errors = "404 503",
      .summary = "Bring the collection up to date with folders, as a job; Idempotency-Key is heeded." },
    { ROUTE("GET", C "/items", kn_route_items, KN_READ), .name = "items", .args = page_args,
      .answer = &item_page, .errors = "404", .summary = "What the collection has, page by page." },
    { ROUTE("POST", C "/items", kn_route_upload, KN_WRITE), .name = "upload", .json = &teach,
      .form = &teach_form, .files = "pictures, too", .status = 201, .answer = &items, .errors = "404 409",
      .summary = "Add pictures; their pixels are kept." },
    { ROUTE("GET", C "/items/{id}", kn_route_item, KN_READ), .name = "item",
      .answer = &item, .errors = "404", .summary = "What is known of an item." },
    { ROUTE("PUT", C "/items/{id}", kn_route_item_put, KN_WRITE), .name = "describe", .json = &note,
      .answer = &item, .errors = "404", .summary = "Say of which object an item is, and what else of it." },
    { ROUTE("DELETE", C "/items/{id}", kn_route_item_delete, KN_WRITE), .name = "remove", .status = 204,
      .errors = "404", .summary = "Forget an item; a file that was not sent here stays." },
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
    { ROUTE("GET", "/v1/jobs", kn_route_jobs, KN_READ), .name = "jobs", .answer = &jobs,
      .summary = "Running jobs and those that ended lately." },
    { ROUTE("GET", "/v1/jobs/{job}", kn_route_job, KN_READ), .name = "job", .answer = &job, .errors = "404",
      .summary = "How far one is." },
    { ROUTE("DELETE", "/v1/jobs/{job}", kn_route_job_delete, KN_ADMIN), .name = "cancel", .status = 204,
      .errors = "404", .summary = "Stop one, or forget one that has ended." },
    { ROUTE("GET", "/v1/jobs/{job}/events", kn_route_job_events, KN_READ), .name = "jobEvents",
      .type = "text/event-stream", .errors = "404", .summary = "Its progress as server-sent events." },
    { ROUTE("POST", "/v1/embeddings", kn_route_embeddings, KN_READ), .name = "embeddings", .encoder_too = 1,
      .json = &embed, .answer = &embeddings, .errors = "404 409",
      .summary = "Vectors of texts and pictures." },
    { ROUTE("POST", "/post", kn_route_post, KN_READ), .name = "post", .encoder_too = 2, .json = &post,
      .answer = &post_answer, .errors = "409", .summary = "clip-as-service's route." },
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
        int wrong = 0;
        names[n++] = kn_http_unescape(path, len, &wrong);
        *bad |= wrong || !names[n - 1]; /* without memory it is not asked for, either */
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
