/* server.h - what the routes share: the server, and a call of one of its routes. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "serve/decode.h"
#include "serve/encode_queue.h"
#include "serve/http.h"
#include "serve/jobs.h"
#include "serve/keys.h"
#include "serve/metrics.h"
#include "serve/multipart.h"
#include "serve/shape.h"
#include "serve/thumbs.h"

#include <pthread.h>

#define KN_COLLECTION "default" /* the name of the one that is served */

struct ken_server {
    ken *db;                /* NULL: encoder only */
    const ken_model *model; /* open for the server's life */
    kn_http *http;
    kn_encoder *encoder;
    kn_decoders *decoders;
    kn_thumbs *thumbs;
    kn_jobs *jobs;          /* with a collection */
    kn_keys *keys;
    kn_metrics *metrics;
    ken_decode_options decode;
    char *uploads; /* where pictures that are sent are kept, absolute; NULL: none are */
    pthread_rwlock_t sending; /* see uploads.h */
    char **roots;  /* (n_roots) real paths that end without '/'; none: any item's file */
    size_t n_roots;
    char **shown; /* (n_shown) addresses */
    size_t n_shown;
    char *openapi; /* the document, as text */
    int shims;
    _Atomic uint32_t queue;
    _Atomic uint64_t max_body;
    uint32_t workers, connections, timeout;
    double started;
};

typedef struct kn_route kn_route;

typedef struct kn_call {
    ken_server *s;
    kn_request *r;
    const kn_route *route;
    cJSON *args; /* an object: the query's arguments, checked */
    cJSON *body; /* checked: the JSON, or the form's parts that are not files; NULL without one */
    int is_form;
    kn_form form;
    const char *id, *name; /* what stands in the path, or NULL */
} kn_call;

struct kn_route {
    const char *method, *path; /* "/v1/collections/{collection}/items/{id}" */
    void (*run)(kn_call *c);
    kn_scope scope;
    int encoder_too;             /* 1: there without a collection, too; 2: only with the shims */
    const kn_field *args;        /* or NULL */
    const kn_shape *json, *form; /* bodies it takes; both: either */
    const char *files;           /* the form has further parts, of any name: what they are */
    int status;                  /* of success */
    const kn_shape *answer;      /* or NULL, and: */
    const char *type;            /* of what is answered; NULL: nothing */
    const char *errors;          /* "404 422" beside those that any route may give */
    const char *name, *summary;  /* operationId; a line */
};
extern const kn_route kn_routes[];
extern const size_t kn_routes_n;

/* The route of a request, its path's values in r->names; NULL and *allowed (of `room`) with the methods
 * that the path has, "" if there is no such path.  *bad: a value is not well escaped. */
const kn_route *kn_route_find(const ken_server *s, kn_request *r, char *allowed, size_t room, int *bad);
/* Whether this server has that route. */
int kn_route_offered(const ken_server *s, const kn_route *t);
/* The document, as text that kn_free frees; NULL: out of memory. */
char *kn_openapi(const ken_server *s);

/* ---- requests, for http.h; the cookie is the server ---- */

void kn_dispatch_head(kn_request *r, void *cookie);
void kn_dispatch_run(kn_request *r, void *cookie);
void kn_dispatch_full(kn_request *r, void *cookie);
void kn_dispatch_large(kn_request *r, void *cookie);
void kn_dispatch_done(const kn_request *r, void *cookie);

/* ---- answers ---- */

/* {"error":{…}}; param may be NULL. */
void kn_answer_error(kn_request *r, int status, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* What a failing call of the library means, with its reason. */
void kn_answer_failed(kn_request *r, ken_status st, const char *param);
/* v as JSON, and its end. */
void kn_answer_json(kn_request *r, int status, cJSON *v);
/* 1 and a 304 if the client has it already; sets ETag. */
int kn_answer_known(kn_request *r, const char *etag);

/* ---- JSON of our values ---- */

void kn_json_real(cJSON *to, const char *name, double v, int digits); /* null if not finite */
void kn_json_exact(cJSON *to, const char *name, double v, int is_float); /* as short as says it to the bit */
void kn_json_id(cJSON *to, const char *name, uint64_t id);
void kn_json_text(cJSON *to, const char *name, const char *s);     /* NULL: null; not UTF-8: U+FFFD */
void kn_json_path(cJSON *to, const char *name, const char *bytes); /* and NAME_bytes if not UTF-8 */
void kn_json_time(cJSON *to, const char *name, int64_t ns);
cJSON *kn_json_model(const ken_model_info *i);
cJSON *kn_json_record(const ken_record *r);
/* Numbers, strings and truths of a checked object; the last argument where it has no such member. */
double kn_get_number(const cJSON *o, const char *name, double otherwise);
const char *kn_get_text(const cJSON *o, const char *name, const char *otherwise);
int kn_get_bool(const cJSON *o, const char *name);

/* A picture of a stranger's: the bytes; or base64, perhaps as a data URI.  Answers, and returns -1, if
 * it cannot be had. */
int kn_take_picture(kn_call *c, const void *bytes, size_t n, const char *param, ken_image **out);
int kn_take_base64(kn_call *c, const char *text, const char *param, ken_image **out);
/* The item of the path, or -1 with the answer given; ken_record_free it. */
int kn_take_item(kn_call *c, ken_record **out);

/* Its picture, or a view of a 3-D model.  0, or -1 with the answer given. */
int kn_item_picture(kn_call *c, const ken_record *r, ken_image **out);
/* Whether a file may be given away; real: its path without links. */
int kn_path_allowed(const ken_server *s, const char *real);

/* ---- the page ---- */

typedef struct kn_web_file {
    const char *path, *type;
    const unsigned char *bytes;
    size_t len;
} kn_web_file;
extern const kn_web_file kn_web_files[]; /* made of src/web; ended by one without a path */
/* Answers a GET of one of them; 0 if there is none of that path. */
int kn_web_answer(kn_request *r);
void kn_safe_headers(kn_request *r);

/* ---- the routes ---- */

void kn_route_live(kn_call *c);
void kn_route_ready(kn_call *c);
void kn_route_version(kn_call *c);
void kn_route_metrics(kn_call *c);
void kn_route_openapi(kn_call *c);
void kn_route_limits(kn_call *c);
void kn_route_models(kn_call *c);
void kn_route_collections(kn_call *c);
void kn_route_collection(kn_call *c);
void kn_route_stats(kn_call *c);
void kn_route_search(kn_call *c);
void kn_route_api_text(kn_call *c);
void kn_route_api_image(kn_call *c);
void kn_route_api_hybrid(kn_call *c);
void kn_route_item(kn_call *c);
void kn_route_thumbnail(kn_call *c);
void kn_route_original(kn_call *c);
void kn_route_objects(kn_call *c);
void kn_route_object(kn_call *c);
void kn_route_object_put(kn_call *c);
void kn_route_object_delete(kn_call *c);
void kn_route_recognize(kn_call *c);
void kn_route_search_batch(kn_call *c);
void kn_route_duplicates(kn_call *c);
void kn_route_explain(kn_call *c);
void kn_route_items(kn_call *c);
void kn_route_upload(kn_call *c);
void kn_route_item_put(kn_call *c);
void kn_route_item_delete(kn_call *c);
void kn_route_index(kn_call *c);
void kn_route_jobs(kn_call *c);
void kn_route_job(kn_call *c);
void kn_route_job_delete(kn_call *c);
void kn_route_job_events(kn_call *c);
void kn_route_embeddings(kn_call *c);
void kn_route_post(kn_call *c);

#endif
