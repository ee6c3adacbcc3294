/* server.c - a server's parts, put together and taken apart. */
#include "serve/server.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "serve/uploads.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THUMBS = 64 << 20, MAX_ADDRESSES = 16, MAX_ROOTS = 64 };

static void encoded(const char *what, size_t n, double seconds, void *cookie)
{
    kn_metrics_encoded(cookie, what, n, seconds);
}

/* ---- options ---- */

static uint32_t or_default(uint32_t v, uint32_t otherwise)
{
    return v ? v : otherwise;
}

static void take_limits(ken_server *s, const ken_server_options *o)
{
    atomic_store(&s->queue, or_default(o->queue, 256));
    atomic_store(&s->max_body, o->max_body ? o->max_body : (uint64_t)32 << 20);
}

static void take_numbers(ken_server *s, const ken_server_options *o)
{
    take_limits(s, o);
    s->workers = or_default(o->workers, 16);
    s->connections = or_default(o->connections, 1000);
    s->timeout = or_default(o->timeout, 15);
    s->shims = o->shims;
    s->decode = o->decode;
    s->decode.size = sizeof s->decode;
    if (!s->decode.max_pixels)
        s->decode.max_pixels = 50000000;
}

/* Real paths, so that what lies under one can be told by its beginning. */
static ken_status take_roots(ken_server *s, const char *roots)
{
    char real[PATH_MAX];
    if (!roots || !*roots)
        return KEN_OK;
    if (!(s->roots = kn_zalloc(MAX_ROOTS, sizeof *s->roots)))
        return KEN_E_NOMEM;
    while (*roots) {
        const size_t len = strcspn(roots, ":");
        char *one = kn_strndup(roots, len);
        const int found = one && realpath(one, real);
        kn_free(one);
        if (!found)
            return kn_fail(KEN_E_NOTFOUND, "root %.*s is not there", (int)len, roots);
        if (s->n_roots == MAX_ROOTS)
            return kn_fail(KEN_E_LIMIT, "more than %d roots", MAX_ROOTS);
        if (!(s->roots[s->n_roots] = kn_strdup(strcmp(real, "/") ? real : "")))
            return KEN_E_NOMEM;
        s->n_roots++;
        roots += len + (roots[len] == ':');
    }
    return KEN_OK;
}

/* Each connection is an open file. */
static void raise_files(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* ---- sockets ---- */

static ken_status listen_all(ken_server *s, const char *list, int *sockets, size_t *n)
{
    ken_status st = KEN_OK;
    list = list && *list ? list : KEN_SERVER_ADDRESS;
    if (!(s->shown = kn_zalloc(MAX_ADDRESSES, sizeof *s->shown)))
        return KEN_E_NOMEM;
    while (!st && *list) {
        const size_t len = strcspn(list, ",");
        char *one = kn_strndup(list, len);
        if (*n == MAX_ADDRESSES)
            st = kn_fail(KEN_E_LIMIT, "more than %d addresses", MAX_ADDRESSES);
        else
            st = one ? kn_listen(&sockets[*n], &s->shown[*n], one) : KEN_E_NOMEM;
        *n += !st;
        s->n_shown = *n;
        kn_free(one);
        list += len + (list[len] == ',');
    }
    return st;
}

static ken_status start_http(ken_server *s, const char *listen)
{
    int sockets[MAX_ADDRESSES];
    size_t n = 0;
    ken_status st = listen_all(s, listen, sockets, &n);
    if (st) {
        while (n)
            close(sockets[--n]);
        return st;
    }
    const kn_http_options o = { .sockets = sockets,
                                .n = n,
                                .workers = s->workers,
                                .connections = s->connections,
                                .queue = &s->queue,
                                .max_body = &s->max_body,
                                .timeout = s->timeout,
                                .head = kn_dispatch_head,
                                .run = kn_dispatch_run,
                                .full = kn_dispatch_full,
                                .large = kn_dispatch_large,
                                .done = kn_dispatch_done,
                                .cookie = s };
    return kn_http_start(&s->http, &o);
}

/* ---- the server ---- */

/* The decoders' helper first: it inherits whatever is open by then. */
static ken_status start(ken_server *s, const ken_server_options *o)
{
    const uint32_t decoders = kn_processors() < 4 ? kn_processors() : 4;
    ken_status st = kn_decoders_start(&s->decoders, decoders, (uint64_t)1 << 30, &s->decode);
    if (!st)
        st = kn_keys_new(&s->keys, o->api_key, o->keys_file);
    if (!st)
        st = take_roots(s, o->roots);
    if (!st && o->uploads)
        st = kn_path_absolute(&s->uploads, o->uploads);
    if (!st && s->db && !s->model)
        st = ken_get_model(s->db, &s->model);
    if (!st)
        st = kn_metrics_new(&s->metrics, kn_routes_n);
    if (!st)
        st = kn_thumbs_new(&s->thumbs, THUMBS);
    if (!st)
        st = kn_encoder_start(&s->encoder, s->model, s->db, encoded, s->metrics);
    if (!st && s->db)
        st = kn_jobs_new(&s->jobs, s->db);
    if (!st && !(s->openapi = kn_openapi(s)))
        st = KEN_E_NOMEM;
    return st ? st : start_http(s, o->listen);
}

ken_status ken_server_start(ken_server **out, const ken_server_options *o)
{
    if (!out || !o || o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_server_options: size is not set");
    if (!o->collection && !o->model)
        return kn_fail(KEN_E_INVALID, "ken_server_options: neither a collection nor a model");
    ken_server *s = kn_zalloc(1, sizeof *s);
    if (!s)
        return KEN_E_NOMEM;
    kn_sending_init(&s->sending);
    s->db = o->collection;
    s->model = o->model;
    s->started = kn_clock();
    take_numbers(s, o);
    raise_files();
    const ken_status st = start(s, o);
    if (st) {
        ken_server_stop(s, 0);
        return st;
    }
    *out = s;
    return KEN_OK;
}

ken_status ken_server_reload(ken_server *s, const ken_server_options *o)
{
    kn_keys *keys = NULL;
    const ken_status st = kn_keys_new(&keys, o->api_key, o->keys_file);
    if (st)
        return st;
    kn_keys_replace(s->keys, keys);
    take_limits(s, o);
    return KEN_OK;
}

const char *ken_server_address(const ken_server *s, size_t i)
{
    return i < s->n_shown ? s->shown[i] : NULL;
}

double ken_server_idle(const ken_server *s)
{
    return kn_http_idle(s->http);
}

/* Names of sockets first: from then on another server may take them. */
static void unlink_sockets(const ken_server *s)
{
    for (size_t i = 0; i < s->n_shown; i++)
        if (!strncmp(s->shown[i], "unix:", 5))
            unlink(s->shown[i] + 5);
}

void ken_server_stop(ken_server *s, double seconds)
{
    if (!s)
        return;
    unlink_sockets(s);
    kn_jobs_stop(s->jobs); /* which also ends the streams that tell of them */
    kn_http_stop(s->http, seconds);
    kn_jobs_free(s->jobs);
    kn_encoder_stop(s->encoder);
    kn_decoders_stop(s->decoders);
    kn_thumbs_free(s->thumbs);
    kn_metrics_free(s->metrics);
    kn_keys_free(s->keys);
    for (size_t i = 0; i < s->n_roots; i++)
        kn_free(s->roots[i]);
    for (size_t i = 0; i < s->n_shown; i++)
        kn_free(s->shown[i]);
    kn_free(s->roots);
    kn_free(s->shown);
    kn_free(s->uploads);
    kn_free(s->openapi);
    pthread_rwlock_destroy(&s->sending);
    kn_free(s);
}
