/* route_jobs.c - folders are scanned in the background; jobs are asked after. */
#include "base/alloc.h"
#include "serve/jobs.h"
#include "serve/server.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void answer_begun(kn_call *c, const char *id)
{
    kn_reply_header(c->r, "Location", "/v1/jobs/%s", id);
    cJSON *o = kn_jobs_json(c->s->jobs, id);
    if (o)
        kn_answer_json(c->r, 202, o);
    else
        kn_answer_error(c->r, 404, "not_found", NULL, "job %s has been forgotten", id);
}

/* Where the path really lies, under a root; or NULL with the answer given. */
static char *rooted(kn_call *c, const char *path)
{
    char *real = kn_alloc(PATH_MAX, 1);
    if (real && *path == '/' && realpath(path, real) && kn_path_allowed(c->s, real))
        return real;
    kn_free(real);
    /* the same answer whether it is there or not: nobody learns what lies outside */
    kn_answer_error(c->r, 403, "outside_roots", "paths", "%.200s is not under the server's roots", path);
    return NULL;
}

static int read_paths(kn_call *c, char **paths, size_t *n)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(c->body, "paths"), *item;
    cJSON_ArrayForEach (item, list) {
        if (!(paths[*n] = rooted(c, item->valuestring)))
            return -1;
        (*n)++;
    }
    for (size_t i = 0; !list && i < c->s->n_roots; i++)
        if (!(paths[(*n)++] = kn_strdup(*c->s->roots[i] ? c->s->roots[i] : "/"))) {
            kn_answer_failed(c->r, KEN_E_NOMEM, NULL);
            return -1;
        }
    return 0;
}

void kn_route_index(kn_call *c)
{
    enum { MAX_PATHS = 64 };
    const char *key = kn_request_header(c->r, "Idempotency-Key");
    char **paths = NULL, id[KN_JOB_ID];
    size_t n = 0;
    if (!c->s->n_roots)
        kn_answer_error(c->r, 403, "no_roots", NULL, "this server was given no roots to index (--roots)");
    else if (key && strlen(key) > KN_JOB_KEY)
        kn_answer_error(c->r, 422, "invalid", "Idempotency-Key", "more than %d characters", KN_JOB_KEY);
    else if (!(paths = kn_zalloc(MAX_PATHS, sizeof *paths)))
        kn_answer_failed(c->r, KEN_E_NOMEM, NULL);
    if (c->r->status)
        return;
    if (read_paths(c, paths, &n)) {
        for (size_t i = 0; i < n; i++)
            kn_free(paths[i]);
        kn_free(paths);
        return;
    }
    const ken_status st = kn_jobs_scan(c->s->jobs, paths, n, key ? key : "", id);
    if (st)
        kn_answer_failed(c->r, st, NULL);
    else
        answer_begun(c, id);
}

void kn_route_jobs(kn_call *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "jobs", kn_jobs_list(c->s->jobs));
    kn_answer_json(c->r, 200, o);
}

static void no_job(kn_call *c)
{
    kn_answer_error(c->r, 404, "not_found", "job", "no job %.60s", c->name);
}

void kn_route_job(kn_call *c)
{
    cJSON *o = kn_jobs_json(c->s->jobs, c->name);
    if (o)
        kn_answer_json(c->r, 200, o);
    else
        no_job(c);
}

void kn_route_job_delete(kn_call *c)
{
    if (kn_jobs_cancel(c->s->jobs, c->name))
        no_job(c);
    else
        c->r->status = 204;
}

void kn_route_job_events(kn_call *c)
{
    c->r->stream = kn_jobs_events(c->s->jobs, c->name);
    if (!c->r->stream) {
        no_job(c);
        return;
    }
    c->r->status = 200;
    kn_reply_header(c->r, "Content-Type", "text/event-stream");
    kn_reply_header(c->r, "Cache-Control", "no-store");
}
